//! The result of a run: a screen for people, a document for programs, and an exit code for scripts.

use crate::adapters::sandbox::Truth;
use crate::app::clock::now;
use crate::app::run_outcome::RunTiming;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::cli::progress;
use crate::model::ids::PlanName;
use crate::model::intent::Drill;
use crate::model::measure::Verdict;
use crate::model::plain::count;
use crate::model::time::{Dur, Timestamp};
use crate::record::event::WorldKind;
use crate::report::afterwards::looks;
use crate::report::measured::Measured;
use crate::report::{RunReport, onward, said, summary, words};
use crate::run::RunState;
use crate::run::state::Mode;

/// The document.
pub fn document(report: &RunReport, code: u8, told: &RunTiming) -> serde_json::Value {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    value["exit_code"] = code.into();
    value["real_s"] = told.real.as_secs_f64().into();
    if let (Some(passed), Some(truth)) = (told.passed, &told.truth) {
        value["virtual_s"] = passed.as_secs_f64().into();
        value["truth"] = truth_json(truth, told.phase);
    }
    value
}

fn truth_json(truth: &Truth, phase: Option<(Timestamp, Dur)>) -> serde_json::Value {
    let sampled = sampled(truth, phase);
    serde_json::json!({
        "users_failed_s": truth.outage_ms().map(Dur::as_secs_f64),
        "users_failed_as_sampled_s": sampled.map(Dur::as_secs_f64),
        "lost_s": truth.lost_ms.iter().map(|(c, d)| (c.to_string(), d.as_secs_f64().into())).collect::<serde_json::Map<_, _>>(),
        "two_primaries_s": truth.two_primaries_ms.as_secs_f64(),
        "traffic_before_database": truth.traffic_before_database,
    })
}

/// The outage as the public probe samples it.
fn sampled(truth: &Truth, phase: Option<(Timestamp, Dur)>) -> Option<Dur> {
    let (first, every) = phase?;
    truth.outage_as_sampled(first, every)
}

/// The screen.
pub fn screen(p: &Printer, state: &RunState, told: &RunTiming) {
    let mut report = summary::report(state, state.last_at);
    if !told.driven {
        report.note_undriven(state, now().unwrap_or(state.last_at));
    }
    let p = &p.rehearsing(state.created.world != WorldKind::Live);
    title(p, state, &report, told.driven);
    let counts_on = told.driven && state.created.world == WorldKind::Live;
    if told.real == Dur::ZERO && !state.finished() && !counts_on {
        p.line(&format!("  as of    {}, the time of its last event", state.last_at));
    }
    if let (Some(drill), Some(means)) = (report.drill, report.means) {
        p.line(&format!("  drill    {drill}: {means}"));
    }
    if let Some(off) = &report.cancelled {
        p.line(&format!("  cancel   by {}: {}", off.who, off.reason));
    }
    if let Some(first) = &report.returns {
        p.line(&format!("  back     the return of run {first}"));
    }
    if let Some(why) = &report.terms.counts_for_nothing {
        p.line(&p.paint(YELLOW, &format!("  PROVES NOTHING  {why}")));
    }
    if let WorldKind::Sandbox { scenario, seed, .. } = &report.world {
        p.line(&format!("  sandbox  scenario {scenario}, seed {seed}: nothing real changed"));
    }
    if let Some(old) = &report.continues {
        p.line(&format!("  instead  of the unfinished run {old}; for its part, run drctl report run {old}"));
    }
    // Without a move there is nothing to recover from.
    let moves = state.runbook.intent.has_rto() && report.drill != Some(Drill::Tabletop);
    if moves {
        figures(p, &report);
    }
    restored(p, &report);
    stores(p, &report);
    if moves {
        clocks(p, &report);
    }
    fences(p, &report, state);
    for effect in &report.in_doubt {
        p.line(&p.paint(RED, &format!("  IN DOUBT {}", effect.text)));
    }
    copies(p, &report);
    protection(p, &report, state);
    for said in said::deciding(state) {
        p.line(&p.paint(YELLOW, &format!("  decided  {}", said.words())));
    }
    people(p, &report, &state.created.plan);
    truth(p, &report, told);
    for note in &report.notes {
        p.line(&format!("  note     {note}"));
    }
    changed(p, &report);
    // A rehearsal starts before its outage, so the time until the decision is not part of the run. A planned move has no outage to detect.
    let outage = report.clocks.detected.is_some_and(|at| at < report.clocks.decided) && report.rto.applies();
    let from = if state.epoch <= 1 && outage { " with detection and decision" } else { "" };
    let passed = told.passed.map_or_else(String::new, |d| format!("virtual {d}{from}, "));
    // A run that is only displayed has no elapsed real time.
    if told.real > Dur::ZERO {
        let part = if state.epoch > 1 { "; this process alone, not the whole run" } else { "" };
        p.line(&format!("  took     {passed}real {}{part}", told.real));
    }
    p.line(&format!("  report   {}", state.created.command("report run", "")));
    // Last, so that it is on the screen however little of the rest is.
    next(p, state, &report, told.driven);
}

