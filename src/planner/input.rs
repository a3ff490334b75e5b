//! What the planner is asked, and what it knows: the plan, the observed state, and what earlier runs left.

use std::collections::BTreeMap;

use crate::inventory::Estate;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::Fence;
use crate::kinds::shared::names::RecordSet;
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
use crate::record::runbook::Inherited;

/// The input for a runbook.
#[derive(Debug)]
pub struct Input<'a> {
    /// The application.
    pub plan: &'a Plan,
    /// The observed state.
    pub estate: &'a Estate,
    /// The current time.
    pub now: Timestamp,
    /// The request.
    pub request: &'a Request,
    /// Components that unfinished runs hold.
    pub busy: &'a BTreeMap<ComponentName, Busy>,
    /// Pending fences of earlier runs.
    pub debts: &'a [Debt],
    /// Servers that earlier runs proved to take no writes, and that nobody has promoted since.
    pub kept_out: &'a [DatabaseRef],
    /// The unfinished run that this one continues.
    pub continues: Option<&'a Continued>,
    /// Servers that earlier runs proved fenced, each with the run and the token that the fence left.
    pub fenced: &'a [(DatabaseRef, RunId, Option<String>)],
    /// Security groups that earlier runs removed from servers to fence them.
    pub groups_before: &'a [(DatabaseRef, Vec<String>)],
    /// What runs wrote into DNS zones.
    pub written: &'a [Written],
    /// Copies of finished runs that nobody has observed to be gone.
    pub leaks: &'a [Restore],
    /// Every copy that a run in this store made, whatever happened to it, in words.
    pub copies: &'a [String],
    /// Clients that an earlier run started to move without finishing.
    pub unled: &'a [ComponentName],
    /// The place of guards.
    pub guard: Option<&'a Place>,
    /// The maximum age of an observation of a site that answers.
    pub observation_max_age: Dur,
    /// How many samples in a row make a turn.
    pub probe_consecutive: u32,
    /// The approval policy, if there are operators who can approve.
    pub policy: Option<&'a Policy>,
    /// What prevents a start now, for runs that keep to windows.
    pub closed: Vec<Closed>,
}

/// The request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The intent.
    pub intent: Intent,
    /// The site to leave, if it was named.
    pub from: Option<SiteName>,
    /// The recovery site.
    pub to: SiteName,
    /// Waived refusals.
    pub waivers: Vec<Waiver>,
    /// Whether a person states that users fail.
    pub outage_declared: bool,
    /// Whether it runs in a sandbox.
    pub rehearsed: bool,
    /// The holder in the guard object.
    pub holder: String,
    /// The name of the run. The names of renamed servers contain it.
    pub run: RunId,
    /// The requested restore.
    pub restore: Option<Wanted>,
    /// The kind of drill, if it is one.
    pub drill: Option<Drill>,
    /// Whether it is the second half of a live drill.
    pub returns: bool,
    /// How long it watches; by default as long as the plan says.
    pub hold: Option<Dur>,
    /// The severity; by default the policy's for the intent.
    pub severity: Option<Severity>,
}

/// The requested restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The database.
    pub component: ComponentName,
    /// The time. The copy contains every transaction that was committed by then.
    pub to_time: Timestamp,
    /// The timeline, if a person chose one.
    pub timeline: Option<u32>,
    /// The snapshot, if a person chose one.
    pub snapshot: Option<String>,
    /// The speed of the last restore.
    pub rates: Option<Rates>,
}

/// An unfinished run that holds a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The run.
    pub run: RunId,
    /// Why it prevents this run.
    pub facts: String,
}

/// A pending fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// The run that promoted on a waiver.
    pub run: RunId,
    /// The component.
    pub component: ComponentName,
    /// The fence methods for the old primary.
    pub rungs: Vec<Fence>,
    /// Since when.
    pub since: Timestamp,
}

/// An unfinished run that another run continues. Facts are inherited, approvals are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continued {
    /// The run.
    pub run: RunId,
    /// The number of its events when it was read. If there are more by now, it has changed since this plan was made.
    pub events: u64,
    /// Its purpose.
    pub intent: Intent,
    /// Its severity, if it was recorded. This run keeps the more severe one: a person cannot avoid an approver by asking again.
    pub severity: Option<Severity>,
    /// Components whose promotion it requested, at the recovery site.
    pub asked: Vec<ComponentName>,
    /// The site that it leaves, unless it promoted servers in a site other than the recovery site. This run leaves the same site.
    pub from: Option<SiteName>,
    /// Its names as a holder of guards.
    pub holders: Vec<String>,
    /// The fences that it set or may have set, with what lifts them.
    pub fences: Vec<Inherited>,
    /// The server whose data it was replacing with a copy. That may still happen, and would admit all clients.
    pub putting: Option<DatabaseRef>,
    /// Folders beside live data that it created or is creating.
    pub copies: Vec<String>,
    /// Servers that it renamed without a replacement, each with its new name.
    pub aside: Vec<(DatabaseRef, String)>,
}

/// A record set that a run wrote into a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The zone's id.
    pub zone: String,
    /// When the call was made.
    pub at: Timestamp,
    /// The current state of the set: one value, or two if the result of the call is unknown.
    pub may_be: Vec<RecordSet>,
}

impl Input<'_> {
    /// Whether a refusal is waived for a component.
    pub fn waived(&self, rule: Rule, component: Option<&ComponentName>) -> bool {
        self.request.waivers.iter().any(|w| w.covers(rule, component))
    }

    /// Whether an earlier run left the fence of a server pending.
    pub fn owes(&self, db: &DatabaseRef) -> bool {
        self.debts
            .iter()
            .any(|d| d.rungs.iter().any(|r| r.db.id == db.id && r.db.place.name == db.place.name))
    }
}
