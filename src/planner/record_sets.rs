//! Changes of record sets: the differences, and the steps that make them in batches.

use super::form::{all, step};
use super::steps::Draft;
use crate::kinds::Operation;
use crate::kinds::shared::names::{Names, RecordAnswer, RecordChange, RecordSet, Switch, ZoneService};
use crate::model::ids::{ComponentName, SiteName, StepId};
use crate::record::action::Action;
use crate::record::runbook::Phase;

/// Adds changes of record sets in batches, one after the other.
pub(super) fn push_batches(
    draft: &mut Draft<'_>,
    (name, service): (&ComponentName, &ZoneService),
    phase: Phase,
    verb: &str,
    switch: Switch,
    needs: &[StepId],
) -> Vec<StepId> {
    let Switch { zone, changes } = switch;
    let batches = batches(changes, service);
    let several = batches.len() > 1;
    let mut before: Option<StepId> = None;
    let mut ids = Vec::new();
    for (i, changes) in batches.into_iter().enumerate() {
        let id = if several { format!("{verb}.{name}.{}", i + 1) } else { format!("{verb}.{name}") };
        let action = Action::Op(Operation::Switch(Switch { zone: zone.clone(), changes }));
        let mut step = step(&id, phase, Some(name), action);
        // Only one request for a zone at a time: a second one would be refused.
        step.needs = all(&needs.iter().cloned().chain(before.take()).collect::<Vec<_>>());
        before = Some(step.id.clone());
        ids.push(draft.push(step));
    }
    ids
}

/// The differences between the existing record sets and the required ones.
pub(super) fn record_changes(
    spec: &Names,
    there: &[RecordSet],
    to: &SiteName,
    home: &SiteName,
) -> Vec<RecordChange> {
    let mut changes = Vec::new();
    for record in &spec.records {
        for after in record.sets_when_active(to, home) {
            let before = there.iter().find(|set| set.same_set(&after)).cloned();
            if before.as_ref() != Some(&after) {
                changes.push(RecordChange::seen(before, Some(after)));
            }
        }
    }
    changes
}

/// Splits changes into batches within the provider's limits. All sets of one name are in the same batch, so that they change together.
fn batches(changes: Vec<RecordChange>, service: &ZoneService) -> Vec<Vec<RecordChange>> {
    let mut batches: Vec<Vec<RecordChange>> = Vec::new();
    let (mut elements, mut characters) = (0, 0);
    let mut rest = changes.into_iter().peekable();
    while let Some(first) = rest.next() {
        let name = set_name(&first).to_owned();
        let mut unit = vec![first];
        while rest.peek().is_some_and(|c| set_name(c) == name) {
            unit.extend(rest.next());
        }
        let (e, c) = unit.iter().map(weight).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        if batches.is_empty()
            || elements + e > service.batch_elements
            || characters + c > service.batch_characters
        {
            batches.push(Vec::new());
            (elements, characters) = (0, 0);
        }
        elements += e;
        characters += c;
        if let Some(last) = batches.last_mut() {
            last.extend(unit);
        }
    }
    batches
}

pub(super) fn set_name(change: &RecordChange) -> &str {
    change.after.as_ref().or(change.before.as_ref()).map_or("", |s| s.name.as_str())
}

/// The number of elements and value characters of a change. An upsert counts twice.
fn weight(change: &RecordChange) -> (usize, usize) {
    let of = |set: &RecordSet| match &set.answer {
        RecordAnswer::Values { values, .. } => (values.len(), values.iter().map(|v| v.chars().count()).sum()),
        RecordAnswer::Alias { name, .. } => (1, name.chars().count()),
    };
    let after = change.after.as_ref().map_or((0, 0), of);
    match &change.before {
        Some(before) => {
            let before = of(before);
            (before.0 + after.0, before.1 + after.1)
        }
        None => (2 * after.0, 2 * after.1),
    }
}
