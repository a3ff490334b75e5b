//! What `drctl explain ID` says of each finding and each rule.

use crate::model::waiver::Rule;

/// Everything there is to say of one id.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// The id.
    pub id: &'static str,
    /// In a sentence.
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
        "Nothing in it can be trusted until it parses.",
        "Correct the line that is shown.",
    ),
    e(
        "yaml-duplicate-key",
        "A key stands twice in one mapping.",
        "Parsers differ in which one they take; a plan must mean one thing.",
        "Remove one.",
    ),
    e(
        "yaml-limits",
        "The file nests or repeats itself beyond any plan.",
        "A small hostile file can ask for gigabytes; reading stops at fixed limits instead.",
        "Write it without deep nesting and with fewer aliases.",
    ),
    e(
        "yaml-too-large",
        "The file is larger than any plan.",
        "It is refused before it is read into memory.",
        "Name the right file, or split the application.",
    ),
    e("yaml-not-utf8", "The file is not UTF-8.", "YAML is read as UTF-8 only.", "Save it as UTF-8."),
    e(
        "plan-unknown-key",
        "A key is not known.",
        "A key that is ignored is a promise that is not kept, so unknown keys are errors.",
        "Use the suggestion, or remove it. `drctl schema plan` lists every key.",
    ),
    e("plan-missing-key", "A key is missing.", "Without it the component cannot be recovered.", "Add it."),
    e(
        "plan-wrong-type",
        "A value has the wrong type.",
        "Account ids lose zeros as numbers; lists and texts are not the same.",
        "Write the type that is asked for, and quote account ids.",
    ),
    e(
        "plan-wrong-unit",
        "A value needs a unit.",
        "`5` may be seconds or minutes, and at 3 a.m. somebody takes it for the other.",
        "Write 5s or 5m.",
    ),
    e(
        "plan-out-of-range",
        "A number is out of range.",
        "The provider or drctl allows no other.",
        "Choose one within the range.",
    ),
    e(
        "plan-unknown-value",
        "A word is not one of those allowed.",
        "Each of them means something; another means nothing.",
        "Choose one of those listed.",
    ),
    e(
        "plan-unknown-kind",
        "There is no such kind of component.",
        "The kind says how it is recovered.",
        "Choose one of those listed, or `external`.",
    ),
    e(
        "plan-unknown-tier",
        "There is no such tier.",
        "The tier says what was promised.",
        "Choose one, or add it in drctl.yaml.",
    ),
    e(
        "plan-no-objectives",
        "The plan promises nothing.",
        "Nothing can be shown to be met.",
        "Add `tier:` or `objectives:`.",
    ),
    e(
        "plan-bad-value",
        "A value is not written as its reader asks.",
        "The provider refuses it, perhaps in the middle of a failover.",
        "Write it as in the example; `drctl schema plan` has the pattern of each key.",
    ),
    e(
        "plan-invisible-character",
        "A value has a character that nobody sees.",
        "It looks like another name, and the provider compares every character.",
        "Type the value anew.",
    ),
    e(
        "unknown-region",
        "A site is in a region that AWS does not have.",
        "A call to a region that does not exist fails as a call to one that is lost.",
        "Correct it, or name a region that is newer than drctl under `regions:` in drctl.yaml.",
    ),
    e(
        "one-server-two-sites",
        "Two sites of a component are one server.",
        "A failover would fence the server that it promotes.",
        "Name the server of each site.",
    ),
    e(
        "record-bad-value",
        "A record set has a value that its type does not take.",
        "Route 53 refuses the change, after the database was promoted.",
        "Write an address for A and AAAA, one name for CNAME, and quoted text for TXT.",
    ),
    e(
        "plan-bad-name",
        "A name has characters that names may not have.",
        "Names go into step ids, file names and provider comments.",
        "Use letters, digits, `-`, `_`, `.`.",
    ),
    e(
        "plan-bad-hook",
        "A hook stands nowhere.",
        "Hooks stand before or after a phase.",
        "Write for example after.promote.",
    ),
    e(
        "plan-not-yet",
        "The plan asks for something that drctl cannot do yet.",
        "It is refused rather than ignored.",
        "Remove it.",
    ),
    e(
        "plan-unreadable",
        "A file of the plans' folder cannot be read.",
        "Plans are regular files: a FIFO or a device could keep drctl waiting for ever.",
        "Put a regular file in its place, or take it out of the folder.",
    ),
    e(
        "settings-unreadable",
        "drctl.yaml, a DRCTL_* variable or a flag cannot be read.",
        "Half-read settings are worse than none.",
        "Correct it.",
    ),
    e("one-site-only", "The plan has one site.", "Recovery needs somewhere to go.", "Declare a second."),
    e(
        "no-recovery-site",
        "No site may be recovered to.",
        "`recovery: false` stands at every other site.",
        "Remove it from one.",
    ),
    e(
        "unknown-site",
        "A site is named that is not declared.",
        "A component can only be where the plan has a site.",
        "Correct the name.",
    ),
    e(
        "unknown-component",
        "A component is named that does not exist.",
        "What is needed has to be recovered too.",
        "Correct the name.",
    ),
    e(
        "unknown-connection",
        "A connection is named that is not declared.",
        "Zones belong to no site.",
        "Declare it under `connections:`.",
    ),
    e(
        "dependency-cycle",
        "Components need each other in a circle.",
        "None can be started first.",
        "Remove one `needs`.",
    ),
    e(
        "component-in-one-site",
        "A component exists in one site only.",
        "It is lost with that site, and with it all that needs it.",
        "Add its counterpart, or declare it `external`.",
    ),
    e("no-fence", "A database has no fence.", "Every failover then needs a waiver.", "Add `fence:`."),
    e(
        "fence-not-prepared",
        "A rung of the fence is not prepared.",
        "A fence is prepared beforehand or it is not there when it is needed.",
        "Add `fence_group`, `admin` or `host`.",
    ),
    e(
        "global-database-twice",
        "Two components are one Aurora global database.",
        "It has one writer: each component would fence it and move it, one after the other.",
        "Make them one component.",
    ),
    e(
        "host-unusable",
        "The machine of a server cannot be used as it is written.",
        "A switchover, a failback or a reprotect would end with a primary and no standby.",
        "Give `run` a program, such as ssh, and `data` the absolute path of the folder with PG_VERSION in it.",
    ),
    e(
        "backups-unusable",
        "The archived log of a server cannot be read as it is written.",
        "A base backup without the log after it leads to no time but its own end, so nothing could be restored to a point in time.",
        "Write `archive_get` as restore_command is written: %f is the file that is asked for, %p where it goes.",
    ),
    e(
        "invariant-without-expectation",
        "An invariant does not say what has to be true.",
        "A restored copy is put in place only if every invariant holds; one without an expectation never does.",
        "Give it `is`, in quotes, or `at_least`, a number.",
    ),
    e(
        "clients-unusable",
        "Clients of a database cannot be led to the new one as the plan says.",
        "A component of kind `clients` says what its clients find a database by, in each site: a secret, a command, or what restarts them.",
        "Name a database under `of:`, and under `at:` give each of its sites `secret`, `switch` or `restart`; two components may not change the same fields of one secret.",
    ),
    e(
        "bucket-unusable",
        "A bucket is named that cannot be meant.",
        "With kind `aws.s3` each site has a bucket of its own, and S3 copies one to the other by replication rules; nothing copies a bucket to itself.",
        "Name the bucket of each site under `at:`, as S3 has it: `west: {bucket: uploads-west}`.",
    ),
    e(
        "switch-object-unusable",
        "The object that is to move users cannot do so.",
        "With `switch: health_object` users are sent to a site for as long as an object in it is there; in the site that is left, or nowhere, it moves nobody.",
        "Name an object in the standby's site: `object: {url: s3://bucket/key, site: SITE}`.",
    ),
    e(
        "switch-object-unwatched",
        "A name does not follow the object that is to move it.",
        "Record sets are not changed on that day. The primary's set needs a health check, made beforehand and inverted, that asks for the object: while the object is there the check fails, and the secondary answers.",
        "Give the name `policy: failover`, `role: primary` and `health_check:` at home, and `role: secondary` at the object's site.",
    ),
    e(
        "switch-controls-unusable",
        "The routing controls that move traffic cannot be turned as the plan names them.",
        "On that day nobody can ask Amazon ARC's control plane, which is in one region, for endpoints and ARNs: they have to stand in the plan.",
        "Under `cluster:` name the cluster's five endpoints by region and one routing control for each site; aws route53-recovery-control-config describe-cluster and list-routing-controls show them.",
    ),
    e(
        "switch-controls-few-endpoints",
        "Not all endpoints of the cluster are named.",
        "A cluster has five, each in a region of its own; a change is taken at any of them, and those of a region that fails take none.",
        "Name all five, as aws route53-recovery-control-config describe-cluster lists them.",
    ),
    e(
        "switch-controls-unwatched",
        "A name does not follow the routing controls that are to move it.",
        "Record sets are not changed on that day: each site's set needs a health check of type RECOVERY_CONTROL, made beforehand, that is as the site's control says.",
        "Give the name `policy: failover`, one `role: primary`, and a `health_check:` of its own at each of two sites.",
    ),
    e(
        "no-write-check",
        "No real write verifies a promotion.",
        "`available` is a word of the control plane; only a committed row proves a primary.",
        "Add `verify:`.",
    ),
    e(
        "backup-interval-above-rpo",
        "Backups are too rare for the RPO.",
        "Up to one interval of writes is lost.",
        "Back up more often, replicate, or promise less.",
    ),
    e(
        "secret-in-plan",
        "Credentials stand in the plan.",
        "Plans are stored in journals and evidence.",
        "Refer to a secret store.",
    ),
    e(
        "needs-lost-site",
        "The recovery needs something in a site that may be lost.",
        "State, credentials, evidence and health checks have to outlive the region that is down.",
        "Move it to the recovery site or a third region.",
    ),
    e(
        "no-capacity-floor",
        "A group of a critical plan has no floor.",
        "While the source is dark its capacity cannot be read.",
        "Add `capacity_floor:`.",
    ),
    e(
        "timeout-above-rto",
        "A step may wait longer than the RTO.",
        "A run that waits that long has missed its objective.",
        "Shorten it.",
    ),
    e(
        "traffic-without-database",
        "Traffic does not depend on any database.",
        "Users could be sent to a site whose database is not writable.",
        "Add it to `needs:`, or mark the records `serves: static`.",
    ),
    e(
        "ttl-above-rto",
        "A record is cached for longer than the RTO.",
        "Resolvers keep the old answer for one TTL, whatever drctl does.",
        "Lower it; 60s is usual.",
    ),
    e("ttl-near-rto", "A TTL takes a large part of the RTO.", "It is added to everything else.", "Lower it."),
    e(
        "record-without-ttl",
        "A record with values has no TTL.",
        "A change names the set exactly, TTL included.",
        "Add it.",
    ),
    e(
        "record-without-set",
        "Weighted or failover answers have no set identifier.",
        "They are told apart by it.",
        "Add `set:`.",
    ),
    e("no-weight", "Every weight is 0.", "Route 53 then answers with all of them.", "Give home a weight."),
    e(
        "probe-asks-nothing",
        "A probe has no address, two of them, or is an alarm without a name or a site.",
        "What is never asked is never good, and never bad.",
        "`http:` or `tcp:`; of an alarm `at: {SITE or CONNECTION: {cloudwatch: NAME}}`.",
    ),
    e("no-public-probe", "No probe sees what users see.", "The RTO is read from public probes.", "Add one."),
    e(
        "roles-not-checked",
        "A gate asks for roles, and there are no operators.",
        "Without keys anybody may say that they have a role: only people are counted.",
        "Add `operators:` to drctl.yaml; drctl key new makes a key.",
    ),
    e(
        "approval-nobody-can-give",
        "A gate asks for a role that nobody has, or for more people than there are.",
        "Each role needs a person of its own under `operators:` in drctl.yaml.",
        "Give the role to somebody there, or ask for another.",
    ),
    e(
        "reserved-name",
        "A gate of the plan is called `policy`.",
        "That is the name of the approval that drctl.yaml's policy asks for.",
        "Call it otherwise.",
    ),
    e(
        "policy-nobody-can-approve",
        "The policy asks for roles that nobody has, or for more people than there are.",
        "Each role needs a person of its own under `operators:` in drctl.yaml, and the requester never approves.",
        "Give the roles to people there, or say in `policy:` who approves instead; drctl policy explain shows the rules.",
    ),
    e(
        "window-of-no-plan",
        "A maintenance window or blackout names a plan that nobody has.",
        "It keeps nothing from beginning, and lets nothing begin: perhaps the plan was renamed.",
        "Name plans as they are named in their own files; drctl check lists them.",
    ),
    e(
        "schedule-of-no-plan",
        "A schedule of drills names a plan that nobody has.",
        "Each of its drills is missed: perhaps the plan was renamed.",
        "Name plans as they are named in their own files; drctl check lists them.",
    ),
    e(
        "windows-keep-emergencies",
        "Runs at P0 keep to maintenance windows, blackouts and the freeze.",
        "A failover from a region that burns is refused then, until somebody waives the rule by name.",
        "Leave P0 out of `keep_to_windows`.",
    ),
    e(
        "window-never-open",
        "No maintenance window of a plan comes any more.",
        "All of them have an end, and it has passed: what keeps to windows is refused from now on.",
        "Write windows that come again (`opens`, `for`, `zone`), or none.",
    ),
    e(
        "sql-ca-missing",
        "Nothing that drctl trusts signs the certificate of a managed database.",
        "Amazon's own CAs sign the certificates of RDS and Aurora, and no system's store has those: every login of drctl's would fail.",
        "Download global-bundle.pem (docs: databases/tls.md), and name it as `sql.ca_file` in drctl.yaml.",
    ),
    e(
        "no-guard",
        "There is no guard.",
        "Two operators on two machines can start runs on the same components.",
        "Add `guard:` to drctl.yaml.",
    ),
    e(
        "guard-owner-unknown",
        "The guard's account is not given.",
        "Names of buckets are free for anybody to take: whoever owns one of this name could hold the guard, or let two runs take it.",
        "Add `account:` to `guard:`.",
    ),
    e(
        "settings-placeholder",
        "A placeholder of `drctl init` stands in drctl.yaml.",
        "Names of buckets are free for anybody to take, and whoever has this one would hold your guard.",
        "Write the bucket that you own, and its account; or remove the line.",
    ),
];

