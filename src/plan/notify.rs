//! `notify:` in `drctl.yaml`: the channels, their messages, and the places of their secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::model::fault::Fault;
use crate::model::notice::{Channel, Kind, Mail, MailTls, Notify, SecretAt, Transport};
use crate::model::shape::{Field, Keys, Shape, opt, req};
use crate::model::time::Dur;

/// The default time between the announcement and a live drill.
const INVITE: Dur = Dur::secs(24 * 60 * 60);

pub(super) const SECRET: &str = "where to read the secret: env:NAME or file:PATH";
const fn secret(key: &'static str) -> Field {
    req(key, Shape::Text, SECRET)
}
const SLACK: Keys = Keys { name: "slack", fields: &[secret("url")] };
const PAGERDUTY: Keys = Keys {
    name: "pagerduty",
    fields: &[secret("key"), opt("url", Shape::Text, "https://events.pagerduty.com/v2/enqueue if absent")],
};
const WEBHOOK: Keys = Keys { name: "webhook", fields: &[secret("url"), secret("secret")] };
const SMTP: Keys = Keys {
    name: "smtp",
    fields: &[
        req("host", Shape::Text, "the mail server"),
        opt("port", Shape::Int(1, 65_535), "587 if absent, 465 with tls, 25 without"),
        opt(
            "tls",
            Shape::OneOf(&["starttls", "tls", "off"]),
            "starttls if absent; off for a relay on this machine only",
        ),
        req("from", Shape::Text, "the sender"),
        req("to", Shape::List(&Shape::Text), "the recipients"),
        opt("user", Shape::Text, "the user for the login"),
        opt("password", Shape::Text, SECRET),
        opt("ca_file", Shape::Text, "a certificate to trust in addition to those of the system"),
    ],
};
const KINDS: Shape =
    Shape::OneOf(&["alert", "update", "resolved", "escalation", "drill", "reminder", "overdue"]);
const CHANNEL: Keys = Keys {
    name: "channel",
    fields: &[
        opt("slack", Shape::Keys(&SLACK), "an incoming webhook of Slack"),
        opt("pagerduty", Shape::Keys(&PAGERDUTY), "a service of PagerDuty, by Events API v2"),
        opt("smtp", Shape::Keys(&SMTP), "mail"),
        opt("webhook", Shape::Keys(&WEBHOOK), "JSON, signed according to Standard Webhooks"),
        opt(
            "status_page",
            Shape::Keys(&WEBHOOK),
            "what the public may know: JSON, signed according to Standard Webhooks",
        ),
        opt(
            "gets",
            Shape::List(&KINDS),
            "the notifications to send; if absent, all (a pager and a status page get fewer)",
        ),
        opt("otherwise", Shape::Name, "the channel to use if this one cannot be reached"),
    ],
};
/// `notify:`.
pub const NOTIFY: Keys = Keys {
    name: "notify",
    fields: &[
        req("channels", Shape::Map(&Shape::Keys(&CHANNEL)), "how drctl reaches people"),
        opt("invite", Shape::Duration, "how long before a live drill drctl announces it; 24h if absent"),
    ],
};

