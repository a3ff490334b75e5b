//! Evidence in Google Cloud Storage: deliberately another cloud, so that evidence survives the loss of a whole provider.
//!
//! Objects are written and read by Google's own client over HTTP. Their locks are read from the JSON API directly, because the
//! client does that only by gRPC, which no emulator supports (Cloud Storage, «Objects: get»; «Object Retention Lock»).

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use google_cloud_auth::credentials::{self, CacheableResource, Credentials};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_storage::client::Storage;
use google_cloud_storage::model::object::{Retention, retention};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::client::http_date;
use super::uploads::{SinkContent, SinkError, Upload};
use crate::adapters::environment_files;
use crate::adapters::provider::ObjectStore;
use crate::model::ids::Digest;
use crate::model::sink::{Lock, Sink, StoredObject};
use crate::model::time::Timestamp;
use crate::plan::Settings;

/// The address of the service, unless `endpoints: {gcs: ..}` gives another.
const ENDPOINT: &str = "https://storage.googleapis.com";
/// The scope of the credentials: objects and their locks.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";
/// Limit on opening a connection, and on the start of an answer.
const CONNECT: Duration = Duration::from_secs(3);
const READ: Duration = Duration::from_secs(10);
/// Bundles are smaller than this, so each is uploaded in a single request, which either succeeds or fails as a whole.
const WHOLE: usize = 1 << 30;

/// Maximum size of an object's metadata; none is longer.
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

/// The fields of an object's metadata that drctl reads.
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

impl ObjectStore for Gcs {
    fn put_bundle<'a>(
        &'a self,
        sink: &'a Sink,
        parcel: &'a Upload<'a>,
    ) -> LocalBoxFuture<'a, Result<bool, SinkError>> {
        Box::pin(self.write_bundle(sink, parcel))
    }

    fn held_bundle<'a>(
        &'a self,
        sink: &'a Sink,
        bundle: &'a str,
        version: Option<&'a str>,
        most: usize,
    ) -> LocalBoxFuture<'a, Result<SinkContent, SinkError>> {
        Box::pin(self.read_bundle(sink, bundle, version, most))
    }
}

impl Gcs {
    /// Opens no connection.
    pub fn new(settings: &Settings) -> Self {
        let endpoint = settings.endpoints.get("gcs").map_or(ENDPOINT, String::as_str);
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), reached: OnceCell::const_new() }
    }

    async fn reach(&self) -> Result<&Reached, String> {
        self.reached.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Reached, String> {
        environment_files::check(environment_files::GOOGLE)?;
        super::client::install_tls();
        // Only an emulator has no TLS. A token is never sent in plain text.
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

    /// Writes a bundle if no object exists yet. Returns whether this call wrote it.
    ///
    /// # Errors
    /// If the service rejects the write or does not answer.
    async fn write_bundle(&self, sink: &Sink, parcel: &Upload<'_>) -> Result<bool, SinkError> {
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
            // A known checksum is sent in the request header, where every server of this API reads it.
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

    /// Reads back the object, or the given generation of it, as a whole.
    ///
    /// # Errors
    /// If the service does not answer.
    async fn read_bundle(
        &self,
        sink: &Sink,
        bundle: &str,
        version: Option<&str>,
        most: usize,
    ) -> Result<SinkContent, SinkError> {
        let (bucket, key) = sink.object(bundle);
        let reached = self.reach().await.map_err(SinkError::Down)?;
        let resource = match self.resource(reached, (&bucket, &key), version).await? {
            Ok(resource) => resource,
            Err(nothing) => return Ok(nothing),
        };
        let read = reached.storage.read_object(format!("projects/_/buckets/{bucket}"), key);
        let read = match resource.generation.as_deref().and_then(|g| g.parse::<i64>().ok()) {
            // Read exactly the generation whose lock was seen.
            Some(generation) => read.set_generation(generation),
            None => read,
        };
        let mut answer = read.send().await.map_err(|e| trouble(&e))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.next().await {
            bytes.extend_from_slice(&chunk.map_err(|e| trouble(&e))?);
            // It is too large to be the bundle. Stop before it fills the memory.
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
        Ok(SinkContent::Held(StoredObject {
            sha256: Digest::of_bytes(&bytes),
            version: resource.generation,
            lock,
            until,
        }))
    }

    /// The metadata of an object, or that there is none.
    async fn resource(
        &self,
        reached: &Reached,
        (bucket, key): (&str, &str),
        version: Option<&str>,
    ) -> Result<Result<Resource, SinkContent>, SinkError> {
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
            // A caller who may not list the bucket gets 403 if the object does not exist.
            403 | 404 => return Ok(Err(SinkContent::Nothing { why: format!("{status} for {key}"), date })),
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

/// A sink that rejects a request is available; one that does not answer, or is overloaded, is down.
fn trouble(error: &google_cloud_storage::Error) -> SinkError {
    match error.http_status_code() {
        Some(status) if (400..500).contains(&status) && status != 429 => SinkError::Later(error.to_string()),
        _ => SinkError::Down(error.to_string()),
    }
}
