//! Findings about a database, whoever runs it: whether it can be fenced, verified and restored.

use super::plan::{Database, DatabaseAt};
use crate::kinds::kind::Role;
use crate::kinds::lint::Lint;
use crate::kinds::shared::fence::method::FenceMethod;
use crate::kinds::shared::restore::copy::Expect;
use crate::kinds::shared::secret::lint::lint_login;
use crate::model::ids::SiteName;
use crate::model::place::endpoint_parts;

impl Database {
    /// Finds what would go wrong with it. `add_fence` says how it gets a fence.
    pub fn lint(&self, of: &mut Lint<'_>, add_fence: &str) {
        self.lint_twins(of);
        self.lint_groups(of);
        let name = of.name;
        if self.fence.is_empty() {
            of.warn(
                "no-fence",
                of.span,
                format!("`{name}` has no fence"),
                "without a fence, every failover needs a waiver, and the old primary may keep taking writes",
                add_fence,
            );
        }
        for (site, at) in &self.at {
            self.lint_server(site, at, of);
        }
        if self.canary_table.is_none() {
            of.warn(
                "no-write-check",
                of.span,
                format!("no test write verifies a promotion of `{name}`"),
                "the status `available` comes from the control plane; only a committed row proves that the server is a primary",
                "add `verify: {sql_write: {table: drctl_canary}}`",
            );
        }
        for bad in self.invariants.iter().filter(|i| i.value.expect == Expect::Nothing) {
            of.error(
                "invariant-without-expectation",
                bad.span,
                format!("invariant `{}` has neither `is` nor `at_least`, or it has both", bad.value.name),
                "the invariant would fail every restore, or prove nothing",
                "write, for example, is: \"50000\" or at_least: 4000",
            );
        }
        let rpo = of.objectives.rpo_ms;
        if let Some(every) = self.backup_every.as_ref().filter(|e| e.value > rpo) {
            of.error(
                "backup-interval-above-rpo",
                every.span,
                format!("a backup every {} cannot meet an RPO of {rpo}", every.value),
                "a loss of the source can lose one backup interval of writes",
                "back up more often, use replication, or set a longer RPO",
            );
        }
    }

    /// Two sites with the same server.
    fn lint_twins(&self, of: &mut Lint<'_>) {
        let plan = of.plan;
        let place = |site: &SiteName| plan.site(site).map(|place| (&place.region, &place.account));
        let all: Vec<_> = self.at.iter().map(|(site, at)| (site, at, place(site))).collect();
        let one_region = ", and both sites are in one region";
        let twin = all.iter().enumerate().find_map(|(n, (site, at, place))| {
            all.iter().take(n).find_map(|(other, is, there)| {
                if same_address(at, is) {
                    return Some((*other, *site, at.endpoint.as_deref()?, ""));
                }
                let same = self.engine.is_managed() && same_instance(at, is) && place == there;
                same.then_some((*other, *site, at.id.as_str(), one_region))
            })
        });
        if let Some((one, other, server, region)) = twin {
            of.error(
                "one-server-two-sites",
                of.span,
                format!("`{}` is {server} in {one} and in {other}{region}", of.name),
                "a failover would fence the server that it promotes",
                "name a different server for each site, and give each site its own `region:`",
            );
        }
    }

