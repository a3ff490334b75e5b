//! Bundles go to their sinks when everything else is done, and again until each is where it has to be.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use super::context::Context;
use super::error::CliError;
use super::evidence;
use super::files::{place_new, read_bounded};
use super::ledger;
use super::printer::{Printer, harmless};
use crate::adapters::sinks::{Parcel, Sinks, Trouble};
use crate::journal::sqlite::SqliteJournal;
use crate::model::ids::Digest;
use crate::model::sink::{Keeping, Receipt, Sink};
use crate::model::time::Dur;
use crate::world::World;

/// How long a command that did something else waits for what it and earlier ones left to be delivered.
const AFTERWARDS: Dur = Dur::secs(60);
/// S3 and Google take no time that is over: a bundle that is delivered years late is kept a little at least.
const LEAST: Dur = Dur::secs(24 * 60 * 60);
/// No receipt is longer.
const RECEIPT: u64 = 64 << 10;

/// What became of one bundle at one sink.
pub struct Told {
    /// The bundle's file.
    pub file: PathBuf,
    /// The sink.
    pub sink: String,
    /// What it holds, or why it is not known to.
    pub held: Result<Receipt, Trouble>,
}

/// The file that says that a sink has a bundle. A sink of the same name elsewhere is another one.
fn receipt_file(bundle: &Path, sink: &Sink) -> PathBuf {
    let mut name = bundle.as_os_str().to_owned();
    name.push(format!(".{}-{}.json", sink.name, Digest::of(sink.place.name.as_bytes()).short()));
    PathBuf::from(name)
}

/// What was seen of a bundle at a sink, if it was.
pub fn receipt(bundle: &Path, sink: &Sink) -> Option<Receipt> {
    let bytes = read_bounded(&receipt_file(bundle, sink), RECEIPT).ok()?;
    let receipt: Receipt = serde_json::from_slice(&bytes).ok()?;
    let name = bundle.file_name()?.to_str()?;
    (receipt.bundle == name && receipt.sink == sink.name).then_some(receipt)
}

/// The bundles of a folder, the newest run's last.
///
/// # Errors
/// If the folder cannot be read.
pub fn bundles(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut files: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(CliError::file(folder, &e)),
    };
    files.retain(|file| file.extension().is_some_and(|e| e == "tar"));
    files.sort();
    Ok(files)
}

/// How many bundles are not yet everywhere. Of a rehearsal none has to be anywhere.
///
/// # Errors
/// If the folder cannot be read.
pub fn owed(context: &Context) -> Result<usize, CliError> {
    let Some(keeping) = keeping(context) else { return Ok(0) };
    let files = bundles(&evidence::folder(&context.store_file()))?;
    Ok(files.iter().filter(|file| keeping.sinks.iter().any(|sink| receipt(file, sink).is_none())).count())
}

fn keeping(context: &Context) -> Option<&Keeping> {
    context.settings.evidence.as_ref().filter(|_| !context.is_rehearsal())
}

/// Where evidence is kept.
///
/// # Errors
/// If nowhere.
pub fn sinks(context: &Context) -> Result<&Keeping, CliError> {
    if context.is_rehearsal() {
        return Err(CliError::usage_fix(
            "a rehearsal proves nothing of what is real: its bundles stay here",
            "leave out --sandbox",
        ));
    }
    keeping(context).ok_or_else(|| {
        CliError::usage_fix(
            "drctl.yaml does not say where evidence is kept",
            "evidence: {retain: {own: 400d}, sinks: {recovery: {url: \"s3://bucket/prefix\", region: us-east-1}}}",
        )
    })
}

/// Delivers what is not delivered yet, after a command did what it was for: that is told first, and nothing of it depends on this.
pub fn rest(context: &Context, printer: &Printer, store: &SqliteJournal) {
    let Some(keeping) = keeping(context) else { return };
    let folder = evidence::folder(store.path());
    let missing = |file: &PathBuf| keeping.sinks.iter().any(|sink| receipt(file, sink).is_none());
    let files: Vec<_> = match bundles(&folder) {
        Ok(files) => files.into_iter().filter(missing).rev().collect(),
        Err(e) => return printer.note(&format!("evidence: {}", e.message)),
    };
    if files.is_empty() {
        return;
    }
    let names = keeping.sinks.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>().join(", ");
    printer.note(&format!("evidence: delivering to {names}; Ctrl-C leaves that for drctl evidence push"));
    match deliver(context, store, &files, &Errand { again: false, within: Some(AFTERWARDS) }) {
        Ok(told) => tell(printer, &told),
        Err(e) => printer.note(&format!("evidence: nothing was delivered: {}", e.message)),
    }
    match owed(context) {
        Ok(0) | Err(_) => {}
        Ok(left) => {
            printer.note(&format!("evidence: {left} bundles are not everywhere yet: drctl evidence push"));
        }
    }
}

