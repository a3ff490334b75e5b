//! What `drctl explain ID` shows for each finding and each rule.

mod rules;

use self::rules::RULES;
use crate::model::waiver::Rule;

/// The complete explanation of one ID.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// The id.
    pub id: &'static str,
    /// One sentence.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub what: &'static str,
}

const fn e(id: &'static str, title: &'static str, why: &'static str, what: &'static str) -> Explanation {
    Explanation { id, title, why, what }
}

/// Findings of `drctl check`.
pub const FINDINGS: &[Explanation] = &[
    e(
        "yaml-syntax",
        "The file is not valid YAML.",
        "drctl cannot read any key until the file parses.",
        "Correct the line in the message.",
    ),
    e(
        "yaml-duplicate-key",
        "A mapping has the same key twice.",
        "Parsers disagree on which value to use. A plan must have one meaning.",
        "Remove one of the two.",
    ),
    e(
        "yaml-limits",
        "The file has too many nested levels or aliases.",
        "A small hostile file can expand to gigabytes. drctl stops reading at fixed limits.",
        "Use less nesting and fewer aliases.",
    ),
    e(
        "yaml-too-large",
        "The file is too large for a plan.",
        "drctl refuses the file before it reads it into memory.",
        "Name the correct file, or split the application into several plans.",
    ),
    e(
        "yaml-not-utf8",
        "The file is not UTF-8.",
        "drctl reads YAML only as UTF-8.",
        "Save the file as UTF-8.",
    ),
    e(
        "plan-unknown-key",
        "The file has an unknown key.",
        "If drctl ignored the key, whoever wrote it would rely on something that drctl does not do.",
        "Use the suggested key, or remove the key. `drctl schema plan` lists all keys.",
    ),
    e(
        "plan-missing-key",
        "A required key is missing.",
        "drctl cannot recover the component without it.",
        "Add the key.",
    ),
    e(
        "plan-wrong-type",
        "A value has the wrong type.",
        "Account IDs lose leading zeros when YAML reads them as numbers. A list and a text are different values.",
        "Use the type in the message, and put account IDs in quotes.",
    ),
    e(
        "plan-wrong-unit",
        "A value needs a unit.",
        "`5` can mean seconds or minutes. In an outage, somebody reads it the wrong way.",
        "Write, for example, `5s` or `5m`.",
    ),
    e(
        "plan-out-of-range",
        "A number is out of range.",
        "The provider or drctl accepts only numbers within the range.",
        "Choose a number within the range.",
    ),
    e(
        "plan-unknown-value",
        "A value is not in the list of allowed values.",
        "drctl gives a meaning only to the allowed values.",
        "Choose one of the listed values.",
    ),
    e(
        "plan-unknown-kind",
        "The kind of the component does not exist.",
        "The kind decides how drctl recovers the component.",
        "Choose one of the listed kinds, or `external`.",
    ),
    e(
        "plan-unknown-tier",
        "The tier does not exist.",
        "The tier sets the RTO and the RPO.",
        "Choose an existing tier, or add the tier to drctl.yaml.",
    ),
    e(
        "plan-no-objectives",
        "The plan has no objectives.",
        "Without an RTO and an RPO, no run can prove that it met them.",
        "Add `tier:` or `objectives:`.",
    ),
    e(
        "plan-bad-value",
        "A value has the wrong format.",
        "The provider would refuse the value, perhaps in the middle of a failover.",
        "Write the value as in the example. `drctl schema plan` has the pattern of each key.",
    ),
    e(
        "plan-invisible-character",
        "A value contains an invisible character.",
        "The value looks like another name, but the provider compares every character.",
        "Type the value again.",
    ),
    e(
        "unknown-region",
        "A site names an unknown AWS region.",
        "A call to a region that does not exist fails like a call to a lost region.",
        "Correct the name. If the region is newer than this version of drctl, add it under `regions:` in drctl.yaml.",
    ),
    e(
        "site-of-another-cloud",
        "A component names a site in the cloud of another provider.",
        "drctl would call a provider that does not have the site.",
        "Correct `cloud:` of the site, or use another kind there.",
    ),
    e(
        "proceed-at-above-all",
        "`proceed_at` is more than 100%.",
        "The run would wait for more than the capacity that it asks for, and halt after the promotion.",
        "Set `proceed_at` to 100% or less, or raise `capacity`.",
    ),
    e(
        "one-server-two-sites",
        "Two sites of a component name the same server.",
        "A failover would fence the server that it promotes.",
        "Name a different server for each site.",
    ),
    e(
        "one-capacity-two-sites",
        "Two sites of a component name the same group or service.",
        "A failover would start servers in the region that is lost.",
        "Name a different group or service for each site.",
    ),
    e(
        "record-twice",
        "A zone has two record sets of one name and type.",
        "Route 53 would refuse the second change after drctl promoted the database.",
        "Remove one of them, or merge their values.",
    ),
    e(
        "record-same-everywhere",
        "A record set has the same answer in every site.",
        "A switch would change nothing, and drctl cannot tell which site is active.",
        "Write the answer of each site, or mark the record set `serves: static`.",
    ),
    e(
        "probe-twice",
        "Two probes have the same name.",
        "Every recovery would be refused: drctl tells probes and their steps apart by name.",
        "Give one of them another name.",
    ),
    e(
        "component-twice",
        "Two components, of one plan or of two, are the same database, group or service.",
        "drctl would change it twice, and the guards of two plans do not exclude each other.",
        "Declare it once. Another plan waits for its plan with `after:`.",
    ),
    e(
        "record-bad-value",
        "A record set has a value that its type does not allow.",
        "Route 53 would refuse the change after drctl promoted the database.",
        "Write an address for A and AAAA, one name for CNAME, and text in quotes for TXT.",
    ),
    e(
        "plan-bad-name",
        "A name contains characters that are not allowed.",
        "drctl uses names in step IDs, file names and comments at the provider.",
        "Use only letters, digits, `-`, `_` and `.`.",
    ),
    e(
        "plan-bad-hook",
        "A hook has no valid position.",
        "A hook runs before or after a phase.",
        "Write, for example, `at: after.promote`.",
    ),
    e(
        "plan-not-yet",
        "The plan uses a feature that drctl does not support yet.",
        "drctl refuses the plan because ignoring the key would be misleading.",
        "Remove it.",
    ),
    e(
        "plan-unreadable",
        "drctl cannot read a file in the plans folder.",
        "A plan must be a regular file. A FIFO or a device could block drctl forever.",
        "Replace it with a regular file, or remove it from the folder.",
    ),
    e(
        "settings-bad-value",
        "drctl.yaml has an invalid value.",
        "drctl does not run with settings that it read only in part.",
        "Correct the value. The message names the key, and the finding its line.",
    ),
    e(
        "settings-unreadable",
        "A DRCTL_* variable or a flag has an invalid value.",
        "drctl does not run with settings that it read only in part.",
        "Correct it.",
    ),
    e(
        "one-site-only",
        "The plan has only one site.",
        "A recovery needs a second site.",
        "Declare a second site.",
    ),
    e(
        "no-recovery-site",
        "No site is allowed as a recovery target.",
        "Every site except home has `recovery: false`.",
        "Remove `recovery: false` from one of them.",
    ),
    e(
        "unknown-site",
        "The plan refers to an undeclared site.",
        "A component can exist only in a declared site.",
        "Correct the name, or declare it.",
    ),
    e(
        "unknown-component",
        "The plan refers to a component that does not exist.",
        "drctl must also recover everything that a component needs.",
        "Correct the name, or declare it.",
    ),
    e(
        "unknown-connection",
        "The plan refers to an undeclared connection.",
        "A DNS zone does not belong to a site. A connection says how drctl reaches it.",
        "Declare the connection under `connections:`.",
    ),
    e(
        "dependency-cycle",
        "Components depend on each other in a cycle.",
        "drctl cannot start any of them first.",
        "Remove one of the `needs` entries.",
    ),
    e(
        "plan-name-twice",
        "Two plans have the same name.",
        "drctl tells plans, their runs and their reports apart by name.",
        "Give one of them another name.",
    ),
    e(
        "unknown-plan",
        "The plan waits for a plan that does not exist.",
        "The plan would not wait for what it needs.",
        "Correct the name under `after`, or remove it.",
    ),
    e(
        "plan-cycle",
        "Plans wait for each other.",
        "drctl cannot start any of them first.",
        "Remove one of the `after` entries.",
    ),
    e(
        "component-in-one-site",
        "A component exists in one site only.",
        "If that site is lost, the component and everything that needs it are lost.",
        "Add its counterpart in another site, or declare it `external`.",
    ),
    e("no-fence", "A database has no fence.", "Every failover of the plan needs a waiver.", "Add `fence:`."),
    e(
        "no-host",
        "A PostgreSQL server has no host.",
        "drctl can fence and promote the server over SQL. Without its host, drctl cannot make it a standby, so it refuses `switchover`, `failback` and `reprotect`. It cannot restore the server or hold an isolated drill either.",
        "Add `host:` beside `endpoint:` in each site.",
    ),
    e(
        "fence-not-prepared",
        "A fence method lacks its settings, or they belong to another region.",
        "A fence works in an outage only if you prepare it before. A security group exists in one region only.",
        "Add `fence_group`, `admin` or `host`, each for its own site.",
    ),
    e(
        "global-database-twice",
        "Two components name the same Aurora global database.",
        "The global database has one writer. Both components would fence and move it, one after the other.",
        "Merge them into one component.",
    ),
    e(
        "host-unusable",
        "The `host:` settings of a server are invalid.",
        "A switchover, failback or reprotect would end with a primary but without a standby.",
        "Set `run` to a program, such as ssh. Set `data` to the absolute path of the folder that contains PG_VERSION.",
    ),
    e(
        "backups-unusable",
        "The `archive_get` command of a server is invalid.",
        "Without the WAL after a base backup, drctl can restore only to the end of that backup. A restore to another point in time is impossible.",
        "Write `archive_get` like `restore_command`: %f is the requested file, and %p is the path to write it to.",
    ),
    e(
        "invariant-without-expectation",
        "An invariant has no expected value.",
        "drctl puts a restored copy in place only if every invariant holds. An invariant without an expected value never holds.",
        "Set `is` to a value in quotes, or set `at_least` to a number.",
    ),
    e(
        "clients-unusable",
        "The plan does not say correctly how to move clients to the new database server.",
        "A component of kind `clients` says how its clients find the database in each site: by a secret, a command or a restart.",
        "Name a database under `of:`. Under `at:`, give each of its sites `secret`, `switch` or `restart`. Two components must not change the same fields of one secret.",
    ),
    e(
        "bucket-unusable",
        "A bucket name is invalid.",
        "With kind `aws.s3`, each site has its own bucket, and S3 replication rules copy one bucket to the other. A bucket cannot be its own replica.",
        "Under `at:`, give each site the plain name of its bucket: `west: {bucket: uploads-west}`.",
    ),
    e(
        "switch-object-unusable",
        "The switch object cannot move users.",
        "With `switch: health_object`, users go to a site while an object exists there. An object in the site that fails cannot move them.",
        "Name an object in the standby site: `object: {url: s3://bucket/key, site: SITE}`.",
    ),
    e(
        "switch-object-unwatched",
        "A record set does not follow its switch object.",
        "drctl does not change record sets during the failover. Beforehand, give the primary record set an inverted health check that requests the object. While the object exists, the check fails and the secondary answers.",
        "Set `policy: failover` for the name. Set `role: primary` and `health_check:` at home, and `role: secondary` at the site of the object.",
    ),
    e(
        "switch-controls-unusable",
        "The routing controls in the plan are invalid.",
        "The control plane of Amazon ARC runs in one region and may be down. The plan must contain the endpoints and ARNs.",
        "Under `cluster:`, list the five endpoints by region and one routing control for each site. To show them, run aws route53-recovery-control-config describe-cluster and list-routing-controls.",
    ),
    e(
        "switch-controls-few-endpoints",
        "The plan does not list all endpoints of the cluster.",
        "A cluster has five endpoints, each in a different region. Every endpoint accepts a change, except one in a region that fails.",
        "List all five. To show them, run aws route53-recovery-control-config describe-cluster.",
    ),
    e(
        "switch-controls-unwatched",
        "A record set does not follow its routing controls.",
        "drctl does not change record sets during the failover. Beforehand, give the record set of each site a health check of type RECOVERY_CONTROL that follows the control of that site.",
        "Set `policy: failover` for the name. Give each of two sites its own `health_check:`, and one of them `role: primary`.",
    ),
    e(
        "no-write-check",
        "No test write verifies a promotion.",
        "The status `available` comes from the control plane. Only a committed row proves that the server is a primary.",
        "Add `verify:`.",
    ),
    e(
        "backup-interval-above-rpo",
        "The backup interval is longer than the RPO.",
        "A loss of the source can lose one backup interval of writes.",
        "Back up more often, use replication, or set a longer RPO.",
    ),
    e(
        "secret-in-plan",
        "The file contains credentials.",
        "drctl stores plans and settings in journals, evidence bundles and go-bags.",
        "Write a reference to a secret store.",
    ),
    e(
        "needs-lost-site",
        "The recovery depends on something in a site that can be lost.",
        "State, credentials, evidence and health checks must survive the loss of a region.",
        "Move it to the recovery site or a third region.",
    ),
    e(
        "no-capacity-floor",
        "A component that is scaled has no capacity floor, and its RTO is 15 minutes or shorter.",
        "drctl cannot read the capacity of a source that does not answer.",
        "Add `capacity_floor:`.",
    ),
    e(
        "timeout-above-rto",
        "A step can wait longer than the RTO.",
        "A run that waits that long has already missed its RTO.",
        "Shorten it.",
    ),
    e(
        "traffic-without-database",
        "Traffic does not depend on any database.",
        "drctl could send users to a site whose database is not writable.",
        "Add the database to `needs:`, or mark the records `serves: static`.",
    ),
    e(
        "ttl-above-rto",
        "The TTL of a record set is longer than the RTO.",
        "Resolvers keep the old answer for one TTL. drctl cannot shorten that time.",
        "Lower the TTL, for example to 60s.",
    ),
    e(
        "ttl-near-rto",
        "A TTL uses a large part of the RTO.",
        "The TTL adds to the time of all other steps.",
        "Lower it.",
    ),
    e(
        "record-without-ttl",
        "A record set with values has no TTL.",
        "A change must name the record set exactly, including its TTL.",
        "Add the key.",
    ),
    e(
        "record-without-set",
        "Weighted or failover record sets have no set identifier.",
        "Route 53 distinguishes record sets with the same name by this identifier.",
        "Add `set:`.",
    ),
    e(
        "no-weight",
        "Every weight is 0.",
        "If every weight is 0, Route 53 returns all answers.",
        "Set a weight for the home site.",
    ),
    e(
        "probe-asks-nothing",
        "A probe has no address or two addresses, or an alarm has no name or no site.",
        "drctl cannot run this probe, so the probe is never good and never bad.",
        "Set `http:` or `tcp:`. For an alarm, set `at: {SITE or CONNECTION: {cloudwatch: NAME}}`.",
    ),
    e(
        "no-public-probe",
        "No public probe checks what users see.",
        "drctl measures the RTO with public probes.",
        "Add one.",
    ),
    e(
        "roles-not-checked",
        "A gate requires roles, but drctl.yaml lists no operators.",
        "Without keys, anybody can claim a role, so drctl counts people but cannot check roles.",
        "Add `operators:` to drctl.yaml. To create a key, run `drctl key new NAME`.",
    ),
    e(
        "approval-nobody-can-give",
        "A gate requires a role that nobody has, or more people than exist.",
        "Each role needs a different person under `operators:` in drctl.yaml.",
        "Give somebody the role, or require another role.",
    ),
    e(
        "reserved-name",
        "A gate of the plan has the name `policy`.",
        "The approval that the policy in drctl.yaml requires already has that name.",
        "Choose another name.",
    ),
    e(
        "policy-nobody-can-approve",
        "The policy requires roles that nobody has, or more people than exist.",
        "Each role needs a different person under `operators:` in drctl.yaml. The requester never approves.",
        "Give people the roles, or set under `policy:` who approves instead. `drctl policy explain` shows the rules.",
    ),
    e(
        "policy-nobody-can-override",
        "Not enough people can override the approvals of an emergency.",
        "The policy provides an override, but nobody has the role for it, or too few other people have the roles that must agree immediately.",
        "Give people the roles, or change `policy: {override: ...}`. `at: []` means that no override is possible.",
    ),
    e(
        "window-of-no-plan",
        "A maintenance window or blackout names a plan that does not exist.",
        "The window or blackout has no effect. Perhaps the plan was renamed.",
        "Use the name in the plan file. `drctl check` lists the names.",
    ),
    e(
        "schedule-of-no-plan",
        "A drill schedule names a plan that does not exist.",
        "drctl misses each of its drills. Perhaps the plan was renamed.",
        "Use the name in the plan file. `drctl check` lists the names.",
    ),
    e(
        "windows-keep-emergencies",
        "P0 runs wait for maintenance windows, blackouts and the freeze.",
        "drctl would refuse a failover from a lost region until somebody waives the rule by name.",
        "Remove P0 from `keep_to_windows`.",
    ),
    e(
        "window-never-open",
        "A plan has no future maintenance window.",
        "All its windows have ended. drctl refuses every run that must start within a window.",
        "Add windows that repeat (`opens`, `for`, `zone`), or remove all windows.",
    ),
    e(
        "sql-ca-missing",
        "drctl does not trust the CA of a managed database.",
        "Amazon's own CAs sign the certificates of RDS and Aurora. No operating system includes these CAs, so every login by drctl would fail.",
        "Download global-bundle.pem (docs: databases/tls.md), and set `sql.ca_file` in drctl.yaml to its path.",
    ),
    e(
        "no-guard",
        "The settings name no guard.",
        "Two operators on two machines can start runs on the same components.",
        "Add `guard:` to drctl.yaml.",
    ),
    e(
        "guard-owner-unknown",
        "The guard names no account.",
        "Anybody can create a bucket with a free name. The owner of the bucket could hold the guard, or let two runs take it.",
        "Add `account:` to `guard:`.",
    ),
    e(
        "settings-placeholder",
        "drctl.yaml still contains a placeholder from `drctl init`.",
        "Anybody can create a bucket with a free name. The owner of that bucket would control your guard.",
        "Enter a bucket that you own and its account, or remove the line.",
    ),
];

/// The explanation of a rule.
pub fn rule(rule: Rule) -> Explanation {
    let said = RULES.iter().find(|(of, _)| *of == rule);
    let [title, why, what] = said.map_or([""; 3], |(_, said)| *said);
    Explanation { id: rule.id(), title, why, what }
}

/// Finds the explanation of an id.
pub fn find(id: &str) -> Option<Explanation> {
    FINDINGS.iter().copied().find(|x| x.id == id).or_else(|| Rule::from_id(id).map(rule))
}

/// All ids.
pub fn ids() -> impl Iterator<Item = &'static str> {
    FINDINGS.iter().map(|x| x.id).chain(Rule::ALL.iter().map(|r| r.id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_explained() {
        assert!(Rule::ALL.into_iter().all(|r| !rule(r).what.is_empty()));
    }
}
