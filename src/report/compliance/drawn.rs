//! What the charts draw, as tables: for readers who cannot see the charts, and for formats without them.

use super::cells::{Bit, Cell, Table, Tone, bit, name, table, time};
use super::document::{Application, Compliance};
use crate::model::readiness::Standing;

/// Whether each application was proven at the end of each month. Months in a row with the same state share a line.
pub(super) fn proofs(report: &Compliance) -> Table {
    let row = |application: &Application| {
        let mut spans: Vec<(&str, &str, &str)> = Vec::new();
        for month in &application.months {
            match spans.last_mut() {
                Some((_, last, state)) if *state == month.state => *last = &month.month,
                _ => spans.push((&month.month, &month.month, &month.state)),
            }
        }
        let of = |(first, last, state): &(&str, &str, &str)| {
            let (words, tone) = proof(state);
            let months = if first == last { (*first).to_owned() } else { format!("{first} to {last}") };
            bit(format!("{months}: {words}"), tone)
        };
        let months: Cell = spans.iter().map(of).collect();
        vec![vec![name(application.plan.as_str())], months]
    };
    let rows = report.applications.iter().map(row).collect();
    table("Proof at the end of each month, as a table", &["application", "month: state at its end"], rows)
}

fn proof(state: &str) -> (&str, Tone) {
    match state {
        "proven" => ("proven", Tone::Good),
        "overdue" => ("the last proof is older than the tier allows", Tone::Warn),
        "failed" => ("the last one failed", Tone::Bad),
        _ => ("never proven", Tone::Soft),
    }
}

/// The last readiness check of each application, by area, the worst first.
pub(super) fn readiness(report: &Compliance) -> Table {
    let row = |application: &Application| {
        let (at, found) = match &application.readiness {
            None => (vec![bit("never", Tone::Soft)], Vec::new()),
            Some(ready) => {
                let of = |standing: &Standing| {
                    let areas: Vec<&str> = ready
                        .areas
                        .iter()
                        .filter(|(_, is)| *is == standing)
                        .map(|(area, _)| area.id())
                        .collect();
                    (!areas.is_empty()).then(|| stands(*standing, &areas))
                };
                (time(ready.at), Standing::ALL.iter().rev().filter_map(of).collect())
            }
        };
        vec![vec![name(application.plan.as_str())], at, found]
    };
    let rows = report.applications.iter().map(row).collect();
    table("Readiness at the last check, as a table", &["application", "checked", "result by area"], rows)
}

fn stands(standing: Standing, areas: &[&str]) -> Bit {
    let tone = match standing {
        Standing::Ready => Tone::Good,
        Standing::Degraded => Tone::Warn,
        Standing::Unknown => Tone::Soft,
        Standing::NotReady => Tone::Bad,
    };
    bit(format!("{standing}: {}", areas.join(", ")), tone)
}