/// The values as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNotify {
    channels: BTreeMap<String, RawChannel>,
    invite: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    slack: Option<RawSlack>,
    pagerduty: Option<RawPagerDuty>,
    smtp: Option<RawSmtp>,
    webhook: Option<RawWebhook>,
    status_page: Option<RawWebhook>,
    gets: Option<BTreeSet<Kind>>,
    otherwise: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlack {
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPagerDuty {
    key: String,
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    url: String,
    secret: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSmtp {
    host: String,
    port: Option<u16>,
    #[serde(default)]
    tls: MailTls,
    from: String,
    to: Vec<String>,
    user: Option<String>,
    password: Option<String>,
    ca_file: Option<String>,
}

impl RawNotify {
    /// Converts it.
    ///
    /// # Errors
    /// If a channel does not have exactly one kind, names a missing channel, or has a secret in the file.
    pub fn read(self) -> Result<Notify, Vec<Fault>> {
        let invite = self.invite.as_deref().map(Dur::parse).transpose();
        let invite = invite.map_err(|why| Fault::said(&["notify", "invite"], why))?.unwrap_or(INVITE);
        let (mut channels, mut faults) = (Vec::new(), Vec::new());
        for (name, raw) in self.channels {
            match raw.read(name) {
                Ok(channel) => channels.push(channel),
                Err(fault) => faults.push(fault),
            }
        }
        let notify = Notify { channels, invite };
        faults.extend(notify.channels.iter().filter_map(|channel| circle(&notify, channel)));
        if faults.is_empty() { Ok(notify) } else { Err(faults) }
    }
}

/// A fault in the fallback of a channel: a missing or public channel, or a loop.
fn circle(notify: &Notify, channel: &Channel) -> Option<Fault> {
    let at = ["notify", "channels", channel.name.as_str(), "otherwise"];
    let mut seen = vec![channel.name.as_str()];
    let mut next = channel.otherwise.as_deref();
    while let Some(name) = next {
        // Each channel reports only faults of its own fallback. A loop is reported once, for the first of its channels.
        let own = seen.len() == 1;
        let Some(otherwise) = notify.channel(name) else {
            let fault = Fault::said(&at, format!("there is no channel `{name}`"));
            return own.then(|| fault.misses(["notify", "channels", name]));
        };
        if seen.contains(&name) {
            let first = name == channel.name && seen.iter().all(|other| *other >= name);
            let why = format!("notify.channels.{name}.otherwise forms a loop through {}", seen.join(", "));
            return first.then(|| Fault::new(at, why).fix("remove `otherwise` from one of them"));
        }
        if own && matches!(otherwise.way, Transport::StatusPage { .. }) {
            return Some(Fault::said(&at, format!("{name} is a public channel")));
        }
        seen.push(name);
        next = otherwise.otherwise.as_deref();
    }
    None
}

impl RawChannel {
    fn read(self, name: String) -> Result<Channel, Fault> {
        let at = ["notify", "channels", &name];
        let bad = |why: &str| Fault::said(&at, why);
        let secret = |way: &str, key: &str, text: &str| {
            let fix = format!("write {SECRET}");
            secret_at(text).map_err(|why| bad(&why).key(way).key(key).fix(fix).of_secret())
        };
        let mut ways = Vec::new();
        if let Some(raw) = self.slack {
            ways.push(Transport::Slack { url: secret("slack", "url", &raw.url)? });
        }
        if let Some(raw) = self.pagerduty {
            let url = raw.url.map(|url| plain(&url)).transpose();
            let url = url.map_err(|e| bad(&e).key("pagerduty").key("url").of_secret())?;
            ways.push(Transport::PagerDuty { key: secret("pagerduty", "key", &raw.key)?, url });
        }
        if let Some(raw) = self.smtp {
            ways.push(Transport::Smtp(raw.read().map_err(|e| bad(&e).key("smtp").of_secret())?));
        }
        for (raw, public) in [(self.webhook, false), (self.status_page, true)] {
            let Some(raw) = raw else { continue };
            let way = if public { "status_page" } else { "webhook" };
            let (url, secret) = (secret(way, "url", &raw.url)?, secret(way, "secret", &raw.secret)?);
            ways.push(if public {
                Transport::StatusPage { url, secret }
            } else {
                Transport::Webhook { url, secret }
            });
        }
        let (Some(way), None) = (ways.pop(), ways.pop()) else {
            return Err(bad("set exactly one of slack, pagerduty, smtp, webhook and status_page"));
        };
        let gets = self.gets.unwrap_or_else(|| way.usually());
        let public = BTreeSet::from([Kind::Alert, Kind::Update, Kind::Resolved]);
        if matches!(way, Transport::StatusPage { .. }) && !gets.is_subset(&public) {
            return Err(bad("a status page can get only alert, update and resolved, because it is public"));
        }
        Ok(Channel { gets, way, otherwise: self.otherwise, name })
    }
}

impl RawSmtp {
    fn read(self) -> Result<Mail, String> {
        let local = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if self.tls == MailTls::Off && (!local || self.user.is_some()) {
            return Err("without tls, drctl uses only a relay on this machine, without a login".to_owned());
        }
        let login = match (self.user, self.password) {
            (Some(user), Some(password)) => Some((user, secret_at(&password)?)),
            (None, None) => None,
            _ => return Err("set both user and password, or neither".to_owned()),
        };
        if self.to.is_empty() {
            return Err("`to` has no address".to_owned());
        }
        let usual = match self.tls {
            MailTls::Starttls => 587,
            MailTls::Tls => 465,
            MailTls::Off => 25,
        };
        let (tls, port) = (self.tls, self.port.unwrap_or(usual));
        Ok(Mail { host: self.host, port, tls, from: self.from, to: self.to, login, ca_file: self.ca_file })
    }
}

/// The place of a secret. The file must not contain the secret itself, so the text is not repeated.
pub(super) fn secret_at(text: &str) -> Result<SecretAt, String> {
    match text.split_once(':') {
        Some(("env", name)) if is_variable(name) => Ok(SecretAt::Env(name.to_owned())),
        Some(("file", path)) if !path.is_empty() && !path.contains("://") => {
            Ok(SecretAt::File(path.to_owned()))
        }
        _ => Err(format!("do not write a secret here; write {SECRET}")),
    }
}

/// Whether it can be the name of a variable. A secret by mistake in place of a name cannot.
fn is_variable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(fits) && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
}

/// A URL without secrets.
pub(super) fn plain(url: &str) -> Result<String, String> {
    let fine = (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(['@', '?', '#']);
    if fine {
        Ok(url.to_owned())
    } else {
        Err("the url must be http(s)://host/path, without a user or a query".to_owned())
    }
}