fn fences(p: &Printer, report: &RunReport, state: &RunState) {
    for (name, text) in &report.fence.components {
        p.line(&format!("  fence    {name} {text}"));
    }
    if let Some(warning) = onward::fence_pending(state, &report.fence) {
        let words = format!("{}; {}", warning.text, warning.next_words());
        p.line(&p.paint(YELLOW, &format!("           {words}")));
        for tried in state.owed().flat_map(|component| looks(state, component)) {
            p.line(&format!("           tried {tried}"));
        }
    }
}

/// Why a run that is not finished stands still.
fn stopped(state: &RunState, driven: bool) -> Option<String> {
    state.why_stopped().or_else(|| (!driven).then(|| "no process drives it".to_owned()))
}

/// The title line, and the cause if the run stands still.
pub fn title(p: &Printer, state: &RunState, report: &RunReport, driven: bool) {
    p.line("");
    p.line(&format!(
        "{} {} of {}, {}   run {}",
        p.paint(colour(state, report), &headline(state, report, driven)),
        state.runbook.title(),
        report.plan,
        state.runbook.way(),
        report.run_id
    ));
    if let Some(why) = stopped(state, driven).filter(|_| goes_on(state)) {
        p.line(&format!("  {}  {why}", p.paint(RED, "stopped")));
    }
    if let Some(answer) = state.decided_otherwise() {
        let why = answer.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        p.line(&format!("  decided  {} by {} at {}{why}", answer.decision, answer.who, answer.at));
    }
    if let Some(words) = pausing(state, driven) {
        p.line(&format!("  {}    {words}", p.paint(YELLOW, "pause")));
    }
    if let Some(words) = after_the_end(state) {
        p.line(&format!("  {}     {words}", p.paint(RED, "next")));
    }
    if let Some(warning) = onward::guards_kept(state) {
        p.line(&p.paint(YELLOW, &format!("  guards   {}", warning.text)));
    }
}

/// What a person must do after a run that was ended while users may be between two sites: no run continues it.
pub fn after_the_end(state: &RunState) -> Option<String> {
    onward::after_the_end(state)
}

/// What a driven run still waits for after a person paused it.
pub fn pausing(state: &RunState, driven: bool) -> Option<String> {
    let pausing = driven && goes_on(state) && state.mode == Mode::Paused && state.halted.is_none();
    pausing.then(|| format!("no new step starts{}", progress::stops_after(state)))
}

/// Whether it stopped and somebody has to resume it.
fn goes_on(state: &RunState) -> bool {
    onward::goes_on(state)
}

/// The outcome in capitals, in the words of the exit codes. For a stopped run, it also says whether users are served.
fn headline(state: &RunState, report: &RunReport, driven: bool) -> String {
    let outcome = match words::stands_still(state, report).filter(|_| goes_on(state)) {
        Some(words) => words.to_owned(),
        _ if goes_on(state) && !driven && state.halted.is_none() => "STOPPED".to_owned(),
        _ if pausing(state, driven).is_some() => "PAUSING".to_owned(),
        _ => report.outcome.to_uppercase(),
    };
    match state.watch_paused() {
        true => "RECOVERED, watch paused:".to_owned(),
        false if goes_on(state) || cut_short(state) => format!("{outcome}{}", users(state)),
        // Two servers may take writes, so this must be visible in the first line.
        false if report.fence.state == "pending" => format!("{outcome}, FENCE PENDING:"),
        false => outcome,
    }
}

/// Whether a person ended it before anything was recovered.
fn cut_short(state: &RunState) -> bool {
    onward::cut_short(state)
}

/// Whether users are served, according to the last probe results of a stopped run.
pub fn users(state: &RunState) -> String {
    onward::users(state).map_or_else(String::new, |words| format!(": {words};"))
}

/// The same for a run that was stopped or given up, if users are not served.
pub fn out(state: &RunState) -> Option<String> {
    onward::out(state).map(|words| words.trim_start_matches("users ").to_owned())
}

