//! Messages to people: which message goes to whom, and through which channel.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ids::RunId;
use crate::model::time::{Dur, Timestamp};

/// The content of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A recovery or a move starts.
    Alert,
    /// Its progress.
    Update,
    /// It has ended.
    Resolved,
    /// Nobody responded, or a run stopped.
    Escalation,
    /// A drill that moves users is announced, starts or ends.
    Drill,
    /// A duty is due soon.
    Reminder,
    /// A duty was not done by its due time.
    Overdue,
    /// A test message that somebody asked for.
    Test,
}

impl Kind {
    /// All kinds of messages.
    pub const ALL: [Self; 7] = [
        Self::Alert,
        Self::Update,
        Self::Resolved,
        Self::Escalation,
        Self::Drill,
        Self::Reminder,
        Self::Overdue,
    ];

    /// Its name.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Update => "update",
            Self::Resolved => "resolved",
            Self::Escalation => "escalation",
            Self::Drill => "drill",
            Self::Reminder => "reminder",
            Self::Overdue => "overdue",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// Where a secret is stored: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretAt {
    /// In an environment variable.
    Env(String),
    /// In a file.
    File(String),
}

impl fmt::Display for SecretAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Unencrypted at first, then encrypted; fails if the server cannot (RFC 3207).
    #[default]
    Starttls,
    /// Encrypted from the first byte (RFC 8314).
    Tls,
    /// Unencrypted: for a relay on this machine.
    Off,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// The sender of mails.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// The user, and where the password is.
    pub login: Option<(String, SecretAt)>,
    /// A certificate authority to trust in addition to those of the system.
    pub ca_file: Option<String>,
}

/// A kind of channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// An incoming webhook of Slack (Slack API, «Sending messages using incoming webhooks»).
    Slack {
        /// Its URL, which is a secret.
        url: SecretAt,
    },
    /// PagerDuty (Events API v2).
    PagerDuty {
        /// The integration key.
        key: SecretAt,
        /// Its URL, unless it is PagerDuty's own.
        url: Option<String>,
    },
    /// Mail.
    Smtp(Mail),
    /// JSON to a URL, signed (Standard Webhooks 1.0).
    Webhook {
        /// The URL.
        url: SecretAt,
        /// The signing secret.
        secret: SecretAt,
    },
    /// Public information as JSON to a URL, signed in the same way.
    StatusPage {
        /// The URL.
        url: SecretAt,
        /// The signing secret.
        secret: SecretAt,
    },
}

impl Transport {
    /// Its name.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Smtp(_) => "smtp",
            Self::Webhook { .. } => "webhook",
            Self::StatusPage { .. } => "status_page",
        }
    }

    /// The places of its secrets.
    pub fn secrets(&self) -> Vec<&SecretAt> {
        match self {
            Self::Slack { url: at } | Self::PagerDuty { key: at, .. } => vec![at],
            Self::Smtp(mail) => mail.login.iter().map(|(_, password)| password).collect(),
            Self::Webhook { url, secret } | Self::StatusPage { url, secret } => vec![url, secret],
        }
    }

    /// The messages that it gets by default.
    pub fn usually(&self) -> BTreeSet<Kind> {
        match self {
            Self::PagerDuty { .. } => {
                BTreeSet::from([Kind::Alert, Kind::Resolved, Kind::Escalation, Kind::Overdue])
            }
            Self::StatusPage { .. } => BTreeSet::from([Kind::Alert, Kind::Update, Kind::Resolved]),
            _ => Kind::ALL.into_iter().collect(),
        }
    }
}

/// A channel of `drctl.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// The kind of channel.
    pub way: Transport,
    /// The messages that it gets.
    pub gets: BTreeSet<Kind>,
    /// The channel to use if this one cannot be reached.
    pub otherwise: Option<String>,
}

/// The channels and their settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// The channels, by name.
    pub channels: Vec<Channel>,
    /// How long before a drill that moves users the announcement is sent.
    pub invite: Dur,
}

impl Notify {
    /// The channel with a name.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }
}

/// A message: its subject, its due time and its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Its permanent name: a later request for the same message finds that it was already sent.
    pub key: String,
    /// Its kind.
    pub kind: Kind,
    /// Its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The group that it belongs to: one incident in a pager.
    pub thread: String,
    /// When it was due.
    pub due: Timestamp,
    /// The severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The only channels that get it, if any are listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<String>,
    /// Whether it ends its thread.
    pub ends: bool,
    /// Threads that it acknowledges: a pager then calls nobody else for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledges: Vec<String>,
    /// One line.
    pub subject: String,
    /// Its fields, in order: a label and a text.
    pub fields: Vec<(String, String)>,
    /// The public part, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<Public>,
}

/// Information for the public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Public {
    /// The application.
    pub service: String,
    /// The incident.
    pub incident: String,
    /// `investigating`, `identified`, `monitoring` or `resolved`, as status pages call it.
    pub status: &'static str,
    /// The text, one sentence.
    pub text: String,
}

impl Notice {
    /// The whole message as lines.
    pub fn text(&self) -> String {
        let line = |(label, text): &(String, String)| format!("{label}: {text}\n");
        self.fields.iter().map(line).collect()
    }
}
