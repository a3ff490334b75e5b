//! Delivers evidence to object stores: writes it only where nothing exists yet, reads it back, and compares.
//!
//! drctl trusts what a sink returns, never its claim of success.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::provider::ObjectStore;
use super::registry;
pub use super::uploads::{SinkContent, SinkError, Upload};
use crate::model::place::CloudProvider;
use crate::model::sink::{Sink, StoredObject};
use crate::model::time::{Dur, Timestamp};
use crate::plan::Settings;
use crate::world::World;

/// The time limit for one bundle and one sink, plus a second for each `BYTES_A_SECOND`: some 100 kB/s, there and back.
const PATIENCE: Dur = Dur::secs(20);
const BYTES_A_SECOND: u64 = 50_000;

/// Maximum difference between the clock here and a sink's. A lock with a wrong end date cannot be removed.
pub const SKEW: Dur = Dur::mins(15);

/// All kinds of sinks.
pub struct Sinks {
    world: World,
    s3: Box<dyn ObjectStore>,
    gcs: Box<dyn ObjectStore>,
}

impl Sinks {
    /// Opens no connection.
    pub fn new(world: World, settings: &Settings) -> Self {
        Self { s3: registry::s3(&world, settings), gcs: registry::gcs(&world, settings), world }
    }

    /// Delivers a bundle by `late`. Compares it with an object that already exists; never overwrites anything.
    ///
    /// # Errors
    /// If the sink does not hold exactly this bundle in the end, locked for long enough, or cannot show that it does.
    pub async fn deliver(
        &self,
        sink: &Sink,
        parcel: &Upload<'_>,
        late: Timestamp,
    ) -> Result<StoredObject, SinkError> {
        self.within(parcel, late, async {
            let date = match self.look(sink, parcel, None).await? {
                SinkContent::Held(held) => return fits(sink, parcel, held, false),
                SinkContent::Nothing { date, .. } => date,
            };
            let off = date.map(|date| (date.since(self.world.shown())).max(self.world.shown().since(date)));
            if let Some(off) = off.filter(|off| *off > SKEW) {
                let why = format!("its clock and the clock of this machine differ by {off}, and a lock with a wrong end date cannot be removed");
                return Err(SinkError::Differs(why));
            }
            let written = match sink.place.cloud {
                CloudProvider::Gcp => self.gcs.put_bundle(sink, parcel).await,
                CloudProvider::Aws => self.s3.put_bundle(sink, parcel).await,
                CloudProvider::None => Err(no_bucket(sink)),
            }?;
            match self.look(sink, parcel, None).await? {
                SinkContent::Held(held) => fits(sink, parcel, held, written),
                SinkContent::Nothing { why, .. } => Err(SinkError::Later(format!("it cannot be read back: {why}"))),
            }
        })
        .await
    }

    /// Checks whether a bundle is where it was seen before. Writes nothing.
    ///
    /// # Errors
    /// As [`Self::deliver`].
    pub async fn confirm(
        &self,
        sink: &Sink,
        parcel: &Upload<'_>,
        version: Option<&str>,
        late: Timestamp,
    ) -> Result<StoredObject, SinkError> {
        self.within(parcel, late, async {
            let what = match self.look(sink, parcel, None).await? {
                SinkContent::Held(held) if held.sha256 == *parcel.sha256 => {
                    return fits(sink, parcel, held, false);
                }
                SinkContent::Held(_) => "another object is there".to_owned(),
                SinkContent::Nothing { why, .. } => format!("it was there, but is gone now ({why})"),
            };
            let hidden = match version {
                Some(_) => self.look(sink, parcel, version).await?,
                None => return Err(SinkError::Differs(what)),
            };
            let kept = matches!(&hidden, SinkContent::Held(held) if held.sha256 == *parcel.sha256);
            let version = version.unwrap_or_default();
            Err(SinkError::Differs(match kept {
                true => format!("{what}; the bundle is intact behind it, as version {version}"),
                false => format!("{what}, and version {version} is gone too"),
            }))
        })
        .await
    }

    async fn within<T>(
        &self,
        parcel: &Upload<'_>,
        late: Timestamp,
        work: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkError> {
        let patience = PATIENCE.plus(Dur::secs(parcel.bytes.len() as u64 / BYTES_A_SECOND));
        let late = late.min(self.world.now() + patience);
        match select(pin!(work), pin!(self.world.sleep_until(late))).await {
            Either::Left((done, _)) => done.map_err(SinkError::scrubbed),
            Either::Right(_) => Err(SinkError::Down("no answer in time".to_owned())),
        }
    }

    async fn look(
        &self,
        sink: &Sink,
        parcel: &Upload<'_>,
        version: Option<&str>,
    ) -> Result<SinkContent, SinkError> {
        let most = parcel.bytes.len();
        match sink.place.cloud {
            CloudProvider::Gcp => self.gcs.held_bundle(sink, parcel.name, version, most).await,
            CloudProvider::Aws => self.s3.held_bundle(sink, parcel.name, version, most).await,
            CloudProvider::None => Err(no_bucket(sink)),
        }
    }
}

/// Settings accept only `s3://` and `gs://`.
fn no_bucket(sink: &Sink) -> SinkError {
    SinkError::Later(format!("{} is in no cloud that has buckets", sink.name))
}

fn fits(
    sink: &Sink,
    parcel: &Upload<'_>,
    held: StoredObject,
    written: bool,
) -> Result<StoredObject, SinkError> {
    let (bucket, key) = sink.object(parcel.name);
    if held.sha256 != *parcel.sha256 {
        let how = if written {
            "the object read back differs from the one written"
        } else {
            "another object is there, and drctl does not overwrite it"
        };
        return Err(SinkError::Differs(format!(
            "{how}: SHA-256 {} instead of {}",
            held.sha256, parcel.sha256
        )));
    }
    let (Some(lock), Some(until)) = (held.lock, held.until) else {
        return Err(SinkError::Differs(format!(
            "the object is there, but drctl found no lock on {key}, so anybody can remove it. Bucket {bucket} must lock objects, and the reader must be allowed to see the lock"
        )));
    };
    // Stores keep whole seconds.
    if lock < parcel.lock || until + Dur::secs(1) < parcel.least {
        return Err(SinkError::Differs(format!(
            "the object is there, but its lock is too weak: {lock:?} until {until} instead of {:?} until {}. Extend the lock",
            parcel.lock, parcel.least
        )));
    }
    Ok(held)
}