    /// One security group in two regions: at least one of the ids is that of another site.
    fn lint_groups(&self, of: &mut Lint<'_>) {
        let plan = of.plan;
        let placed = |site: &SiteName, at: &DatabaseAt| {
            Some((at.fence_group.clone()?, plan.site(site)?.region.clone()))
        };
        // Of the other components, those before this one, so that each pair is found once.
        let mut known = Vec::new();
        for (other, spec) in plan.components() {
            if let Role::Store(database) = spec.role()
                && other < of.name
            {
                let groups = database.at.iter().filter_map(|(site, at)| Some((placed(site, at)?, site)));
                known.extend(groups.map(|(of, site)| (of, format!("`{other}` in {site}"))));
            }
        }
        for (site, at) in &self.at {
            let Some((group, region)) = placed(site, at) else { continue };
            let other = known.iter().find(|((id, there), _)| *id == group && *there != region);
            if let Some((_, other)) = other {
                of.error(
                    "fence-not-prepared",
                    of.span,
                    format!("`{}` cannot be fenced in {site}: {other}, in another region, has the same `fence_group` {group}", of.name),
                    "a security group belongs to one VPC, so its id exists in one region only, and that fence would fail in the outage",
                    &format!("create a group without rules in {region}, and write its id as `fence_group` of {site}; correct the other site if that one is wrong"),
                );
            }
            known.push(((group, region), format!("`{}` in {site}", of.name)));
        }
    }

    fn lint_server(&self, site: &SiteName, at: &DatabaseAt, of: &mut Lint<'_>) {
        self.lint_fence(site, at, of);
        if let Some(host) = at.host.as_ref().filter(|h| !h.data.starts_with('/') || h.run.is_empty()) {
            let what =
                if host.run.is_empty() { "`run` names no program" } else { "`data` is not an absolute path" };
            of.error(
                "host-unusable",
                of.span,
                format!("the host of `{}` in {site}: {what}", of.name),
                "a switchover would end with a primary but without a standby",
                "write, for example, run: [ssh, -o, BatchMode=yes, postgres@HOST], data: /the/folder/with/PG_VERSION",
            );
        }
        if let Some(backups) = at.backups.as_ref().filter(|b| {
            let get = &b.value.archive_get;
            !(get.contains("%f") && get.contains("%p"))
        }) {
            of.error(
                "backups-unusable",
                backups.span,
                format!("`archive_get` of `{}` in {site} lacks %f or %p", of.name),
                "without the WAL, drctl can restore only to the end of a backup",
                "write it like restore_command: %f is the file, and %p is the path to write it to",
            );
        }
        for login in at.admin.iter().chain(&at.replication) {
            lint_login(login, site, of);
        }
    }

    fn lint_fence(&self, site: &SiteName, at: &DatabaseAt, of: &mut Lint<'_>) {
        let needs_group = self.fence.contains(&FenceMethod::SecurityGroup) && at.fence_group.is_none();
        // A server of one's own needs it in any case, and validation says so.
        let managed = self.engine.is_managed();
        let needs_admin = managed && self.fence.iter().any(|m| m.by_sql()) && at.admin.is_none();
        let needs_host = self.fence.iter().any(|m| m.needs_host()) && at.host.is_none();
        if !(needs_group || needs_admin || needs_host) {
            return;
        }
        let what = match (needs_group, needs_host) {
            (true, _) => "fence_group:",
            (_, true) => {
                "host: {run: [ssh, -o, BatchMode=yes, postgres@HOST], data: FOLDER, replication: {secret: ..}}"
            }
            _ => "admin:",
        };
        let missing = what.split(':').next().unwrap_or(what);
        of.error(
            "fence-not-prepared",
            of.span,
            format!("`{}` cannot be fenced in {site}: `{missing}` is missing", of.name),
            "a fence works in an outage only if you prepare it before",
            &format!("add `{what}` for {site}, or remove that method from `fence:`"),
        );
    }
}

/// Whether both name one server of a provider, if they are in one region and account.
fn same_instance(a: &DatabaseAt, b: &DatabaseAt) -> bool {
    a.id.eq_ignore_ascii_case(&b.id)
}

/// Whether both name one server by its address, wherever the plan says that it is.
fn same_address(a: &DatabaseAt, b: &DatabaseAt) -> bool {
    let server = |at: &DatabaseAt| {
        let (host, port, _) = endpoint_parts(at.endpoint.as_deref()?)?;
        Some((host.to_ascii_lowercase(), port))
    };
    server(a).is_some_and(|of_a| server(b) == Some(of_a))
}
