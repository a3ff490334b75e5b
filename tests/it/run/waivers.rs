//! Who accepts a risk by a waiver, and what it can still be about: a loss that something asks about, of a component that holds writes.

use drctl::kinds::shared::restore::RestoreJob;
use drctl::model::ids::ComponentName;
use drctl::model::time::Dur;
use drctl::model::waiver::{Rule, Waiver};
use drctl::record::action::{Action, Gate, Write};
use drctl::record::event::{Direction, EventKind};
use drctl::run::state::Status;

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures;
use crate::run::decisions::{DONE, component, db, promote, restore, say, scale, step, under_way};
use crate::run::hard_cases::waiver;
use crate::support::rig::BEGAN;

/// A fence may be pending after its promotion, and its gate is then still open.
#[test]
fn a_waiver_is_too_late_once_nothing_asks_about_its_component() {
    let late = |of: &str, asks: Status| {
        let gate = Action::Gate(Gate::Fenced { component: ComponentName::new(of) });
        let state = under_way(vec![(step("gate", gate), asks), (step("promote", promote()), DONE)]);
        let component = Some(component());
        let waiver = Waiver { component, ..waiver(Rule::UnfencedPromotion, Dur::mins(9)) };
        state.too_late(&waiver).is_some()
    };
    assert!(!late("db", Status::Started));
    assert!(late("db", DONE));
    assert!(late("orders", Status::Started), "that is about another component");
}

#[test]
fn a_waiver_of_a_loss_has_an_effect_if_its_component_holds_writes() {
    let (none, orders): (&[&str], &[&str]) = (&[], &["orders"]);
    for (stores, action, of, effect) in [
        (orders, scale(), Some("orders"), true),
        (none, promote(), Some("db"), true),
        (none, restore(RestoreJob::Swap), Some("db"), true),
        (orders, scale(), Some("db"), false),
        (orders, scale(), None, true),
        (none, promote(), None, true),
        (none, scale(), None, false),
    ] {
        let words = format!("{stores:?}, {action}, {of:?}");
        let mut state = under_way(vec![(step("a", action), Status::Pending)]);
        state.runbook.stores = stores.iter().map(|name| ComponentName::new(*name)).collect();
        let component = of.map(ComponentName::new);
        let waiver = Waiver { component, ..waiver(Rule::ExposureAboveRpo, Dur::mins(9)) };
        assert_eq!(state.waives_nothing(&waiver).is_none(), effect, "{words}");
    }
}

/// The words of the gate and its decision come from the same waivers, also from those of a person who answers later.
#[test]
fn the_gate_of_a_loss_states_the_accepted_loss_as_its_limit() {
    let ledger = ComponentName::new("ledger");
    let components = vec![component(), ledger.clone()];
    let gate = Action::Gate(Gate::Exposure { components, objective_ms: Dur::mins(5) });
    let mut state = under_way(vec![(step("gate", gate), Status::Started)]);
    assert_eq!(state.action_words(0), "continue only if db, ledger may lose no more than 5m");
    for (rule, of, accepted, words) in [
        (
            Rule::UnfencedPromotion,
            component(),
            Dur::secs(10),
            "db may lose no more than 10s (accepted) and ledger may lose no more than 5m",
        ),
        (
            Rule::ExposureAboveRpo,
            ledger.clone(),
            Dur::secs(10),
            "db, ledger may lose no more than 10s (accepted)",
        ),
        (
            Rule::ExposureAboveRpo,
            component(),
            Dur::mins(30),
            "db may lose no more than 30m (accepted) and ledger may lose no more than 10s (accepted)",
        ),
        (
            Rule::ExposureUnknown,
            ledger.clone(),
            Dur::mins(9),
            "db may lose no more than 30m (accepted) and ledger may lose no more than 10s (accepted); \
             an unknown loss of ledger is accepted",
        ),
    ] {
        let waiver = Waiver { component: Some(of), ..waiver(rule, accepted) };
        say(&mut state, BEGAN, EventKind::Waived { waiver });
        assert_eq!(state.action_words(0), format!("continue only if {words}"));
    }
}

