//! What `drctl explain RULE` shows for each rule that refuses a run.

use crate::model::waiver::Rule;

/// The explanation of each rule: what it refuses, why, and what to do.
pub(super) const RULES: [(Rule, [&str; 3]); 20] = [
    (
        Rule::UnfencedPromotion,
        [
            "drctl would promote a replica while the old primary may still take writes.",
            "Two primaries accept different writes, and the writes of one are lost. In a dark region, nobody can fence some stores.",
            "If the site can answer again soon, wait: drctl then sets the fence itself. Otherwise accept the risk by name: --waive unfenced-promotion:COMPONENT --accept-data-loss 5m --reason TEXT. Keep clients away from the old primary. The fence stays pending, and every later run tries to set it.",
        ],
    ),
    (
        Rule::TrafficBeforeDatabase,
        [
            "Users would reach a site before its database is writable.",
            "Users would get errors, or stale data that looks correct.",
            "Add the database to `needs:` of the traffic component. This rule cannot be waived.",
        ],
    ),
    (
        Rule::HealthySource,
        [
            "The source still serves its users.",
            "A failover can lose writes and interrupts service. From a working site, it would cause an outage.",
            "Use switchover, or override the rule: --waive healthy-source --reason TEXT.",
        ],
    ),
    (
        Rule::StaleObservation,
        [
            "The last observation of a site that answers is too old.",
            "The state may have changed since then. A site that cannot answer is exempt: drctl uses its last observation and marks it as stale.",
            "Run `drctl observe`, or override the rule: --waive stale-observation:COMPONENT --reason TEXT.",
        ],
    ),
    (
        Rule::ExposureAboveRpo,
        [
            "The exposure is greater than the RPO.",
            "Exposure is the time between the last commit replayed at the target and the last instant at which the old primary can have acknowledged a write.",
            "Wait for the replica, restore instead, or accept a bound on the loss: --waive exposure-above-rpo:COMPONENT --accept-data-loss 8m --reason TEXT.",
        ],
    ),
    (
        Rule::ExposureUnknown,
        [
            "drctl cannot bound the number of writes that may be lost.",
            "Neither SQL nor the lag metric of the provider shows the last commit that the replica replayed.",
            "Set `admin` credentials for the recovery site, or accept the risk: --waive exposure-unknown:COMPONENT --accept-data-loss D --reason TEXT. The report then says `unknown`.",
        ],
    ),
    (
        Rule::CapacityAboveMaximum,
        [
            "The maximum size of the standby group is too small.",
            "The provider refuses a desired capacity above the maximum, so the recovery site would be too small.",
            "Raise the maximum, or override the rule: --waive capacity-above-maximum:COMPONENT --reason TEXT. drctl then scales the group to its maximum.",
        ],
    ),
    (
        Rule::TargetDown,
        [
            "The recovery site does not answer, or drctl cannot promote its replica.",
            "A failover to this site would leave the application without a working site.",
            "Choose another site with --to, or repair this site. This rule cannot be waived.",
        ],
    ),
    (
        Rule::ComponentBusy,
        [
            "Another unfinished run uses the component.",
            "Two runs on one component would undo each other's work.",
            "Resume, finish or cancel the other run. `drctl runs list` shows it. A failover continues an unfinished switchover or failback automatically.",
        ],
    ),
    (
        Rule::NotImplemented,
        [
            "drctl does not support this yet.",
            "drctl refuses because the runbook would be incomplete.",
            "Do that part by hand. Use `drctl plan show PLAN --to SITE --as-commands` as a guide. This rule cannot be waived.",
        ],
    ),
    (
        Rule::OtherSource,
        [
            "The replica follows an instance that is not the one to fence.",
            "After a restore, for example, the replica has the history from before the restore. A promotion brings back the undone changes and loses all later writes.",
            "Create a replica of the serving instance (`drctl reprotect`), or name the source of the replica in the plan. If this replica is all that is left, accept the loss of the later writes: --waive other-source:COMPONENT --accept-data-loss 30m --reason TEXT.",
        ],
    ),
    (
        Rule::NotRecoverable,
        [
            "The plan lacks something that this intent needs.",
            "The plan does not declare a component or site that the intent needs.",
            "Complete the plan. `drctl check` shows where.",
        ],
    ),
    (
        Rule::ActiveSiteUnclear,
        [
            "drctl cannot tell where the application is active.",
            "Databases, record sets and capacity disagree, or were never observed.",
            "Name the source site with --from, or override the rule: --waive active-site-unclear --reason TEXT.",
        ],
    ),
    (
        Rule::GuardHeld,
        [
            "Another run holds the guard of a component.",
            "Two operators or two machines would fail over the same application at the same time.",
            "Talk to the person in the message. Only if that run is dead, use --take-over --reason TEXT. A run that lost its guard no longer promotes anything.",
        ],
    ),
    (
        Rule::GuardUnread,
        [
            "drctl can no longer read the guard that the run took.",
            "Another operator may have taken over the guard. Two runs would then change one application and create two primaries.",
            "drctl continues automatically once it can read the guard. Only if nobody else can have started a run, use `drctl runs resume RUN --waive guard-unread:COMPONENT --reason TEXT`.",
        ],
    ),
    (
        Rule::ChangeFreeze,
        [
            "A change freeze is in effect.",
            "drctl.yaml sets a freeze, and the run can wait because `keep_to_windows` lists its severity.",
            "Wait until the freeze ends. If the run cannot wait, set another severity (--severity P1), or override the rule: --waive change-freeze --reason TEXT.",
        ],
    ),
    (
        Rule::BlackoutWindow,
        [
            "A blackout is in effect.",
            "During a blackout in drctl.yaml, runs that can wait do not start. `keep_to_windows` lists the severity of this run.",
            "Wait until the blackout ends (`drctl policy explain PLAN`). If the run cannot wait, set another severity, or override the rule: --waive blackout-window --reason TEXT.",
        ],
    ),
    (
        Rule::OutsideWindow,
        [
            "No maintenance window is open.",
            "Runs that can wait start only within the windows in drctl.yaml. `keep_to_windows` lists the severity of this run.",
            "Wait until the next window opens (`drctl policy explain PLAN`). If the run cannot wait, set another severity, or override the rule: --waive outside-window --reason TEXT.",
        ],
    ),
    (
        Rule::DrillBlocked,
        [
            "A drill that moves users would start while users fail or an alarm is on.",
            "drctl stops a live drill when users fail or an alarm turns on. Before the drill starts, users must be served and all alarms must be off.",
            "Wait until both are true. If an alarm no longer matters, remove it from the plan. This rule cannot be waived.",
        ],
    ),
    (
        Rule::WrongIdentity,
        [
            "The credentials belong to a different account than the plan names.",
            "The run would change resources in the wrong account.",
            "Use the correct profile or role. This rule cannot be waived.",
        ],
    ),
];
