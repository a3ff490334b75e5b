//! Typing errors, and the suggestions for them.

use crate::cli::contract::{Folder, json};
use crate::kinds::planned_moves::two_stores;

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
            "--pace is the number of virtual seconds",
        ),
        (&["failover", "truststrem", "--to", "us-east-1", "--sandbox"], "did you mean `truststream`?"),
        (&["failover", "unheard-of", "--to", "us-east-1", "--sandbox"], "one of: "),
    ] {
        let (code, out, err) = folder.run(typed);
        assert!(code == 2 && err.contains(told), "{typed:?}: {code} {out}{err}");
    }
    // Another run may have begun since somebody looked.
    folder.ok(&[REHEARSED, &["--sandbox"]].concat());
    let (code, out, err) = folder.run(&["runs", "cancel", "latest", "--reason", "x", "--sandbox"]);
    let said =
        err.contains("`latest` is only for commands that read") && err.contains("the last one is sandbox-");
    assert!(code == 2 && said, "{code} {out}{err}");
    let (_, _, err) = folder.run(&["nonsense"]);
    assert!(!err.contains("drctl runs nonsense"), "{err}");
}

/// A name that the plan does not have is no refusal that a person could accept.
#[test]
fn a_site_or_component_that_is_none_is_a_mistake() {
    let folder = Folder::with_plans();
    let restore = ["restore", "truststream", "--to-time", "15m ago", "--sandbox", "--dry-run"];
    for (typed, told) in [
        (&["plan", "show", "truststream", "--to", "mars"][..], "has no site `mars`"),
        (
            &["plan", "show", "truststream", "--to", "us-east-1", "--from", "us-west-1"],
            "did you mean `us-west-2`?",
        ),
        (&[&restore[..], &["--component", "bd"]].concat(), "did you mean `db`?"),
        (&[&restore[..], &["--component", "www"]].concat(), "drctl restores only databases"),
        (&[&restore[..], &["--component", "db", "--site", "mars"]].concat(), "has no site `mars`"),
        (
            &["drill", "truststream", "--mode", "isolated", "--component", "nope", "--sandbox"],
            "has no component `nope`",
        ),
    ] {
        let (code, out, err) = folder.run(typed);
        let said = err.contains(told) && err.contains("choose one of: ") && !err.contains("waive");
        assert!(code == 2 && said, "{typed:?}: {code} {out}{err}");
    }
}

