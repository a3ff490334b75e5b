//! The tables and figures about evidence: bundles, and runs that cannot be read.

use super::cells::{Bit, Cell, Table, Tone, bit, name, plain, table, time, tone};
use super::document::{Compliance, RunLine};
use super::sealed::{Covered, UnreadableRun};
use crate::model::ids::{PlanName, RunId};
use crate::model::plain::count;

/// The figures about bundles.
pub(super) fn figures(report: &Compliance) -> [(&'static str, String, Tone); 2] {
    let t = &report.totals;
    let without = match report.damaged_bundles.len() {
        0 => t.without_evidence.to_string(),
        n => format!("{}; {}", t.without_evidence, count(n, "damaged bundle")),
    };
    let bad = t.without_evidence > 0 || !report.damaged_bundles.is_empty();
    [
        ("Runs without intact evidence", without, tone(bad)),
        (
            "Runs that went on after their last bundle",
            t.beyond_evidence.to_string(),
            tone(t.beyond_evidence > 0),
        ),
    ]
}

/// That broken runs are in no figure, after a figure.
pub(super) fn left_out(report: &Compliance) -> String {
    without(report.unreadable_runs.len()).map_or_else(String::new, |words| format!("; {words}"))
}

/// The same for the runs of an application.
pub(super) fn left_out_of(report: &Compliance, plan: &PlanName) -> Option<Bit> {
    let of_plan = report.unreadable_runs.iter().filter(|run| run.plan.as_ref() == Some(plan));
    without(of_plan.count()).map(|words| bit(words, Tone::Bad))
}

fn without(broken: usize) -> Option<String> {
    (broken > 0).then(|| format!("without {}", count(broken, "broken run")))
}

/// The same in a sentence after the banner of a broken journal, or empty.
pub(super) fn left_out_in_words(report: &Compliance) -> String {
    match report.unreadable_runs.len() {
        0 => String::new(),
        1 => " 1 run cannot be read and is in no figure.".to_owned(),
        n => format!(" {n} runs cannot be read and are in no figure."),
    }
}

/// The row of a run that cannot be read, in the table of runs.
pub(super) fn unreadable(run: &UnreadableRun) -> Vec<Cell> {
    let plan = run.plan.as_ref().map_or("an unknown application", PlanName::as_str);
    vec![
        vec![bit(format!("run of {plan}"), Tone::Plain), name(run.run.as_str())],
        run.started_at.map(time).unwrap_or_default(),
        vec![bit("unreadable, not counted", Tone::Bad), bit(run.why.clone(), Tone::Bad)],
        plain("unknown"),
        plain("unknown"),
        Cell::new(),
    ]
}

/// The table of bundles.
pub(super) fn bundles(report: &Compliance) -> Table {
    let of_line = |l: &RunLine| of_run(report, &l.run, l.bundle.as_ref().zip(l.sha256.as_ref()), l.covers);
    let of_broken =
        |run: &UnreadableRun| of_run(report, &run.run, run.bundle.as_ref().zip(run.sha256.as_ref()), None);
    let broken = report.unreadable_runs.iter().flat_map(of_broken);
    let rows = broken.chain(report.runs.iter().flat_map(of_line)).collect();
    table("Evidence", &["bundle, or run without a bundle", "SHA-256"], rows)
}

fn of_run(
    report: &Compliance,
    run: &RunId,
    bundle: Option<(&String, &String)>,
    covers: Option<Covered>,
) -> Vec<Vec<Cell>> {
    let damaged = report.damaged_bundles.iter().filter(|bundle| bundle.is_of(run));
    let mut rows: Vec<Vec<Cell>> = damaged
        .map(|bundle| vec![vec![name(bundle.file.clone())], vec![bit(bundle.why.clone(), Tone::Bad)]])
        .collect();
    match bundle {
        Some((file, sha256)) => {
            let covers = covers.map(|covers| bit(format!("({})", covers.words()), Tone::Warn));
            let file: Cell = [name(file.clone())].into_iter().chain(covers).collect();
            rows.push(vec![file, vec![name(sha256.clone())]]);
        }
        None if rows.is_empty() => rows.push(vec![vec![name(run.as_str())], vec![bit("none", Tone::Bad)]]),
        None => {}
    }
    rows
}
