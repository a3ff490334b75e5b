//! Reads the body of an object with a size limit, whatever the object is.

use aws_sdk_s3::primitives::ByteStream;

use super::error::Failure;

/// Reads a body of at most `most` bytes. Fails if it is larger.
pub(super) async fn at_most(mut body: ByteStream, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.try_next().await.map_err(|e| Failure::Unclear(e.to_string()))? {
        if bytes.len() + chunk.len() > most {
            return Err(Failure::Unclear(format!(
                "it is larger than {most} bytes, the most that drctl reads"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
