//! The guards of components, outside all sites.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::world::answer::{Answer, Refused};
use crate::model::ids::ComponentName;
use crate::record::action::Write;

/// The guards, and who holds them.
pub(super) struct Guards {
    components: BTreeSet<ComponentName>,
    held: BTreeMap<ComponentName, String>,
}

impl Guards {
    /// Every component has one, and nobody holds it.
    pub(super) const fn new(components: BTreeSet<ComponentName>) -> Self {
        Self { components, held: BTreeMap::new() }
    }

    /// Who holds the guard of a component; none if there is no such component.
    pub(super) fn holder(&self, component: &ComponentName) -> Option<Option<String>> {
        self.components.contains(component).then(|| self.held.get(component).cloned())
    }

    pub(super) fn write(&mut self, write: &Write) -> Answer {
        match write {
            Write::Guard { component, holder, instead_of, .. } => match self.held.get(component) {
                Some(other) if other != holder && Some(other) != instead_of.as_ref() => {
                    Err(Refused::always("PreconditionFailed", format!("the guard is held by {other}")))
                }
                _ => {
                    self.held.insert(component.clone(), holder.clone());
                    Ok(None)
                }
            },
            Write::ReleaseGuard { component, holder, .. } => {
                if self.held.get(component) == Some(holder) {
                    self.held.remove(component);
                }
                Ok(None)
            }
        }
    }
}
