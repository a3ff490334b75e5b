//! The report as PDF/A-2b (ISO 19005-2): on A4, with its font in it, to be kept for as long as evidence is.

mod press;

use press::{Press, print};

use super::charts::{self, Ink};
use super::page::span;
use super::{Compliance, Figures, Objective};
use crate::model::time::Timestamp;

/// The report.
///
/// # Errors
/// If it cannot be written as PDF/A; what stands in it does not matter to that.
pub fn pdf(report: &Compliance) -> Result<Vec<u8>, String> {
    let mut press = Press::new()?;
    front(&mut press, report);
    for picture in charts::pictures(report) {
        press.picture(&picture);
    }
    findings(&mut press, report);
    groups(&mut press, report);
    applications(&mut press, report);
    runs(&mut press, report);
    owed(&mut press, report);
    controls(&mut press, report);
    print(&press, report)
}

fn front(press: &mut Press, report: &Compliance) {
    press.lines("Recovery of applications", (18.0, Ink::Ink, true));
    let about = format!(
        "{} to {}. {}. Written at {} by drctl {}. All times UTC.",
        report.since, report.until, report.profile_title, report.generated_at, report.tool
    );
    press.lines(&about, (9.0, Ink::Soft, false));
    if report.world == "sandbox" {
        press
            .lines("REHEARSALS. Nothing real was touched; this proves no objective.", (10.0, Ink::Bad, true));
    }
    let faults = &report.ledger.faults;
    let whole =
        if faults.is_empty() { "whole".to_owned() } else { format!("NOT WHOLE, {} faults", faults.len()) };
    let head = report.ledger.head.as_deref().unwrap_or("none");
    let ledger = format!("Ledger: {} entries, head {head}: {whole}.", report.ledger.entries);
    press.lines(&ledger, (8.0, if faults.is_empty() { Ink::Soft } else { Ink::Bad }, false));
    press.y += 6.0;
    let t = &report.totals;
    let fared = |t: super::Tally| match (t.missed, t.not_proven) {
        (0, 0) => Ink::Good,
        (0, _) => Ink::Warn,
        _ => Ink::Bad,
    };
    let bad = |n: usize| if n > 0 { Ink::Bad } else { Ink::Good };
    let tally = |t: super::Tally| format!("{} met, {} missed, {} not proven", t.met, t.missed, t.not_proven);
    let rows = [
        (
            "Runs",
            format!(
                "{}: {} incidents, {} drills, {} planned, {} only read; {} ended as they should",
                t.runs, t.incidents, t.drills, t.planned, t.read, t.good
            ),
            Ink::Ink,
        ),
        ("RTO", tally(t.rto), fared(t.rto)),
        ("RTO of incidents alone", tally(t.rto_of_incidents), fared(t.rto_of_incidents)),
        ("RPO", tally(t.rpo), fared(t.rpo)),
        ("RPO of incidents alone", tally(t.rpo_of_incidents), fared(t.rpo_of_incidents)),
        (
            "Overrides",
            format!("{}, {} of them approved late or not at all", t.overrides, t.overrides_late),
            bad(t.overrides_late),
        ),
        ("Owed and not done in time", t.obligations_missed.to_string(), bad(t.obligations_missed)),
        ("Drills missed", t.drills_missed.to_string(), bad(t.drills_missed)),
        (
            "Applications unproven at the end",
            format!("{} of {}", t.unproven, report.applications.len()),
            bad(t.unproven),
        ),
        (
            "Without a standby",
            format!("{} in all", span(t.unprotected_s)),
            if t.unprotected_s > 0.0 { Ink::Bad } else { Ink::Good },
        ),
        ("Runs without evidence", t.without_evidence.to_string(), bad(t.without_evidence)),
    ];
    let rows: Vec<_> =
        rows.into_iter().map(|(name, text, ink)| vec![(name.to_owned(), Ink::Ink), (text, ink)]).collect();
    press.table(&[("in figures", 1.0), ("", 3.0)], &rows);
}

fn plain(text: impl Into<String>) -> (String, Ink) {
    (text.into(), Ink::Ink)
}

fn at(when: Option<Timestamp>) -> (String, Ink) {
    plain(when.map(|at| at.to_string()).unwrap_or_default())
}

