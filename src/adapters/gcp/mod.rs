//! Evidence in Google Cloud Storage: another cloud on purpose, which the loss of a whole provider leaves alone.
//!
//! Objects are written and read by Google's own client over HTTP. How an object is locked is asked of the JSON API itself: the client does
//! that by gRPC alone, which no emulator speaks (Cloud Storage, «Objects: get»; «Object Retention Lock»).

use std::time::Duration;

use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_storage::client::Storage;
use google_cloud_storage::model::object::{Retention, retention};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::adapters::http_date;
use crate::adapters::sinks::{Look, SinkError, Upload};
use crate::model::ids::Digest;
use crate::model::sink::{Lock, Sink, StoredObject};
use crate::model::time::Timestamp;
use crate::plan::Settings;

/// Where the service answers, unless `endpoints: {gcs: ..}` says otherwise.
const ENDPOINT: &str = "https://storage.googleapis.com";
/// What the credentials are asked for: objects and how they are locked.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";
/// How long a connection may take to be made, and an answer to begin.
const CONNECT: Duration = Duration::from_secs(3);
const READ: Duration = Duration::from_secs(10);
/// Bundles are smaller, and one request is either there or not.
const WHOLE: usize = 1 << 30;

/// No resource of an object is longer.
const RESOURCE: usize = 64 << 10;

/// Buckets of Google Cloud Storage.
pub struct Gcs {
    endpoint: String,
    reached: OnceCell<Reached>,
}

struct Reached {
    storage: Storage,
    credentials: Credentials,
    http: reqwest::Client,
}

/// Of an object's resource, what is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    generation: Option<String>,
    retention: Option<Until>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Until {
    mode: String,
    retain_until_time: String,
}

