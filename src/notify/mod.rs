//! Channels to people: sends one message through one channel and returns the result. Other modules decide what to send to whom and how
//! often to try. Of a provider's answer, only the status code is repeated, because the answer may contain what it was sent.

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "mail")]
mod mail;
mod message;

use std::pin::pin;

use futures_util::future::{Either, select};

use crate::model::notice::{Channel, Notice, Transport};
use crate::model::plain::line;
use crate::model::telemetry::Traces;
use crate::model::time::Dur;
use crate::world::World;
pub use message::{Failure, Message, Reveal};

/// The time limit for one message.
const PATIENCE: Dur = Dur::secs(10);

/// Sends a message through a channel. Returns the receiver's ID for it, if there is one.
///
/// # Errors
/// If it was not accepted.
pub async fn send(
    world: &World,
    channel: &Channel,
    message: Message<'_>,
    reveal: Reveal<'_>,
) -> Result<String, Failure> {
    // The text may come from anybody, so characters with effects are removed.
    let notice = plain_of(message.notice);
    let work = by(&channel.way, Message { notice: &notice, ..message }, reveal);
    match select(pin!(work), pin!(world.sleep_until(world.now() + PATIENCE))).await {
        Either::Left((sent, _)) => sent,
        Either::Right(_) => Err(Failure::later(format!("no answer within {PATIENCE}"))),
    }
}

/// Sends spans to a collector. Returns the collector's message if it refused some of them.
///
/// # Errors
/// If it accepted none.
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