fn findings(press: &mut Press, report: &Compliance) {
    press.heading("Findings");
    let row = |f: &super::Finding| {
        let about = [f.plan.as_ref().map(ToString::to_string), f.run.as_ref().map(ToString::to_string)];
        let about: Vec<String> = about.into_iter().flatten().collect();
        vec![
            plain(f.section.title()),
            plain(about.join(" ")),
            at(f.at),
            plain(f.text.clone()),
            plain(f.controls.join(", ")),
        ]
    };
    let rows: Vec<_> = report.findings.iter().map(row).collect();
    press.table(
        &[("part", 1.0), ("application, run", 2.2), ("when", 1.6), ("what", 5.0), ("controls", 1.4)],
        &rows,
    );
}

fn times(figures: &Figures) -> String {
    let s = &figures.rto_s;
    match (s.p50, s.p95, s.max) {
        (Some(p50), Some(p95), Some(max)) => {
            format!("{}, {}, {} of {}", span(p50), span(p95), span(max), s.known)
        }
        _ => "unknown".to_owned(),
    }
}

fn tally(t: super::Tally) -> (String, Ink) {
    (format!("{}, {}, {}", t.met, t.missed, t.not_proven), if t.missed > 0 { Ink::Bad } else { Ink::Ink })
}

fn trend(f: &Figures) -> (String, Ink) {
    plain(f.rto_s.trend.map(span).unwrap_or_default())
}

fn groups(press: &mut Press, report: &Compliance) {
    press.heading("Tiers");
    let row = |t: &super::Group| {
        let f = &t.figures;
        let every = t.drill_every_s.map_or_else(|| "not said".to_owned(), span);
        let counts = format!("{}, {}, {}", f.runs, f.incidents, f.drills);
        vec![
            plain(t.tier.clone()),
            plain(every),
            plain(t.applications.to_string()),
            plain(counts),
            tally(f.rto),
            plain(times(f)),
            trend(f),
            tally(f.rpo),
        ]
    };
    let rows: Vec<_> = report.tiers.iter().map(row).collect();
    let head = [
        ("tier", 1.0),
        ("proven every", 0.8),
        ("applications", 0.8),
        ("runs, incidents, drills", 1.2),
        ("RTO met, missed, not proven", 1.5),
        ("RTO p50, p95, longest", 1.6),
        ("trend", 0.7),
        ("RPO met, missed, not proven", 1.5),
    ];
    press.table(&head, &rows);
    press.lines("p50 and p95 by nearest rank, of times that were measured or bounded from above. The trend is the median of the later half minus that of the earlier one.", (7.0, Ink::Soft, false));
}

fn applications(press: &mut Press, report: &Compliance) {
    press.heading("Applications");
    let gaps = |gaps: &[super::Gap]| {
        let text: Vec<String> = gaps.iter().map(super::Gap::words).collect();
        (text.join("; "), Ink::Bad)
    };
    let row = |a: &super::Application| {
        let promised = a
            .rto_s
            .zip(a.rpo_s)
            .map_or_else(String::new, |(rto, rpo)| format!("{}, {}", span(rto), span(rpo)));
        let ink = match a.status.as_str() {
            "verified" => Ink::Good,
            "failed" => Ink::Bad,
            _ => Ink::Warn,
        };
        let now = (format!("{}: {}", a.status.replace('_', " "), a.why), ink);
        vec![
            plain(a.plan.as_str()),
            plain(a.tier.clone()),
            plain(promised),
            plain(a.figures.runs.to_string()),
            plain(times(&a.figures)),
            trend(&a.figures),
            gaps(&a.unproven),
            gaps(&a.unprotected),
            now,
        ]
    };
    let rows: Vec<_> = report.applications.iter().map(row).collect();
    let head = [
        ("application", 1.2),
        ("tier", 0.8),
        ("promised RTO, RPO", 1.0),
        ("runs", 0.4),
        ("RTO p50, p95, longest", 1.4),
        ("trend", 0.6),
        ("unproven", 1.6),
        ("without a standby", 1.6),
        ("now", 2.4),
    ];
    press.table(&head, &rows);
}

