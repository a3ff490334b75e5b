//! A global database has one writer, and two components would move it twice.

use super::plan::AuroraGlobal;
use crate::kinds::kind::Role;
use crate::kinds::lint::Lint;

impl AuroraGlobal {
    /// One finding names all components of one global database.
    pub(super) fn lint_global(&self, of: &mut Lint<'_>) {
        let Some(global) = &self.0.global else { return };
        let (plan, name) = (of.plan, of.name);
        let all = plan.components().into_iter();
        let members: Vec<_> = all
            .filter(|(_, spec)| matches!(spec.role(), Role::Store(d) if d.global.as_ref() == Some(global)))
            .map(|(member, _)| member)
            .collect();
        let Some((last, others)) = members.split_last().filter(|_| members.get(1) == Some(&name)) else {
            return;
        };
        let others: Vec<_> = others.iter().map(|other| format!("`{other}`")).collect();
        of.error(
            "global-database-twice",
            of.span,
            format!("{} and `{last}` name the same global database, {global}", others.join(", ")),
            "the global database has one writer, and each of them would fence and move it",
            "merge them into one component; all databases of a cluster move together",
        );
    }
}
