//! `drctl report compliance`

use std::collections::{BTreeMap, BTreeSet};

use ssh_key::PublicKey;

use crate::app::clock::now;
use crate::app::context::{Context, SANDBOX_BEGAN};
use crate::app::error::AppError;
use crate::app::files::write_new;
use crate::app::{
    anchors, bundles, drill_schedules, evidence, exit, notifier, proven, readiness, run_states, store_key,
};
use crate::cli::args::{ComplianceArgs, ComplianceFormat, Global};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::files::{self, Use};
use crate::journal::bundle::{self, Unproven};
use crate::journal::sqlite::SqliteJournal;
use crate::journal::verify::{self, Contents, Fault};
use crate::journal::{Journal as _, Record, StoreError};
use crate::model::ids::{Digest, PlanName, RunId};
use crate::model::ledger::Entry;
use crate::model::plain;
use crate::model::schedule::Fate;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::harmless;
use crate::record::event::{Event, EventKind};
use crate::report::compliance::controls::Profile;
use crate::report::compliance::{
    self, Books, Compliance, Configured, Covered, DamagedBundle, DrillLine, LedgerLine, PlanLine,
    ReportRequest, SealedBundle, Signatory, UnreadableRun, page,
};
use crate::run::RunState;

/// The default period of a report.
const QUARTER: Dur = Dur::secs(92 * 24 * 60 * 60);

/// Writes the report.
pub fn run(global: &Global, printer: &Printer, args: &ComplianceArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    let runs = run_states::all(&store)?;
    let asked = asked(&context, args, &runs)?;
    printer.note(&format!("reading all runs, and all bundles from {} to {}", asked.since, asked.until));
    let report = written((&context, printer), &store, &runs, &asked)?;
    let failed = |e: String| AppError {
        exit: exit::BUG,
        ..AppError::usage(format!("drctl cannot render the report: {e}"))
    };
    let bytes = match args.format {
        ComplianceFormat::Md => page::markdown(&report).map(String::into_bytes),
        ComplianceFormat::Html => page::html(&report).map(String::into_bytes),
        ComplianceFormat::Csv => Ok(page::csv(&report).into_bytes()),
        ComplianceFormat::Json => serde_json::to_string_pretty(&report)
            .map(|text| plain::json(&text).into_bytes())
            .map_err(|e| e.to_string()),
        ComplianceFormat::Pdf => pdf(&report)?,
    };
    let bytes = bytes.map_err(failed)?;
    let whole = report.ledger.faults.is_empty();
    match &args.out {
        Some(path) => {
            write_new(path, &bytes, 0o600)?;
            printer.note(&format!("wrote {} (SHA-256 {})", path.display(), Digest::of_bytes(&bytes)));
        }
        None if args.format == ComplianceFormat::Pdf => {
            return Err(AppError::usage_fix("a PDF cannot be printed to a terminal", "use --out report.pdf"));
        }
        // With a machine format, the output is one document, whatever the format for people would be.
        None if printer.format != Format::Human => {
            printer.record(&serde_json::to_value(&report).unwrap_or_default());
        }
        None => printer.text(&String::from_utf8_lossy(&bytes)),
    }
    if !whole {
        printer.note("THE JOURNAL IS BROKEN: the report may be wrong. drctl audit verify shows where");
    }
    for bundle in &report.damaged_bundles {
        printer.note(&format!("EVIDENCE BROKEN: {}", harmless(&bundle.words())));
    }
    let intact = whole && report.damaged_bundles.is_empty();
    Ok(if intact { exit::DONE } else { exit::NOT_RECOVERED })
}

#[cfg(feature = "pdf")]
fn pdf(report: &Compliance) -> Result<Result<Vec<u8>, String>, AppError> {
    Ok(compliance::pdf::pdf(report))
}

#[cfg(not(feature = "pdf"))]
fn pdf(_report: &Compliance) -> Result<Result<Vec<u8>, String>, AppError> {
    Err(AppError::usage_fix(
        "this drctl was built without pdf",
        "use --format html, which you can print, or build drctl with --features pdf",
    ))
}

/// Parses the start or the end of the period: an instant, a time ago, or a day, which starts at midnight UTC.
fn instant(text: &str, now: Timestamp) -> Result<Timestamp, AppError> {
    let day = |at: Timestamp| at.to_string()[..10].to_owned();
    let text = match text {
        "today" => day(now),
        "yesterday" => day(now - Dur::secs(24 * 60 * 60)),
        other => other.to_owned(),
    };
    let is_day = text.len() == 10 && text.chars().all(|c| c.is_ascii_digit() || c == '-');
    let text = if is_day { format!("{text}T00:00:00Z") } else { text };
    crate::app::restore::instant(&text, now).map_err(|e| AppError {
        hint: Some("2026-01-01, 2026-01-01T12:00:00Z, \"90d ago\", yesterday or today".to_owned()),
        ..e
    })
}

