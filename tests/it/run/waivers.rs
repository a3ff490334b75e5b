//! Who accepts a risk by a waiver, and what it can still be about: a loss that something asks about, of a component that holds writes.

use drctl::kinds::shared::restore::RestoreJob;
use drctl::model::ids::ComponentName;
use drctl::model::time::Dur;
use drctl::model::waiver::{Rule, Waiver};
use drctl::record::action::{Action, Gate};
use drctl::record::event::EventKind;
use drctl::run::state::Status;

use crate::evidence::signatures;
use crate::run::decisions::{DONE, component, promote, restore, say, scale, step, under_way};
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
