//! The content of a request, and what happened to it.

use std::time::Duration;

use super::http::Message;

/// A request that reached the proxy. Missing values are empty strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Counts the requests to a proxy from 0, in the order in which they were read.
    pub seq: u64,
    /// Since the start of the proxy, when the request had been read.
    pub at: Duration,
    /// The service in the signature: `rds`, `autoscaling`, `route53`, `s3`. CloudWatch, which signs as `monitoring`, is `cloudwatch`. Empty
    /// without a signature.
    pub service: String,
    /// The region in the signature. A client with a custom endpoint signs for its own region, even if the service is global; one without
    /// signs for `us-east-1` then.
    pub region: String,
    /// The access key ID. LocalStack uses one of twelve digits as the account.
    pub account: String,
    /// `PromoteReadReplica`; `METHOD path` if no name is known.
    pub operation: String,
    /// The resource, if it is easy to see: the identifier of a database, the name of a group, the ID of a zone or change, `bucket/key`.
    pub target: String,
    /// The required owner of the bucket, if the request names one.
    pub owner: String,
    /// Whether the operation changes something; see [`mutates`].
    pub mutates: bool,
    pub fate: Fate,
    /// Whether at least a part of the request was sent to the upstream. False for a late call that is not due yet.
    pub forwarded: bool,
    /// The status of the answer, the upstream's or the proxy's own, even if the client never got it. None if there is no answer, or not
    /// yet.
    pub status: Option<u16>,
}

/// What the proxy did to a call. Set when the call is read, and changed if it ends differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Forwarded and answered.
    Passed,
    /// The same, with a delay.
    Delayed,
    /// By a rule.
    Throttled,
    /// Throttled because a bucket was empty; see [`super::Proxy::limit`].
    Limited,
    Unavailable,
    Garbage,
    /// Forwarded; half of the answer was sent.
    Cut,
    Refused,
    /// Forwarded, not answered, connection closed.
    AnswerLost,
    /// Not forwarded, not answered, connection open.
    Hung,
    /// Forwarded, not answered, connection open.
    HungAfter,
    /// Not answered, forwarded later: [`Call::forwarded`] tells whether that has happened.
    AppliedLate,
    /// Waits for the test, or continued after it.
    Held,
    /// Was held, and the test closed its connection.
    Dropped,
    /// The upstream could not be reached, or closed without an answer. The client's connection was closed too.
    NoUpstream,
}

/// Whether an operation is mutating. One known only by method and path is, unless the method only reads.
pub fn mutates(service: &str, operation: &str) -> bool {
    const READS: &[&str] =
        &["Describe", "Get", "List", "Head", "BatchGet", "AssumeRole", "GET ", "HEAD ", "OPTIONS "];
    service != "sts" && !READS.iter().any(|r| operation.starts_with(r))
}

impl Call {
    /// The content of a request; the caller sets number and time.
    pub(super) fn read(request: &Message) -> Self {
        let (account, region, signed_for) = scope(request);
        let service = service_name(&signed_for).to_owned();
        let (operation, target) = named(request, &service);
        let mutates = mutates(&service, &operation);
        let owner = request.header("x-amz-expected-bucket-owner").unwrap_or_default().to_owned();
        let (seq, at, fate) = (0, Duration::ZERO, Fate::Passed);
        let (forwarded, status) = (false, None);
        Self { seq, at, service, region, account, operation, target, owner, mutates, fate, forwarded, status }
    }
}

/// The name of a service in these tests, which for CloudWatch differs from that in its signatures.
pub(super) fn service_name(name: &str) -> &str {
    if name == "monitoring" { "cloudwatch" } else { name }
}

/// Access key, region and service by the credential of the signature, which is in a header or, presigned, in the query.
fn scope(request: &Message) -> (String, String, String) {
    let header = request.header("authorization").unwrap_or_default();
    let in_header = header.split_once("Credential=").and_then(|(_, c)| c.split([',', ' ']).next());
    let in_query = field(request.query(), "X-Amz-Credential");
    let credential = in_header.map(str::to_owned).or(in_query).unwrap_or_default();
    let parts: Vec<_> = credential.split('/').collect();
    match parts[..] {
        [account, _, region, service, "aws4_request"] => (account.into(), region.into(), service.into()),
        // SigV4a signs for a set of regions, which has a header of its own.
        [account, _, service, "aws4_request"] => {
            let region = request.header("x-amz-region-set").unwrap_or_default();
            (account.into(), region.into(), service.into())
        }
        _ => Default::default(),
    }
}

