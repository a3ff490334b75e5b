//! Delivers bundles to their sinks after all other work, repeatedly until each is complete.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures_util::future::{Either, join_all, select};

use super::context::Context;
use super::error::AppError;
use super::files::place_new;
use super::interrupt::Interrupts;
use super::presenter::Presenter;
use super::{bundles, environment, evidence, store_key};
use crate::adapters::sinks::{SKEW, SinkError, Sinks, Upload};
use crate::files::{self, Use};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::{Digest, RunId};
use crate::model::place::CloudProvider;
use crate::model::plain::count;
use crate::model::sink::{Keeping, Receipt, Sink, StoredObject};
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::harmless;
use crate::record::event::WorldKind;
use crate::report::afterwards::{self, Debt};
use crate::world::World;

/// How long a command waits at its end for the delivery of its own bundles and of earlier ones.
const AFTERWARDS: Dur = Dur::secs(60);
/// The limit for a command that only delivers.
const FOREVER: Dur = Dur::secs(30 * 24 * 60 * 60);
/// How often to check for Ctrl-C.
const POLL: Dur = Dur(200);

/// The result of delivering one bundle to one sink.
pub struct DeliveryResult {
    /// The bundle's file.
    pub file: PathBuf,
    /// The sink.
    pub sink: String,
    /// What it holds, or the error.
    pub held: Result<Receipt, SinkError>,
}

/// The address of a sink: a bundle in an emulator is not in the cloud.
fn endpoint(context: &Context, sink: &Sink) -> Option<String> {
    let named = |service: &str| context.settings.endpoints.get(service).cloned();
    let url = match sink.place.cloud {
        CloudProvider::Gcp => named("gcs"),
        CloudProvider::Aws => named("s3").or_else(|| environment::aws_endpoint("S3")),
        CloudProvider::None => None,
    };
    // The credentials in an address are private.
    url.map(|url| match url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or(rest)),
        None => url,
    })
}

/// The file that records that a sink has a bundle. It depends on the address: a sink of the same name elsewhere is a different one.
fn receipt_file(context: &Context, bundle: &Path, sink: &Sink) -> PathBuf {
    let endpoint = endpoint(context, sink).unwrap_or_default();
    let account = sink.place.account.as_deref().unwrap_or_default();
    let place = [&*sink.place.name, &*sink.place.region, account, &*endpoint].map(str::as_bytes);
    let mut name = bundle.as_os_str().to_owned();
    name.push(format!(".{}-{}.json", sink.name, Digest::of_fields(&place).short()));
    PathBuf::from(name)
}

/// The receipt of a bundle at a sink, if there is one. It is drctl's own note, and not protected against changes.
pub fn receipt(context: &Context, bundle: &Path, sink: &Sink) -> Option<Receipt> {
    let bytes = files::read(&receipt_file(context, bundle, sink), Use::Receipt).ok()?;
    let receipt: Receipt = serde_json::from_slice(&bytes).ok()?;
    let name = bundle.file_name()?.to_str()?;
    let same = receipt.schema_version == Receipt::VERSION
        && receipt.bundle == name
        && receipt.sink == sink.name
        && receipt.url == sink.url(name)
        && receipt.lock >= sink.lock;
    same.then_some(receipt)
}

/// The bundles that some sink still lacks, the newest run's last. Bundles of rehearsals are never uploaded.
///
/// # Errors
/// If the folder cannot be read.
pub fn pending_uploads(context: &Context) -> Result<Vec<PathBuf>, AppError> {
    let Some(keeping) = keeping(context) else { return Ok(Vec::new()) };
    let mut files = bundles::all(&bundles::folder(&context.store_file()))?;
    files.retain(|file| keeping.sinks.iter().any(|sink| receipt(context, file, sink).is_none()));
    Ok(files)
}

/// The missing uploads of a run.
///
/// # Errors
/// If the folder cannot be read.
pub fn owed_of(context: &Context, run: &RunId) -> Result<Vec<Debt>, AppError> {
    let Some(keeping) = keeping(context) else { return Ok(Vec::new()) };
    let named = |file: &PathBuf| file.file_name().map(|name| name.to_string_lossy().into_owned());
    let of_run = format!("{run}-e");
    let owed = |file: PathBuf| {
        let name = named(&file).filter(|name| name.starts_with(&of_run))?;
        let lacks = keeping.sinks.iter().filter(|sink| receipt(context, &file, sink).is_none());
        Some(afterwards::upload(&name, &lacks.map(|sink| sink.name.clone()).collect::<Vec<_>>()))
    };
    Ok(pending_uploads(context)?.into_iter().filter_map(owed).collect())
}

/// The settings for keeping evidence, if there are any.
pub fn keeping(context: &Context) -> Option<&Keeping> {
    context.settings.evidence.as_ref().filter(|_| !context.is_rehearsal())
}

