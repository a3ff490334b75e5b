//! What people read before and after an override: who may give it, who approves with it, and what is due afterwards.

use crate::cli::json;
use crate::policy::{GATE, by, overridden, truststream};

/// `status` and the report of the run list them, too.
#[test]
fn the_approvals_that_an_override_in_a_rehearsal_owes_are_duties() {
    let folder = truststream();
    let run = overridden(&folder);
    let words = format!("approval:{GATE} of {run}: open, due 2026-");
    let duties = folder.ok(&["duties", "--sandbox"]);
    assert!(duties.contains(&words) && duties.contains("overridden by ivy: DBA unreachable"), "{duties}");
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