/// What is said of each rule: what it says no to, why, and what to do.
const RULES: [(Rule, [&str; 3]); 20] = [
    (
        Rule::UnfencedPromotion,
        [
            "A replica would be promoted while the old primary may still take writes.",
            "Two primaries accept different histories, and one of them is lost. In a dark region some stores cannot be fenced by anyone.",
            "Fence it by hand and resume, or accept it by name: --waive unfenced-promotion:COMPONENT --accept-data-loss 5m --reason TEXT. The fence stays owed and every later run tries to pay it.",
        ],
    ),
    (
        Rule::TrafficBeforeDatabase,
        [
            "Traffic would reach a site before its database is writable.",
            "Users would get errors, or worse, stale reads that look right.",
            "Add the database to `needs:` of the traffic component. It cannot be waived.",
        ],
    ),
    (
        Rule::HealthySource,
        [
            "The source answers its users.",
            "A failover loses writes and time; of a working site it would cause the outage it is meant to end.",
            "Use switchover, or insist: --waive healthy-source --reason TEXT.",
        ],
    ),
    (
        Rule::StaleObservation,
        [
            "A site that answers was last observed too long ago.",
            "What was true then may not be now. Sites that cannot answer are exempt: their last observation is used and marked.",
            "Run drctl observe, or insist: --waive stale-observation --reason TEXT.",
        ],
    ),
    (
        Rule::ExposureAboveRpo,
        [
            "More writes may be lost than was promised.",
            "Exposure is the last instant the old primary can have acknowledged a write, minus the last commit replayed at the target.",
            "Wait for the replica, restore instead, or accept a bound: --waive exposure-above-rpo:COMPONENT --accept-data-loss 8m --reason TEXT.",
        ],
    ),
    (
        Rule::ExposureUnknown,
        [
            "How many writes may be lost cannot be bounded.",
            "Neither SQL nor the provider's lag metric says what the replica last replayed.",
            "Give `admin` credentials in the recovery site, or accept it: --waive exposure-unknown:COMPONENT --accept-data-loss D --reason TEXT; the report then says `unknown`.",
        ],
    ),
    (
        Rule::CapacityAboveMaximum,
        [
            "The standby group's maximum is below what it must carry.",
            "The provider refuses a desired capacity above the maximum; the recovery site would be too small.",
            "Raise the group's maximum, or insist: --waive capacity-above-maximum:COMPONENT --reason TEXT; the group is then scaled to its maximum.",
        ],
    ),
    (
        Rule::TargetDown,
        [
            "The recovery site does not answer, or its replica cannot be promoted.",
            "A failover there would leave the application without any site.",
            "Choose another site with --to, or repair it. It cannot be waived.",
        ],
    ),
    (
        Rule::ComponentBusy,
        [
            "Another unfinished run holds the component.",
            "Two runs on one component undo each other.",
            "Resume, finish or cancel the other run: drctl runs list. A failover takes the place of a broken-off move by itself.",
        ],
    ),
    (
        Rule::NotImplemented,
        [
            "drctl cannot do this yet.",
            "It says so instead of pretending.",
            "Do that part by hand, with drctl plan show --as-commands as a guide. It cannot be waived.",
        ],
    ),
    (
        Rule::OtherSource,
        [
            "The replica follows another instance than the one that the plan would fence.",
            "After a restore, say, it holds the history that the restore left: promoted, it brings back what was undone, and has nothing that was written since.",
            "Have a replica of the instance that serves (drctl reprotect), or name the replica's source in the plan. Where there is nothing else left, accept what was written since: --waive other-source:COMPONENT --accept-data-loss 30m --reason TEXT.",
        ],
    ),
    (
        Rule::NotRecoverable,
        [
            "The plan does not say enough for this intent.",
            "A component or site that the intent needs is not declared there.",
            "Complete the plan; drctl check shows where.",
        ],
    ),
    (
        Rule::ActiveSiteUnclear,
        [
            "Where the application is active cannot be told.",
            "Databases, records and capacity disagree, or cannot be seen and were never seen.",
            "Name the site that is left with --from, or insist: --waive active-site-unclear --reason TEXT.",
        ],
    ),
    (
        Rule::GuardHeld,
        [
            "Another run holds the guard of a component.",
            "Two operators, or two machines, would fail over the same application at once.",
            "Talk to whoever is named. Only if that run is dead: --take-over --reason TEXT. A run that lost its guard promotes nothing any more.",
        ],
    ),
    (
        Rule::GuardUnread,
        [
            "The guard that the run took cannot be read any more.",
            "Another operator may have taken it over meanwhile: two runs would then change one application, and there would be two primaries.",
            "drctl goes on by itself once it reads the guard. Only if nobody else can have begun: drctl runs resume RUN --waive guard-unread:COMPONENT --reason TEXT.",
        ],
    ),
    (
        Rule::ChangeFreeze,
        [
            "Changes are frozen.",
            "drctl.yaml has a freeze, and the run can wait: its severity is one of `keep_to_windows`.",
            "Wait until the freeze ends. What cannot wait has another severity (--severity P1), or is let through by name: --waive change-freeze --reason TEXT.",
        ],
    ),
    (
        Rule::BlackoutWindow,
        [
            "It is within a blackout.",
            "drctl.yaml has a span of time in which nothing begins that can wait: its severity is one of `keep_to_windows`.",
            "Wait until it ends (drctl policy explain PLAN). What cannot wait has another severity, or is let through by name: --waive blackout-window --reason TEXT.",
        ],
    ),
    (
        Rule::OutsideWindow,
        [
            "No maintenance window is open.",
            "drctl.yaml says when runs begin that can wait: those whose severity is one of `keep_to_windows`.",
            "Wait until the next window opens (drctl policy explain PLAN). What cannot wait has another severity, or is let through by name: --waive outside-window --reason TEXT.",
        ],
    ),
    (
        Rule::DrillBlocked,
        [
            "A drill that moves users would begin while they fail, or while an alarm is on.",
            "It is called off when they fail or an alarm goes off: so they have to be served, and alarms silent, before it begins.",
            "Wait until they are. An alarm that means nothing any more is taken out of the plan. It cannot be waived.",
        ],
    ),
    (
        Rule::WrongIdentity,
        [
            "The credentials are of another account than the plan names.",
            "The run would act on somebody else's resources.",
            "Use the right profile or role. It cannot be waived.",
        ],
    ),
];

/// What is said of a rule.
pub fn rule(rule: Rule) -> Explanation {
    let said = RULES.iter().find(|(of, _)| *of == rule);
    let [title, why, what] = said.map_or([""; 3], |(_, said)| *said);
    Explanation { id: rule.id(), title, why, what }
}

/// Looks an id up.
pub fn find(id: &str) -> Option<Explanation> {
    FINDINGS.iter().copied().find(|x| x.id == id).or_else(|| Rule::from_id(id).map(rule))
}

/// Every id there is.
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
