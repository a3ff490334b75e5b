//! A global database has one writer, and two components would move it twice.

use super::AuroraGlobal;
use crate::kinds::{Lint, Role};

impl AuroraGlobal {
    pub(super) fn lint_global(&self, of: &mut Lint<'_>) {
        let Some(global) = &self.0.global else { return };
        let (plan, name) = (of.plan, of.name);
        let mut before = plan.components().into_iter().filter(|(other, _)| *other < name);
        let other = before
            .find(|(_, spec)| matches!(spec.role(), Role::Store(d) if d.global.as_ref() == Some(global)));
        if let Some((other, _)) = other {
            of.error(
                "global-database-twice",
                of.span,
                format!("`{other}` and `{name}` name the same global database, {global}"),
                "the global database has one writer, and both components would fence and move it",
                "merge them into one component; all databases of a cluster move together",
            );
        }
    }
}
