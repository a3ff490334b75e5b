//! Ways to reach people: one message through one channel, and the result. Other modules decide what to send to whom and how often to try.
//! Of a provider's answer only the status code is repeated, because the answer may contain what it was sent.

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "mail")]
mod mail;

use std::pin::pin;

use futures_util::future::{Either, select};

use crate::model::notice::{Channel, Notice, SecretAt, Transport};
use crate::model::plain::line;
use crate::model::secret::Secret;
use crate::model::telemetry::Traces;
use crate::model::time::{Dur, Timestamp};
use crate::world::World;

/// How long one message may take.
const PATIENCE: Dur = Dur::secs(10);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In words, without any secret.
    pub why: String,
    /// Whether trying again may help.
    pub again: bool,
}

impl Failure {
    /// It may be taken later.
    pub fn later(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true }
    }

    /// It never will be.
    pub fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: false }
    }
}

/// Where secrets are read from.
pub type Reveal<'a> = &'a dyn Fn(&SecretAt) -> Result<Secret, String>;

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What it says.
    pub notice: &'a Notice,
    /// Threads of a pager that end with it.
    pub closes: &'a [String],
    /// When it is sent.
    pub at: Timestamp,
}

/// Sends a message by a channel. Answers what the other side calls it, where it said so.
///
/// # Errors
/// If nobody took it.
pub async fn send(
    world: &World,
    channel: &Channel,
    message: Message<'_>,
    reveal: Reveal<'_>,
) -> Result<String, Failure> {
    // Whoever made it up: nothing in it does more than being read.
    let notice = plain_of(message.notice);
    let work = by(&channel.way, Message { notice: &notice, ..message }, reveal);
    match select(pin!(work), pin!(world.sleep_until(world.now() + PATIENCE))).await {
        Either::Left((sent, _)) => sent,
        Either::Right(_) => Err(Failure::later(format!("no answer within {PATIENCE}"))),
    }
}

/// Sends spans to a collector. Answers what it refused, if it refused some of them.
///
/// # Errors
/// If it took none.
pub async fn traces(
    world: &World,
    to: &Traces,
    document: &serde_json::Value,
    reveal: Reveal<'_>,
) -> Result<Option<String>, Failure> {
    #[cfg(feature = "http")]
    let work = http::traces(to, document, reveal);
    #[cfg(not(feature = "http"))]
    let work = {
        let _ = (to, document, reveal);
        std::future::ready(Err(Failure::never("built without http")))
    };
    match select(pin!(work), pin!(world.sleep_until(world.now() + PATIENCE))).await {
        Either::Left((sent, _)) => sent,
        Either::Right(_) => Err(Failure::later(format!("no answer within {PATIENCE}"))),
    }
}

fn plain_of(notice: &Notice) -> Notice {
    let mut notice = notice.clone();
    notice.subject = line(&notice.subject);
    for (label, text) in &mut notice.fields {
        (*label, *text) = (line(label), line(text));
    }
    if let Some(public) = &mut notice.public {
        for text in [&mut public.service, &mut public.incident, &mut public.text] {
            *text = line(text);
        }
    }
    notice
}

async fn by(way: &Transport, message: Message<'_>, reveal: Reveal<'_>) -> Result<String, Failure> {
    match way {
        #[cfg(feature = "mail")]
        Transport::Smtp(server) => mail::send(server, message, reveal).await,
        #[cfg(not(feature = "mail"))]
        Transport::Smtp(_) => Err(Failure::never("built without mail")),
        #[cfg(feature = "http")]
        way => http::send(way, message, reveal).await,
        #[cfg(not(feature = "http"))]
        _ => {
            let _ = (message, reveal);
            Err(Failure::never("built without http"))
        }
    }
}