/// What was told, for people.
pub fn tell(printer: &Printer, told: &[Told]) {
    for Told { file, sink, held } in told {
        let name = file.file_name().map_or_else(String::new, |name| harmless(&name.to_string_lossy()));
        printer.note(&match held {
            Ok(receipt) => format!(
                "evidence: {name} is at {sink}, read back and the same, until {} ({:?})",
                receipt.retained_until, receipt.lock
            ),
            Err(Trouble::Later(why)) => format!("evidence: {name} is NOT at {sink} yet: {}", harmless(why)),
            Err(Trouble::Differs(why)) => format!("evidence: {name} is NOT at {sink}: {}", harmless(why)),
        });
    }
}

/// How bundles are delivered.
pub struct Errand {
    /// Those that were seen there before are looked at again.
    pub again: bool,
    /// Time after which no other one is begun.
    pub within: Option<Dur>,
}

/// Delivers bundles, one after the other and each to all its sinks at once. A sink that did not answer is not asked again: whoever is
/// down is so for the next one, too.
///
/// # Errors
/// If the store cannot be read, or there is no clock.
pub fn deliver(
    context: &Context,
    store: &SqliteJournal,
    files: &[PathBuf],
    errand: &Errand,
) -> Result<Vec<Told>, CliError> {
    let keeping = sinks(context)?;
    let keys = ledger::announced(store)?;
    let world = World::live().map_err(|e| CliError::usage(format!("no timers: {e}")))?;
    let sinks = Sinks::new(world.clone(), &context.settings);
    let (began, mut told, mut down) = (world.now(), Vec::<Told>::new(), Vec::new());
    for file in files {
        if errand.within.is_some_and(|within| world.now().since(began) > within) {
            break;
        }
        let wanted = |sink: &&Sink| errand.again || receipt(file, sink).is_none();
        let to: Vec<_> =
            keeping.sinks.iter().filter(wanted).filter(|sink| !down.contains(&sink.name)).collect();
        let of_this = match to.is_empty() {
            true => Vec::new(),
            false => one(&world, (&sinks, keeping), file, (&to, &keys)),
        };
        down.extend(
            of_this.iter().filter(|t| matches!(t.held, Err(Trouble::Later(_)))).map(|t| t.sink.clone()),
        );
        told.extend(of_this);
    }
    Ok(told)
}

fn one(
    world: &World,
    (sinks, keeping): (&Sinks, &Keeping),
    file: &Path,
    (to, keys): (&[&Sink], &[ssh_key::PublicKey]),
) -> Vec<Told> {
    // What is not whole is not made to last.
    let (bytes, verdict) = match evidence::sealed(file, keys) {
        Ok(sealed) => sealed,
        Err(why) => {
            let held = || Err(Trouble::Differs(format!("it is not whole: {why}")));
            let told = |sink: &&Sink| Told { file: file.to_owned(), sink: sink.name.clone(), held: held() };
            return to.iter().map(told).collect();
        }
    };
    let sealed_at = verdict.manifest.map_or(world.now(), |manifest| manifest.timestamp);
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let sha256 = Digest::of(&bytes);
    let until = (sealed_at + keeping.retain).max(world.now() + LEAST);
    let errands = to.iter().map(|sink| async {
        let parcel = Parcel { name: &name, bytes: &bytes, sha256: &sha256, until, lock: sink.lock };
        let held = match receipt(file, sink) {
            // Kept for as long as was asked for then.
            Some(seen) => {
                sinks.confirm(sink, &Parcel { until: seen.retained_until, lock: seen.lock, ..parcel }).await
            }
            None => sinks.deliver(sink, &parcel).await,
        };
        held.and_then(|receipt| keep(file, sink, &receipt).map(|()| receipt))
    });
    let held = world.block_on(join_all(errands));
    let named = to.iter().map(|sink| sink.name.clone());
    named.zip(held).map(|(sink, held)| Told { file: file.to_owned(), sink, held }).collect()
}

/// The first receipt stays: it says when the bundle was there first.
fn keep(bundle: &Path, sink: &Sink, receipt: &Receipt) -> Result<(), Trouble> {
    let mut text = serde_json::to_vec_pretty(receipt).unwrap_or_default();
    text.push(b'\n');
    let placed = place_new(&receipt_file(bundle, sink), text, 0o600);
    placed
        .map(drop)
        .map_err(|e| Trouble::Later(format!("it is there, and no receipt could be written: {}", e.message)))
}
