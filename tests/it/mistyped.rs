//! What somebody mistypes, and is told that they meant.

use crate::cli::Folder;

const REHEARSED: &[&str] = &["failover", "truststream", "--to", "us-east-1", "--yes"];

#[test]
fn a_command_that_was_nearly_right_names_the_right_one() {
    let folder = Folder::with_plans();
    for (typed, told) in [
        (&["cancel", "latest"][..], "drctl runs cancel"),
        (&["resume"], "drctl runs resume"),
        (&["skip", "R", "S"], "drctl runs skip"),
        (&["failover", "truststream", "--to", "us-east-1", "-yes"], "--yes"),
        (&["failover", "truststream", "--to", "us-east-1", "-severity=P0"], "--severity"),
        (
            &["failover", "truststream", "--to", "us-east-1", "--sandbox", "--pace", "fast"],
            "a pace is how many seconds",
        ),
        (&["failover", "truststrem", "--to", "us-east-1", "--sandbox"], "did you mean `truststream`?"),
        (&["failover", "unheard-of", "--to", "us-east-1", "--sandbox"], "one of: "),
    ] {
        let (code, out, err) = folder.run(typed);
        assert!(code == 2 && err.contains(told), "{typed:?}: {code} {out}{err}");
    }
    let (_, _, err) = folder.run(&["nonsense"]);
    assert!(!err.contains("drctl runs nonsense"), "{err}");
}

#[test]
fn a_step_that_is_none_is_a_mistake_that_names_the_nearest() {
    let folder = Folder::with_plans();
    let (_, out, err) = folder.run(&[REHEARSED, &["--sandbox=capacity-short"]].concat());
    let run = out.split("   run ").nth(1).unwrap_or_else(|| panic!("{out}{err}")).lines().next().unwrap();
    for verb in [&["skip", run, "scale.node", "--reason", "fewer will do"][..], &["done", run, "scale.no"]] {
        let (code, out, err) = folder.run(&[&["runs"], verb, &["--sandbox"]].concat());
        assert!(code == 2 && err.contains("did you mean `scale.nodes`?"), "{verb:?}: {code} {out}{err}");
    }
    let (code, _, err) = folder.run(&["runs", "done", run, "nothing.like.it", "--sandbox"]);
    assert!(code == 2 && err.contains("lists its steps"), "{code} {err}");
}
