//! The draft of a runbook. It collects steps and refusals.

use std::collections::{BTreeMap, BTreeSet};

use super::form::{all, step};
use super::input::Input;
use super::refusal::Refusal;
use super::{approvals, commands, hooks};
use crate::inventory::{Observation, targets};
use crate::kinds::shared::fence::Fence;
use crate::kinds::shared::names::RecordSet;
use crate::kinds::{Operation, State, Target};
use crate::model::estimate::Estimate;
use crate::model::ids::{ComponentName, SiteName, StepId};
use crate::model::intent::Drill;
use crate::model::place::Place;
use crate::model::time::Dur;
use crate::model::waiver::{Rule, Waiver};
use crate::record::action::{Action, Check, Gate, Write};
use crate::record::runbook::{Inherited, Need, OnFailure, Phase, Probe, ProbeRole, Runbook, Step, Unless};

/// A runbook in progress.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its input.
    pub input: &'a Input<'a>,
    /// The site to leave.
    pub from: Option<SiteName>,
    /// The refusals.
    pub refusals: Vec<Refusal>,
    /// Notes for the reader.
    pub notes: Vec<String>,
    /// Notes that hold only once the run has moved users or writes.
    pub notes_after_move: Vec<String>,
    /// The last step of each component so far: components that need it wait for these.
    pub ready: BTreeMap<ComponentName, Vec<StepId>>,
    /// Valid proofs of the continued run.
    pub inherits: Vec<Inherited>,
    /// Record sets of components with their lowered TTL, and the steps after which the old TTL has expired.
    pub lowered: BTreeMap<ComponentName, (Vec<RecordSet>, Vec<StepId>)>,
    /// How long resolvers keep earlier answers for the names of components that this run changes.
    pub kept: BTreeMap<ComponentName, Dur>,
    steps: Vec<Step>,
}

