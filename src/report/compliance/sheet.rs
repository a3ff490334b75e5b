//! The content of the report as tables, built once, so that Markdown, HTML and PDF have the same content.

use serde::Serialize;

use super::approved::Approved;
use super::cells::{Bit, Cell, Table, Tone, bit, name, plain, table, time, tone, when};
use super::controls::{Control, Section};
use super::document::{
    Application, Class, Compliance, Configured, Counts, Figures, Finding, Group, LastProof, Proof, RunLine,
    Tally, Totals,
};
use super::history::{self, Gap, Statistics};
use super::{drawn, evidence};
use crate::model::measure::Verdict;
use crate::model::plain::count;
use crate::model::time::{Timestamp, span};
use crate::model::worst::Weight;
use crate::report::duties::Obligation;
use crate::report::measured::Measured;

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Sheet {
    /// The title.
    pub title: String,
    /// The period, the profile, and who created it when.
    pub about: String,
    /// Warnings that come first.
    pub banners: Vec<Bit>,
    /// The source of the figures.
    pub ledger: String,
    /// The key figures.
    pub figures: Table,
    /// All other tables.
    pub tables: Vec<Table>,
    /// How to verify it.
    pub proof: String,
}

fn perhaps(at: Option<Timestamp>) -> Cell {
    at.map(time).unwrap_or_default()
}

/// The content of the report.
pub fn sheet(report: &Compliance) -> Sheet {
    let whole = match report.ledger.faults.len() {
        0 => "whole".to_owned(),
        1 => "NOT COMPLETE, 1 fault".to_owned(),
        many => format!("NOT COMPLETE, {many} faults"),
    };
    let head = report.ledger.head.as_deref().unwrap_or("none");
    let mut tables = vec![
        findings(report),
        tiers(report),
        applications(report),
        drawn::proofs(report),
        drawn::readiness(report),
        runs(report),
        evidence::bundles(report),
        obligations(report),
        settings(report),
    ];
    tables.extend(controls(report));
    tables.push(sign_off(report));
    Sheet {
        title: format!("Recovery of applications, {} to {}", when(report.since), when(report.until)),
        about: about(report),
        banners: banners(report),
        ledger: format!("Ledger: {} entries, {whole}. Its head: {head}", report.ledger.entries),
        figures: figures(report),
        tables,
        proof: format!(
            "{} writes the complete journal behind this report. {} checks the journal against checkpoints in another place; this report does not. {} checks a bundle.",
            command(report, "audit export"),
            command(report, "audit verify"),
            command(report, "evidence verify FILE"),
        ),
    }
}

/// Warnings that come first.
fn banners(report: &Compliance) -> Vec<Bit> {
    let mut all: Vec<Bit> = report.rehearsed.iter().map(|text| bit(text.clone(), Tone::Warn)).collect();
    if !report.ledger.faults.is_empty() {
        let verify = command(report, "audit verify");
        let left_out = evidence::left_out_in_words(report);
        let words =
            format!("THE JOURNAL IS BROKEN: this report may be wrong.{left_out} {verify} shows where.");
        all.push(bit(words, Tone::Bad));
    }
    let damaged = report.damaged_bundles.iter();
    all.extend(damaged.map(|bundle| bit(format!("EVIDENCE BROKEN: {}.", bundle.words()), Tone::Bad)));
    all
}

/// A command for the world of the report.
fn command(report: &Compliance, words: &str) -> String {
    let sandbox = if report.world == "sandbox" { " --sandbox" } else { "" };
    format!("drctl {words}{sandbox}")
}

/// Rehearsals have virtual time, so that their last event must not be mistaken for the date of the report.
fn about(report: &Compliance) -> String {
    let (profile, tool, at) = (&report.profile_title, &report.tool, when(report.generated_at));
    let made = match report.world.as_str() {
        "sandbox" => {
            format!("Created by drctl {tool} from rehearsals, which run in virtual time up to {at}.")
        }
        _ => format!("Created at {at} by drctl {tool}."),
    };
    let open = if report.until > report.generated_at { " The period is not over yet." } else { "" };
    format!("Profile: {profile}. {made} All times are UTC.{open}")
}

