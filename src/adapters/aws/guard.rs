//! The guard: one object for each component, in a bucket outside the sites that may be lost. It is taken and released by
//! conditional writes (Amazon S3 User Guide, «Conditional requests»), and only in a bucket that belongs to the account in the
//! settings, because anybody can create a bucket with a free name («Verifying bucket ownership with bucket owner condition»).

use aws_sdk_s3::primitives::ByteStream;
use serde::{Deserialize, Serialize};

use super::Aws;
use super::body::at_most;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::control::GuardState;
use crate::kinds::{State, Target};
use crate::model::ids::ComponentName;
use crate::model::place::Place;

/// Maximum size of a guard, which is two short lines. A larger object is not a guard.
const MOST: usize = 4 << 10;

/// The object's content.
#[derive(Serialize, Deserialize)]
struct Body {
    holder: String,
    since: String,
}

/// A guard as it was read.
struct GuardRecord {
    holder: String,
    etag: Option<String>,
}

impl Aws {
    /// Who holds the guard of a target's component.
    pub(super) async fn guard(&self, target: &Target) -> Observation {
        let Target::Guard { component, place } = target else {
            return Observation::NotFound { observed_at: self.now() };
        };
        // An answer that was long on its way says nothing about later.
        let observed_at = self.now();
        match self.read_guard(place, component).await {
            Ok(held) => Observation::Value {
                state: State::Guard(GuardState { holder: held.map(|h| h.holder) }),
                observed_at,
                source: "s3:GetObject".to_owned(),
            },
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn read_guard(
        &self,
        place: &Place,
        component: &ComponentName,
    ) -> Result<Option<GuardRecord>, Failure> {
        let (bucket, key) = object(place, component)?;
        let site = self.site(place).await;
        let call = || {
            let get = site.s3().get_object().bucket(&bucket).key(&key);
            get.set_expected_bucket_owner(place.account.clone()).send()
        };
        let answer = match self.look("s3", place, call).await {
            Ok(answer) => answer,
            // A missing bucket is an error: then no guard is possible.
            Err(Failure::Code { code, .. }) if code == "NoSuchKey" => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let etag = answer.e_tag().map(str::to_owned);
        // An unreadable object is neither free nor held. The answer may not even come from S3.
        let garbage =
            |why: &str| Failure::Unclear(format!("the guard object {key} does not contain a guard{why}"));
        let bytes = at_most(answer.body, MOST).await.map_err(|e| garbage(&format!(": {e}")))?;
        let body = serde_json::from_slice::<Body>(&bytes).map_err(|_| garbage(""))?;
        if body.holder.trim().is_empty() || body.holder.chars().any(char::is_control) {
            return Err(garbage(": it names no holder"));
        }
        Ok(Some(GuardRecord { holder: body.holder, etag }))
    }

    /// Takes a guard if nobody holds it, or if exactly `instead_of` does. Has no effect if `holder` holds it already.
    pub(super) async fn take_guard(
        &self,
        place: &Place,
        component: &ComponentName,
        holder: &str,
        instead_of: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let (bucket, key) = object(place, component)?;
        let site = self.site(place).await;
        let displaced = match instead_of {
            Some(other) => self.read_guard(place, component).await?.filter(|held| held.holder == other),
            None => None,
        };
        let body = Body { holder: holder.to_owned(), since: self.now().to_string() };
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let put = |instead_of: Option<String>| {
            let put = site
                .s3()
                .put_object()
                .bucket(&bucket)
                .key(&key)
                .content_type("application/json")
                .set_expected_bucket_owner(place.account.clone())
                .body(ByteStream::from(bytes.clone()));
            match instead_of {
                Some(etag) => put.if_match(etag),
                None => put.if_none_match("*"),
            }
        };
        let etag = displaced.and_then(|held| held.etag);
        let taken = match self.once("s3", place, put(etag.clone()).send()).await {
            // The previous holder has released it in the meantime, so now it is free.
            Err(Failure::Code { code, .. }) if code == "NoSuchKey" && etag.is_some() => {
                self.once("s3", place, put(None).send()).await
            }
            answer => answer,
        };
        match taken {
            Ok(_) => Ok(None),
            // Another process was faster; the next observation shows which.
            Err(Failure::Code { code, .. }) if code == "PreconditionFailed" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Releases a guard, if the holder still has it and nobody has written it in the meantime.
    pub(super) async fn release_guard(
        &self,
        place: &Place,
        component: &ComponentName,
        holder: &str,
    ) -> Result<Option<String>, Failure> {
        let Some(held) = self.read_guard(place, component).await?.filter(|h| h.holder == holder) else {
            return Ok(None);
        };
        let (bucket, key) = object(place, component)?;
        let site = self.site(place).await;
        let delete = site.s3().delete_object().bucket(&bucket).key(&key).set_if_match(held.etag.clone());
        let call = delete.set_expected_bucket_owner(place.account.clone()).send();
        match self.once("s3", place, call).await {
            Ok(_) => Ok(None),
            Err(Failure::Code { code, .. }) if code == "PreconditionFailed" || code == "NoSuchKey" => {
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Bucket and key of a component's guard.
fn object(place: &Place, component: &ComponentName) -> Result<(String, String), Failure> {
    place.guard_object(component).ok_or_else(|| {
        Failure::never("GuardUrl", format!("the guard `{}` is not s3://bucket/prefix", place.name))
    })
}
