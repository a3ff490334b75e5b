//! A server of one's own without its machine can be promoted and fenced over SQL, but nobody can make it a standby.

use super::plan::Postgres;
use crate::kinds::lint::Lint;

impl Postgres {
    pub(super) fn lint_hosts(&self, of: &mut Lint<'_>) {
        // A fence that needs the machine says itself that it is missing.
        if self.0.fence.iter().any(|method| method.needs_host()) {
            return;
        }
        let without = self.0.at.iter().filter(|(_, at)| at.host.is_none());
        let without: Vec<&str> = without.map(|(site, _)| site.as_str()).collect();
        if !without.is_empty() {
            of.warn(
                "no-host",
                of.span,
                format!("`{}` has no `host:` in {}", of.name, without.join(" and ")),
                "without it, drctl cannot make that server a standby (`switchover`, `failback`, `reprotect`), and cannot restore it or hold an isolated drill of it",
                "add `host: {run: [ssh, -o, BatchMode=yes, postgres@HOST], data: FOLDER, replication: {secret: ..}}` beside its `endpoint`, or do these by hand",
            );
        }
    }
}
