//! What people read before and after an override: who may give it, who approves with it, and what is due afterwards.

use drctl::model::authority::Operator;
use drctl::model::policy::Override;
use drctl::model::time::Dur;
use drctl::record::action::{Action, Gate};
use drctl::record::event::Outcome;
use drctl::run::RunState;
use drctl::run::overriding::override_way;
use drctl::run::state::{Mode, Status};

use crate::cli::contract::json;
use crate::planner::approval_policy::{GATE, asked, by, overridden, truststream};
use crate::run::decisions::{DONE, step, under_way};

/// `status` and the report of the run list them, too.
#[test]
fn the_approvals_that_an_override_in_a_rehearsal_owes_are_duties() {
    let folder = truststream();
    let run = overridden(&folder);
    let words = format!("approval:{GATE} of {run}: open, due 2026-");
    let duties = folder.ok(&["duties", "--sandbox"]);
    assert!(duties.contains(&words) && duties.contains("overridden by ivy: DBA unreachable"), "{duties}");
    // The override and the approval have the same time; the journal has the override first.
    let report = json(&folder.ok(&["report", "run", &run, "--format", "json", "--sandbox"]));
    let decided = report["decisions"].as_array().unwrap();
    let text = |d: &serde_json::Value| d["text"].as_str().unwrap().to_owned();
    let over = decided.iter().position(|d| d["what"] == "Override").unwrap();
    let kim = decided.iter().position(|d| text(d).contains(&format!(" approved {GATE}"))).unwrap();
    assert!(over < kim, "{decided:#?}");
    assert_eq!(by(&folder, "cy.key", &["reject", &run, GATE, "--reason", "too early"]).0, 0);
    let duties = folder.ok(&["duties", "--sandbox"]);
    assert!(duties.contains("overridden by ivy: DBA unreachable; rejected by cy: too early)"), "{duties}");
    // An auditor sees in the table and in the file that somebody answered, and with what.
    let compliance = ["report", "compliance", "--sandbox", "--format"];
    let cell = "approved by kim; rejected by cy; missing: dba and engineering-lead, due by 2026-";
    for format in ["md", "csv"] {
        let text = folder.ok(&[&compliance[..], &[format]].concat());
        assert!(text.contains(cell), "{format}: {text}");
    }
    // Nobody watches a rehearsal.
    let owed = json(&folder.ok(&["duties", "list", "--all", "--sandbox", "--output", "json"]));
    assert_eq!(owed["duties"].as_array().unwrap().len(), 1, "{owed:#}");
    let approve = ["approve", "--yes", &run, GATE];
    let (code, _, err) = by(&folder, "kim.key", &approve);
    assert!(code == 3 && err.contains("still required: dba and engineering-lead"), "{code} {err}");
    let due = "ask for the approvals that are missing (dba: bob, eve; engineering-lead: eve); they run ";
    assert!(err.contains(due) && !err.contains("takes no answers"), "{err}");
    for key in ["bob.key", "eve.key"] {
        assert_eq!(by(&folder, key, &approve).0, 0, "{key}");
    }
    assert_eq!(folder.ok(&["duties", "--sandbox"]).trim(), "nothing is due");
    let (code, _, err) = by(&folder, "kim.key", &approve);
    assert!(code == 3 && err.contains("all required approvals are already there"), "{code} {err}");
}

/// Who overrides, who approves with that person, and what an approval means then.
#[test]
fn an_override_is_offered_and_whoever_approves_after_it_reads_of_it() {
    let folder = truststream();
    let start = ["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1"];
    let (run, _) = asked(&folder, &start);
    let command = format!("drctl override {run} {GATE} --reason TEXT --sandbox");
    let who = "for incident-commander (ivy), if no approver answers; then, for cto (kim): drctl approve ";
    let show = folder.ok(&["runs", "show", &run, "--sandbox"]);
    let ways = show.split_once("  ways on").unwrap_or_else(|| panic!("{show}")).1;
    assert!(ways.contains(&command) && ways.contains(who), "{show}");
    let over = ["override", &run, "--reason", "DBA unreachable"];
    let (code, _, err) = by(&folder, "bob.key", &over);
    assert!(code == 3 && err.contains(&command) && err.contains(who), "{code} {err}");

    let (code, _, err) = by(&folder, "ivy.key", &over);
    assert!(code == 0 && err.contains("missing   1 of 1") && err.contains("cto: kim"), "{code} {err}");
    let show = folder.ok(&["runs", "show", &run, "--sandbox"]);
    assert!(show.contains("waiting for approval by cto (ivy overrode it)"), "{show}");
    assert!(!show.contains("drctl override"), "{show}");
    let approve = ["approve", "--yes", &run];
    let (code, _, err) = by(&folder, "kim.key", &approve);
    for words in ["override  by ivy", ": DBA unreachable", "it also requires cto"] {
        assert!(code == 0 && err.contains(words), "{words}: {code} {err}");
    }
    by(&folder, "ann.key", &["runs", "resume", &run]);
    let (code, _, err) = by(&folder, "bob.key", &approve);
    let after = "the run continued on it at 2026-";
    assert!(code == 0 && err.contains(after) && err.contains("you approve that afterwards"), "{code} {err}");
}

#[test]
fn only_an_open_request_can_be_overridden() {
    let offered = |change: &dyn Fn(&mut RunState)| {
        let by = |role: &str| vec![role.to_owned()];
        let ask = Gate::Approval {
            ask: "may we?".to_owned(),
            expires_after_ms: Dur::mins(30),
            by: by("dba"),
            override_by: Some(Override { by: by("cto"), also: Vec::new(), within_ms: Dur::mins(60) }),
        };
        let mut state = under_way(vec![(step("go", Action::Gate(ask)), Status::Started)]);
        let kim = Operator { key: String::new(), roles: ["cto".to_owned()].into() };
        state.created.authority.operators.insert("kim".to_owned(), kim);
        change(&mut state);
        override_way(&state, 0).is_some()
    };
    assert!(offered(&|_| {}));
    assert!(!offered(&|state| state.mode = Mode::Finished(Outcome::Abandoned)), "the run is over");
    for settled in [DONE, Status::Failed] {
        assert!(!offered(&|state| state.steps[0].work.status = settled.clone()), "{settled:?}");
    }
}
