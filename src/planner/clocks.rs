//! Clocks that disagree: the times of commits are those of the server that made them, and the time at which writes ended is perhaps
//! this machine's.

use super::steps::Draft;
use crate::inventory::{Observation, targets};
use crate::model::action::{Action, Check};
use crate::model::measure::CLOCKS_AGREE;
use crate::model::state::State;
use crate::model::target::{DatabaseRef, Target};
use crate::model::time::Dur;
use crate::plan::types::{Component, Spec};

/// Measures the exposure of a store, by what is known of its clock.
pub(super) fn exposure(draft: &mut Draft<'_>, component: &Component, db: &DatabaseRef) -> Action {
    let ahead_ms = ahead(draft, component);
    if ahead_ms >= CLOCKS_AGREE {
        draft.notes.push(format!(
            "`{}`: the clock of its database is up to {ahead_ms} ahead of this machine's, so its last commit may be as much older than it says: where the loss cannot be read off one clock, its bound is larger by that. Set both by NTP",
            component.name
        ));
    }
    Action::Check(Check::Exposure { db: db.clone(), ahead_ms })
}

/// Of all readings that there are, the one that makes commits oldest: a server that is dark was read when it was last seen.
fn ahead(draft: &Draft<'_>, component: &Component) -> Dur {
    let Spec::Database(spec) = &component.spec else { return Dur::ZERO };
    let (plan, estate) = (draft.input.plan, draft.input.estate);
    let servers = spec.at.keys().filter_map(|site| targets::database(plan, &component.name, spec, site));
    let readings = servers.flat_map(|db| {
        let target = Target::Database(db);
        let states = [
            estate.now(&target).and_then(Observation::state),
            estate.last_seen(&target).map(|last| &last.state),
        ];
        states.into_iter().flatten().filter_map(|state| match state {
            State::Database(seen) => seen.clock_ahead_ms,
            _ => None,
        })
    });
    Dur(readings.max().and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default())
}
