//! S3 as far as a lock uses it: objects in memory with conditional requests. Every bucket exists.

use std::collections::BTreeMap;

use super::clock::{self, Micros};
use super::form;
use super::http::{self, Chunks, Request};
use super::wire::{Body, Fault, Reply};

struct Object {
    /// With its quotes.
    etag: String,
    data: Vec<u8>,
    modified: Micros,
}

/// Objects by `bucket/key`.
#[derive(Default)]
pub struct Objects(BTreeMap<String, Object>);

/// The operation that a request asks for, by its name in AWS's words.
pub fn operation(request: &Request<'_>) -> &'static str {
    let bucket_only = address(request).is_none_or(|path| !path.contains('/'));
    match (request.method, bucket_only) {
        ("HEAD", true) => "HeadBucket",
        ("GET", false) => "GetObject",
        ("HEAD", false) => "HeadObject",
        ("PUT", false) => "PutObject",
        ("DELETE", false) => "DeleteObject",
        _ => "Unknown",
    }
}

/// The unit in which S3 counts requests: bucket and key up to the last slash.
pub fn prefix(request: &Request<'_>) -> String {
    let path = address(request).unwrap_or_default();
    path.rsplit_once('/').map_or_else(|| path.clone(), |(prefix, _)| prefix.to_owned())
}

impl Objects {
    pub fn handle(&mut self, operation: &str, request: &Request<'_>, now: Micros) -> Result<Reply, Fault> {
        let path = address(request).unwrap_or_default();
        match operation {
            "HeadBucket" => Ok(empty(200, String::new())),
            "GetObject" | "HeadObject" => self.get(&path, request),
            "PutObject" => self.put(path, request, now),
            "DeleteObject" => self.delete(&path, request),
            _ => Err(Fault::new(501, "NotImplemented", "The stub does not know this operation of S3.")),
        }
    }

    fn get(&self, path: &str, request: &Request<'_>) -> Result<Reply, Fault> {
        let object = self.0.get(path).ok_or_else(no_key)?;
        check(request.header("if-match"), Some(object))?;
        let mut headers = format!("etag: {}\r\naccept-ranges: bytes\r\nlast-modified: ", object.etag);
        clock::http_date(&mut headers, object.modified);
        headers.push_str("\r\n");
        if matches(request.header("if-none-match"), object) {
            return Ok(empty(304, headers));
        }
        let body = match request.method {
            "HEAD" => Body::LengthOnly(object.data.len()),
            _ => Body::Bytes(object.data.clone()),
        };
        Ok(Reply { status: 200, kind: "binary/octet-stream", headers, body })
    }

    fn put(&mut self, path: String, request: &Request<'_>, now: Micros) -> Result<Reply, Fault> {
        let current = self.0.get(&path);
        check(request.header("if-match"), current)?;
        if current.is_some_and(|object| matches(request.header("if-none-match"), object)) {
            return Err(failed());
        }
        let data = payload(request)?;
        let etag = etag(&data);
        let headers = format!("etag: {etag}\r\n");
        self.0.insert(path, Object { etag, data, modified: now });
        Ok(empty(200, headers))
    }

    fn delete(&mut self, path: &str, request: &Request<'_>) -> Result<Reply, Fault> {
        check(request.header("if-match"), self.0.get(path))?;
        self.0.remove(path);
        Ok(empty(204, String::new()))
    }
}

/// `bucket/key`, whether the bucket is in the path or in the host name.
fn address(request: &Request<'_>) -> Option<String> {
    let path = form::unescape(request.path.strip_prefix('/')?).into_owned();
    let host = request.header("host");
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    Some(match host.strip_suffix(".localhost") {
        Some(bucket) if path.is_empty() => bucket.to_owned(),
        Some(bucket) => format!("{bucket}/{path}"),
        None => path.strip_suffix('/').map(str::to_owned).unwrap_or(path),
    })
}

fn empty(status: u16, headers: String) -> Reply {
    Reply { status, kind: "application/xml", headers, body: Body::Bytes(Vec::new()) }
}

/// Whether the header is there and names the object's ETag, or any.
fn matches(header: &str, object: &Object) -> bool {
    let bare = |etag: &str| etag.trim().trim_matches('"').to_owned();
    !header.is_empty() && header.split(',').any(|etag| etag.trim() == "*" || bare(etag) == bare(&object.etag))
}

/// An If-Match header must hold.
fn check(header: &str, object: Option<&Object>) -> Result<(), Fault> {
    match object {
        _ if header.is_empty() => Ok(()),
        None => Err(no_key()),
        Some(object) if matches(header, object) => Ok(()),
        Some(_) => Err(failed()),
    }
}

fn failed() -> Fault {
    Fault::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

fn no_key() -> Fault {
    Fault::new(404, "NoSuchKey", "The specified key does not exist.")
}

/// The data without the framing that SDKs add for a trailing checksum.
fn payload(request: &Request<'_>) -> Result<Vec<u8>, Fault> {
    let framed = request.header("content-encoding").contains("aws-chunked")
        || request.header("x-amz-content-sha256").starts_with("STREAMING-");
    if !framed {
        return Ok(request.body.to_vec());
    }
    match http::dechunk(&request.body) {
        Chunks::Whole(data, _) => Ok(data),
        _ => Err(Fault::new(400, "IncompleteBody", "The aws-chunked body is not whole.")),
    }
}

/// 128 bits of the content (FNV-1a). AWS uses MD5 where possible, but promises only that equal content has an equal ETag.
fn etag(data: &[u8]) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for &byte in data {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("\"{hash:032x}\"")
}