/// Somebody who types an option of a rehearsal does not want to move production.
#[test]
fn an_option_of_a_rehearsal_never_starts_a_live_run() {
    let folder = Folder::with_plans();
    for option in [["--seed", "3"], ["--pace", "60"]] {
        for command in [
            &["failover", "truststream", "--to", "us-east-1", "--yes"][..],
            &["switchover", "truststream", "--to", "us-east-1"],
            &["drill", "truststream", "--mode", "live"],
            &["drill", "truststream"],
            &["runs", "resume", "latest"],
            &["serve"],
        ] {
            let (code, out, err) = folder.run(&[command, &option].concat());
            let told = err.contains("is for rehearsals") && err.contains("--sandbox");
            assert!(code == 2 && told, "{command:?} {option:?}: {code} {out}{err}");
        }
        let rehearsal = ["drill", "truststream", "--mode", "rehearsal", "--scenario", "calm"];
        let (_, out, err) = folder.run(&[&rehearsal[..], &option].concat());
        assert!(!err.contains("is for rehearsals"), "{out}{err}");
    }
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

#[test]
fn a_folder_without_plans_says_where_to_go_and_how_to_begin() {
    let folder = Folder::empty();
    for args in [
        &["check"][..],
        &["status"],
        &["failover", "--to", "us-east-1", "--yes"],
        &["plan", "show", "shop", "--to", "us-east-1"],
        &["assess", "--from", "us-west-2"],
        &["drill", "shop"],
    ] {
        let (code, out, err) = folder.run(args);
        let said =
            err.contains("there are no plans in /") && err.contains("/plans") && err.contains("-C DIR");
        assert!(code == 2 && said && err.contains("drctl init"), "{args:?}: {code} {out}{err}");
    }
    let (code, _, err) = folder.run(&["-C", "nowhere", "check"]);
    assert!(code == 2 && err.contains("there is no folder nowhere"), "{code} {err}");
    // The folder of the plans itself is not the one to run in.
    let plans = folder.path().join("plans");
    std::fs::create_dir(&plans).unwrap();
    std::fs::write(plans.join("drctl.yaml"), "plans: plans\n").unwrap();
    let (code, _, err) = folder.run(&["-C", "plans", "check"]);
    assert!(code == 2 && err.contains("the folder above it"), "{code} {err}");
    // A file that is named explicitly is different.
    let (_, _, err) = folder.run(&["check", "shop.yaml"]);
    assert!(err.contains("shop.yaml") && !err.contains("there are no plans"), "{err}");
}

#[test]
fn settings_above_the_plans_stay_the_only_ones() {
    let folder = Folder::empty();
    std::fs::write(folder.path().join("drctl.yaml"), "plans: plans\n").unwrap();
    let said = folder.ok(&["init", "shop"]);
    assert!(said.contains("kept ./drctl.yaml"), "{said}");
    assert!(!folder.path().join("plans/drctl.yaml").exists(), "nobody would read it");
}

#[test]
fn a_takeover_asks_for_its_reason_by_its_own_name() {
    let folder = Folder::with_plans();
    let (code, _, err) = folder.run(&[REHEARSED, &["--sandbox", "--take-over"]].concat());
    assert!(code == 2 && err.contains("`--take-over` needs a reason") && err.contains("--reason"), "{err}");
}

#[test]
fn the_time_of_a_report_is_a_day_an_instant_or_how_long_ago() {
    let folder = Folder::with_plans();
    let report = |since: &str| folder.run(&["report", "compliance", "--since", since]);
    for since in ["yesterday", "today", "90d ago", "2026-01-01", "2026-01-01T12:00:00Z"] {
        let (code, _, err) = report(since);
        assert_eq!(code, 0, "{since}: {err}");
    }
    let (code, _, err) = report("last week");
    assert!(code == 2 && err.contains("yesterday or today") && err.contains("90d ago"), "{code} {err}");
}

#[test]
fn a_word_that_is_no_id_names_those_that_it_is_part_of() {
    let folder = Folder::empty();
    for (word, near) in
        [("ttl", "record-without-ttl"), ("promotion", "unfenced-promotion"), ("gaurd", "guard-held")]
    {
        let (code, _, err) = folder.run(&["explain", word]);
        assert!(code == 2 && err.contains(&format!("`{near}`")), "{word}: {code} {err}");
    }
    let (_, _, err) = folder.run(&["explain", "zebra"]);
    assert!(!err.contains("near it") && err.contains("drctl explain for the list"), "{err}");
}

/// Only the journal, its keys and sealed evidence remain.
#[test]
fn a_command_that_is_over_leaves_no_lock() {
    let folder = Folder::with_plans();
    folder.ok(&[REHEARSED, &["--sandbox"]].concat());
    let places = ["plans/.drctl", ".drctl"].map(|place| folder.path().join(place));
    let files = places.iter().filter_map(|place| std::fs::read_dir(place).ok()).flatten();
    let names: Vec<_> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.contains(&"sandbox.db".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with(".lock")), "{names:?}");
}

