//! Slack, PagerDuty, signed webhooks and status pages: one JSON document each.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use sha2::Sha256;

use super::message::{Failure, Message, Reveal};
use crate::model::ids::Digest;
use crate::model::notice::{Kind, Notice, Transport};
use crate::model::secret::Secret;
use crate::model::telemetry::Traces;

const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
const CONNECT: Duration = Duration::from_secs(3);
/// The maximum length of a summary (PagerDuty, Events API v2, «PD-CEF»).
const SUMMARY: usize = 1_024;
/// The maximum length of the text of a block, in characters (Slack, Block Kit, «section»).
const BLOCK: usize = 3_000;
/// How many bytes of an answer are read.
const ANSWER: usize = 4 << 10;
/// The maximum length of a provider's code that is repeated.
const CODE: usize = 48;

/// Sends a message.
pub async fn send(way: &Transport, message: Message<'_>, reveal: Reveal<'_>) -> Result<String, Failure> {
    let secret = |at| reveal(at).map_err(Failure::never);
    match way {
        Transport::Slack { url } => post(secret(url)?, &slack(message.notice), None).await,
        Transport::PagerDuty { key, url } => {
            let address = Secret::new(url.as_deref().unwrap_or(PAGERDUTY));
            let key = secret(key)?;
            if let [first, more @ ..] = message.notice.acknowledges.as_slice() {
                let seen = |thread: &str| json!({"routing_key": key.expose(), "event_action": "acknowledge", "dedup_key": dedup(thread)});
                let mut said = post(address.clone(), &seen(first), None).await?;
                for thread in more {
                    said = post(address.clone(), &seen(thread), None).await?;
                }
                return Ok(said);
            }
            let mut said = post(address.clone(), &pagerduty(&key, message.notice), None).await?;
            for thread in message.closes.iter().filter(|thread| **thread != message.notice.thread) {
                let resolve = json!({"routing_key": key.expose(), "event_action": "resolve", "dedup_key": dedup(thread)});
                said = post(address.clone(), &resolve, None).await?;
            }
            Ok(said)
        }
        Transport::Webhook { url, secret: key } => {
            let document = json!({"schema_version": 1, "notice": message.notice});
            post(secret(url)?, &document, Some((secret(key)?, message))).await
        }
        Transport::StatusPage { url, secret: key } => {
            let Some(public) = &message.notice.public else {
                return Err(Failure::never("this notification is not public"));
            };
            let document = json!({"schema_version": 1, "incident": public, "at": message.at});
            post(secret(url)?, &document, Some((secret(key)?, message))).await
        }
        Transport::Smtp(_) => Err(Failure::never("the answer is not HTTP")),
    }
}

/// Escapes text so that it mentions nobody and contains no links (Slack, «Formatting text», escaping).
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn slack(notice: &Notice) -> Value {
    // Text from people and providers must not be formatted.
    let text: String = notice.text().trim_end().chars().take(BLOCK).collect();
    let header: String = notice.subject.chars().take(150).collect();
    json!({
        "text": plain(&notice.subject),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": false}},
            {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": false}},
        ],
    })
}

/// A key of at most 255 characters (PagerDuty, Events API v2).
fn dedup(thread: &str) -> String {
    if thread.len() <= 200 {
        format!("drctl/{thread}")
    } else {
        format!("drctl/{}", Digest::of_bytes(thread.as_bytes()))
    }
}

fn pagerduty(key: &Secret, notice: &Notice) -> Value {
    let action = if notice.kind == Kind::Resolved && notice.ends { "resolve" } else { "trigger" };
    let severity = match (notice.kind, notice.severity.as_deref()) {
        (Kind::Test, _) => "info",
        (Kind::Overdue, _) => "warning",
        (_, Some("P2")) => "warning",
        (_, Some("P3")) => "info",
        (_, Some("P1")) => "error",
        _ => "critical",
    };
    let summary: String = notice.subject.chars().take(SUMMARY).collect();
    let details: serde_json::Map<String, Value> =
        notice.fields.iter().map(|(label, text)| (label.clone(), Value::String(text.clone()))).collect();
    json!({
        "routing_key": key.expose(),
        "event_action": action,
        "dedup_key": dedup(&notice.thread),
        "payload": {
            "summary": summary, "source": "drctl", "severity": severity, "timestamp": notice.due,
            "class": notice.kind, "custom_details": details,
        },
    })
}

