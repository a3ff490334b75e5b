//! Guards of a run that an operator of this store adopted. The store that the run came from may still drive it, so both must not hold the
//! guards under one name.

use super::{Session, survey};
use crate::kinds::State;
use crate::model::ids::RunId;
use crate::model::ledger::Adopted;
use crate::model::time::Dur;
use crate::record::event::EventKind;
use crate::run::RunState;

/// How long drctl waits for the answers about the guards.
const PATIENCE: Dur = Dur::secs(15);

/// Whether no process has driven the run since this adoption.
pub(super) fn is_new(adopted: &Adopted, state: &RunState) -> bool {
    state.adoption.as_ref().is_none_or(|known| known.entry != adopted.entry)
}

/// The name under which an adopted run holds its guards. The digest makes it different from that in every other store.
pub(super) fn event(adopted: &Adopted, run: &RunId) -> EventKind {
    let holder = format!("run {run} of {}, adopted as {}", adopted.by, adopted.entry.short());
    EventKind::Adopted { holder, entry: adopted.entry.clone() }
}

/// Takes over the guards that still name the holder from before the adoption. Whatever becomes of these calls, the run reads its guard before
/// every other call, and makes none under the earlier name.
pub(super) async fn take_over(session: &Session<'_>, state: &RunState) {
    let guards: Vec<_> = state.guards().into_iter().filter(|guard| guard.former.is_some()).collect();
    let targets: Vec<_> = guards.iter().map(|guard| guard.target.clone()).collect();
    for (target, seen) in survey::look(session, &targets, PATIENCE).await {
        let guard = guards.iter().find(|guard| guard.target == target);
        let (Some(guard), Some(State::Guard(found))) = (guard, seen.state()) else { continue };
        if let Some(call) = guard.taken_over(found.holder.as_deref()) {
            let key = format!("{}/{}/adopted/{}", state.created.run, state.epoch, guard.component);
            session.cloud.perform(&call, &key).await;
        }
    }
}
