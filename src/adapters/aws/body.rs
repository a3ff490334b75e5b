//! Size limits on what services answer, whoever answers.

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::Limited;

use super::error::Failure;

/// The most that drctl reads of an error, which is a code and a sentence.
const ERROR: usize = 1 << 20;
/// The most that it reads of an answer. A page of a describe call has far less.
const ANSWER: usize = 64 << 20;

/// Limits what the SDK collects of an answer before anybody sees it: an answer that does not end would fill the memory.
#[derive(Debug)]
pub(super) struct Bounded {
    answer: usize,
}

impl Bounded {
    /// For calls whose answers are documents.
    pub(super) const DOCUMENTS: Self = Self { answer: ANSWER };
    /// For calls whose answers are objects, which the reader of each limits itself.
    pub(super) const OBJECTS: Self = Self { answer: usize::MAX };
}

impl Intercept for Bounded {
    fn name(&self) -> &'static str {
        "Bounded"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response_mut();
        let most = if answer.status().is_success() { self.answer } else { ERROR };
        if most < usize::MAX {
            let whole = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = SdkBody::from_body_1_x(Limited::new(whole, most));
        }
        Ok(())
    }
}

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
