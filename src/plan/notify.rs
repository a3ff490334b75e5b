//! `notify:` in `drctl.yaml`: the channels, what goes there, and where their secrets are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::model::notice::{Channel, Kind, Mail, MailTls, Notify, SecretAt, Transport};
use crate::model::shape::{Field, Keys, Shape, opt, req};
use crate::model::time::Dur;

/// How long before a live drill the announcement is sent, by default.
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

/// As written.
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
    /// What it says.
    ///
    /// # Errors
    /// If a channel has no way or two, names one that is not there, or a secret stands in the file.
    pub fn read(self) -> Result<Notify, String> {
        let invite = self.invite.as_deref().map(Dur::parse).transpose()?.unwrap_or(INVITE);
        let channels = self.channels.into_iter().map(|(name, raw)| raw.read(name));
        let notify = Notify { channels: channels.collect::<Result<_, _>>()?, invite };
        for channel in &notify.channels {
            let mut seen = vec![channel.name.as_str()];
            let mut next = channel.otherwise.as_deref();
            while let Some(name) = next {
                let otherwise = notify.channel(name).ok_or_else(|| {
                    format!("notify.channels.{}.otherwise: there is no channel `{name}`", channel.name)
                })?;
                if seen.contains(&name) {
                    return Err(format!(
                        "notify.channels.{}.otherwise forms a loop through {name}",
                        channel.name
                    ));
                }
                if matches!(otherwise.way, Transport::StatusPage { .. }) {
                    return Err(format!(
                        "notify.channels.{}.otherwise: {name} is a public channel",
                        channel.name
                    ));
                }
                seen.push(name);
                next = otherwise.otherwise.as_deref();
            }
        }
        Ok(notify)
    }
}

impl RawChannel {
    fn read(self, name: String) -> Result<Channel, String> {
        let bad = |why: &str| format!("notify.channels.{name}: {why}");
        let mut ways = Vec::new();
        if let Some(raw) = self.slack {
            ways.push(Transport::Slack { url: secret_at(&raw.url).map_err(|e| bad(&e))? });
        }
        if let Some(raw) = self.pagerduty {
            let url = raw.url.map(|url| plain(&url)).transpose().map_err(|e| bad(&e))?;
            ways.push(Transport::PagerDuty { key: secret_at(&raw.key).map_err(|e| bad(&e))?, url });
        }
        if let Some(raw) = self.smtp {
            ways.push(Transport::Smtp(raw.read().map_err(|e| bad(&e))?));
        }
        for (raw, public) in [(self.webhook, false), (self.status_page, true)] {
            let Some(raw) = raw else { continue };
            let url = secret_at(&raw.url).map_err(|e| bad(&e))?;
            let secret = secret_at(&raw.secret).map_err(|e| bad(&e))?;
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

/// A secret is never in the file itself; what stands there is not repeated.
pub(super) fn secret_at(text: &str) -> Result<SecretAt, String> {
    match text.split_once(':') {
        Some(("env", name)) if is_variable(name) => Ok(SecretAt::Env(name.to_owned())),
        Some(("file", path)) if !path.is_empty() && !path.contains("://") => {
            Ok(SecretAt::File(path.to_owned()))
        }
        _ => Err(format!("do not write a secret here; write {SECRET}")),
    }
}

/// What a variable may be called: a secret in the place of its name is none.
fn is_variable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(fits) && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
}

/// An address that holds no secret.
pub(super) fn plain(url: &str) -> Result<String, String> {
    let fine = (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(['@', '?', '#']);
    if fine {
        Ok(url.to_owned())
    } else {
        Err("the url must be http(s)://host/path, without a user or a query".to_owned())
    }
}
