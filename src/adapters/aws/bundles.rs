//! Evidence in S3 with Object Lock: one conditional write, and a look at what is there.
//!
//! Amazon S3 User Guide, «Conditional requests» and «Locking objects with Object Lock». S3 refuses requests whose signature is more than
//! fifteen minutes off its own clock (`RequestTimeTooSkewed`), so that a wrong clock here locks nothing for a wrong number of years.

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ObjectLockMode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::Aws;
use super::error::Failure;
use crate::adapters::sinks::Parcel;
use crate::model::ids::Digest;
use crate::model::sink::{Held, Lock, Sink};
use crate::model::time::Timestamp;

/// Whoever delivers waits for as long as a bundle's size asks for: no single call ends before that.
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
    /// Writes a bundle where nothing is yet. Answers whether it was this call that did.
    ///
    /// # Errors
    /// If S3 did not take it, or did not say.
    pub async fn put_bundle(&self, sink: &Sink, parcel: &Parcel<'_>) -> Result<bool, String> {
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
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// What is there, read back whole.
    ///
    /// # Errors
    /// If nothing is, or it cannot be read.
    pub async fn held_bundle(&self, sink: &Sink, bundle: &str, most: usize) -> Result<Held, String> {
        let (bucket, key) = sink.object(bundle);
        let site = self.site(&sink.place).await;
        let owner = &sink.place.account;
        let call = || {
            site.s3()
                .get_object()
                .bucket(&bucket)
                .key(&key)
                .set_expected_bucket_owner(owner.clone())
                .customize()
                .config_override(patient())
                .send()
        };
        let mut answer = self.look("s3", &sink.place, call).await.map_err(|failure| failure.to_string())?;
        let version = answer.version_id().filter(|version| *version != "null").map(str::to_owned);
        let lock = match answer.object_lock_mode().filter(|_| version.is_some()) {
            // Versions are what is locked: where there are none, whoever writes replaces what is there.
            Some(ObjectLockMode::Compliance) => Some(Lock::Compliance),
            Some(ObjectLockMode::Governance) => Some(Lock::Governance),
            _ => None,
        };
        let until = answer.object_lock_retain_until_date().and_then(|until| until.to_millis().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|e| e.to_string())?);
            // Whatever it is, it is not the bundle, and no answer fills this machine's memory.
            if bytes.len() > most {
                break;
            }
        }
        Ok(Held { sha256: Digest::of(&bytes), version, lock, until: until.map(Timestamp::from_millis) })
    }
}