fn asked(context: &Context, args: &ComplianceArgs, runs: &[RunState]) -> Result<ReportRequest, AppError> {
    let rehearsal = context.is_rehearsal();
    // A rehearsal has its own clock, which ends with the last event of its last run.
    let (now, usual_end) = match rehearsal {
        true => {
            let last = runs.iter().map(|run| run.last_at).max().unwrap_or(SANDBOX_BEGAN);
            (last, SANDBOX_BEGAN + Dur::secs(366 * 24 * 60 * 60))
        }
        false => now().map(|now| (now, now))?,
    };
    let given = args.until.as_deref().map(|text| instant(text, now)).transpose()?;
    let until = given.unwrap_or(usual_end);
    let since = match args.since.as_deref() {
        Some(text) => instant(text, now)?,
        None if rehearsal => SANDBOX_BEGAN,
        None => until - QUARTER,
    };
    if since >= until {
        return Err(AppError::usage_fix(
            format!("{since} is not before {until}"),
            "use, for example, --since 2026-01-01 --until 2027-01-01; the report excludes the end date",
        ));
    }
    let usual = context.settings.evidence.as_ref().and_then(|keeping| keeping.profile.parse().ok());
    let profile = args.profile.or(usual).unwrap_or(Profile::Own);
    let settings = &context.settings.reports;
    let who = |given: &Option<String>, usual: &Option<String>| {
        given.as_deref().or(usual.as_deref()).map(Signatory::read).unwrap_or_default()
    };
    let prepared_by = who(&args.prepared_by, &settings.prepared_by);
    let reviewed_by = who(&args.reviewed_by, &settings.reviewed_by);
    Ok(ReportRequest { since, until, now, profile, rehearsal, prepared_by, reviewed_by })
}

fn written(
    (context, printer): (&Context, &Printer),
    store: &SqliteJournal,
    runs: &[RunState],
    asked: &ReportRequest,
) -> Result<Compliance, AppError> {
    // Without a missing plan the report would look better than it should. Its runs show that the plan existed.
    let files = context.plan_files(&[]).unwrap_or_default().len();
    let plans = if files == 0 { Vec::new() } else { context.plans(&[], printer)? };
    if plans.len() != files {
        let broken = files - plans.len().min(files);
        return Err(AppError::usage_fix(
            format!("drctl cannot read {broken} of {files} plans, and it creates no report without them"),
            "correct the findings above, or move files that are not plans out of the folder",
        ));
    }
    let plans = plans.iter().map(|plan| {
        Ok(PlanLine {
            plan: plan.name.clone(),
            tier: plan.tier.as_ref().map(|tier| tier.value.clone()),
            verified: proven::as_last_seen(context, store, plan, runs)?,
            known: proven::known_since(store, &plan.name)?,
        })
    });
    let plans = plans.collect::<Result<Vec<_>, AppError>>()?;
    let tiers = context.settings.tiers.iter();
    let drill_every = tiers.filter_map(|(name, tier)| Some((name.clone(), tier.drill_every?))).collect();
    let drills = drills(store)?;
    let names: BTreeSet<_> = plans.iter().map(|plan| plan.plan.clone()).collect();
    let ready = readiness::looked_at_all(store, &names)?;
    let contents = store.contents()?;
    let verify::Audit { faults, terms, severities, .. } = verify::audit(&contents, &anchors::trust(context));
    let (bundles, damaged) = bundles(context, store)?;
    let books = Books {
        runs,
        plans: &plans,
        drill_every: &drill_every,
        drills: &drills,
        ready: &ready,
        told: &notifier::told_of_runs(store)?,
        bundles: &bundles,
        driven: &run_states::driven(store, runs),
        damaged: &damaged,
        unreadable: &unreadable(store, (&contents, &faults), &bundles)?,
        terms: &terms,
        severities: &severities,
        ledger: &ledger_line(store, (&contents, &faults), asked),
    };
    Ok(compliance::compliance(books, asked))
}

/// The ledger and its faults.
fn ledger_line(
    store: &SqliteJournal,
    (contents, faults): (&Contents, &[Fault]),
    asked: &ReportRequest,
) -> LedgerLine {
    let put_back = match store.may_write() {
        Err(e @ StoreError::PutBack(_)) => Some(e.to_string()),
        _ => None,
    };
    LedgerLine {
        entries: contents.ledger.len() as u64,
        head: contents.ledger.last().map(|record| record.hash.to_string()),
        faults: faults.iter().map(|f| format!("{}: {}", f.place(), f.why)).chain(put_back).collect(),
        configurations: configured(&contents.ledger, asked),
    }
}

