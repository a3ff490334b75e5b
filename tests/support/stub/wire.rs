//! Answers and errors in the formats of the protocols.

use super::cbor;
use super::http;
use super::xml::Xml;

/// Every id, credential and ARN of the stub belongs to this account.
pub const ACCOUNT: &str = "111111111111";

/// An answer before it goes on the wire.
pub struct Reply {
    pub status: u16,
    pub kind: &'static str,
    /// More header lines, each ending with CRLF.
    pub headers: String,
    pub body: Body,
}

/// The content of an answer.
pub enum Body {
    Text(String),
    Bytes(Vec<u8>),
    /// No content, but the length that GET would have returned, in bytes.
    LengthOnly(usize),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::LengthOnly(_) => &[],
        }
    }
}

impl Reply {
    pub fn xml(status: u16, xml: Xml) -> Self {
        Self { status, kind: "text/xml", headers: String::new(), body: Body::Text(xml.into_string()) }
    }

    pub fn json(status: u16, json: String) -> Self {
        Self { status, kind: "application/json", headers: String::new(), body: Body::Text(json) }
    }

    pub fn cbor(status: u16, bytes: Vec<u8>) -> Self {
        let headers = "smithy-protocol: rpc-v2-cbor\r\n".to_owned();
        Self { status, kind: "application/cbor", headers, body: Body::Bytes(bytes) }
    }

    /// Appends the answer to what the connection will send. `date` is the HTTP date of now.
    pub fn write(&self, request_id: &str, date: &str, out: &mut Vec<u8>) {
        let body = self.body.bytes();
        let length = if let Body::LengthOnly(length) = self.body { length } else { body.len() };
        let mut head = String::with_capacity(256 + self.headers.len());
        head.push_str("HTTP/1.1 ");
        push_number(&mut head, usize::from(self.status));
        head.push(' ');
        head.push_str(http::reason(self.status));
        for (name, value) in [
            ("x-amzn-requestid", request_id),
            ("date", date),
            ("server", "stub"),
            ("content-type", self.kind),
        ] {
            head.push_str("\r\n");
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
        }
        head.push_str("\r\n");
        head.push_str(&self.headers);
        // RFC 9110, 8.6: an answer whose status excludes content has no length.
        if !matches!(self.status, 204 | 304) {
            head.push_str("content-length: ");
            push_number(&mut head, length);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(body);
    }
}

/// Appends decimal digits without `format!`, whose cost shows in the profile at this rate.
pub fn push_number(out: &mut String, number: usize) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(char::from(b"0123456789"[number % 10]));
}

/// An error as AWS would give it.
#[derive(Debug)]
pub struct Fault {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
}

impl Fault {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The service's own error for too many requests.
    pub fn throttled(service: &str) -> Self {
        match service {
            "rds" | "ecs" | "ecr" | "application-autoscaling" | "secretsmanager" => {
                Self::new(400, "ThrottlingException", "Rate exceeded")
            }
            "route53-recovery-cluster" => Self::new(429, "ThrottlingException", "Rate exceeded"),
            "s3" => Self::new(503, "SlowDown", "Please reduce your request rate."),
            _ => Self::new(400, "Throttling", "Rate exceeded"),
        }
    }

    /// RDS, Auto Scaling, IAM, STS and Route 53 have the same error format; only the namespace differs.
    pub fn wrapped(&self, namespace: &str, request_id: &str) -> Reply {
        let mut xml = Xml::new();
        xml.raw("<ErrorResponse xmlns=\"").raw(namespace).raw("\"><Error><Type>Sender</Type>");
        xml.element("Code", self.code).element("Message", &self.message);
        xml.raw("</Error>").element("RequestId", request_id).raw("</ErrorResponse>");
        Reply::xml(self.status, xml)
    }

    /// S3's errors have no wrapper.
    pub fn bare(&self, request_id: &str) -> Reply {
        let mut xml = Xml::new();
        xml.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>").element("Code", self.code);
        xml.element("Message", &self.message).element("RequestId", request_id).raw("</Error>");
        Reply { kind: "application/xml", ..Reply::xml(self.status, xml) }
    }

    /// The errors of the JSON protocol.
    pub fn json(&self) -> Reply {
        let body = serde_json::json!({"__type": self.code, "message": self.message});
        Reply { kind: "application/x-amz-json-1.1", ..Reply::json(self.status, body.to_string()) }
    }

    /// CloudWatch's errors; the header has the code for clients of the older query protocol.
    pub fn cbor(&self) -> Reply {
        let mut writer = cbor::Writer::default();
        writer.map(2).text("__type").text(self.code).text("message").text(&self.message);
        let mut reply = Reply::cbor(self.status, writer.into_bytes());
        for part in ["x-amzn-query-error: ", self.code, ";Sender\r\n"] {
            reply.headers.push_str(part);
        }
        reply
    }
}