impl Gcs {
    /// Nothing is connected to before the first call.
    pub fn new(settings: &Settings) -> Self {
        let endpoint = settings.endpoints.get("gcs").map_or(ENDPOINT, String::as_str);
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), reached: OnceCell::const_new() }
    }

    async fn reach(&self) -> Result<&Reached, String> {
        self.reached.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Reached, String> {
        crate::adapters::install_tls();
        // A token is never sent in the clear: what listens there is an emulator.
        let credentials = match self.endpoint.starts_with("https://") {
            true => credentials::Builder::default()
                .with_scopes([SCOPE])
                .build()
                .map_err(|e| format!("no credentials for Google Cloud: {e}"))?,
            false => credentials::anonymous::Builder::new().build(),
        };
        let storage = Storage::builder()
            .with_endpoint(&self.endpoint)
            .with_credentials(credentials.clone())
            .with_retry_policy(NeverRetry)
            .with_resumable_upload_threshold(WHOLE)
            .build()
            .await
            .map_err(|e| e.to_string())?;
        let http = reqwest::Client::builder()
            .user_agent(concat!("drctl/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(READ)
            .build()
            .map_err(|e| e.to_string())?;
        Ok(Reached { storage, credentials, http })
    }

    /// Writes a bundle where nothing is yet. Answers whether it was this call that did.
    ///
    /// # Errors
    /// If the service did not take it, or did not say.
    pub async fn put_bundle(&self, sink: &Sink, parcel: &Upload<'_>) -> Result<bool, SinkError> {
        let (bucket, key) = sink.object(parcel.name);
        let mode = match parcel.lock {
            Lock::Compliance => retention::Mode::Locked,
            Lock::Governance => retention::Mode::Unlocked,
        };
        let until = parcel.until.to_string();
        let until =
            until.as_str().try_into().map_err(|_| SinkError::Later(format!("`{until}` is not a time")))?;
        let reached = self.reach().await.map_err(SinkError::Down)?;
        let write = reached
            .storage
            .write_object(
                format!("projects/_/buckets/{bucket}"),
                key,
                bytes::Bytes::copy_from_slice(parcel.bytes),
            )
            .set_if_generation_match(0)
            // Known beforehand it stands in the head of the request, where every server of this API reads it.
            .with_known_crc32c(crc32c::crc32c(parcel.bytes))
            .set_content_type("application/x-tar")
            .set_retention(
                Retention::new().set_mode(mode).set_retain_until_time::<google_cloud_wkt::Timestamp>(until),
            );
        match write.send_unbuffered().await {
            Ok(_) => Ok(true),
            Err(e) if e.http_status_code() == Some(412) => Ok(false),
            Err(e) => Err(trouble(&e)),
        }
    }

    /// What is there, or was as this generation, read back whole.
    ///
    /// # Errors
    /// If the service does not say.
    pub async fn held_bundle(
        &self,
        sink: &Sink,
        bundle: &str,
        version: Option<&str>,
        most: usize,
    ) -> Result<Look, SinkError> {
        let (bucket, key) = sink.object(bundle);
        let reached = self.reach().await.map_err(SinkError::Down)?;
        let resource = match self.resource(reached, (&bucket, &key), version).await? {
            Ok(resource) => resource,
            Err(nothing) => return Ok(nothing),
        };
        let read = reached.storage.read_object(format!("projects/_/buckets/{bucket}"), key);
        let read = match resource.generation.as_deref().and_then(|g| g.parse::<i64>().ok()) {
            // Exactly the one whose lock was seen.
            Some(generation) => read.set_generation(generation),
            None => read,
        };
        let mut answer = read.send().await.map_err(|e| trouble(&e))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.next().await {
            bytes.extend_from_slice(&chunk.map_err(|e| trouble(&e))?);
            // Whatever it is, it is not the bundle, and no object fills this machine's memory.
            if bytes.len() > most {
                break;
            }
        }
        let lock =
            resource.retention.as_ref().and_then(|kept| match kept.mode.to_ascii_lowercase().as_str() {
                "locked" => Some(Lock::Compliance),
                "unlocked" => Some(Lock::Governance),
                _ => None,
            });
        let until = resource.retention.and_then(|kept| Timestamp::parse(&kept.retain_until_time).ok());
        Ok(Look::Held(StoredObject { sha256: Digest::of(&bytes), version: resource.generation, lock, until }))
    }

    /// What is known of an object; or that there is none.
    async fn resource(
        &self,
        reached: &Reached,
        (bucket, key): (&str, &str),
        version: Option<&str>,
    ) -> Result<Result<Resource, Look>, SinkError> {
        let mut url = reqwest::Url::parse(&self.endpoint)
            .map_err(|e| SinkError::Down(format!("endpoints.gcs: {e}")))?;
        url.path_segments_mut()
            .map_err(|()| SinkError::Down("endpoints.gcs is not the address of a server".to_owned()))?
            .extend(["storage", "v1", "b", bucket, "o", key]);
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("generation", version);
        }
        let headers = match reached.credentials.headers(http_types::Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => data,
            Ok(CacheableResource::NotModified) => http_types::HeaderMap::new(),
            Err(e) => return Err(SinkError::Down(format!("no credentials for Google Cloud: {e}"))),
        };
        let down = |e: reqwest::Error| SinkError::Down(e.without_url().to_string());
        let mut answer = reached.http.get(url).headers(headers).send().await.map_err(down)?;
        let status = answer.status().as_u16();
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).and_then(http_date);
        match status {
            200 => {}
            // A caller who may not list a bucket gets 403 where no object exists.
            403 | 404 => return Ok(Err(Look::Nothing { why: format!("{status} for {key}"), date })),
            429 | 500.. => return Err(SinkError::Down(format!("{status} for the metadata of {key}"))),
            _ => return Err(SinkError::Later(format!("{status} for the metadata of {key}"))),
        }
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(down)? {
            text.extend_from_slice(&chunk);
            if text.len() > RESOURCE {
                return Err(SinkError::Later(format!(
                    "the metadata of {key} is longer than {RESOURCE} bytes"
                )));
            }
        }
        let read = serde_json::from_slice(&text);
        read.map(Ok).map_err(|e| SinkError::Later(format!("the metadata of {key} cannot be read: {e}")))
    }
}

/// A service that says no to this is there; one that says nothing, or has no time, is not.
fn trouble(error: &google_cloud_storage::Error) -> SinkError {
    match error.http_status_code() {
        Some(status) if (400..500).contains(&status) && status != 429 => SinkError::Later(error.to_string()),
        _ => SinkError::Down(error.to_string()),
    }
}