/// Runs that cannot be read, or that only the ledger still has, with what their first event and their bundle tell.
fn unreadable(
    store: &SqliteJournal,
    (contents, faults): (&Contents, &[Fault]),
    bundles: &BTreeMap<RunId, SealedBundle>,
) -> Result<Vec<UnreadableRun>, AppError> {
    let broken = run_states::unreadable(store)?.into_iter().map(|(run, e)| (run, e.message));
    let mut all: BTreeMap<RunId, String> = broken.collect();
    let listed: BTreeSet<RunId> = store.all_runs()?.into_iter().map(|row| row.run).collect();
    let removed = contents.heads().filter(|head| !listed.contains(&head.run));
    all.extend(removed.map(|head| (head.run, "only the ledger still has this run".to_owned())));
    let of = |(run, why): (RunId, String)| {
        let first = contents.events.iter().find(|record| record.run == run && record.seq == 1);
        let first = first.and_then(|record| serde_json::from_slice::<Event>(&record.bytes).ok());
        let (plan, started_at) = match first {
            Some(Event { at, what: EventKind::RunCreated(created), .. }) => {
                (Some(created.plan.clone()), Some(at))
            }
            _ => (None, None),
        };
        let fault = faults.iter().find(|fault| fault.run == run.as_str());
        let bundle = bundles.get(&run);
        UnreadableRun {
            plan: plan.or_else(|| bundle.map(|sealed| sealed.plan.clone())),
            started_at,
            why: fault.map_or(why, |fault| format!("event {}: {}", fault.seq, fault.why)),
            bundle: bundle.map(|sealed| sealed.file.clone()),
            sha256: bundle.map(|sealed| sealed.sha256.clone()),
            run,
        }
    };
    Ok(all.into_iter().map(of).collect())
}

/// The changes of `drctl.yaml` in the period.
fn configured(ledger: &[Record], asked: &ReportRequest) -> Vec<Configured> {
    let of = |record: &Record| match Entry::read(&record.bytes) {
        Ok(Entry::Configuration { at, who, operator, command, settings, .. }) => {
            Some(Configured { at, command, who, operator, settings })
        }
        _ => None,
    };
    ledger.iter().filter_map(of).filter(|of| (asked.since..asked.until).contains(&of.at)).collect()
}

/// Scheduled drills, each with its application: from its first event, from its schedule, or from the schedule before it was
/// removed.
fn drills(store: &SqliteJournal) -> Result<Vec<DrillLine>, AppError> {
    let entries = store.entries(b"{\"ledger\":\"sch")?;
    let named = entries.iter().filter_map(|record| match Entry::read(&record.bytes) {
        Ok(Entry::Schedule { name, is: Some(is), .. }) => Some((name, is.plan)),
        _ => None,
    });
    let plans: BTreeMap<String, PlanName> = named.collect();
    let line = |((schedule, due), fate): (_, Fate)| {
        let plan = match &fate {
            Fate::Begun { is, .. } => Some(is.plan.clone()),
            _ => plans.get(&schedule).cloned(),
        };
        DrillLine { schedule, plan, due, fate }
    };
    Ok(drill_schedules::known(store)?.fates.into_iter().map(line).collect())
}

/// What is wrong with a bundle, after its name. Only a difference from what was signed proves that somebody changed it.
fn not_whole(bytes: &[u8], keys: &[PublicKey], why: &str) -> String {
    match bundle::manifest(bytes, keys) {
        Err(Unproven::Stranger(key)) => format!("is signed with {key}, which is not a key of this store"),
        _ if bundle::changed(bytes, keys).is_some() => format!("was CHANGED after it was signed: {why}"),
        _ => format!("is not whole: {why}"),
    }
}

/// The newest intact bundle of each run, and those that are damaged.
fn bundles(
    context: &Context,
    store: &SqliteJournal,
) -> Result<(BTreeMap<RunId, SealedBundle>, Vec<DamagedBundle>), AppError> {
    let keys = anchors::keys(&context.store_file(), store_key::announced(store)?);
    let lengths: BTreeMap<RunId, u64> = store.runs()?.into_iter().map(|row| (row.run, row.events)).collect();
    let mut newest: BTreeMap<RunId, SealedBundle> = BTreeMap::new();
    let mut damaged = Vec::new();
    for file in bundles::all(&bundles::folder(&context.store_file()))? {
        let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let read = match files::read(&file, Use::Bundle) {
            // An auditor need not have access to it.
            Err(e) if e.is_missing() || e.is_denied() => continue,
            read => read.map_err(|e| format!("cannot be read: {}", e.why)),
        };
        let judged = read.and_then(|bytes| {
            let verdict =
                evidence::judged(&file, &bytes, &keys).map_err(|why| not_whole(&bytes, &keys, &why))?;
            Ok((bytes, verdict.manifest))
        });
        let (bytes, manifest) = match judged {
            Ok(intact) => intact,
            Err(why) => {
                damaged.push(DamagedBundle { file: name, run: bundles::run_of(&file), why });
                continue;
            }
        };
        let Some(manifest) = manifest else { continue };
        let (run, events) = (manifest.drctl.run_id, manifest.drctl.chain.entries);
        if newest.get(&run).is_none_or(|known| known.covers.events < events) {
            let covers = Covered { events, of: lengths.get(&run).copied().unwrap_or(events) };
            let sha256 = Digest::of_bytes(&bytes).to_string();
            let plan = PlanName::new(manifest.drctl.plan);
            newest.insert(run, SealedBundle { file: name, sha256, covers, plan });
        }
    }
    Ok((newest, damaged))
}
