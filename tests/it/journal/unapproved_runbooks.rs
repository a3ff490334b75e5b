//! A runbook without the approvals that its terms require. Its requester can sign it, and whoever writes journals can write it.

use drctl::journal::Journal as _;
use drctl::model::ids::{Digest, RunId};
use drctl::model::time::Dur;
use drctl::record::event::{Event, EventKind};
use drctl::record::runbook::Runbook;
use drctl::report::compliance::controls::Profile;
use drctl::report::compliance::{ReportRequest, Signatory};
use drctl::report::terms::held_to;
use drctl::run::RunState;

use crate::cli::contract::Folder;
use crate::evidence::signatures::{as_operator, store};
use crate::planner::approval_policy::{GATE, asked, truststream};

const FAILOVER: &[&str] = &["failover", "truststream", "--to", "us-east-1", "--sandbox"];

/// The first event of a run that waits for the approvals of the policy.
fn first(folder: &Folder, run: &str) -> Event {
    let records = store(folder).read(&RunId::new(run)).unwrap();
    serde_json::from_slice(&records[0].bytes).unwrap()
}

/// The same event with another runbook.
fn with(event: &Event, change: impl Fn(&mut Runbook)) -> Event {
    let EventKind::RunCreated(created) = &event.what else { panic!("{event:?}") };
    let mut created = created.clone();
    let mut runbook: Runbook = serde_json::from_str(&created.runbook).unwrap();
    change(&mut runbook);
    created.runbook = String::from_utf8(runbook.bytes()).unwrap();
    created.runbook_digest = Digest::of_bytes(created.runbook.as_bytes());
    Event { at: event.at, what: EventKind::RunCreated(created) }
}

fn refused(event: &Event) -> Option<String> {
    RunState::begin(event).err().map(|why| why.to_string())
}

#[test]
fn a_runbook_that_does_without_an_approval_of_its_terms_begins_no_run() {
    let folder = truststream();
    let (run, _) = asked(&folder, FAILOVER);
    let event = first(&folder, &run);
    assert_eq!(refused(&event), None);
    assert_eq!(refused(&with(&event, |_| ())), None);
    let without_gate = with(&event, |runbook| {
        runbook.steps.retain(|step| step.id.as_str() != GATE);
        runbook.steps.iter_mut().for_each(|step| step.needs.retain(|need| need.step.as_str() != GATE));
    });
    let why = refused(&without_gate).unwrap();
    assert!(why.contains("the terms require the approval of ") && why.contains(" for promote.db"), "{why}");
    // The gate stays, but the promotion does not wait for it; or it starts although the gate failed.
    let beside = with(&event, |runbook| {
        runbook.steps.iter_mut().for_each(|step| step.needs.retain(|need| need.step.as_str() != GATE));
    });
    assert!(refused(&beside).is_some());
    let settled = with(&event, |runbook| {
        let needs = runbook.steps.iter_mut().flat_map(|step| &mut step.needs);
        needs.filter(|need| need.step.as_str() == GATE).for_each(|need| need.settled = true);
    });
    assert!(refused(&settled).is_some());
    // Fewer people than the policy demands.
    let fewer = with(&event, |runbook| {
        let text = String::from_utf8(runbook.bytes()).unwrap();
        assert!(text.contains(r#""by":["dba","engineering-lead"]"#), "{text}");
        *runbook =
            serde_json::from_str(&text.replace(r#""by":["dba","engineering-lead"]"#, r#""by":["dba"]"#))
                .unwrap();
    });
    assert!(refused(&fewer).is_some());
}

/// Whoever writes a file can also write terms that ask nobody. So a run from a file has the policy of drctl.yaml, or is not continued.
#[test]
fn a_run_from_a_file_with_another_policy_is_not_continued() {
    let (there, here) = (truststream(), truststream());
    for key in ["ann.key", "bob.key"] {
        std::fs::copy(there.path().join(key), here.path().join(key)).unwrap();
    }
    let settings = std::fs::read_to_string(there.path().join("plans/drctl.yaml")).unwrap();
    std::fs::write(here.path().join("plans/drctl.yaml"), &settings).unwrap();
    let nobody = "policy: {changes: {database: {by: []}, dns: {by: []}}}\n";
    std::fs::write(there.path().join("plans/drctl.yaml"), format!("{settings}{nobody}")).unwrap();
    let args = ["failover", "truststream", "--to", "us-east-1", "--sandbox=capacity-short", "--yes"];
    let (code, _, err) = as_operator(&there, "ann.key", &args);
    assert_eq!(code, 1, "it halts: {err}");
    let run = "sandbox-truststream-failover-s1-1";
    std::fs::write(here.path().join("run.jsonl"), there.ok(&["runs", "export", run, "--sandbox"])).unwrap();
    here.ok(&["runs", "import", "run.jsonl", "--sandbox"]);
    let by = |args: &[&str]| as_operator(&here, "ann.key", &[args, &["--sandbox"]].concat());
    assert_eq!(by(&["runs", "adopt", run, "--reason", "moved"]).0, 0);
    assert_eq!(by(&["runs", "ack", run, "--decide", "fix-forward", "--reason", "more servers"]).0, 0);
    let (code, out, err) = by(&["runs", "resume", run]);
    let words = "came from a file and has another policy than drctl.yaml: policy.changes.";
    assert!(code == 3 && err.contains(words) && err.contains("start a new recovery"), "{code} {out}{err}");
    // Once the policy is the same, it goes on.
    std::fs::write(here.path().join("plans/drctl.yaml"), format!("{settings}{nobody}")).unwrap();
    let (code, out, err) = by(&["runs", "resume", run]);
    assert!(code != 3 && !err.contains(words), "{code} {out}{err}");
}

/// The terms of the run have the objectives of its tier, so a runbook with looser ones makes no missed objective a met one.
#[test]
fn a_run_is_held_to_the_tier_in_its_own_terms() {
    let folder = truststream();
    let (run, _) = asked(&folder, FAILOVER);
    let mut state = RunState::begin(&first(&folder, &run)).unwrap();
    let asked = ReportRequest {
        since: state.created_at,
        until: state.created_at + Dur::mins(60),
        now: state.created_at,
        profile: Profile::Own,
        rehearsal: true,
        prepared_by: Signatory::default(),
        reviewed_by: Signatory::default(),
    };
    let tier = state.runbook.objectives;
    assert_eq!(held_to(&state, &[], &asked).objectives, tier);
    state.runbook.objectives.rto_ms = Dur::mins(25 * 60);
    let held = held_to(&state, &[], &asked);
    assert_eq!(held.objectives, tier);
    assert_eq!(held.loosened(&state).len(), 1, "{:?}", held.loosened(&state));
}
