//! Whom drctl tells what, and by which way.

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
    /// Something is being recovered, or moved.
    Alert,
    /// Where that stands.
    Update,
    /// It is over.
    Resolved,
    /// Nobody answered, or something stopped.
    Escalation,
    /// A drill that moves users is coming, begins or is over.
    Drill,
    /// A duty is due soon.
    Reminder,
    /// A duty was not done in time.
    Overdue,
    /// Somebody asked whether this reaches anybody.
    Test,
}

impl Kind {
    /// All that may be sent somewhere or not.
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

/// Where a secret is: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretAt {
    /// In a variable of the environment.
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

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// In the clear first, then encrypted, or not at all (RFC 3207).
    #[default]
    Starttls,
    /// Encrypted from the first byte (RFC 8314).
    Tls,
    /// In the clear: for a relay on this machine.
    Off,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub tls: MailTls,
    /// Whom mails are from.
    pub from: String,
    /// Whom they are to.
    pub to: Vec<String>,
    /// The user, and where the password is.
    pub login: Option<(String, SecretAt)>,
    /// A certificate to trust beside the system's.
    pub ca_file: Option<String>,
}

/// A way to reach people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// An incoming webhook of Slack (Slack API, «Sending messages using incoming webhooks»).
    Slack {
        /// Its address, which is a secret.
        url: SecretAt,
    },
    /// PagerDuty (Events API v2).
    PagerDuty {
        /// The integration key.
        key: SecretAt,
        /// Where it is reached, unless that is PagerDuty's own.
        url: Option<String>,
    },
    /// Mail.
    Smtp(Mail),
    /// JSON to an address, signed (Standard Webhooks 1.0).
    Webhook {
        /// The address.
        url: SecretAt,
        /// What it is signed with.
        secret: SecretAt,
    },
    /// What the public may know, as JSON to an address, signed likewise.
    StatusPage {
        /// The address.
        url: SecretAt,
        /// What it is signed with.
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

    /// Where its secrets are.
    pub fn secrets(&self) -> Vec<&SecretAt> {
        match self {
            Self::Slack { url: at } | Self::PagerDuty { key: at, .. } => vec![at],
            Self::Smtp(mail) => mail.login.iter().map(|(_, password)| password).collect(),
            Self::Webhook { url, secret } | Self::StatusPage { url, secret } => vec![url, secret],
        }
    }

    /// What goes there unless something else is written.
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
    /// The way.
    pub way: Transport,
    /// What goes there.
    pub gets: BTreeSet<Kind>,
    /// The channel to use if this one cannot be reached.
    pub otherwise: Option<String>,
}

/// Whom drctl tells what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// The channels, by name.
    pub channels: Vec<Channel>,
    /// How long before a drill that moves users the announcement is sent.
    pub invite: Dur,
}

impl Notify {
    /// A channel.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }
}

/// A piece of news: what it is about, when it was due, and its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Its permanent name: a later request for the same message finds that it was already sent.
    pub key: String,
    /// What it is.
    pub kind: Kind,
    /// The run that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What it belongs together with: one incident in a pager.
    pub thread: String,
    /// When it was to be told.
    pub due: Timestamp,
    /// How bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Channels that get it and no others, if they are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<String>,
    /// Whether all of its thread is over with it.
    pub ends: bool,
    /// Threads of which it says that somebody is at it: a pager calls nobody else for those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledges: Vec<String>,
    /// One line.
    pub subject: String,
    /// Its fields, in order: a label and a text.
    pub fields: Vec<(String, String)>,
    /// What the public may know, if it may know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<Public>,
}

/// What the public may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Public {
    /// The application.
    pub service: String,
    /// The incident.
    pub incident: String,
    /// `investigating`, `identified`, `monitoring` or `resolved`, as status pages have it.
    pub status: &'static str,
    /// In a sentence.
    pub text: String,
}

impl Notice {
    /// All of it as lines.
    pub fn text(&self) -> String {
        let line = |(label, text): &(String, String)| format!("{label}: {text}\n");
        self.fields.iter().map(line).collect()
    }
}
