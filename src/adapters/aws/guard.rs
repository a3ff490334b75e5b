//! The guard: one object for each component in a bucket outside the sites that may be lost, taken and given back by
//! conditional writes (Amazon S3 User Guide, «Conditional requests»).

use aws_sdk_s3::primitives::ByteStream;
use serde::{Deserialize, Serialize};

use super::Aws;
use super::error::Failure;
use crate::inventory::Observation;
use crate::model::ids::ComponentName;
use crate::model::place::Place;
use crate::model::state::{GuardState, State};
use crate::model::target::Target;

/// The object's content.
#[derive(Serialize, Deserialize)]
struct Body {
    holder: String,
    since: String,
}

/// A guard as it was read.
struct Held {
    holder: String,
    etag: Option<String>,
}

impl Aws {
    /// Who holds the guard of a target's component.
    pub(super) async fn guard(&self, target: &Target) -> Observation {
        let Target::Guard { component, place } = target else {
            return Observation::NotFound { observed_at: self.now() };
        };
        match self.read_guard(place, component).await {
            Ok(held) => {
                self.seen(State::Guard(GuardState { holder: held.map(|h| h.holder) }), "s3:GetObject")
            }
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn read_guard(&self, place: &Place, component: &ComponentName) -> Result<Option<Held>, Failure> {
        let (bucket, key) = object(place, component)?;
        let site = self.site(place).await;
        let call = || site.s3().get_object().bucket(&bucket).key(&key).send();
        let answer = match self.look("s3", place, call).await {
            Ok(answer) => answer,
            // No such bucket is another matter: there is nothing that could guard.
            Err(Failure::Code { code, .. }) if code == "NoSuchKey" => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let etag = answer.e_tag().map(str::to_owned);
        let bytes = answer.body.collect().await.map_err(|e| Failure::Unclear(e.to_string()))?;
        // What cannot be read is neither free nor held: it may not even be an answer of S3.
        let body = serde_json::from_slice::<Body>(&bytes.into_bytes())
            .map_err(|_| Failure::Unclear(format!("the guard object {key} holds no guard")))?;
        Ok(Some(Held { holder: body.holder, etag }))
    }

    /// Takes a guard if nobody holds it, or exactly `instead_of` does. Taking one's own again is no change.
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
        let put = site
            .s3()
            .put_object()
            .bucket(&bucket)
            .key(&key)
            .content_type("application/json")
            .body(ByteStream::from(bytes));
        let put = match displaced.and_then(|held| held.etag) {
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        let call = put.send();
        match self.once("s3", place, call).await {
            Ok(_) => Ok(None),
            // Somebody was first; who, is what the next look shows.
            Err(Failure::Code { code, .. }) if code == "PreconditionFailed" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Gives a guard back, if it is still the holder's and nobody wrote it meanwhile.
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
        let call = site.s3().delete_object().bucket(&bucket).key(&key).set_if_match(held.etag.clone()).send();
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
