//! Errors in the format of each AWS protocol, as far as the SDK uses it: status, code and message.

use super::http::Message;

const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// The error format of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `<ErrorResponse><Error>`: RDS, Auto Scaling, STS, IAM, Route 53.
    Query,
    /// `<Response><Errors><Error>`.
    Ec2,
    /// `<Error>`.
    S3,
    /// AWS JSON 1.0 or 1.1.
    Json,
    /// RPC v2 CBOR: CloudWatch, with the protocol of the SDK.
    Cbor,
}

impl Format {
    /// The format that the client of this request expects.
    pub fn of(request: &Message, service: &str) -> Self {
        if request.header("smithy-protocol") == Some("rpc-v2-cbor") {
            return Self::Cbor;
        }
        let kind = request.header("content-type").unwrap_or_default();
        match service {
            _ if request.header("x-amz-target").is_some() => Self::Json,
            "s3" => Self::S3,
            "ec2" => Self::Ec2,
            _ if kind.contains("json") => Self::Json,
            _ => Self::Query,
        }
    }
}

/// A service's answer to too many calls.
pub fn throttled(format: Format) -> Message {
    const SLOW: &str = "Please reduce your request rate.";
    const RATE: &str = "Rate exceeded";
    match format {
        Format::Query => error(format, "400 Bad Request", "Throttling", RATE),
        Format::Ec2 => error(format, "503 Service Unavailable", "RequestLimitExceeded", RATE),
        Format::S3 => error(format, "503 Slow Down", "SlowDown", SLOW),
        Format::Json | Format::Cbor => error(format, "400 Bad Request", "ThrottlingException", RATE),
    }
}

/// The answer of a failing service.
pub fn unavailable(format: Format) -> Message {
    let code = match format {
        Format::Query | Format::S3 => "ServiceUnavailable",
        Format::Ec2 => "Unavailable",
        Format::Json | Format::Cbor => "ServiceUnavailableException",
    };
    error(format, "503 Service Unavailable", code, "The service is unavailable. Please try again shortly.")
}

/// Route 53's answer to a batch with an invalid element: nothing is changed.
pub fn refused_batch(format: Format, name: &str) -> Message {
    let message = format!("[Invalid Resource Record: {name} is not acceptable]");
    error(format, "400 Bad Request", "InvalidChangeBatch", &message)
}

/// The answer of a service that rejects a request and repeats its content.
pub fn saying(format: Format, text: &str) -> Message {
    let message = format!("the request, signed with {text}, is not valid");
    error(format, "400 Bad Request", "InvalidParameterValue", &message)
}

/// The answer of a service whose clock is this far ahead of the signer's (IAM User Guide, «Troubleshoot signed requests»).
pub fn skewed(format: Format, seconds: i64) -> Message {
    let there = chrono::Utc::now() + chrono::Duration::seconds(seconds);
    let of = |at: chrono::DateTime<chrono::Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
    let (signed, least) =
        (of(there - chrono::Duration::seconds(seconds)), of(there - chrono::Duration::minutes(15)));
    let words = format!("Signature expired: {signed} is now earlier than {least} ({} - 15 min.)", of(there));
    let (code, words) = match format {
        Format::S3 => (
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.".to_owned(),
        ),
        Format::Json | Format::Cbor => ("InvalidSignatureException", words),
        Format::Query | Format::Ec2 => ("SignatureDoesNotMatch", words),
    };
    let date = there.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    error(format, "403 Forbidden", code, &words).with_header("date", &date)
}

/// A success whose body is not XML, JSON, CBOR or UTF-8.
pub fn garbage() -> Message {
    // 0xFF is "break" in CBOR, which is invalid by itself.
    Message::answer("200 OK", &[("content-type", "text/html")], b"\xff\xfe{<not an answer\x00>\xff".to_vec())
}

pub fn error(format: Format, status: &str, code: &str, message: &str) -> Message {
    let fault = if status.starts_with('4') { "Sender" } else { "Receiver" };
    let inner = format!("<Code>{code}</Code><Message>{message}</Message>");
    let (kind, body) = match format {
        Format::Query => (
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>{fault}</Type>{inner}</Error>\
                 <RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
            )
            .into_bytes(),
        ),
        Format::Ec2 => (
            "text/xml",
            format!(
                "<Response><Errors><Error>{inner}</Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>"
            )
            .into_bytes(),
        ),
        Format::S3 => (
            "application/xml",
            format!("<Error>{inner}<RequestId>{REQUEST_ID}</RequestId></Error>").into_bytes(),
        ),
        Format::Json => (
            "application/x-amz-json-1.1",
            format!("{{\"__type\":\"{code}\",\"message\":\"{message}\"}}").into_bytes(),
        ),
        Format::Cbor => ("application/cbor", cbor(&[("__type", code), ("message", message)])),
    };
    let mut headers = vec![("content-type", kind), ("x-amzn-requestid", REQUEST_ID)];
    let query = format!("{};{fault}", code.trim_end_matches("Exception"));
    match format {
        Format::Json => headers.push(("x-amzn-errortype", code)),
        Format::Cbor => {
            headers.push(("smithy-protocol", "rpc-v2-cbor"));
            // CloudWatch was a query service before, and the SDK reads the old code first.
            headers.push(("x-amzn-query-error", &query));
        }
        Format::Query | Format::Ec2 | Format::S3 => {}
    }
    Message::answer(status, &headers, body)
}

/// A map of up to 23 pairs of strings of less than 256 bytes each.
fn cbor(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0xa0 | pairs.len() as u8];
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend([0x78, text.len() as u8]);
        bytes.extend(text.as_bytes());
    }
    bytes
}