/// The sinks of evidence.
///
/// # Errors
/// If there is none.
pub fn sinks(context: &Context) -> Result<&Keeping, AppError> {
    if context.is_rehearsal() {
        return Err(AppError::usage_fix(
            "a rehearsal proves nothing about the real environment, so its bundles stay here",
            "remove --sandbox",
        ));
    }
    keeping(context).ok_or_else(|| {
        AppError::usage_fix(
            "drctl.yaml does not configure evidence sinks",
            "add, for example, evidence: {retain: {own: 400d}, sinks: {recovery: {url: \"s3://bucket/prefix\", region: us-east-1}}}",
        )
    })
}

/// Delivers what is not delivered yet, after the command did its work: the result of the command is shown first, and does not depend on the
/// delivery.
pub fn rest(context: &Context, presenter: &dyn Presenter, store: &SqliteJournal, interrupts: &Interrupts) {
    let Some(keeping) = keeping(context) else { return };
    let files: Vec<_> = match pending_uploads(context) {
        Ok(files) => files.into_iter().rev().collect(),
        Err(e) => return presenter.note(&format!("evidence: {}", e.message)),
    };
    if files.is_empty() {
        return;
    }
    if interrupts.count() == 0 {
        let names = keeping.sinks.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>().join(", ");
        presenter.note(&format!(
            "evidence: delivering to {names}; to deliver later with drctl evidence push, press Ctrl-C"
        ));
        match deliver(
            context,
            store,
            &files,
            &UploadOptions { again: false, within: Some(AFTERWARDS), interrupts },
        ) {
            Ok(told) => tell(presenter, &told),
            Err(e) => presenter.note(&format!("evidence: nothing was delivered: {}", e.message)),
        }
    }
    let left = pending_uploads(context).unwrap_or_default().len();
    if left > 0 {
        presenter.note(&format!(
            "evidence: {} still missing from a sink; run drctl evidence push",
            count(left, "bundle is|bundles are")
        ));
    }
}

/// The results, in words.
pub fn tell(presenter: &dyn Presenter, told: &[DeliveryResult]) {
    for DeliveryResult { file, sink, held } in told {
        let name = file.file_name().map_or_else(String::new, |name| harmless(&name.to_string_lossy()));
        presenter.note(&match held {
            Ok(receipt) => {
                let own = receipt.endpoint.as_deref().map_or_else(String::new, |url| {
                    format!(" AT AN ENDPOINT OF YOUR OWN, {}", harmless(url))
                });
                let (until, lock) = (receipt.retained_until, receipt.lock);
                format!(
                    "evidence: {name} is at {sink}{own}, verified by reading it back, locked until {until} ({lock:?})"
                )
            }
            Err(SinkError::Differs(why)) => format!("evidence: {name} is NOT at {sink}: {}", harmless(why)),
            Err(trouble) => format!("evidence: {name} is NOT at {sink} yet: {}", harmless(trouble.why())),
        });
    }
}

/// Options of a delivery.
pub struct UploadOptions<'a> {
    /// Whether bundles with a receipt are checked again.
    pub again: bool,
    /// The time limit.
    pub within: Option<Dur>,
    /// Ctrl-C.
    pub interrupts: &'a Interrupts,
}

/// Delivers bundles one after the other, each to all its sinks in parallel. A sink that cannot be reached is skipped for the remaining
/// bundles. Ctrl-C leaves the rest.
///
/// # Errors
/// If the store cannot be read, or there is no clock.
pub fn deliver(
    context: &Context,
    store: &SqliteJournal,
    files: &[PathBuf],
    errand: &UploadOptions<'_>,
) -> Result<Vec<DeliveryResult>, AppError> {
    let keeping = sinks(context)?;
    let keys = store_key::announced(store)?;
    let world = World::live().map_err(|e| AppError::usage(format!("no timers: {e}")))?;
    let courier = Uploader {
        context,
        keeping,
        keys: &keys,
        sinks: Sinks::new(world.clone(), &context.settings),
        late: world.now() + errand.within.unwrap_or(FOREVER),
        world,
    };
    let (mut told, mut down) = (Vec::<DeliveryResult>::new(), BTreeMap::<String, String>::new());
    for file in files {
        if errand.interrupts.count() > 0 || courier.world.now() >= courier.late {
            break;
        }
        let wanted = |sink: &&Sink| errand.again || receipt(context, file, sink).is_none();
        let (gone, to): (Vec<_>, Vec<_>) =
            keeping.sinks.iter().filter(wanted).partition(|sink| down.contains_key(&sink.name));
        told.extend(gone.iter().map(|sink| DeliveryResult {
            file: file.clone(),
            sink: sink.name.clone(),
            held: Err(SinkError::Later(format!("drctl did not try again: {}", down[&sink.name]))),
        }));
        let of_this = if to.is_empty() { Vec::new() } else { courier.one(file, &to, errand.interrupts) };
        for told in &of_this {
            if let Err(SinkError::Down(why)) = &told.held {
                down.insert(told.sink.clone(), why.clone());
            }
        }
        told.extend(of_this);
    }
    Ok(told)
}