/// Operation and target.
fn named(request: &Message, service: &str) -> (String, String) {
    let segments: Vec<_> = request.path().split('/').filter(|s| !s.is_empty()).collect();
    if let Some(target) = request.header("x-amz-target") {
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        return (operation, json_target(request.body()));
    }
    if let [.., "operation", operation] = segments[..] {
        return (operation.to_owned(), String::new());
    }
    match service {
        "s3" => (s3_operation(request, &segments), decoded(&segments.join("/"))),
        "route53" => route53(request, &segments),
        _ => {
            let form = form(request);
            let operation = field(&form, "Action");
            (operation.unwrap_or_else(|| by_path(request)), form_target(&form))
        }
    }
}

fn by_path(request: &Message) -> String {
    format!("{} {}", request.method(), request.path())
}

fn route53(request: &Message, segments: &[&str]) -> (String, String) {
    let operation = match (request.method(), segments) {
        ("POST", [_, "hostedzone", _, "rrset"]) => "ChangeResourceRecordSets".to_owned(),
        ("GET", [_, "hostedzone", _, "rrset"]) => "ListResourceRecordSets".to_owned(),
        ("GET", [_, "change", _]) => "GetChange".to_owned(),
        _ => by_path(request),
    };
    (operation, segments.get(2).map_or_else(String::new, |id| decoded(id)))
}

fn s3_operation(request: &Message, segments: &[&str]) -> String {
    if let Some(operation) = field(request.query(), "x-id") {
        return operation;
    }
    let name = match (request.method(), segments.len()) {
        ("PUT", 2..) => "PutObject",
        ("GET", 2..) => "GetObject",
        ("DELETE", 2..) => "DeleteObject",
        ("HEAD", 2..) => "HeadObject",
        ("PUT", 1) => "CreateBucket",
        ("GET", 1) => "ListObjects",
        ("DELETE", 1) => "DeleteBucket",
        ("HEAD", 1) => "HeadBucket",
        ("GET", 0) => "ListBuckets",
        _ => return by_path(request),
    };
    // A lone word such as `?versioning` requests something else than the object or the bucket.
    let lone = |p: &&str| !p.is_empty() && !p.trim_end_matches('=').contains('=');
    match request.query().split('&').next().filter(lone) {
        Some(word) => format!("{}?{}", by_path(request), word.trim_end_matches('=')),
        None => name.to_owned(),
    }
}

/// The fields of a query protocol: from the body of a POST, else from the query.
fn form(request: &Message) -> String {
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        String::from_utf8_lossy(request.body()).into_owned()
    } else {
        request.query().to_owned()
    }
}

fn form_target(form: &str) -> String {
    const NAMES: &[&str] = &[
        "DBInstanceIdentifier",
        "DBClusterIdentifier",
        "GlobalClusterIdentifier",
        "AutoScalingGroupName",
        "AutoScalingGroupNames.member.1",
        "DBSnapshotIdentifier",
        "AlarmNames.member.1",
        "RoleArn",
    ];
    NAMES.iter().find_map(|n| field(form, n)).unwrap_or_default()
}

/// The value of the first well-known string field, found without a parser, which is enough for names without escapes.
fn json_target(body: &[u8]) -> String {
    const NAMES: &[&str] = &["SecretId", "Name", "TableName", "ResourceArn"];
    let text = String::from_utf8_lossy(body);
    let value = |name: &&str| {
        let (_, rest) = text.split_once(&format!("\"{name}\""))?;
        let rest = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        Some(rest.split('"').next()?.to_owned())
    };
    NAMES.iter().find_map(value).unwrap_or_default()
}

/// The decoded value of `name` in `name=value&…`.
fn field(form: &str, name: &str) -> Option<String> {
    let pairs = form.split('&').filter_map(|p| p.split_once('='));
    pairs.filter(|(n, _)| decoded(n) == name).map(|(_, v)| decoded(v)).next()
}

/// Without percent-encoding; `+` is a space.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        let code = hex.and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[i], code) {
            (b'%', Some(code)) => {
                plain.push(code);
                i += 2;
            }
            (b'+', _) => plain.push(b' '),
            (byte, _) => plain.push(byte),
        }
        i += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}