fn objective(objective: Option<&Objective>) -> (String, Ink) {
    objective.map_or_else(
        || plain(""),
        |o| {
            let ink = match o.verdict {
                super::Verdict::Met => Ink::Good,
                super::Verdict::Missed => Ink::Bad,
                super::Verdict::NotProven => Ink::Warn,
            };
            (format!("{}: {} of {}", o.figure.text, o.verdict.words(), span(o.figure.objective_s)), ink)
        },
    )
}

fn runs(press: &mut Press, report: &Compliance) {
    press.heading("Runs");
    let row = |l: &super::Line| {
        let unsigned = if l.signed { "" } else { " (unsigned)" };
        let asked = [Some(format!("{}{unsigned}", l.requester)), l.severity.clone(), l.incident.clone()];
        let asked: Vec<String> = asked.into_iter().flatten().collect();
        let outcome = if l.good { Ink::Good } else { Ink::Bad };
        let copy = |c: &super::Copied| {
            let took = c
                .took_s
                .map_or_else(|| "not checked".to_owned(), |took| format!("checked after {}", span(took)));
            format!("{}: copy {took}, {} old", c.component, span(c.age_s))
        };
        let copies = l.copies.iter().map(copy).collect::<Vec<_>>().join("; ");
        vec![
            plain(l.started_at.to_string()),
            plain(format!("{} ({})", l.plan, l.tier)),
            plain(format!("{} {}", l.what, l.run)),
            (l.outcome.clone(), outcome),
            if copies.is_empty() { objective(l.rto.as_ref()) } else { plain(copies) },
            objective(l.rpo.as_ref()),
            plain([asked.join(", "), l.controls.join(", ")].join("; ").trim_end_matches("; ").to_owned()),
            plain(
                l.bundle
                    .clone()
                    .zip(l.sha256.clone())
                    .map_or_else(|| "none".to_owned(), |(file, sha)| format!("{file} {sha}")),
            ),
        ]
    };
    let rows: Vec<_> = report.runs.iter().map(row).collect();
    let head = [
        ("started", 1.4),
        ("application", 1.2),
        ("what, run", 2.2),
        ("outcome", 0.8),
        ("RTO", 1.4),
        ("RPO", 1.4),
        ("asked for by; controls", 1.2),
        ("evidence (SHA-256)", 1.8),
    ];
    press.table(&head, &rows);
}

fn owed(press: &mut Press, report: &Compliance) {
    press.heading("Owed by people");
    let row = |o: &super::Obligation| {
        let late = o.late_by_s.map_or_else(String::new, |late| format!(", {} late", span(late)));
        let ink = if o.standing.is_missed() { Ink::Bad } else { Ink::Ink };
        let by = o.by.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![
            plain(o.what.clone()),
            plain(o.run.as_str()),
            at(Some(o.due_at)),
            at(o.done_at),
            plain(by),
            (format!("{}{late}", o.standing.words()), ink),
            plain(o.detail.clone().unwrap_or_default()),
        ]
    };
    let rows: Vec<_> = report.obligations.iter().map(row).collect();
    let head = [
        ("what", 1.2),
        ("run", 2.0),
        ("due", 1.4),
        ("done", 1.4),
        ("by", 1.2),
        ("how it stands", 1.2),
        ("where, or what is wrong", 2.4),
    ];
    press.table(&head, &rows);
}

fn controls(press: &mut Press, report: &Compliance) {
    if report.controls.is_empty() {
        return;
    }
    press.heading("Controls");
    press.lines(
        &format!("{}, as drctl reads it; whoever audits decides.", report.profile_title),
        (7.5, Ink::Soft, false),
    );
    let row = |c: &super::Control| {
        let sections: Vec<&str> = c.sections.iter().map(|s| s.title()).collect();
        let found = report.findings.iter().filter(|f| f.controls.contains(&c.id)).count();
        vec![plain(c.id.clone()), plain(c.asks.clone()), plain(sections.join(", ")), plain(found.to_string())]
    };
    let rows: Vec<_> = report.controls.iter().map(row).collect();
    press.table(
        &[("control", 1.2), ("asks for, in short", 3.5), ("parts of this report", 2.5), ("findings", 0.6)],
        &rows,
    );
}
