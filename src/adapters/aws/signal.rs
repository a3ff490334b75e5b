//! An object that Route 53's health checks watch: there, it sends users to its site.
//!
//! Source: AWS, «Creating disaster recovery mechanisms using Amazon Route 53», «Standby takes over primary»: one write in the
//! recovery region's S3, and nothing of a control plane.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;

use super::Aws;
use super::body::at_most;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::aws::route53::{HealthObjectState, ObjectRef, SetHealthObject};

/// What is read of it: what drctl writes is one line.
const MOST: usize = 4 << 10;

/// Of what is written into it nobody needs more.
const LONGEST: usize = 200;

impl Aws {
    /// Whether the object is there, and who put it there.
    pub(super) async fn watched(&self, object: &ObjectRef) -> Observation {
        match self.read_signal(object).await {
            Ok(holder) => self.seen(State::HealthObject(HealthObjectState { holder }), "s3:GetObject"),
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn read_signal(&self, object: &ObjectRef) -> Result<Option<String>, Failure> {
        let (bucket, key) = object.parts().ok_or_else(|| no_object(object))?;
        let site = self.site(&object.place).await;
        let call = || site.s3().get_object().bucket(bucket).key(key).send();
        let answer = match self.look("s3", &object.place, call).await {
            Ok(answer) => answer,
            // No such bucket is another matter: nobody could put anything there.
            Err(Failure::Code { code, .. }) if code == "NoSuchKey" => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let bytes = at_most(answer.body, MOST).await?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        Ok(Some(text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()))
    }

    /// Puts it there, or removes it. Both are the same however often they are done.
    pub(super) async fn signal(&self, signal: &SetHealthObject) -> Result<Option<String>, Failure> {
        let (object, place) = (&signal.object, &signal.object.place);
        let (bucket, key) = object.parts().ok_or_else(|| no_object(object))?;
        let site = self.site(place).await;
        if !signal.present {
            let call = site.s3().delete_object().bucket(bucket).key(key).send();
            return self.once("s3", place, call).await.map(|_| None);
        }
        let call = site
            .s3()
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type("text/plain")
            // What a bucket's own key encrypts, nobody without credentials can read.
            .server_side_encryption(ServerSideEncryption::Aes256)
            .body(ByteStream::from(signal.holder.clone().into_bytes()))
            .send();
        self.once("s3", place, call).await.map(|_| None)
    }
}

fn no_object(object: &ObjectRef) -> Failure {
    Failure::never("ObjectUrl", format!("`{}` is not s3://bucket/key", object.url))
}