impl Counts {
    /// The counts by kind as text. They add up to the total.
    pub fn words(&self) -> String {
        let kinds = [
            (self.incidents, "incident", "incidents"),
            (self.planned, "planned move", "planned moves"),
            (self.drills, "drill", "drills"),
            (self.returns, "return of a live drill", "returns of live drills"),
            (self.read, "read-only or rehearsed", "read-only or rehearsed"),
            (self.tests, "in a test environment, not counted", "in test environments, not counted"),
        ];
        let kinds = kinds.into_iter().filter(|(n, ..)| *n > 0);
        let words: Vec<_> =
            kinds.map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many })).collect();
        if words.is_empty() { "0".to_owned() } else { format!("{}: {}", self.runs, words.join(", ")) }
    }
}

impl Tally {
    /// The counts as text. They add up to the total.
    pub fn words(self) -> String {
        let all = self.met + self.missed + self.not_proven;
        let not_applicable = match self.not_applicable {
            0 => String::new(),
            n => format!("; not applicable to {n}"),
        };
        let (met, missed, not_proven) = (self.met, self.missed, self.not_proven);
        format!("{met} of {all} met, {missed} missed, {not_proven} not proven{not_applicable}")
    }

    fn tone(self) -> Tone {
        match (self.missed, self.not_proven, self.met) {
            (0, 0, 0) => Tone::Plain,
            (0, 0, _) => Tone::Good,
            (0, ..) => Tone::Warn,
            _ => Tone::Bad,
        }
    }

    fn cell(self) -> Cell {
        vec![bit(self.words(), self.tone())]
    }
}