/// A waiver applies only to what it names: without a component it applies to the only one, and is refused if there are several.
#[test]
fn a_waiver_without_a_component_is_never_taken_for_several() {
    let server = |name: &str, site: &str| {
        format!("{{id: {name}-{site}, fence_group: sg-{name}-{site}, admin: {{secret: \"file:a\"}}}}")
    };
    let folder = Folder::with_plans();
    std::fs::write(folder.path().join("plans/orders.yaml"), two_stores("aws.rds", server).text).unwrap();
    let waive = |plan: &'static str, to: &'static str| {
        let start = ["failover", plan, "--to", to, "--yes", "--sandbox=region-dark"];
        let bare = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "dark"];
        [&start[..], &bare].concat()
    };
    let (code, out, err) = folder.run(&waive("orders", "east"));
    let flags = "--waive unfenced-promotion:billing --waive unfenced-promotion:db";
    assert!(code == 2 && err.contains(flags), "{code} {out}{err}");
    assert!(!folder.run(&["runs", "list", "--sandbox"]).1.contains("orders"));
    // The same holds for every other rule about a component.
    for rule in ["other-source", "exposure-unknown", "guard-unread", "stale-observation"] {
        let start = ["failover", "orders", "--to", "east", "--yes", "--sandbox=region-dark"];
        let bare = ["--waive", rule, "--accept-data-loss", "5m", "--reason", "dark"];
        let (code, out, err) = folder.run(&[&start[..], &bare].concat());
        let flag = format!("--waive {rule}:db");
        assert!(code == 2 && err.contains(&flag), "{rule}: {code} {out}{err}");
    }
    let (code, out, err) =
        folder.run(&[&waive("truststream", "us-east-1")[..], &["--output", "json"]].concat());
    let taken = "--waive unfenced-promotion is taken as --waive unfenced-promotion:db";
    assert!(code == 5 && err.contains(taken), "{code} {out}{err}");
    assert_eq!(json(&out)["waivers"][0]["component"], "db", "{out}");
}

