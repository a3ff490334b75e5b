//! The servers of databases: what the planner knows of them, and the names that they get from a run.

use super::steps::Draft;
use crate::inventory::Observation;
use crate::kinds::shared::database::{DatabaseRef, InstanceSettings, LONGEST_ID};
use crate::kinds::{State, Target};
use crate::model::ids::{Digest, RunId};
use crate::plan::types::Component;

/// The part of it that identifies the run: its start to the second, and six characters that differ between servers.
const RUN_PART: usize = 21;

/// A store to promote.
pub(super) struct Store<'p> {
    pub(super) component: &'p Component,
    pub(super) target: DatabaseRef,
    pub(super) canary: Option<String>,
}

/// The new name of an instance that a run renames.
pub(super) fn aside(id: &str, run: &RunId) -> String {
    named(id, "set-aside", run)
}

/// The name of an instance that a run creates.
pub(super) fn created(id: &str, run: &RunId) -> String {
    named(id, "new", run)
}

/// Letters, digits and single hyphens, as services require. A rehearsal has the word instead of a start time. The end distinguishes two
/// instances whose names start alike.
fn named(id: &str, word: &str, run: &RunId) -> String {
    let clean = |text: &str| {
        let dashed: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
    };
    // The name of a live run starts with its start time, to the second.
    let second: String = run.as_str().chars().take_while(char::is_ascii_digit).take(14).collect();
    let second = if second.is_empty() { word.to_owned() } else { second };
    let digest = Digest::of_fields(&[id.as_bytes(), run.as_str().as_bytes()]);
    let id: String = clean(id).chars().take(LONGEST_ID - RUN_PART - 1).collect();
    clean(&format!("{id}-{second}-{}", &digest.as_str()[..6]))
}

/// The current settings of an instance, or the last known ones if it no longer exists.
pub(super) fn settings(draft: &Draft<'_>, db: &DatabaseRef) -> Option<InstanceSettings> {
    match seen(draft, db)? {
        State::Database(d) => d.instance.as_deref().cloned(),
        _ => None,
    }
}

fn seen<'a>(draft: &Draft<'a>, db: &DatabaseRef) -> Option<&'a State> {
    let target = Target::Database(db.clone());
    match draft.input.estate.now(&target)? {
        Observation::NotFound { .. } => draft.input.estate.last_seen(&target).map(|r| &r.state),
        now => now.state(),
    }
}

/// The groups for client access: the attached ones or, if the instance is fenced, those that the fence removed.
pub(super) fn groups(draft: &Draft<'_>, db: &DatabaseRef) -> Vec<String> {
    let attached: Vec<String> = match seen(draft, db) {
        Some(State::Database(d)) => d.security_groups.iter().cloned().collect(),
        _ => Vec::new(),
    };
    of_clients(draft, db, attached)
}

/// These attached groups or, if they are only the fence's, those that an earlier run recorded.
pub(super) fn of_clients(draft: &Draft<'_>, db: &DatabaseRef, attached: Vec<String>) -> Vec<String> {
    let own = |groups: &[String]| !groups.is_empty() && groups != db.fence_group.as_slice();
    if own(&attached) {
        return attached;
    }
    let before = draft.input.groups_before.iter().rev().find(|(of, groups)| of.is(db) && own(groups));
    before.map(|(_, groups)| groups.clone()).unwrap_or_default()
}