struct Uploader<'a> {
    context: &'a Context,
    keeping: &'a Keeping,
    keys: &'a [ssh_key::PublicKey],
    sinks: Sinks,
    world: World,
    late: Timestamp,
}

impl Uploader<'_> {
    fn one(&self, file: &Path, to: &[&Sink], interrupts: &Interrupts) -> Vec<DeliveryResult> {
        let told =
            |sink: &&Sink, held| DeliveryResult { file: file.to_owned(), sink: sink.name.clone(), held };
        let now = self.world.shown();
        // Damaged bundles and those of rehearsals are not uploaded.
        let (bytes, sealed_at) = match self.sealed(file, now) {
            Ok(sealed) => sealed,
            Err(why) => {
                return to.iter().map(|sink| told(sink, Err(SinkError::Differs(why.clone())))).collect();
            }
        };
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let sha256 = Digest::of_bytes(&bytes);
        let until = now + self.keeping.retain;
        let least = sealed_at.min(now) + self.keeping.retain;
        let errands = join_all(to.iter().map(|sink| async {
            let parcel =
                Upload { name: &name, bytes: &bytes, sha256: &sha256, until, least, lock: sink.lock };
            let held = match receipt(self.context, file, sink) {
                Some(seen) => {
                    let least = seen.retained_until.max(least);
                    self.sinks
                        .confirm(sink, &Upload { least, ..parcel }, seen.version.as_deref(), self.late)
                        .await
                }
                None => self.sinks.deliver(sink, &parcel, self.late).await,
            }?;
            self.keep((file, &name), sink, held)
        }));
        let asked = async {
            while interrupts.count() == 0 {
                self.world.sleep_until(self.world.now() + POLL).await;
            }
        };
        match self.world.block_on(select(pin!(errands), pin!(asked))) {
            Either::Left((held, _)) => to.iter().zip(held).map(|(sink, held)| told(sink, held)).collect(),
            Either::Right(_) => {
                let stopped = || Err(SinkError::Later("stopped by Ctrl-C".to_owned()));
                to.iter().map(|sink| told(sink, stopped())).collect()
            }
        }
    }

    /// The content of an intact live bundle, and the time of its seal.
    fn sealed(&self, file: &Path, now: Timestamp) -> Result<(Vec<u8>, Timestamp), String> {
        let (bytes, verdict) =
            evidence::sealed(file, self.keys).map_err(|why| format!("the bundle is not complete: {why}"))?;
        let manifest = verdict.manifest.ok_or("the bundle has no manifest")?;
        if manifest.drctl.world != WorldKind::Live.id() {
            return Err(
                "the bundle is from a rehearsal, which proves nothing about the real environment".to_owned()
            );
        }
        if manifest.timestamp > now + SKEW {
            return Err(format!(
                "the bundle was sealed at {}, but it is {now} here. One of the clocks was wrong, and a lock with a wrong end date cannot be removed",
                manifest.timestamp
            ));
        }
        Ok((bytes, manifest.timestamp))
    }

    /// Keeps the first receipt, which has the time when the bundle arrived.
    fn keep(
        &self,
        (bundle, name): (&Path, &str),
        sink: &Sink,
        held: StoredObject,
    ) -> Result<Receipt, SinkError> {
        let (Some(lock), Some(retained_until)) = (held.lock, held.until) else {
            return Err(SinkError::Differs("no lock found".to_owned()));
        };
        let receipt = Receipt {
            schema_version: Receipt::VERSION,
            bundle: name.to_owned(),
            sha256: held.sha256,
            sink: sink.name.clone(),
            url: sink.url(name),
            region: sink.place.region.clone(),
            account: sink.place.account.clone(),
            endpoint: endpoint(self.context, sink),
            version: held.version,
            lock,
            retained_until,
            seen_at: self.world.shown(),
        };
        let mut text = serde_json::to_vec_pretty(&receipt).unwrap_or_default();
        text.push(b'\n');
        let path = receipt_file(self.context, bundle, sink);
        let kept = place_new(&path, text, 0o600);
        let later = |why: String| {
            SinkError::Later(format!("the bundle is there, but drctl could not write a receipt: {why}"))
        };
        match kept.map_err(|e| later(e.message))? {
            false if self::receipt(self.context, bundle, sink).is_none() => {
                Err(later(format!("{} is not a receipt of the bundle; move it away", path.display())))
            }
            _ => Ok(receipt),
        }
    }
}
