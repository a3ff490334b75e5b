//! `drctl doctor`

use std::collections::BTreeSet;

use super::summed;
use super::summed::{FEW, Reads, SummaryLine};
use crate::adapters::sql_trouble;
use crate::app::context::Context;
use crate::app::environment::Source;
use crate::app::error::AppError;
use crate::app::prior_runs::PriorRuns;
use crate::app::stage::Stage;
use crate::app::{environment, estate, exit, prior_runs, whatif};
use crate::cli::args::{DoctorArgs, Global};
use crate::cli::formats::Format;
use crate::cli::printer::{DIM, GREEN, Printer, RED, YELLOW};
use crate::executor::{Patience, Silent};
use crate::inventory::targets;
use crate::journal::sqlite::SqliteJournal;
use crate::kinds::Role;
use crate::model::ids::SiteName;
use crate::model::intent::Intent;
use crate::model::plain;
use crate::model::worst::worst_first;
use crate::plan::Plan;
use crate::plan::settings::SqlTls;
use crate::plan::types::Component;
use crate::planner::independence::{self, Assumed, Finding, Needs};
use crate::probe::Recorder;

/// Reports everything that a recovery needs from a site that is assumed to be down.
pub fn run(global: &Global, printer: &Printer, args: &DoctorArgs) -> Result<u8, AppError> {
    let context = Context::load(&global.options(), printer)?;
    let store = context.store()?;
    let down = SiteName::new(&*args.assume_down);
    let plans = whatif::with_site(context.plans(&args.plans, printer)?, &args.plans, &down)?;
    let (mut documents, mut lines) = (Vec::new(), Vec::new());
    let many = plans.len() > FEW;
    let mut needed = false;
    for plan in &plans {
        let to = whatif::target(plan, &down, args.to.as_deref())?;
        let Some(site) = plan.sites.get(&down) else { continue };
        let findings = examine(&context, &store, plan, (&down, &site.place.region), &to)?;
        needed |= findings.iter().any(|f| f.needs == Needs::Yes);
        if printer.format == Format::Human && many {
            lines.push(in_a_line(plan, (&down, &to), &findings));
        } else if printer.format == Format::Human {
            show(printer, plan, (&down, &to), &findings);
        } else {
            documents.push(serde_json::json!({
                "schema_version": 1, "plan": plan.name, "assume_down": down, "to": to,
                "independent": !findings.iter().any(|f| f.needs == Needs::Yes), "findings": findings,
            }));
        }
    }
    match (printer.format, documents.as_slice()) {
        (Format::Human, _) if many => {
            let more = format!("for the findings of one plan, run drctl doctor PLAN --assume-down {down}");
            summed::show(printer, "plan", lines, &more);
        }
        (Format::Human, _) => {}
        (_, [one]) => printer.document(one),
        (_, many) => printer.document(&serde_json::json!({"schema_version": 1, "plans": many})),
    }
    Ok(if needed { exit::REFUSED } else { exit::DONE })
}

fn examine(
    context: &Context,
    store: &SqliteJournal,
    plan: &Plan,
    (down, region): (&SiteName, &str),
    to: &SiteName,
) -> Result<Vec<Finding>, AppError> {
    let stage = Stage::live_or_rehearsal(context, plan, Some(to))?;
    let (view, none) = (Silent, || 0);
    let session = stage.session(store, &view, &none, Patience::Stop);
    let recorder = Recorder::new(context.settings.probe_consecutive);
    let guard = context.guard_of(plan);
    let scope = stage.scope(plan);
    let seen =
        stage.world.block_on(estate::look(&session, (store, scope), plan, guard.as_ref(), &recorder))?;
    let held = match stage.sandbox {
        Some(_) => PriorRuns::default(),
        None => prior_runs::held(store, plan, (Intent::Failover, to))?,
    };
    let now = stage.world.now();
    let places: BTreeSet<&str> =
        targets::places(plan).chain(&guard).filter(|p| p.region == region).map(|p| p.name.as_str()).collect();
    let dark = seen.darkened(&places, now);
    let (refusals, runbook) =
        whatif::failover(context, plan, (down, to), (&dark, &held), (now, whatif::Over::Assumed));
    let mut findings = independence::findings(&Assumed {
        plan,
        settings: &context.settings,
        down,
        region,
        to,
        estate: &seen,
        refusals: &refusals,
        runbook: runbook.as_ref(),
        guard: guard.as_ref(),
    });
    findings.extend(surroundings(store, region));
    let refused = targets::refused(plan, guard.as_ref(), &seen);
    findings.extend(refused.into_iter().map(|(target, why)| Finding {
        kind: "look",
        what: target.to_string(),
        needs: Needs::Unknown,
        why,
        fix: None,
    }));
    findings.extend(trust(context, plan).filter(|_| stage.sandbox.is_none()));
    findings.sort_by_key(|finding| (finding.needs, finding.kind));
    worst_first(&mut findings);
    Ok(findings)
}

