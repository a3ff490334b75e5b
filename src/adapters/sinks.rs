//! Evidence goes to object stores: written where nothing is yet, read back, and compared.
//!
//! A sink is believed for what it gives back, never for having said yes.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::{aws, gcp};
use crate::model::ids::Digest;
use crate::model::sink::{Held, Lock, Receipt, Sink};
use crate::model::time::{Dur, Timestamp};
use crate::plan::Settings;
use crate::world::World;

/// How long one sink may take for one bundle, and how much longer for each of so many bytes: some 100 kB/s, there and back.
const PATIENCE: Dur = Dur::secs(20);
const BYTES_A_SECOND: u64 = 50_000;

/// What is to be kept.
pub struct Parcel<'a> {
    /// The bundle's file.
    pub name: &'a str,
    /// All of it.
    pub bytes: &'a [u8],
    /// Their digest.
    pub sha256: &'a Digest,
    /// Until when nobody may remove it.
    pub until: Timestamp,
    /// How strictly.
    pub lock: Lock,
}

/// Why a sink is not known to hold a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It did not take it, or did not show it. The same may be tried again.
    Later(String),
    /// It holds something else, or for less time than it has to: a person has to look.
    Differs(String),
}

/// Every kind of sink.
pub struct Sinks {
    world: World,
    aws: aws::Aws,
    gcs: gcp::Gcs,
}

impl Sinks {
    /// Nothing is connected to before something is delivered.
    pub fn new(world: World, settings: &Settings) -> Self {
        Self { aws: aws::Aws::new(world.clone(), settings, None), gcs: gcp::Gcs::new(settings), world }
    }

    /// Delivers a bundle. What is there already is read back like what was written now; nothing is ever written over.
    ///
    /// # Errors
    /// If the sink does not hold exactly this bundle in the end, locked for long enough, or cannot show it.
    pub async fn deliver(&self, sink: &Sink, parcel: &Parcel<'_>) -> Result<Receipt, Trouble> {
        self.within(parcel, async {
            let written = match sink.place.cloud.as_str() {
                "gcp" => self.gcs.put_bundle(sink, parcel).await,
                _ => Box::pin(self.aws.put_bundle(sink, parcel)).await,
            }
            .map_err(Trouble::Later)?;
            self.compare(sink, parcel, written).await
        })
        .await
    }

    /// Looks at what a sink has, and writes nothing.
    ///
    /// # Errors
    /// As [`Self::deliver`].
    pub async fn confirm(&self, sink: &Sink, parcel: &Parcel<'_>) -> Result<Receipt, Trouble> {
        self.within(parcel, self.compare(sink, parcel, false)).await
    }

    async fn within<T>(
        &self,
        parcel: &Parcel<'_>,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let patience = PATIENCE.plus(Dur::secs(parcel.bytes.len() as u64 / BYTES_A_SECOND));
        let late = self.world.sleep_until(self.world.now() + patience);
        match select(pin!(work), pin!(late)).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(Trouble::Later(format!("no answer within {patience}"))),
        }
    }

    async fn compare(&self, sink: &Sink, parcel: &Parcel<'_>, written: bool) -> Result<Receipt, Trouble> {
        let most = parcel.bytes.len();
        let held = match sink.place.cloud.as_str() {
            "gcp" => self.gcs.held_bundle(sink, parcel.name, most).await,
            _ => Box::pin(self.aws.held_bundle(sink, parcel.name, most)).await,
        }
        .map_err(Trouble::Later)?;
        receipt((sink, parcel), held, written, self.world.now()).map_err(Trouble::Differs)
    }
}

fn receipt(
    (sink, parcel): (&Sink, &Parcel<'_>),
    held: Held,
    written: bool,
    now: Timestamp,
) -> Result<Receipt, String> {
    let (bucket, key) = sink.object(parcel.name);
    if held.sha256 != *parcel.sha256 {
        let how = if written {
            "what was written came back as something else"
        } else {
            "something else is there, and is not written over"
        };
        return Err(format!("{how}: SHA-256 {} in place of {}", held.sha256, parcel.sha256));
    }
    let (Some(lock), Some(until)) = (held.lock, held.until) else {
        return Err(format!(
            "it is there, and anybody may remove it: no lock was seen on {key} (bucket {bucket} has to lock objects, and whoever reads has to be allowed to see it)"
        ));
    };
    // Stores keep whole seconds.
    if lock < parcel.lock || until + Dur::secs(1) < parcel.until {
        return Err(format!(
            "it is there, locked less than it has to be: {lock:?} until {until} in place of {:?} until {}",
            parcel.lock, parcel.until
        ));
    }
    Ok(Receipt {
        schema_version: Receipt::VERSION,
        bundle: parcel.name.to_owned(),
        sha256: held.sha256,
        sink: sink.name.clone(),
        url: format!("{}/{}", sink.place.name, parcel.name),
        version: held.version,
        lock,
        retained_until: until,
        seen_at: now,
    })
}
