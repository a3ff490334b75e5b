//! `drctl runs list`

use super::summed::FEW;
use crate::app::context::Context;
use crate::app::error::AppError;
use crate::app::{exit, inbox, run_states};
use crate::cli::formats::Format;
use crate::cli::printer::Printer;
use crate::journal::lock::RunLock;
use crate::journal::sqlite::SqliteJournal;
use crate::model::plain::count;
use crate::record::event::Outcome;
use crate::report::{RunReport, summary, words};
use crate::run::RunState;
use crate::run::state::Mode;

/// Lists all runs, those that need action first.
pub fn list(printer: &Printer, store: &SqliteJournal) -> Result<u8, AppError> {
    let (mut documents, mut lines) = (Vec::new(), Vec::new());
    let imported = store.imported()?.waiting;
    let (folder, now) = (Context::lock_folder(store), crate::app::clock::now()?);
    for row in store.all_runs()? {
        let waits = imported.contains_key(&row.run);
        let held = RunLock::is_held(&folder, &row.run);
        let state = match run_states::one(store, &row.run).and_then(|state| inbox::read(store, state)) {
            Ok(state) => inbox::at_present(state, held, now),
            // One broken run must not hide the others.
            Err(e) => {
                lines.push((0, format!("{}  broken: {e}", row.run)));
                documents.push(serde_json::json!({
                    "run_id": row.run, "outcome": "broken", "reason": e.to_string(), "events": row.events,
                }));
                continue;
            }
        };
        let report = summary::report(&state, state.last_at);
        if printer.format == Format::Human {
            let from = report.from.as_deref().unwrap_or("unknown");
            lines.push((
                urgency(&state),
                format!(
                    "{}  {}  {} -> {}  {}  {}{}{}",
                    report.run_id,
                    report.started_at,
                    from,
                    report.to,
                    report.world.id(),
                    words::drill(&report),
                    // That it waits for a person is said once.
                    match (report.waits_for.first(), standing(&state, &report, held)) {
                        (None, standing) => standing,
                        (Some(first), standing) if first.halts() || standing == "waits for a person" => {
                            first.words()
                        }
                        (Some(first), standing) => format!("{standing}  {}", first.words()),
                    },
                    if waits { "  (from a file; not adopted, read-only)" } else { "" }
                ),
            ));
        }
        documents.push(serde_json::json!({
            "run_id": report.run_id, "plan": report.plan, "intent": report.intent, "drill": report.drill, "world": report.world.id(),
            "outcome": report.outcome, "started_at": report.started_at, "ended_at": report.ended_at, "events": row.events, "imported": waits,
            "waits_for": report.waits_for,
        }));
    }
    lines.reverse();
    lines.sort_by_key(|(urgency, _)| *urgency);
    match printer.format {
        Format::Human if documents.is_empty() => printer.line("no runs yet"),
        Format::Human => {
            // Scripts read lines of runs alone.
            if printer.is_read() {
                summary_of(&lines).iter().for_each(|line| printer.line(line));
                printer.line("run  started  from -> to  world  state");
            }
            lines.iter().for_each(|(_, line)| printer.line(line));
        }
        _ => printer.document(&serde_json::json!({"schema_version": 1, "runs": documents})),
    }
    Ok(exit::DONE)
}

/// The state of a run. A run that is paused and still has steps in progress is not simply running.
pub fn standing(state: &RunState, report: &RunReport, driven: bool) -> String {
    let pausing = driven && state.mode == Mode::Paused && state.halted.is_none();
    if pausing { "pausing".to_owned() } else { words::state(report, driven) }
}

/// How many of many runs need a person.
fn summary_of(lines: &[(u8, String)]) -> Option<String> {
    let of = |urgency: u8| lines.iter().filter(|(is, _)| *is == urgency).count();
    let words = [
        (0, "broken"),
        (1, "not finished"),
        (2, "with a pending fence"),
        (3, "failed or abandoned"),
        (4, "finished"),
    ];
    let words = words.into_iter().map(|(urgency, word)| (of(urgency), word)).filter(|(n, _)| *n > 0);
    let words: Vec<_> = words.map(|(n, word)| format!("{n} {word}")).collect();
    (lines.len() > FEW).then(|| format!("{}: {}", count(lines.len(), "run"), words.join("; ")))
}

/// The sort key: runs that need action first, then those that ended badly, then the newest. JSON keeps the order of creation.
fn urgency(state: &RunState) -> u8 {
    match state.mode {
        Mode::Finished(_) if state.owed().next().is_some() => 2,
        Mode::Finished(Outcome::Failed | Outcome::Abandoned) => 3,
        Mode::Finished(_) => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_runs_begin_with_how_many_need_a_person() {
        let lines = |urgencies: &[u8]| urgencies.iter().map(|is| (*is, String::new())).collect::<Vec<_>>();
        assert_eq!(summary_of(&lines(&[1, 2, 4, 4, 4])), None);
        assert_eq!(
            summary_of(&lines(&[1, 2, 4, 4, 4, 4])).as_deref(),
            Some("6 runs: 1 not finished; 1 with a pending fence; 4 finished")
        );
    }
}
