//! An object that Route 53's health checks watch. While it exists, they send users to its site.
//!
//! Source: AWS, «Creating disaster recovery mechanisms using Amazon Route 53», «Standby takes over primary»: a single write to S3
//! in the recovery region, without any control plane.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;

use super::Aws;
use super::body::at_most;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::names::{HealthObjectState, ObjectRef, SetHealthObject};

/// Maximum size that is read. drctl writes one line.
const MOST: usize = 4 << 10;

/// Maximum number of characters of the content that is reported.
const LONGEST: usize = 200;

impl Aws {
    /// Whether the object exists, and who created it.
    pub(super) async fn watched(&self, object: &ObjectRef) -> Observation {
        match self.read_signal(object).await {
            Ok(holder) => self.seen(State::HealthObject(HealthObjectState { holder }), "s3:GetObject"),
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn read_signal(&self, object: &ObjectRef) -> Result<Option<String>, Failure> {
        let (bucket, key) = object.parts().ok_or_else(|| no_object(object))?;
        let site = self.site(&object.place).await;
        let owner = &object.place.account;
        let get = || site.s3().get_object().bucket(bucket).key(key);
        let call = || get().set_expected_bucket_owner(owner.clone()).send();
        let answer = match self.look("s3", &object.place, call).await {
            Ok(answer) => answer,
            // A missing bucket is an error: then the object cannot be created.
            Err(Failure::Code { code, .. }) if code == "NoSuchKey" => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let bytes = at_most(answer.body, MOST).await?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        Ok(Some(text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()))
    }

    /// Creates or removes the object. Both are idempotent.
    pub(super) async fn signal(&self, signal: &SetHealthObject) -> Result<Option<String>, Failure> {
        let (object, place) = (&signal.object, &signal.object.place);
        let (bucket, key) = object.parts().ok_or_else(|| no_object(object))?;
        let site = self.site(place).await;
        if !signal.present {
            let delete = site.s3().delete_object().bucket(bucket).key(key);
            let call = delete.set_expected_bucket_owner(place.account.clone()).send();
            return self.once("s3", place, call).await.map(|_| None);
        }
        let call = site
            .s3()
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type("text/plain")
            .set_expected_bucket_owner(place.account.clone())
            // Nobody without credentials can read an object that is encrypted with the bucket's own key.
            .server_side_encryption(ServerSideEncryption::Aes256)
            .body(ByteStream::from(signal.holder.clone().into_bytes()))
            .send();
        self.once("s3", place, call).await.map(|_| None)
    }
}

fn no_object(object: &ObjectRef) -> Failure {
    Failure::never("ObjectUrl", format!("`{}` is not s3://bucket/key", object.url))
}