impl<'a> Draft<'a> {
    /// An empty draft.
    pub fn new(input: &'a Input<'a>, from: Option<SiteName>) -> Self {
        Self {
            input,
            from,
            refusals: Vec::new(),
            notes: Vec::new(),
            notes_after_move: Vec::new(),
            ready: BTreeMap::new(),
            inherits: Vec::new(),
            lowered: BTreeMap::new(),
            kept: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    /// Adds a refusal, unless a person waived it.
    pub fn refuse(&mut self, refusal: Refusal) {
        if refusal.rule.waivable() && self.input.waived(refusal.rule, refusal.component.as_ref()) {
            let of = refusal.component.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
            self.notes.push(format!("waived {}{of}: {}", refusal.rule, refusal.facts));
        } else if !self.refusals.contains(&refusal) {
            self.refusals.push(refusal);
        }
    }

    /// Whether a refusal makes the derivation of steps pointless.
    pub fn hopeless(&self) -> bool {
        self.refusals.iter().any(|r| r.rule == Rule::NotRecoverable)
    }

    /// Whether the steps so far change anything.
    pub fn mutates(&self) -> bool {
        self.steps.iter().any(|s| changes_something(&s.action) && !s.background)
    }

    /// The steps so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Gives steps a longer timeout than their kind has.
    pub fn patient(&mut self, ids: &[&str], timeout_ms: Dur) {
        for step in self.steps.iter_mut().filter(|s| ids.contains(&s.id.as_str())) {
            step.estimate.timeout_ms = timeout_ms;
        }
    }

    /// Adds a step and returns its id.
    pub fn push(&mut self, step: Step) -> StepId {
        let id = step.id.clone();
        self.steps.push(step);
        id
    }

    /// A step that was added before, for notes about it.
    pub fn step_mut(&mut self, id: &StepId) -> Option<&mut Step> {
        self.steps.iter_mut().find(|s| s.id == *id)
    }

    /// Checks the credentials at the target and at every connection for which the plan names the account.
    pub fn identities(&mut self) -> Vec<StepId> {
        let plan = self.input.plan;
        let target = plan.sites.get(&self.input.request.to).map(|s| &s.place);
        let places: Vec<Place> = target
            .into_iter()
            .chain(targets::connections(plan))
            .filter(|p| p.account.is_some())
            .cloned()
            .collect();
        places
            .into_iter()
            .map(|place| {
                self.wrong_identity(&place);
                let id = format!("identity.{}", place.name);
                self.push(step(&id, Phase::Preflight, None, Action::Check(Check::Identity { place })))
            })
            .collect()
    }

    fn wrong_identity(&mut self, place: &Place) {
        let seen = self.input.estate.now(&Target::Identity { place: place.clone() });
        let Some(Observation::Value { state: State::Identity(identity), .. }) = seen else { return };
        if place.account.as_ref().is_some_and(|wanted| *wanted != identity.account) {
            let facts = format!(
                "the credentials in {place} belong to {}, account {}",
                identity.arn, identity.account
            );
            let wanted = place.account.clone().unwrap_or_default();
            self.refuse(Refusal::new(
                Rule::WrongIdentity,
                None,
                facts,
                format!("use credentials of account {wanted}"),
            ));
        }
    }

    /// Takes the guard of a component, if a place for guards is configured.
    pub fn guard(&mut self, component: &ComponentName, needs: &[StepId]) -> Vec<StepId> {
        let Some(place) = self.input.guard else { return needs.to_vec() };
        let holder = self.input.request.holder.clone();
        let instead_of = self.holder_to_displace(component, place);
        if let Some(other) = &instead_of {
            self.notes.push(format!("this run takes over the guard of `{component}` from {other}"));
        }
        let action = Action::Write(Write::Guard {
            component: component.clone(),
            place: place.clone(),
            holder,
            instead_of,
        });
        let mut step = step(&format!("guard.{component}"), Phase::Preflight, Some(component), action);
        step.needs = all(needs);
        vec![self.push(step)]
    }

    /// The holder of a guard that a person wants to take over.
    fn holder_to_displace(&self, component: &ComponentName, place: &Place) -> Option<String> {
        let wanted = |w: &Waiver| w.covers(Rule::GuardHeld, Some(component));
        let accepted = self.input.request.waivers.iter().any(wanted);
        // The continued run is closed before this run takes the guard.
        let theirs = |holder: &String| self.input.continues.is_some_and(|c| c.holders.contains(holder));
        let target = Target::Guard { component: component.clone(), place: place.clone() };
        match self.input.estate.now(&target)?.state()? {
            State::Guard(guard) => {
                let other = guard.holder.clone().filter(|h| *h != self.input.request.holder);
                other.filter(|h| accepted || theirs(h))
            }
            _ => None,
        }
    }

    /// Checks that this run still holds the guard of a component, right before a change that cannot be undone.
    pub fn hold(&mut self, component: &ComponentName, needs: &[StepId]) -> Vec<StepId> {
        let Some(place) = self.input.guard else { return needs.to_vec() };
        let check = Check::Guard {
            component: component.clone(),
            place: place.clone(),
            holder: self.input.request.holder.clone(),
        };
        let mut step =
            step(&format!("hold.{component}"), Phase::Promote, Some(component), Action::Check(check));
        step.needs = all(needs);
        vec![self.push(step)]
    }

    /// Captures the state before anything changes. Nothing waits for it.
    pub fn evidence(&mut self) {
        let answering: BTreeSet<String> =
            self.input.estate.answering().into_iter().map(str::to_owned).collect();
        let targets: Vec<_> = targets::of_plan(self.input.plan, None)
            .into_iter()
            .filter(|t| t.is_evidence())
            .filter(|t| t.place().is_some_and(|p| answering.contains(&p.name)))
            .collect();
        if !targets.is_empty() {
            let mut step =
                step("evidence.before", Phase::Evidence, None, Action::Check(Check::Evidence { targets }));
            step.on_failure = OnFailure::Continue;
            self.push(step);
        }
    }

    /// Approvals that a phase waits for. They are requested at the start, so that people decide while capacity is added.
    pub fn approvals(&mut self, phase: Phase) -> Vec<StepId> {
        let gates: Vec<_> = self
            .input
            .plan
            .gates
            .iter()
            .filter(|(_, g)| g.phase == phase)
            .map(|(n, g)| (n.clone(), g.clone()))
            .collect();
        let of_plan = gates.into_iter().map(|(name, gate)| {
            let action = Action::Gate(Gate::Approval {
                ask: gate.ask,
                expires_after_ms: gate.expires_after,
                by: gate.by.into_iter().map(|role| role.value).collect(),
                override_by: None,
            });
            self.push(step(&format!("approve.{name}"), Phase::Gate, None, action))
        });
        of_plan.collect()
    }

    /// Checks the target's own probes before traffic moves there.
    pub fn site_probes(&mut self, needs: &[StepId]) -> Vec<StepId> {
        let to = self.input.request.to.clone();
        let probes = self
            .probes(ProbeRole::Site)
            .into_iter()
            .filter(|p| p.site.as_ref() == Some(&to))
            .collect::<Vec<_>>();
        probes.into_iter().map(|p| self.probe_step("verify", Phase::Verify, &p, needs)).collect()
    }

    /// Checks from outside, and then watches.
    pub fn confirm_and_watch(&mut self, needs: &[StepId]) {
        let mut probes = self.probes(ProbeRole::Public);
        probes.extend(self.probes(ProbeRole::Write));
        let mut confirmed: Vec<_> =
            probes.iter().map(|p| self.probe_step("confirm", Phase::Confirm, p, needs)).collect();
        if confirmed.is_empty() {
            confirmed = needs.to_vec();
        }
        if let Some(duration_ms) = self.input.request.hold.or(self.input.plan.watch) {
            let mut step = step("watch", Phase::Watch, None, Action::Wait { duration_ms, until: None });
            step.needs = all(&confirmed);
            self.push(step);
        }
    }

    fn probe_step(&mut self, verb: &str, phase: Phase, probe: &Probe, needs: &[StepId]) -> StepId {
        let consecutive = self.input.probe_consecutive;
        let action =
            Action::Check(Check::Probe { probe: probe.name.clone(), site: probe.site.clone(), consecutive });
        let mut step = step(&format!("{verb}.{}", probe.name), phase, None, action);
        let expected = probe.every_ms.times(u64::from(consecutive));
        // One bad sample starts the row anew, and the step must outlast that.
        let most = step.estimate.timeout_ms.max(expected.plus(expected));
        step.estimate = Estimate::new(expected, most);
        step.needs = all(needs);
        self.push(step)
    }

    /// The probes that the run uses. A person decides on a recovery with or without alarms; only a live drill ends because of one.
    fn asked(&self) -> Vec<Probe> {
        let live = self.input.request.drill == Some(Drill::Live);
        let asked = |p: &Probe| live || p.role != ProbeRole::Alarm;
        self.input.plan.probes.iter().map(|p| p.value.clone()).filter(asked).collect()
    }

    /// The probes with a role.
    pub fn probes(&self, role: ProbeRole) -> Vec<Probe> {
        self.input.plan.probes.iter().map(|p| p.value.clone()).filter(|p| p.role == role).collect()
    }

    /// Adds fence methods. Methods that were unreachable when the runbook was made run in the background, and so does every pending fence
    /// of an earlier run.
    pub fn fence(&mut self, rungs: Vec<Fence>, needs: &[StepId], debt: bool) {
        let prefix = if debt { "debt" } else { "fence" };
        let mut before: Option<StepId> = None;
        for rung in rungs {
            let reached = self
                .input
                .estate
                .now(&Target::fence(&rung.db, rung.method))
                .is_some_and(|o| o.state().is_some());
            let component = rung.db.component.clone();
            let id = format!("{prefix}.{component}.{}", rung.method.id());
            let mut step = step(&id, Phase::Fence, Some(&component), Action::Op(Operation::Fence(rung)));
            step.needs = all(needs);
            step.on_failure = OnFailure::Continue;
            step.background = debt || !reached;
            step.debt = debt;
            step.unless = Some(Unless::Fenced(component));
            if !step.background {
                step.needs.extend(before.take().map(|step| Need { step, settled: true }));
                before = Some(step.id.clone());
            }
            self.push(step);
        }
    }

    /// Releases every guard after everything else is done.
    fn release_guards(&mut self) {
        let before: Vec<_> = self
            .steps
            .iter()
            .filter(|s| !s.background)
            .map(|s| Need { step: s.id.clone(), settled: s.on_failure == OnFailure::Continue })
            .collect();
        let mut first: Option<Vec<Need>> = None;
        let guards: Vec<_> = self
            .steps
            .iter()
            .filter_map(|s| {
                if let Action::Write(w @ Write::Guard { .. }) = &s.action { Some(w.clone()) } else { None }
            })
            .collect();
        for guard in guards {
            let Write::Guard { component, place, holder, .. } = guard else { continue };
            let action = Action::Write(Write::ReleaseGuard { component: component.clone(), place, holder });
            let mut step = step(&format!("release.{component}"), Phase::Seal, Some(&component), action);
            step.needs = first.clone().unwrap_or_else(|| before.clone());
            step.on_failure = OnFailure::Continue;
            let id = self.push(step);
            // The first one waits for everything, and all others wait for it.
            first.get_or_insert_with(|| vec![Need { step: id, settled: true }]);
        }
    }

    /// Observes again what was captured before, after everything else has ended. Users are served by then; only the end of the run waits
    /// for it.
    fn evidence_after(&mut self) {
        let before = self.steps.iter().find_map(|s| match (&s.phase, &s.action) {
            (Phase::Evidence, Action::Check(Check::Evidence { targets })) => Some(targets.clone()),
            _ => None,
        });
        let Some(targets) = before else { return };
        let needed: BTreeSet<&StepId> =
            self.steps.iter().filter(|s| !s.background).flat_map(|s| &s.needs).map(|n| &n.step).collect();
        let last = self.steps.iter().filter(|s| !s.background && !needed.contains(&s.id));
        let needs =
            last.map(|s| Need { step: s.id.clone(), settled: s.on_failure == OnFailure::Continue }).collect();
        let mut step = step("evidence.after", Phase::Seal, None, Action::Check(Check::Evidence { targets }));
        step.on_failure = OnFailure::Continue;
        step.needs = needs;
        self.push(step);
    }

    /// The runbook, or all refusals.
    pub fn finish(mut self) -> Result<Runbook, Vec<Refusal>> {
        if !self.refusals.is_empty() {
            return Err(self.refusals);
        }
        if !self.steps.iter().any(|s| {
            changes_something(&s.action) || matches!(s.action, Action::Op(Operation::CheckFollows(_)))
        }) {
            self.steps.clear();
        }
        self.notes.extend(approvals::ask(self.input, &mut self.steps));
        self.evidence_after();
        self.release_guards();
        hooks::insert(self.input.plan, self.input.request.intent, &mut self.steps);
        self.notes.extend(commands::outcomes(&mut self.steps, self.input.request.rehearsed));
        // Two steps with the same id would wait for each other.
        let mut ids = BTreeSet::new();
        if let Some(twice) = self.steps.iter().find(|s| !ids.insert(s.id.clone())) {
            let facts = format!("two steps would have the name {}", twice.id);
            let what = "use different names for hooks, components and commands";
            return Err(vec![Refusal::new(Rule::NotRecoverable, twice.component.as_ref(), facts, what)]);
        }
        let plan = self.input.plan;
        let own = plan.components.values().filter_map(|c| c.objectives.map(|o| (c.name.clone(), o)));
        let probes = self.asked();
        Ok(Runbook {
            schema_version: 1,
            plan: plan.name.clone(),
            plan_digest: plan.digest.clone(),
            intent: self.input.request.intent,
            drill: self.input.request.drill,
            from: self.from,
            to: self.input.request.to.clone(),
            objectives: plan.objectives,
            component_objectives: own.collect(),
            stores: plan.components.values().filter(|c| c.is_store()).map(|c| c.name.clone()).collect(),
            waivers: self.input.request.waivers.clone(),
            probes,
            probe_consecutive: self.input.probe_consecutive,
            steps: self.steps,
            notes: self.notes,
            notes_after_move: self.notes_after_move,
            inherits: self.inherits,
            asked: self.input.continues.map(|c| c.asked.clone()).unwrap_or_default(),
        })
    }
}

/// Whether an action changes the application. Guards only keep other runs away.
fn changes_something(action: &Action) -> bool {
    action.mutates() && !matches!(action, Action::Write(Write::Guard { .. } | Write::ReleaseGuard { .. }))
}