/// The signature of Standard Webhooks 1.0: HMAC-SHA256 of `id.timestamp.body`. A secret with the prefix `whsec_` is Base64, as in the
/// standard.
fn signature(secret: &Secret, id: &str, seconds: i64, body: &str) -> Result<String, Failure> {
    let key = match secret.expose().strip_prefix("whsec_") {
        Some(coded) => STANDARD
            .decode(coded)
            .map_err(|_| Failure::never("the secret after whsec_ is not valid Base64"))?,
        None => secret.expose().as_bytes().to_vec(),
    };
    if key.is_empty() {
        return Err(Failure::never("the secret is empty"));
    }
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key).map_err(|_| Failure::never("the secret is not a valid key"))?;
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

async fn post(
    address: Secret,
    document: &Value,
    signed: Option<(Secret, Message<'_>)>,
) -> Result<String, Failure> {
    let url = reqwest::Url::parse(address.expose())
        .map_err(|_| Failure::never("its address is not a valid URL"))?;
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if url.scheme() != "https" && !local {
        return Err(Failure::never("its address is not https, and drctl does not send a secret unencrypted"));
    }
    let body = document.to_string();
    let mut request = client(url.scheme())?.post(url).header("content-type", "application/json");
    if let Some((secret, message)) = signed {
        let (id, seconds) = (&message.notice.key, message.at.millis() / 1_000);
        request = request
            .header("webhook-id", header(id))
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature(&secret, &header(id), seconds, &body)?);
    }
    let (status, answer) = deliver(request.body(body)).await?;
    Ok(answer.as_deref().and_then(code).unwrap_or_else(|| status.to_string()))
}

/// Sends spans to a collector. Returns how many it refused, if any (OpenTelemetry Protocol Specification, «Partial Success»).
pub async fn traces(to: &Traces, document: &Value, reveal: Reveal<'_>) -> Result<Option<String>, Failure> {
    let url = reqwest::Url::parse(&to.url).map_err(|_| Failure::never("its address is not a valid URL"))?;
    let mut request = client(url.scheme())?.post(url).header("content-type", "application/json");
    for (name, at) in &to.headers {
        let mut value = HeaderValue::from_str(reveal(at).map_err(Failure::never)?.expose())
            .map_err(|_| Failure::never(format!("the value of {at} is not valid in an HTTP header")))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let (_, answer) = deliver(request.body(document.to_string())).await?;
    let answer: Value = answer.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let partial = &answer["partialSuccess"];
    // OTLP/JSON encodes 64-bit integers as text, but some collectors send numbers.
    let rejected = &partial["rejectedSpans"];
    let rejected = rejected.as_str().and_then(|n| n.parse().ok()).or_else(|| rejected.as_i64());
    Ok(rejected.filter(|n| *n > 0).map(|n| format!("the collector refused {n} spans")))
}

fn client(scheme: &str) -> Result<reqwest::Client, Failure> {
    #[cfg(feature = "tls")]
    crate::adapters::install_tls();
    let client = reqwest::Client::builder();
    // For plain HTTP no proxy is used, because it could read the content.
    let client = if scheme == "https" { client } else { client.no_proxy() };
    // A redirect would send a secret to another server.
    client
        .user_agent(concat!("drctl/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .build()
        .map_err(|e| Failure::later(e.without_url().to_string()))
}

/// The status of an accepted request, and the text of the answer.
async fn deliver(request: reqwest::RequestBuilder) -> Result<(u16, Option<String>), Failure> {
    // An error from reqwest may contain the address, which is a secret.
    let answer = request.send().await.map_err(|e| Failure::later(cause(e)))?;
    let status = answer.status().as_u16();
    let text = text(answer).await;
    let said = text.as_deref().and_then(code);
    match status {
        200..=299 => Ok((status, text)),
        408 | 425 | 429 | 500..=599 => Err(Failure::later(words(status, said))),
        other => Err(Failure::never(words(other, said))),
    }
}

fn words(status: u16, said: Option<String>) -> String {
    said.map_or_else(|| format!("HTTP {status}"), |said| format!("HTTP {status}, {said}"))
}

/// Text in a form that is valid in a header.
fn header(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}

fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// The text of an answer, if it is not too long.
async fn text(mut answer: reqwest::Response) -> Option<String> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER {
            return None;
        }
    }
    String::from_utf8(body).ok()
}

/// The code in an answer, if it looks like a code. Nothing else is repeated.
fn code(text: &str) -> Option<String> {
    let is_code = |text: &str| {
        (1..=CODE).contains(&text.len()) && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let whole = text.trim();
    if is_code(whole) {
        return Some(whole.to_owned());
    }
    let document: Value = serde_json::from_str(whole).ok()?;
    document["status"].as_str().filter(|text| is_code(text)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification (Standard Webhooks 1.0, «Verifying webhooks»), as in the tests of its reference libraries.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        let made = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(made.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_people_wrote_mentions_nobody() {
        assert_eq!(plain("<!channel> & <http://x|y>"), "&lt;!channel&gt; &amp; &lt;http://x|y&gt;");
    }
}
