//! What a waiver can still be about: a loss that something asks about, of a component that holds writes.

use drctl::kinds::shared::restore::RestoreJob;
use drctl::model::ids::ComponentName;
use drctl::model::time::Dur;
use drctl::model::waiver::{Rule, Waiver};
use drctl::record::action::{Action, Gate};
use drctl::run::state::Status;

use crate::run::decisions::{DONE, component, promote, restore, scale, step, under_way};
use crate::run::hard_cases::waiver;

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
