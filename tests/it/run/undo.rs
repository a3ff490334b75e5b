//! A step that was undone keeps its own times, a fence that was lifted stays in the report, and a refused step has the time of its next try.

use std::fmt::Write as _;

use drctl::journal::Journal as _;
use drctl::journal::lock::RunLock;
use drctl::journal::sqlite::SqliteJournal;
use drctl::model::ids::StepId;
use drctl::model::ledger::StoreWorld;
use drctl::model::time::Timestamp;
use drctl::record::event::{Event, EventKind, Outcome};
use drctl::report::{html, markdown, summary};
use drctl::run::state::Mode;

use crate::cli::contract::{Folder, json};
use crate::run::cancel::until;
use crate::run::resume::events;
use crate::support::rig::{Rehearsed, Rig, run_id, truststream};

fn stored(events: &[Event]) -> Folder {
    let folder = Folder::with_plans();
    let store = SqliteJournal::open(&folder.path().join(".drctl/sandbox.db"), StoreWorld::Sandbox).unwrap();
    let bytes: Vec<_> = events.iter().map(|event| serde_json::to_vec(event).unwrap()).collect();
    store.create(&run_id(), &[], &bytes, None).unwrap();
    folder
}

/// A run that was cancelled after its fence was proven, and before the promotion.
fn cancelled() -> Rehearsed {
    let rig = Rig::new(truststream(), "region-slow", 1);
    let promotes = |what: &EventKind| matches!(what, EventKind::CallIntended { step, .. } if step.as_str().starts_with("promote."));
    let first = until(&rig, promotes);
    let (done, _) = rig.cancel(&first.records, &first.notes, None);
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Cancelled));
    done
}

#[test]
fn a_step_has_its_own_times_beside_those_of_its_undo() {
    let done = cancelled();
    let (state, all) = (&done.ended.state, events(&done));
    let report = summary::report(state, state.last_at);
    let at = |is: &dyn Fn(&EventKind) -> bool| all.iter().find(|e| is(&e.what)).map(|e| e.at);
    let (mut undone, mut lasted) = (0, 0);
    for step in report.steps.iter().filter(|step| step.undo.is_some()) {
        let own = |id: &StepId| id.as_str() == step.id;
        let began = at(&|what| matches!(what, EventKind::StepStarted { step } if own(step)));
        let ended = at(
            &|what| matches!(what, EventKind::StepFinished { step, .. } | EventKind::StepFailed { step, .. } if own(step)),
        );
        let back = at(&|what| matches!(what, EventKind::StepUndone { step } if own(step)));
        let undo = step.undo.as_ref().unwrap();
        assert_eq!((step.started_at, step.ended_at), (began, ended), "{step:#?}");
        assert_eq!((step.state.as_str(), undo.ended_at), ("undone", back), "{step:#?}");
        assert!(undo.text.starts_with(&format!("undone {}", back.unwrap())), "{step:#?}");
        undone += 1;
        lasted += usize::from(began < ended && ended < back);
    }
    assert!(undone > 1 && lasted > 0, "{undone} undone, {lasted} of them after some time");
    let md = markdown::render(&report).unwrap();
    assert!(md.contains("| ended | undo | what |") && md.contains("| undone 2026"), "{md}");
    let page = html::render(&report, state).unwrap();
    assert!(page.contains("<th>undo</th>") && page.contains("<td>undone <span class=\"at\">2026"), "{page}");
    // The chart has a bar for each undo, beside that of the step.
    assert_eq!(page.matches("<rect class=\"undo\"").count(), undone, "{page}");
    let shown = stored(&all).ok(&["runs", "show", "run", "--sandbox"]);
    assert_eq!(shown.lines().filter(|line| line.contains("undone 2026")).count(), undone, "{shown}");
}

#[test]
fn a_fence_that_was_lifted_is_in_the_report() {
    let done = cancelled();
    let (state, all) = (&done.ended.state, events(&done));
    let report = summary::report(state, state.last_at);
    let fences = |step: &StepId| step.as_str().starts_with("fence.");
    let lifted: Vec<Timestamp> = all
        .iter()
        .filter(|e| matches!(&e.what, EventKind::StepUndone { step } if fences(step)))
        .map(|e| e.at)
        .collect();
    assert_eq!(report.fence.state, "lifted", "{:#?}", report.fence);
    let text = report.fence.components.values().next().unwrap();
    assert!(text.contains("proven by "), "{text}");
    assert!(lifted.iter().any(|at| text.contains(&format!("; lifted at {at}"))), "{text}: {lifted:?}");
    assert!(markdown::render(&report).unwrap().contains("| Fence | lifted |"));
    assert!(html::render(&report, state).unwrap().contains("Fence<b>lifted</b>db: "));
    // The same run before the cancel: the fence is proven, and nobody lifts it.
    let rig = Rig::new(truststream(), "region-slow", 1);
    let whole = rig.rehearse().unwrap();
    let told = summary::report(&whole.ended.state, whole.ended.state.last_at).fence;
    let text = told.components.values().next().unwrap();
    assert!(told.state == "proven" && !text.contains("it stays"), "{told:#?}");
}

#[test]
fn a_step_that_was_refused_shows_when_it_is_tried_again() {
    let retried = |what: &EventKind| matches!(what, EventKind::CallRefused { retry_at: Some(_), .. });
    let (all, n) = (1..20)
        .find_map(|seed| {
            let all = events(&Rig::new(truststream(), "api-throttled", seed).rehearse().ok()?);
            let n = all.iter().position(|e| retried(&e.what))?;
            Some((all, n + 1))
        })
        .unwrap();
    let EventKind::CallRefused { step, retry_at: Some(at), .. } = &all[n - 1].what else { unreachable!() };
    let words = format!("{step}: next try {}", at.clock());
    let folder = stored(&all[..n]);
    let mut told = String::new();
    let mut tell = || {
        for args in [&["runs", "show", "run", "--sandbox"][..], &["status", "--sandbox"]] {
            let (_, out, err) = folder.run(args);
            let _ = writeln!(told, "{out}{err}");
        }
        std::mem::take(&mut told)
    };
    // Nobody drives the run, so nothing is tried.
    let alone = tell();
    assert!(!alone.contains("next try"), "{alone}");
    let _driven = RunLock::take(&folder.path().join(".drctl"), &run_id()).unwrap();
    let driven = tell();
    assert_eq!(driven.matches(&words).count(), 2, "{words}: {driven}");
    let report = json(&folder.ok(&["runs", "show", "run", "--sandbox", "--output", "json"]));
    let steps = report["steps"].as_array().unwrap();
    let waits = steps.iter().find(|s| s["id"] == step.as_str()).unwrap();
    assert_eq!(waits["next_try"], at.to_string(), "{waits:#}");
}