/// The CA file for database certificates. Without it drctl cannot log in to any database, whichever region is down.
fn trust(context: &Context, plan: &Plan) -> Option<Finding> {
    let of = |c: &Component| match c.role() {
        Role::Store(spec) => spec.has_login().then_some(spec.engine),
        _ => None,
    };
    let engines: BTreeSet<_> = plan.components.values().filter_map(of).collect();
    let sql = &context.settings.sql;
    let own = engines.iter().find_map(|engine| engine.operator().own_cas());
    let (why, fix) = match (sql_trouble(sql).filter(|_| !engines.is_empty()), own) {
        (Some(why), _) => (why, "use a PEM file with the CA certificates of the databases".to_owned()),
        (None, Some(cas)) if sql.tls == SqlTls::Verify && sql.ca_file.is_none() => (
            format!(
                "sql.ca_file is not set, and no operating system includes {}'s CAs, so every login to {} fails",
                cas.by, cas.servers
            ),
            format!("download {} and set sql.ca_file to it", cas.bundle),
        ),
        (None, _) => return None,
    };
    let what = sql.ca_file.clone().unwrap_or_else(|| "sql.ca_file".to_owned());
    Some(Finding { kind: "tls", what, needs: Needs::Unknown, why, fix: Some(fix) })
}

/// Dependencies of drctl itself.
fn surroundings(store: &SqliteJournal, region: &str) -> Vec<Finding> {
    let finding = |kind, what: &str, needs, why: String, fix: Option<&str>| Finding {
        kind,
        what: what.to_owned(),
        needs,
        why,
        fix: fix.map(str::to_owned),
    };
    let outside = "keep drctl, its store and a kit (drctl kit export) on a machine outside that region";
    let mut all = vec![
        finding(
            "store",
            &store.path().display().to_string(),
            Needs::Unknown,
            "the location of this machine is unknown".to_owned(),
            Some(outside),
        ),
        finding(
            "kit",
            "go-bag",
            Needs::Unknown,
            "it is unknown whether a copy is kept elsewhere".to_owned(),
            Some("schedule drctl kit export to a place outside that region"),
        ),
    ];
    for Source { what, why, region: of } in environment::credential_sources() {
        let (needs, fix) = match of.as_deref() {
            Some(of) if of.contains(region) => (
                Needs::Yes,
                Some(
                    "prepare other credentials for an outage: break-glass keys, or an identity provider in another region",
                ),
            ),
            Some(_) => (Needs::No, None),
            None => (Needs::Unknown, None),
        };
        all.push(finding("identity", &what, needs, why, fix));
    }
    all
}

/// The first finding that needs the region, or a count of the unknown ones.
fn in_a_line(plan: &Plan, (down, to): (&SiteName, &SiteName), findings: &[Finding]) -> SummaryLine {
    let of = |needs| findings.iter().filter(move |f| f.needs == needs);
    let (needed, unknown) = (of(Needs::Yes).count(), of(Needs::Unknown).count());
    let (reads, word, detail) = match of(Needs::Yes).next() {
        Some(first) => {
            let more = if needed > 1 { format!(" (and {} more)", needed - 1) } else { String::new() };
            (
                Reads::Bad,
                format!("needs {down}"),
                format!("{} {}: {}{more}", first.kind, first.what, first.why),
            )
        }
        None => {
            (Reads::Good, format!("does not need {down}"), format!("recovery to {to}, {unknown} unknown"))
        }
    };
    SummaryLine { reads, word, what: plan.name.to_string(), detail }
}

fn show(p: &Printer, plan: &Plan, (down, to): (&SiteName, &SiteName), findings: &[Finding]) {
    p.line(&format!("{}, if {down} were down: recovery to {to}", plan.name));
    for f in findings {
        let word = match f.needs {
            Needs::Yes => p.paint(RED, "needs it   "),
            Needs::Asks => p.paint(YELLOW, "asks       "),
            Needs::Unknown => p.paint(YELLOW, "unknown    "),
            Needs::Tried => p.paint(DIM, "tried      "),
            Needs::No => p.paint(GREEN, "independent"),
        };
        p.line(&format!("  {word} {:<10} {}: {}", f.kind, f.what, f.why));
        if let Some(fix) = &f.fix {
            p.line(&format!("              {:<10} {}", "", p.paint(DIM, fix)));
        }
    }
    let count = |needs| findings.iter().filter(|f| f.needs == needs).count();
    let words = match count(Needs::Yes) {
        0 => p.paint(GREEN, &format!("no known part of the recovery path needs {down}")),
        n => p.paint(
            RED,
            &format!(
                "{} {down}",
                plain::count(n, "part of the recovery path needs|parts of the recovery path need")
            ),
        ),
    };
    p.line(&format!("  {words}; {} unknown", count(Needs::Unknown)));
}