/// How to continue a run that is not finished.
pub fn next(p: &Printer, state: &RunState, report: &RunReport, driven: bool) {
    if goes_on(state) && !driven && state.halted.is_none() {
        return p.line(&format!("  {}     {}", p.paint(RED, "next"), state.next_to_continue()));
    }
    let Some(error) = &report.error else { return };
    let ways = &report.ways_on;
    if let ([way], true) = (ways.as_slice(), state.watch_paused()) {
        return p.line(&format!("  {}     {}: {}", p.paint(YELLOW, "next"), way.means, way.command));
    }
    if ways.len() < 2 {
        return p.line(&format!("  {}     {}", p.paint(RED, "next"), error.hint));
    }
    p.line("  ways on");
    for way in ways {
        p.line(&format!("    {}", way.command));
        p.line(&format!("        {}", way.means));
    }
}

/// The colour of the title.
fn colour(state: &RunState, report: &RunReport) -> u8 {
    match report.outcome.as_str() {
        _ if state.watch_paused() && report.rto.holds() && report.rpo.holds() => GREEN,
        _ if state.watch_paused() => YELLOW,
        "passed" | "read" => GREEN,
        "recovered" if report.rto.holds() && report.rpo.holds() => GREEN,
        "recovered" => YELLOW,
        _ => RED,
    }
}

/// What people accepted and overrode.
fn people(p: &Printer, report: &RunReport, plan: &PlanName) {
    for w in &report.waivers {
        p.line(&format!("  waived   {}", w.told(plan)));
    }
    for by in &report.by_people {
        let label = if by.what == "skipped" { "skipped " } else { "by hand " };
        p.line(&p.paint(YELLOW, &format!("  {label} {}", by.text)));
    }
    for over in &report.overrides {
        p.line(&p.paint(YELLOW, &format!("  override {}", over.text)));
    }
}

fn restored(p: &Printer, report: &RunReport) {
    for failed in report.steps.iter().filter(|s| s.state == "failed" && report.outcome == "failed") {
        let why = failed.reason.as_deref().unwrap_or_default();
        p.line(&format!("  {}   {}: {why}", p.paint(RED, "failed"), failed.id));
    }
    for r in &report.restored {
        let from = r.backup.as_deref().map_or_else(String::new, |b| format!(", from {b}"));
        p.line(&format!("  restore  {} as of {}{from}", r.component, r.to_time));
        if let Some(next) = r.next_commit {
            let last = r.last_commit.map_or_else(|| "before its backup".to_owned(), |t| t.to_string());
            p.line(&format!("           last commit in the copy {last}, first commit that is not {next}"));
        }
        for c in &r.checks {
            let colour = match c.result.as_str() {
                "pass" => GREEN,
                "unknown" => YELLOW,
                _ => RED,
            };
            p.line(&format!("           {} {}: {}", p.paint(colour, &c.result), c.what, c.found));
        }
        if let Some(loss) = &r.loss {
            let words = crate::report::restore::lost(loss);
            let label = if r.in_place { "lost" } else { "would be lost:" };
            p.line(&format!("  {label:<8} {}", p.paint(YELLOW, &words)));
        }
        if let Some(kept) = &r.kept {
            p.line(&format!("  aside    the previous data is kept in {kept}"));
        }
        if let Some(gone) = &r.destroyed {
            let what = match gone.files {
                0 => "it is removed".to_owned(),
                files => {
                    format!(
                        "{}, {}; nothing is left, and no process uses it",
                        count(files, "file"),
                        count(gone.bytes, "byte")
                    )
                }
            };
            p.line(&format!("  removed  {}: {what}", gone.folder));
        }
        for remark in &r.remarks {
            p.line(&format!("  note     {remark}"));
        }
    }
}

/// The possible loss of each store, and whether it is within the accepted bound.
fn stores(p: &Printer, report: &RunReport) {
    for (name, store) in &report.stores {
        let rpo = if store.rpo.component.is_some() { store.rpo.words() } else { store.rpo.text.clone() };
        p.line(&format!("    {name}: {rpo}; {}", store.because));
        if let Some(accepted) = &store.rpo.accepted {
            let colour = if accepted.beyond { YELLOW } else { GREEN };
            p.line(&format!("    {name}: {}", p.paint(colour, &accepted.text)));
        }
    }
}

fn figures(p: &Printer, report: &RunReport) {
    let words = |of: &Measured| match of.applies() {
        true => {
            let colour = match of.verdict {
                Verdict::Missed => RED,
                Verdict::NotProven => YELLOW,
                Verdict::Met | Verdict::NotApplicable => GREEN,
            };
            format!("{}; objective {}: {}", of.text, of.promised(), p.paint(colour, of.verdict.words()))
        }
        false => of.words(),
    };
    let from = &report.clocks.rto_from_declaration;
    p.line(&format!("  RTO      {}; {from} from decided to validated", words(&report.rto)));
    p.line(&format!("  RPO      {}", words(&report.rpo)));
    for words in &report.if_promoted_now {
        p.line(&format!("           {words}"));
    }
}