/// Else a screen shows a promotion that was requested as one that waits for an answer.
#[test]
fn an_answered_question_is_no_longer_the_reason_of_its_step() {
    let why = || "db may lose at most 2m".to_owned();
    let asks = |rule: Option<Rule>| Status::Blocked { why: why(), rule, flag: None };
    let mut state = under_way(vec![
        (step("promote", promote()), asks(Some(Rule::ExposureAboveRpo))),
        (step("grow", scale()), asks(None)),
    ]);
    state.steps.iter_mut().for_each(|at| at.work.reason = Some(why()));
    let waiver = Waiver { component: Some(component()), ..waiver(Rule::ExposureAboveRpo, Dur::mins(9)) };
    say(&mut state, BEGAN, EventKind::Waived { waiver });
    assert_eq!(state.steps[0].work.reason, None);
    assert_eq!(state.steps[1].work.reason, Some(why()), "nobody answered this one");
    let called = EventKind::CallIntended {
        step: state.step(1).id.clone(),
        direction: Direction::Do,
        attempt: 1,
        generation: 1,
        key: "k".to_owned(),
        part: Vec::new(),
        found: None,
    };
    say(&mut state, BEGAN, called);
    assert_eq!(state.steps[1].work.reason, None);
}

/// A dry run unlocks no key, and its runbook is still that of the confirmation.
#[test]
fn a_dry_run_and_the_confirmation_name_the_operator_who_signs_the_waiver() {
    let folder = signatures::folder();
    let start = "failover truststream --to us-east-1 --sandbox=region-dark --waive unfenced-promotion:db \
                 --accept-data-loss 1m --reason dark";
    let args =
        |more: &[&'static str]| start.split_whitespace().chain(more.iter().copied()).collect::<Vec<_>>();
    let shown = |more: &[&'static str]| signatures::as_operator(&folder, "ann.key", &args(more)).1;
    let digest = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("runbook        "));
        line.and_then(|line| line.split(' ').next()).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let (dry, asked) = (shown(&["--dry-run"]), shown(&[]));
    for text in [&dry, &asked] {
        assert!(text.contains(" by ann (will be signed): dark"), "{text}");
    }
    assert_eq!(digest(&dry), digest(&asked));
    // Without a key, nobody signs a rehearsal.
    let (_, claimed, _) = folder.run(&args(&["--dry-run"]));
    assert!(claimed.contains(" (unsigned): dark"), "{claimed}");
}

/// The takeover of a guard is in the runbook, because the planner saw who held it.
#[test]
fn a_waiver_about_guards_has_an_effect_if_there_is_such_a_guard() {
    let takes = |other: Option<&str>| {
        let (place, holder) = (db("db-east").place, "run".to_owned());
        Action::Write(Write::Guard {
            component: component(),
            place,
            holder,
            instead_of: other.map(str::to_owned),
        })
    };
    let (db, other) = (component(), ComponentName::new("other"));
    for (action, rule, of, why) in [
        (takes(Some("run-1")), Rule::GuardHeld, None, None),
        (takes(Some("run-1")), Rule::GuardHeld, Some(&db), None),
        (takes(None), Rule::GuardHeld, None, Some("no other run held a guard that this run takes")),
        (takes(Some("run-1")), Rule::GuardHeld, Some(&other), Some("this run takes no guard of other")),
        (scale(), Rule::GuardHeld, None, Some("this run takes no guard")),
        (takes(None), Rule::GuardUnread, Some(&db), None),
        (scale(), Rule::GuardUnread, Some(&db), Some("this run takes no guard of db")),
    ] {
        let state = under_way(vec![(step("a", action), Status::Pending)]);
        let waiver = Waiver { component: of.cloned(), accept_loss_ms: None, ..waiver(rule, Dur::ZERO) };
        let words = |why: &str| format!("the waiver of {rule} by test (unsigned) had no effect: {why}");
        assert_eq!(state.waives_nothing(&waiver), why.map(words));
    }
}

/// The card has `--take-over` in its command for a failover in which nobody knows who holds a guard.
#[test]
fn a_takeover_where_nobody_held_a_guard_is_no_accepted_risk() {
    let folder = Folder::with_plans();
    let start = "failover truststream --to us-east-1 --sandbox --yes --take-over --reason dead";
    folder.run(&start.split(' ').collect::<Vec<_>>());
    let report = "report compliance --since 2026-01-01 --until 2027-01-01 --format json --sandbox";
    let report = json(&folder.ok(&report.split(' ').collect::<Vec<_>>()));
    assert_eq!(report["totals"]["waivers"], 0, "{report}");
    let unused = report["runs"][0]["unused_waivers"][0].as_str().unwrap_or_else(|| panic!("{report}"));
    assert!(unused.contains("guard-held") && unused.contains("no other run held a guard"), "{unused}");
}