/// How many runs left users without service.
fn not_recovered(t: &Totals) -> [(&'static str, String, Tone); 4] {
    [
        ("Incidents that never recovered", t.not_recovered),
        ("Incidents not recovered yet", t.not_recovered_yet),
        ("Planned moves and drills that never recovered", t.moves_not_recovered),
        ("Planned moves and drills not recovered yet", t.moves_not_recovered_yet),
    ]
    .map(|(label, many)| (label, many.to_string(), tone(many > 0)))
}

fn figures(report: &Compliance) -> Table {
    let t = &report.totals;
    let less = evidence::left_out(report);
    let whole = |text: String| format!("{text}{less}");
    let objectives = [
        ("Runs", whole(t.counts.words()), if less.is_empty() { Tone::Plain } else { Tone::Bad }),
        (
            "Runs that recovered, or passed as a drill",
            whole(format!("{} of {}", t.good, could_succeed(report))),
            Tone::Plain,
        ),
        ("RTO", whole(t.rto.words()), t.rto.tone()),
        ("RTO of incidents only", whole(t.rto_of_incidents.words()), t.rto_of_incidents.tone()),
        ("RPO", whole(t.rpo.words()), t.rpo.tone()),
        ("RPO of incidents only", whole(t.rpo_of_incidents.words()), t.rpo_of_incidents.tone()),
    ];
    let others = [
        ("Risks accepted by name (waivers)", t.waivers.to_string(), Tone::Plain),
        (
            "Runs that promoted with a waived fence",
            format!("{}; fences still pending: {}", t.unfenced, t.fences_pending),
            if t.unfenced > 0 { tone(t.fences_pending > 0) } else { Tone::Good },
        ),
        (
            "Overrides of approvals",
            match (t.overrides, t.overrides_late, owed(report)) {
                (all, 0, 0) => all.to_string(),
                (all, 0, owed) => format!("{all}; {owed} not approved yet"),
                (all, late, _) => format!("{all}; {late} approved late or never"),
            },
            if t.overrides_late == 0 && owed(report) > 0 { Tone::Warn } else { tone(t.overrides_late > 0) },
        ),
        (
            "Steps that people skipped, or only claimed to be done",
            t.steps_without_proof.to_string(),
            if t.steps_without_proof > 0 { Tone::Warn } else { Tone::Good },
        ),
        ("Duties missed", t.obligations_missed.to_string(), tone(t.obligations_missed > 0)),
        ("Scheduled drills missed", t.drills_missed.to_string(), tone(t.drills_missed > 0)),
        ("Scheduled drills failed", t.drills_failed.to_string(), tone(t.drills_failed > 0)),
        (
            "Applications whose proof was overdue at the end",
            format!("{} of {}", t.unproven, report.applications.len()),
            tone(t.unproven > 0),
        ),
        (
            "Applications that were never proven",
            format!("{} of {}", t.never_proven, report.applications.len()),
            tone(t.never_proven > 0),
        ),
        (
            "Time without a standby, added up over all databases",
            history::shown(t.unprotected_s),
            tone(t.unprotected_s > 0.0),
        ),
    ];
    let rows = objectives.into_iter().chain(not_recovered(t)).chain(others);
    let rows = rows.chain(evidence::figures(report));
    let rows = rows.map(|(label, text, tone)| vec![plain(label), vec![bit(text, tone)]]).collect();
    table("In figures", &["figure", "value"], rows)
}

/// The number of overrides whose approvals are still missing.
fn owed(report: &Compliance) -> usize {
    let all = report.runs.iter().flat_map(|line| &line.approvals);
    all.filter(|of| of.overridden_by.is_some() && !of.missing.is_empty()).count()
}

/// The number of runs that could succeed or fail.
fn could_succeed(report: &Compliance) -> usize {
    report.runs.iter().filter(|line| line.could_succeed()).count()
}

const fn tone_of(weight: Weight) -> Tone {
    match weight {
        Weight::Blocking => Tone::Bad,
        Weight::Warning => Tone::Warn,
        Weight::Note => Tone::Plain,
    }
}

fn findings(report: &Compliance) -> Table {
    let row = |f: &Finding| {
        let plan = f.plan.iter().map(|plan| bit(plan.as_str(), Tone::Plain));
        let mut about: Cell = plan.chain(f.run.iter().map(|run| name(run.as_str()))).collect();
        if f.plan.is_some() && f.run.is_none() {
            about.push(bit("no run", Tone::Soft));
        }
        vec![
            plain(f.section.title()),
            about,
            perhaps(f.at),
            vec![bit(f.text.clone(), tone_of(f.weight))],
            plain(f.controls.join(", ")),
        ]
    };
    let rows = report.findings.iter().map(row).collect();
    table("Findings", &["part", "application, run", "when", "what", "controls"], rows)
}

/// Percentiles, and how many runs they leave out, because a figure that is unknown has no rank.
fn ranks(of: &Statistics, tally: Tally) -> Cell {
    let unknown = (tally.met + tally.missed + tally.not_proven).saturating_sub(of.known);
    let (Some(p50), Some(p95), Some(max)) = (&of.p50, &of.p95, &of.max) else {
        let none = (unknown > 0).then(|| bit(format!("no figure is known ({unknown} unknown)"), Tone::Warn));
        return none.into_iter().collect();
    };
    let (p50, p95, max) = (p50.words(), p95.words(), max.words());
    let mut cell = vec![bit(format!("p50 {p50}; p95 {p95}; longest {max}"), Tone::Plain)];
    let trend = of.trend.map_or_else(String::new, |trend| format!("; trend {}", span(trend)));
    cell.push(bit(format!("of {}{trend}", count(of.known, "known figure")), Tone::Soft));
    let left_out = || format!("without {}", count(unknown, "unknown figure"));
    cell.extend((unknown > 0).then(|| bit(left_out(), Tone::Warn)));
    cell
}

fn of_figures(f: &Figures) -> [Cell; 3] {
    let both = |tally: Tally, of: &Statistics| tally.cell().into_iter().chain(ranks(of, tally)).collect();
    [plain(f.counts.words()), both(f.rto, &f.rto_s), both(f.rpo, &f.rpo_s)]
}

const RANKS: &str = "p50 and p95 use the nearest rank. A figure that is unknown has no rank, so p50, p95 and the longest are those of the known figures; the cell counts the others. A run that never recovered, or not yet, counts as longer than every run that did. A figure that a lower bound can make longer is shown as \"at least\", and one that an upper bound or an interval can make shorter as \"at most\". The trend is the median of the later half minus the median of the earlier half. A negative trend is an improvement.";

fn tiers(report: &Compliance) -> Table {
    let row = |t: &Group| {
        let every = t.drill_every_s.map_or_else(|| "not set".to_owned(), span);
        let own = [plain(t.tier.clone()), plain(every), plain(t.applications.to_string())];
        own.into_iter().chain(of_figures(&t.figures)).collect()
    };
    let columns = ["tier", "proven every", "applications", "runs", "recovery time", "recovery point"];
    let rows = report.tiers.iter().map(row).collect();
    Table { note: Some(RANKS.to_owned()), ..table("Tiers", &columns, rows) }
}

fn gaps(gaps: &[Gap]) -> Cell {
    let run = |gap: &Gap| gap.run.as_ref().map(|run| name(run.as_str()));
    gaps.iter().flat_map(|gap| [Some(bit(gap.words(), Tone::Bad)), run(gap)]).flatten().collect()
}

fn applications(report: &Compliance) -> Table {
    let row = |a: &Application| {
        let promised = a.rto_s.zip(a.rpo_s);
        let promised = promised.map_or_else(
            || "no run yet".to_owned(),
            |(rto, rpo)| format!("RTO {}, RPO {}", span(rto), span(rpo)),
        );
        let tone = match a.status {
            Proof::Verified => Tone::Good,
            Proof::Failed => Tone::Bad,
            Proof::NeedsVerification | Proof::Gone => Tone::Warn,
        };
        let mut now = vec![bit(a.status.words(), tone), bit(a.why.clone(), Tone::Soft)];
        match &a.last_proven {
            Some(LastProof { at, run }) => {
                now.push(bit(format!("last proven {}, by", when(*at)), Tone::Plain));
                now.push(name(run.as_str()));
            }
            None => now.push(bit("never proven", Tone::Warn)),
        }
        let own = vec![vec![name(a.plan.as_str()), bit(a.tier.clone(), Tone::Soft)], now, plain(promised)];
        let [mut runs, rto, rpo] = of_figures(&a.figures);
        runs.extend(evidence::left_out_of(report, &a.plan));
        own.into_iter().chain([runs, rto, rpo]).chain([gaps(&a.unproven), gaps(&a.unprotected)]).collect()
    };
    let columns = [
        "application, tier",
        "now",
        "promised",
        "runs",
        "recovery time",
        "recovery point",
        "unproven",
        "without a standby",
    ];
    table("Applications, worst first", &columns, report.applications.iter().map(row).collect())
}

fn objective(of: Option<&Measured>) -> Cell {
    let Some(of) = of else { return Vec::new() };
    let tone = match of.verdict {
        Verdict::Met => Tone::Good,
        Verdict::Missed => Tone::Bad,
        Verdict::NotProven => Tone::Warn,
        Verdict::NotApplicable => return vec![bit(of.text.clone(), Tone::Soft)],
    };
    let verdict = format!("{}; objective {}", of.verdict.words(), of.promised());
    vec![bit(of.text.clone(), Tone::Plain), bit(verdict, tone)]
}

fn runs(report: &Compliance) -> Table {
    let row = |l: &RunLine| {
        let unsigned = if l.signed { "" } else { " (unsigned)" };
        let mut what =
            vec![bit(format!("{} of {} ({})", l.what, l.plan, l.tier), Tone::Plain), name(l.run.as_str())];
        let about: Vec<_> = [&l.decided.text].into_iter().chain(&l.incident).cloned().collect();
        what.push(bit(about.join(", "), if l.decided.is_lowered() { Tone::Warn } else { Tone::Soft }));
        let how = match (l.only_read(), l.good) {
            (true, _) => Tone::Soft,
            (false, true) => Tone::Good,
            (false, false) if l.ended_at.is_none() => Tone::Warn,
            (false, false) => Tone::Bad,
        };
        let mut outcome = vec![bit(l.state.clone(), how)];
        outcome.extend(l.waived_fences.iter().map(|text| bit(text.clone(), Tone::Bad)));
        outcome.extend((l.stops > 0).then(|| bit(count(l.stops, "stop"), Tone::Warn)));
        outcome.extend(l.by_people.iter().map(|by| {
            bit(format!("step {}", by.text), if by.lacks_proof() { Tone::Warn } else { Tone::Plain })
        }));
        let mut rto = objective(l.rto.as_ref());
        let told = l.rto.as_ref().is_some_and(|rto| rto.never_recovered);
        if let Some(text) = l.not_recovered().filter(|_| !told) {
            rto.insert(0, bit(text, Tone::Bad));
        }
        let mut rpo = objective(l.rpo.as_ref());
        rpo.extend(l.accepted.iter().map(|(store, accepted)| {
            let tone = if accepted.beyond { Tone::Bad } else { Tone::Soft };
            bit(format!("{store}: {}", accepted.text), tone)
        }));
        for copy in &l.copies {
            let took =
                copy.took_s.map_or("not checked".to_owned(), |took| format!("verified after {}", span(took)));
            rto.push(bit(format!("{}: copy {took}", copy.component), Tone::Plain));
            rpo.push(bit(format!("copy of {}, {} old", when(copy.to_time), span(copy.age_s)), Tone::Plain));
        }
        let mut by = vec![bit(format!("{}{unsigned}", l.requester), Tone::Plain)];
        by.extend(approvals(l));
        by.extend((!l.controls.is_empty()).then(|| bit(l.controls.join(", "), Tone::Soft)));
        vec![what, time(l.started_at), outcome, rto, rpo, by]
    };
    let columns = [
        "what, run",
        "started",
        "outcome",
        "recovery time",
        "recovery point",
        "requested by; approvals; controls",
    ];
    let broken = report.unreadable_runs.iter().map(evidence::unreadable);
    table("Runs, worst first", &columns, broken.chain(report.runs.iter().map(row)).collect())
}

/// Who approved a run.
fn approvals(line: &RunLine) -> Vec<Bit> {
    let of = |approved: &Approved| {
        let tone = if approved.lacks() { Tone::Bad } else { Tone::Plain };
        bit(approved.text.clone(), tone)
    };
    match line.approvals.as_slice() {
        [] => vec![bit("no approval required", Tone::Soft)],
        some => some.iter().map(of).collect(),
    }
}

/// The changes of `drctl.yaml`. The run list says which runs were decided under them.
fn settings(report: &Compliance) -> Table {
    let row = |change: &Configured| {
        let operator = change.operator.clone().unwrap_or_else(|| "no key of an operator".to_owned());
        let command = change.command.as_ref().map_or_else(String::new, |verb| format!("drctl {verb}"));
        vec![
            time(change.at),
            plain(command),
            vec![bit(operator, Tone::Plain), bit(change.who.clone(), Tone::Soft)],
            vec![name(change.settings.to_string())],
        ]
    };
    let columns = ["noticed", "by the command", "with the key of; user", "SHA-256 of drctl.yaml"];
    let rows = report.ledger.configurations.iter().map(row).collect();
    let note = "The first line is the first drctl.yaml that the store knew. The name of an operator is not signed here.";
    Table { note: Some(note.to_owned()), ..table("Changes of drctl.yaml", &columns, rows) }
}

fn obligations(report: &Compliance) -> Table {
    let row = |o: &Obligation| {
        let late = o.late_by_s.map_or_else(String::new, |late| format!(", {} late", span(late)));
        let tone = if o.standing.is_missed() { Tone::Bad } else { Tone::Plain };
        let unsigned = |signed: bool| if signed { "" } else { " (unsigned)" };
        let by = o.by.as_ref().map(|by| format!("{}{}", by.who, unsigned(by.signature.is_some())));
        vec![
            vec![bit(o.what.clone(), Tone::Plain), name(o.run.as_str())],
            time(o.due_at),
            perhaps(o.done_at),
            plain(by.unwrap_or_default()),
            vec![bit(format!("{}{late}", o.standing.words()), tone)],
            plain(o.detail.clone().unwrap_or_default()),
        ]
    };
    let columns = ["obligation, run", "due", "done", "by", "status", "reference, or fault"];
    table("Duties", &columns, report.obligations.iter().map(row).collect())
}

fn controls(report: &Compliance) -> Option<Table> {
    let row = |c: &Control| {
        let sections: Vec<&str> = c.sections.iter().map(|section: &Section| section.title()).collect();
        let found = report.findings.iter().filter(|finding| finding.controls.contains(&c.id)).count();
        vec![plain(c.id.clone()), plain(c.asks.clone()), plain(sections.join(", ")), plain(found.to_string())]
    };
    let columns = ["control", "requirement, in short", "parts of this report", "findings"];
    let rows: Vec<_> = report.controls.iter().map(row).collect();
    let note = format!("{}, as drctl interprets it. The auditor decides.", report.profile_title);
    (!rows.is_empty()).then(|| Table { note: Some(note), ..table("Controls", &columns, rows) })
}

/// The signature block: the given names, and space for dates and signatures.
fn sign_off(report: &Compliance) -> Table {
    let line = "________________________";
    let row = |(what, who): (&str, &super::asked::Signatory)| {
        let or_line = |text: &Option<String>| plain(text.clone().unwrap_or_else(|| line.to_owned()));
        vec![plain(what), or_line(&who.name), or_line(&who.role), plain("________-____-____"), plain(line)]
    };
    let rows = [("Prepared by", &report.prepared_by), ("Reviewed by", &report.reviewed_by)].map(row).to_vec();
    table("Prepared and reviewed", &["what", "name", "role", "date", "signature"], rows)
}

/// Whether a run is drawn as successful. A run that stopped or is in progress is not, whatever it has met so far.
pub(super) const fn ended_well(line: &RunLine) -> bool {
    line.ended_at.is_some() && line.good
}

/// The sort key for the worst first: users who were not served again, other incidents that did not end well, missed objectives, pending
/// fences, other runs that did not end well, approvals that are late or missing, unproven objectives.
pub(super) fn badness(line: &RunLine) -> u8 {
    let verdicts = || [&line.rto, &line.rpo].into_iter().flatten().map(|objective| objective.verdict);
    match () {
        () if line.class == Class::Test => 8,
        () if line.not_recovered_s.is_some() => 0,
        () if !ended_well(line) && line.class == Class::Incident => 1,
        () if verdicts().any(|verdict| verdict == Verdict::Missed) => 2,
        () if line.fences_pending > 0 => 3,
        () if line.only_read() => 7,
        () if !ended_well(line) => 4,
        () if line.late > 0 || line.approvals.iter().any(Approved::lacks) => 5,
        () if !line.waived_fences.is_empty() || verdicts().any(|verdict| verdict == Verdict::NotProven) => 6,
        () => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::Sample;
    use super::*;

    #[test]
    fn runs_without_a_known_figure_are_counted_beside_the_percentiles() {
        let texts =
            |of: &Statistics, tally| ranks(of, tally).into_iter().map(|bit| bit.text).collect::<Vec<_>>();
        let unknown = Tally { not_proven: 3, ..Tally::default() };
        assert_eq!(texts(&Statistics::default(), unknown), ["no figure is known (3 unknown)"]);
        let one = Statistics::from_samples(&[Sample::never(60.0)]);
        let said = texts(&one, Tally { missed: 1, ..unknown });
        assert_eq!(said[1..], ["of 1 known figure", "without 3 unknown figures"], "{said:?}");
        assert_eq!(texts(&one, Tally { missed: 1, ..Tally::default() }).len(), 2);
        assert!(texts(&Statistics::default(), Tally::default()).is_empty());
    }
}