/// The four clocks in the order of the readings: the first as it is, the others as differences to it.
fn clocks(p: &Printer, report: &RunReport) {
    let clocks = &report.clocks;
    let mut of: Vec<_> = [
        ("detected", clocks.detected),
        ("decided", Some(clocks.decided)),
        ("executed", clocks.executed),
        ("validated", clocks.validated),
    ]
    .into_iter()
    .filter_map(|(name, at)| Some((name, at?)))
    .collect();
    of.sort_by_key(|(_, at)| *at);
    let Some((_, first)) = of.first().copied() else { return };
    let within = Dur::from_secs_f64(report.rto.resolution_s);
    let said = of.iter().map(|(name, at)| match *at == first {
        true => format!("{name} {at}"),
        // Rounded like the figures, so that one interval has one duration.
        false => format!("{name} +{}", at.since(first).shown_within(within)),
    });
    p.line(&format!("  clocks   {}", said.collect::<Vec<_>>().join(", ")));
}

/// The result of a comparison of buckets. The report lists the objects.
fn copies(p: &Printer, report: &RunReport) {
    for (component, bucket) in &report.buckets {
        let Some(words) = bucket.found.first() else { continue };
        let same = bucket.compared.as_ref().is_some_and(|found| found.compared > 0 && found.gaps.is_empty());
        let words = p.paint(if same { GREEN } else { YELLOW }, words);
        p.line(&format!("  copies   {component}: {words}"));
    }
}

fn protection(p: &Printer, report: &RunReport, state: &RunState) {
    for (component, found) in &report.protection.diverged {
        for d in found {
            let span = d
                .first
                .zip(d.last)
                .map_or_else(String::new, |(a, b)| format!(", from {a} to {b} by its clock"));
            let words = match d.transactions {
                Some(many) => format!(
                    "{component}: {} only on the old primary{span}",
                    count(many, "transaction that changed rows was|transactions that changed rows were")
                ),
                None => {
                    format!(
                        "{component}: not compared with the old data; rows that only the old primary had may be there"
                    )
                }
            };
            let label = if d.transactions.is_some() { "lost" } else { "aside" };
            p.line(&format!("  {label:<8} {}", p.paint(YELLOW, &words)));
            let after = d.fork.map_or_else(String::new, |fork| format!("after {fork}; "));
            p.line(&format!("           {after}the old data is kept in {}", d.kept));
            for table in &d.tables {
                p.line(&format!("           {}", table.words()));
            }
            if let Some(more) = &d.more {
                p.line(&format!("           {more}"));
            }
        }
    }
    let Some(warning) = onward::unprotected(state, &report.fence, &report.protection) else {
        if report.protection.state == "protected" {
            p.line(&format!("  standby  {}", p.paint(GREEN, "every store has a streaming standby")));
        }
        return;
    };
    let words = format!("{}: {}", warning.title, warning.text);
    p.line(&format!("  standby  {}", p.paint(RED, &words)));
    for (n, command) in warning.commands.iter().enumerate() {
        let before = if n == 0 { warning.next.as_str() } else { "or" };
        p.line(&format!("           {before} {command}"));
    }
}

fn truth(p: &Printer, report: &RunReport, told: &RunTiming) {
    // Of a tabletop drill, nothing ran that could be compared with it.
    let Some(truth) = told.truth.as_ref().filter(|_| report.drill != Some(Drill::Tabletop)) else { return };
    let failed = match truth.outage() {
        None => "users never failed".to_owned(),
        Some((_, None)) => "users still fail".to_owned(),
        Some((from, Some(to))) => format!("users failed for {}", to.since(from)),
    };
    let sampled = sampled(truth, told.phase).map_or_else(String::new, |d| format!(" ({d} as probes saw it)"));
    let lost: Vec<_> = truth.lost_ms.iter().map(|(c, d)| format!("{c} lost {d} of writes")).collect();
    let lost = if lost.is_empty() { "no writes lost".to_owned() } else { lost.join(", ") };
    let two = if truth.two_primaries_ms == Dur::ZERO {
        "never two primaries".to_owned()
    } else {
        format!("two primaries for {}", truth.two_primaries_ms)
    };
    p.line(&format!("  truth    {failed}{sampled}; {lost}; {two}"));
}

fn changed(p: &Printer, report: &RunReport) {
    if report.changed.is_empty() {
        return;
    }
    p.line(&format!("  {}:", report.reverts()));
    for c in report.changed.iter().take(12) {
        p.line(&format!("    {} {}: {} -> {}", c.resource, c.attribute, c.before, c.after));
    }
    if report.changed.len() > 12 {
        p.line(&format!("    and {} more, in the report", report.changed.len() - 12));
    }
}