/// Files with these changes, checked.
fn checked(changes: &[(&str, &str, &str)]) -> (i32, String) {
    let folder = Folder::with_plans();
    for (plan, was, is) in changes {
        let file = folder.path().join("plans").join(format!("{plan}.yaml"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(was), "{plan}: {was}");
        std::fs::write(&file, text.replace(was, is)).unwrap();
    }
    let (code, out, err) = folder.run(&["check", "--output", "json"]);
    let (_, human, more) = folder.run(&["check"]);
    (code, format!("{out}{err}{human}{more}"))
}

#[test]
fn plans_that_wait_for_no_plan_or_for_each_other_are_errors() {
    let waits = |plan: &'static str, line: &'static str, other: &str| {
        (plan, line, format!("{line}\nafter: [{other}]"))
    };
    let (one, two) = (
        waits("truststream", "plan: truststream", "startr"),
        waits("starter", "plan: starter", "truststream"),
    );
    let (code, said) = checked(&[(one.0, one.1, &one.2)]);
    assert!(code == 2 && said.contains("unknown-plan") && said.contains("did you mean `starter`?"), "{said}");
    let (_, said) = checked(&[(two.0, two.1, &two.2)]);
    assert!(!said.contains("unknown-plan") && !said.contains("plan-cycle"), "{said}");
    let back = waits("truststream", "plan: truststream", "starter");
    let (code, said) = checked(&[(back.0, back.1, &back.2), (two.0, two.1, &two.2)]);
    assert!(code == 2 && said.contains("`truststream` and `starter` wait for each other"), "{said}");
    let (code, said) = checked(&[("starter", "plan: starter", "plan: truststream")]);
    assert!(code == 2 && said.contains("plan-name-twice"), "{said}");
    let (_, said) = checked(&[("starter", "plan: starter", "plan: starter\nafter: [starter]")]);
    assert!(said.contains("`starter` waits for itself"), "{said}");
}

/// The guards of two plans do not exclude each other.
#[test]
fn a_group_of_two_plans_is_an_error() {
    let group = |name: &'static str| ("starter", "group: starter-nodes-dr", name);
    let other = ("starter", "us-east-1: {cloud: aws}", "us-east-1: {cloud: aws, account: \"111111111111\"}");
    let (code, said) = checked(&[group("group: truststream-nodes-dr"), other]);
    assert!(code == 2 && said.contains("component-twice"), "{said}");
    assert!(said.contains("is the same as `nodes` of plan"), "{said}");
    // The same name in another account is another group.
    let (code, said) = checked(&[group("group: truststream-nodes-dr")]);
    assert!(code == 0 && !said.contains("component-twice"), "{said}");
}

/// The fix helps with what was typed, and a typing error makes no other finding.
#[test]
fn a_fix_says_what_to_write() {
    let (code, said) = checked(&[("truststream", "watch: {for: 2h}", "watch: 2h")]);
    assert!(code == 2 && said.contains("write a mapping, as in {for: ..}"), "{said}");
    let (code, said) = checked(&[("truststream", "watch: {for: 2h}", "watch: {for: 10min}")]);
    assert!(code == 2 && said.contains("`for` is not a duration that drctl can read"), "{said}");
    assert!(!said.contains("needs a value with a unit"), "{said}");
    let (code, said) = checked(&[("truststream", "watch: {for: 2h}", "watch: {for: \"10\"}")]);
    assert!(code == 2 && said.contains("`for` needs a value with a unit"), "{said}");
    let (code, said) = checked(&[("truststream", "home: us-west-2", "home: us-west-22")]);
    assert!(code == 2 && said.contains("did you mean `us-west-2`?"), "{said}");
    assert!(!said.contains("no-capacity-floor"), "{said}");
    let folder = Folder::with_plans();
    std::fs::write(folder.path().join("plans/empty.yaml"), "# later\n").unwrap();
    let (code, out, err) = folder.run(&["check", "--output", "json"]);
    assert!(code == 2 && out.contains("the file is empty, or has only comments"), "{out}{err}");
}

/// A fence with the group of another region would fail in the outage, and a rehearsal cannot know.
#[test]
fn a_security_group_of_another_region_is_an_error() {
    let (code, said) = checked(&[("truststream", "fence_group: sg-0bbb", "fence_group: sg-0aaa")]);
    let told = said.contains("fence-not-prepared") && said.contains("a security group belongs to one VPC");
    assert!(code == 2 && told && said.contains("write its id as `fence_group` of us-west-2"), "{said}");
}

/// Text without a scheme may be the password itself.
#[test]
fn what_may_be_a_password_is_not_repeated() {
    let secret = ("truststream", "secret: \"aws-sm:ts/db/admin\"", "secret: \"hunter2\"");
    let (code, said) = checked(&[secret]);
    assert!(code == 2 && said.contains("secret-in-plan") && !said.contains("hunter2"), "{said}");
    let (code, said) = checked(&[(secret.0, secret.1, "secret: \"ts/db/admin\"")]);
    assert!(code == 2 && said.contains("`ts/db/admin` is not a secret reference"), "{said}");
    // Nor is one under keys of its own, in a list, on lines of its own, or in a file that is not valid YAML.
    let whole = "{secret: \"aws-sm:ts/db/admin\"}";
    for typed in [
        "{username: admin, password: hunter2}",
        "{user: admin, credentials: [hunter2]}",
        "{secret: hunter2, region: us-west-2}",
        "[hunter2]",
        "{\n            username: admin,\n            password: hunter2}",
        "{username: admin, password: hunter2",
    ] {
        let (code, said) = checked(&[("truststream", whole, typed)]);
        assert!(code == 2 && said.contains("secret-in-plan") && !said.contains("hunter2"), "{typed}: {said}");
        assert!(!said.contains("write text"), "{typed}: {said}");
    }
    let (code, said) = checked(&[("truststream", whole, "{secrets: \"aws-sm:ts/db/admin\"}")]);
    let told = said.contains("plan-wrong-type") && said.contains("write {secret: \\\"aws-sm:shop/db/admin");
    assert!(code == 2 && told && !said.contains("secret-in-plan"), "{said}");
    let (code, said) = checked(&[("truststream", "owner:", "admin_password: hunter2\nowner:")]);
    assert!(code == 2 && said.contains("secret-in-plan") && !said.contains("hunter2"), "{said}");
}
