//! From intent, plan, inventory, waivers and now to a runbook, or to refusals. Pure.
//!
//! One file an intent. What may not happen is in `safety`; what steps look like is in `steps`; neither knows a clock or a file.

mod approvals;
pub mod assessment;
pub mod buckets;
pub mod capacity;
pub mod clients;
pub mod clocks;
pub mod clusters;
pub mod critical_path;
pub mod databases;
pub mod failover;
pub mod hooks;
pub mod independence;
mod names;
pub mod rebuild;
pub mod refusal;
pub mod restore;
pub mod safety;
pub mod steps;
pub mod switchover;
pub mod traffic;
pub mod ttl;
mod unreplicated;

use std::collections::BTreeMap;

use crate::inventory::{ActiveSite, Estate, active};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::Fence;
use crate::kinds::shared::restore::{Rates, Restore};
use crate::model::ids::{ComponentName, RunId, SiteName};
use crate::model::intent::{Drill, Intent};
use crate::model::place::Place;
use crate::model::policy::Policy;
use crate::model::severity::Severity;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::{Rule, Waiver};
use crate::plan::Plan;
use crate::policy::windows::Closed;
use crate::record::runbook::{Inherited, Runbook};
pub use names::Written;
pub use refusal::Refusal;

/// Everything that a runbook is computed from.
#[derive(Debug)]
pub struct Input<'a> {
    /// The application.
    pub plan: &'a Plan,
    /// What is there.
    pub estate: &'a Estate,
    /// Now.
    pub now: Timestamp,
    /// What is wanted.
    pub request: &'a Request,
    /// Components that unfinished runs hold.
    pub busy: &'a BTreeMap<ComponentName, Busy>,
    /// Pending fences of earlier runs.
    pub debts: &'a [Debt],
    /// Servers that earlier runs proved to take no writes, and that nobody made a writer since.
    pub kept_out: &'a [DatabaseRef],
    /// The unfinished run that this one takes the place of.
    pub continues: Option<&'a Continued>,
    /// Servers that earlier runs proved fenced, by which run, and the word that the fence left.
    pub fenced: &'a [(DatabaseRef, RunId, Option<String>)],
    /// Security groups that earlier runs took from servers that they fenced.
    pub groups_before: &'a [(DatabaseRef, Vec<String>)],
    /// What runs wrote into zones.
    pub written: &'a [Written],
    /// Copies that runs made which are over, and that nobody saw gone.
    pub leaks: &'a [Restore],
    /// Every copy that a run here made, whatever happened to it, in words.
    pub copies: &'a [String],
    /// Clients that an earlier run had begun to lead elsewhere, without coming to its end.
    pub unled: &'a [ComponentName],
    /// Where guards are kept.
    pub guard: Option<&'a Place>,
    /// How old an observation of a site that answers may be.
    pub observation_max_age: Dur,
    /// How many probes in a row make a turn.
    pub probe_consecutive: u32,
    /// Who has to say yes to what, where there are operators who could.
    pub policy: Option<&'a Policy>,
    /// What stands against a beginning now, for what keeps to windows.
    pub closed: Vec<Closed>,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// The intent.
    pub intent: Intent,
    /// The site that is left, if it was named.
    pub from: Option<SiteName>,
    /// The site that is recovered to.
    pub to: SiteName,
    /// Refusals that people accept.
    pub waivers: Vec<Waiver>,
    /// Whether a person says that users fail.
    pub outage_declared: bool,
    /// Whether it is tried in a sandbox.
    pub rehearsed: bool,
    /// Who takes the guard: as it will stand in the guard object.
    pub holder: String,
    /// The run: what it sets aside is named after it.
    pub run: RunId,
    /// What is restored, and to when.
    pub restore: Option<Wanted>,
    /// How far it goes, if it is a drill.
    pub drill: Option<Drill>,
    /// Whether it is the way back of a live drill.
    pub returns: bool,
    /// How long it stays to be watched; as long as the plan says if absent.
    pub hold: Option<Dur>,
    /// How bad it is; as bad as the policy has it for the intent if absent.
    pub severity: Option<Severity>,
}

