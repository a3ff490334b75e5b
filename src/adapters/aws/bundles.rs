//! Evidence in S3 with Object Lock: one conditional write, and reading the object back.
//!
//! Amazon S3 User Guide, «Conditional requests» and «Locking objects with Object Lock».

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ObjectLockMode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use std::cell::Cell;

use super::Aws;
use super::error::Failure;
use crate::adapters::client::http_date;
use crate::adapters::uploads::{SinkContent, SinkError, Upload};
use crate::model::ids::Digest;
use crate::model::sink::{Lock, Sink, StoredObject};
use crate::model::time::Timestamp;

/// Long timeouts for single calls: the caller sets a limit by the size of the bundle.
fn patient() -> aws_sdk_s3::config::Builder {
    let long = std::time::Duration::from_secs(3_600);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(super::clients::CONNECT)
        .read_timeout(long)
        .operation_attempt_timeout(long)
        .operation_timeout(long);
    aws_sdk_s3::config::Builder::new().timeout_config(timeouts.build())
}

impl Aws {
    /// Writes a bundle if no object exists yet. Returns whether this call wrote it.
    ///
    /// # Errors
    /// If S3 rejects the write or does not answer.
    pub(super) async fn write_bundle(&self, sink: &Sink, parcel: &Upload<'_>) -> Result<bool, SinkError> {
        let (bucket, key) = sink.object(parcel.name);
        let site = self.site(&sink.place).await;
        let mode = match parcel.lock {
            Lock::Compliance => ObjectLockMode::Compliance,
            Lock::Governance => ObjectLockMode::Governance,
        };
        let put = site
            .s3()
            .put_object()
            .bucket(bucket)
            .key(key)
            .if_none_match("*")
            .content_type("application/x-tar")
            .checksum_sha256(STANDARD.encode(Sha256::digest(parcel.bytes)))
            .object_lock_mode(mode)
            .object_lock_retain_until_date(DateTime::from_millis(parcel.until.millis()))
            .set_expected_bucket_owner(sink.place.account.clone())
            .body(ByteStream::from(parcel.bytes.to_vec()));
        match self.once("s3", &sink.place, put.customize().config_override(patient()).send()).await {
            Ok(_) => Ok(true),
            Err(Failure::Code { code, .. }) if code == "PreconditionFailed" => Ok(false),
            Err(failure) => Err(trouble(&failure)),
        }
    }

    /// Reads back the object, or the given version of it, as a whole.
    ///
    /// # Errors
    /// If S3 does not answer.
    pub(super) async fn read_bundle(
        &self,
        sink: &Sink,
        bundle: &str,
        version: Option<&str>,
        most: usize,
    ) -> Result<SinkContent, SinkError> {
        let (bucket, key) = sink.object(bundle);
        let site = self.site(&sink.place).await;
        let owner = &sink.place.account;
        let date = Cell::new(None);
        let call = || async {
            let get =
                site.s3().get_object().bucket(&bucket).key(&key).set_version_id(version.map(str::to_owned));
            let get = get.set_expected_bucket_owner(owner.clone()).customize().config_override(patient());
            let answer = get.send().await;
            if let Err(error) = &answer {
                let said = error.raw_response().and_then(|raw| raw.headers().get("date"));
                date.set(said.and_then(http_date));
            }
            answer
        };
        let mut answer = match self.look("s3", &sink.place, call).await {
            Ok(answer) => answer,
            // A caller who may not list the bucket gets AccessDenied if the object does not exist.
            Err(Failure::Code { code, why, .. })
                if ["NoSuchKey", "NoSuchVersion", "AccessDenied", "MethodNotAllowed"]
                    .contains(&code.as_str()) =>
            {
                return Ok(SinkContent::Nothing { why: format!("{code}: {why}"), date: date.get() });
            }
            Err(failure) => return Err(trouble(&failure)),
        };
        let version = answer.version_id().filter(|version| *version != "null").map(str::to_owned);
        let lock = match answer.object_lock_mode().filter(|_| version.is_some()) {
            // A lock protects a version. In a bucket without versions, a write replaces the object.
            Some(ObjectLockMode::Compliance) => Some(Lock::Compliance),
            Some(ObjectLockMode::Governance) => Some(Lock::Governance),
            _ => None,
        };
        let until = answer.object_lock_retain_until_date().and_then(|until| until.to_millis().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|e| SinkError::Later(e.to_string()))?);
            // It is too large to be the bundle. Stop before it fills the memory.
            if bytes.len() > most {
                break;
            }
        }
        let until = until.map(Timestamp::from_millis);
        Ok(SinkContent::Held(StoredObject { sha256: Digest::of_bytes(&bytes), version, lock, until }))
    }
}

/// A sink that rejects a request is available; one that does not answer, or is overloaded, is down.
fn trouble(failure: &Failure) -> SinkError {
    match failure {
        Failure::Code { status, .. } if *status < 500 && !failure.is_throttling() => {
            SinkError::Later(failure.to_string())
        }
        _ => SinkError::Down(failure.to_string()),
    }
}