/// What is restored, and to when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The database.
    pub component: ComponentName,
    /// The copy holds every transaction that was committed by then.
    pub to_time: Timestamp,
    /// The timeline, where a person chose one.
    pub timeline: Option<u32>,
    /// The snapshot, where a person chose one.
    pub snapshot: Option<String>,
    /// How fast the last restore was.
    pub rates: Option<Rates>,
}

/// An unfinished run that holds a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The run.
    pub run: RunId,
    /// Why it stands in the way.
    pub facts: String,
}

/// A pending fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// The run that promoted on a waiver.
    pub run: RunId,
    /// The component.
    pub component: ComponentName,
    /// The old primary.
    pub rungs: Vec<Fence>,
    /// Since when.
    pub since: Timestamp,
}

/// An unfinished run that another one takes the place of. Facts are inherited, approvals are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continued {
    /// The run.
    pub run: RunId,
    /// How many events it had when it was read: with more, it is another run than the one that was planned for.
    pub events: u64,
    /// What it was for.
    pub intent: Intent,
    /// Components whose promotion it asked for, to the site that is recovered to.
    pub asked: Vec<ComponentName>,
    /// The site that it leaves, and that is left now, unless it made others active than the one that is recovered to.
    pub from: Option<SiteName>,
    /// How its guards name it.
    pub holders: Vec<String>,
    /// The fences that it set, perhaps: what lifts them is in them.
    pub fences: Vec<Inherited>,
    /// The server in whose place it was putting a copy: that may yet come about, and lets everybody in who might log in then.
    pub putting: Option<DatabaseRef>,
    /// Folders beside live data that it made, or is making.
    pub copies: Vec<String>,
    /// Servers that it set aside without putting another in their place: what each was called, and is called.
    pub aside: Vec<(DatabaseRef, String)>,
}

/// Computes the runbook.
///
/// # Errors
/// Every refusal that stands, so that nobody lifts one only to meet the next.
pub fn plan_run(input: &Input<'_>) -> Result<Runbook, Vec<Refusal>> {
    let active = active::active_site(input.plan, input.estate, input.now);
    let mut draft = steps::Draft::new(input, source(input, &active));
    if let Some(old) = input.continues {
        draft.notes.push(format!(
            "continues {} {}: that run ends when this run starts, and nothing that it did is undone",
            old.intent, old.run
        ));
    }
    safety::request(&mut draft, &active);
    safety::half_restored(&mut draft);
    safety::closed(&mut draft);
    if draft.hopeless() {
        return Err(draft.refusals);
    }
    match input.request.intent {
        Intent::Failover => failover::derive(&mut draft),
        Intent::Switchover | Intent::Failback => switchover::derive(&mut draft),
        Intent::Reprotect => switchover::reprotect(&mut draft),
        Intent::Restore | Intent::Drill => restore::derive(&mut draft),
    }
    if draft.mutates() {
        safety::source_health(&mut draft);
    } else {
        safety::fails_where_it_is(&mut draft, &active);
    }
    draft.finish()
}

/// The site that is left: named, or else where the application is active.
fn source(input: &Input<'_>, active: &ActiveSite) -> Option<SiteName> {
    // Where the application is already is not what is left: somebody may have promoted by hand.
    let moved = || input.continues.and_then(|c| c.from.clone()).filter(|from| *from != input.request.to);
    let left = |site: &&SiteName| input.request.intent != Intent::Failover || **site != input.request.to;
    input.request.from.clone().or_else(moved).or_else(|| active.site().filter(left).cloned()).or_else(|| {
        // With two sites there is only one that can be left.
        let mut others = input.plan.sites.keys().filter(|s| **s != input.request.to);
        match (others.next(), others.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        }
    })
}

impl Input<'_> {
    /// Whether a refusal was accepted for a component.
    pub fn waived(&self, rule: Rule, component: Option<&ComponentName>) -> bool {
        self.request.waivers.iter().any(|w| w.covers(rule, component))
    }

    /// Whether the old primary of a component is still to be fenced from an earlier run.
    pub fn owes(&self, db: &DatabaseRef) -> bool {
        self.debts
            .iter()
            .any(|d| d.rungs.iter().any(|r| r.db.id == db.id && r.db.place.name == db.place.name))
    }
}
