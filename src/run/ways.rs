//! The possible commands after a stop, each with its result; and what a cancel undoes and leaves.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::decide::to_undo;
use super::model::attention::Answer;
use super::signal::may_skip;
use super::state::{Mode, RunState, Status, StepState};
use super::stopped::must_be_answered;
use super::{approval, overriding};
use crate::kinds::shared::fence::Unfence;
use crate::kinds::shared::promotion::Promote;
use crate::kinds::{Called, Operation};
use crate::model::duty::Decision;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::intent::Intent;
use crate::record::action::{Action, Undo};
use crate::record::event::{End, WorldKind};
use crate::record::runbook::Step;

/// One possible command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Way")]
pub struct PossibleCommand {
    /// The command to type.
    pub command: String,
    /// Its result.
    pub means: String,
}

/// What a cancel does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalledOff {
    /// Why nothing is undone, if that is so.
    pub past: Option<String>,
    /// The components whose guards the run holds. It keeps the guards if nothing is undone.
    pub guards: Vec<String>,
    /// What stays as the run changed it.
    pub stays: Vec<String>,
    /// What is undone.
    pub undone: Vec<String>,
    /// Whether the run affected users or the server that takes their writes. A cancel then needs an explicit confirmation.
    pub grave: bool,
    /// Whether users have not been served since the outage, and a cancel does not change that.
    pub users_out: bool,
    /// Whether users are served at the new site, and the run only watches.
    pub served: bool,
    /// The site where a live drill then leaves users, if the run should move them back from there.
    pub away: Option<SiteName>,
    /// Why the run should continue first, if a cancel would leave a store without a server that takes writes.
    pub before: Option<String>,
}

impl CalledOff {
    /// The same in one sentence.
    pub fn words(&self) -> String {
        let away = self.away.as_ref().map_or_else(String::new, |site| format!("; users then stay in {site}"));
        let before = self.before.as_ref().map_or_else(String::new, |why| format!("{why}; a cancel "));
        format!("{before}{}{away}", self.of_steps())
    }

    /// What it does with the steps.
    fn of_steps(&self) -> String {
        let some = |steps: &[String]| {
            let shown: Vec<&str> = steps.iter().take(SHOWN).map(String::as_str).collect();
            let more = steps.len().saturating_sub(SHOWN);
            let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!("{}{rest}", shown.join(", "))
        };
        let guards = match self.guards.as_slice() {
            [] => String::new(),
            of => format!("; it keeps the guards of {}: the next run takes them with --take-over", some(of)),
        };
        let closes = match (self.users_out, self.served) {
            (true, _) => "closes the run while users are still not served, and undoes nothing",
            (false, true) => {
                "closes the run as abandoned although users are served and it only watches, and undoes nothing"
            }
            (false, false) => "closes the run and undoes nothing",
        };
        match (&self.past, self.stays.is_empty(), self.undone.is_empty()) {
            (Some(why), true, _) => format!("{closes}, because {why}{guards}"),
            (Some(why), false, _) => format!(
                "{closes}, because {why}; these steps stay as they are: {}{guards}",
                some(&self.stays)
            ),
            (None, true, true) => "nothing changed, so there is nothing to undo".to_owned(),
            (None, true, false) => format!("undoes these steps: {}", some(&self.undone)),
            (None, false, true) => format!("these steps stay as they are: {}", some(&self.stays)),
            (None, false, false) => {
                format!(
                    "undoes these steps: {}; these steps stay as they are: {}",
                    some(&self.undone),
                    some(&self.stays)
                )
            }
        }
    }
}

impl CalledOff {
    /// Whether a person who agreed to `asked` has to be asked again. Steps that end on the way change nothing.
    pub fn differs(&self, asked: &Self) -> bool {
        let facts = |of: &Self| (of.past.clone(), of.grave, of.users_out, of.served);
        facts(self) != facts(asked)
    }
}

/// What a person accepts with the flags that let a blocked step continue, and what follows.
fn accepts(flag: &str, step: &str) -> String {
    let words: Vec<&str> = flag.split(' ').collect();
    let after = |option: &str| {
        let pairs = words.windows(2).filter(move |pair| pair[0] == option);
        pairs.map(|pair| pair[1]).collect::<Vec<_>>()
    };
    let waived = after("--waive");
    let of: Vec<&str> = waived.iter().filter_map(|waived| waived.split_once(':')).map(|(_, of)| of).collect();
    match after("--accept-data-loss").first() {
        Some(bound) if !of.is_empty() => {
            format!("accepts a loss of up to {bound} on your authority, then promotes {}", of.join(", "))
        }
        _ if waived.is_empty() => format!("accepts on your authority that {step} continues"),
        _ => format!("accepts {} on your authority, then continues with {step}", waived.join(", ")),
    }
}

/// The number of steps that the sentence names.
const SHOWN: usize = 6;

impl RunState {
    /// Whether users are served, and the paused run had nothing left to do but watch.
    pub fn watch_paused(&self) -> bool {
        let stopped = (0..self.steps.len()).any(|i| self.brought_to_a_stop(i));
        self.mode == Mode::Paused && !stopped && self.served_again() && !self.goes_no_further()
    }

    /// Whether users were moved to a site that serves them, and no probe has failed since.
    fn served_again(&self) -> bool {
        self.over_at().is_some() && self.fails_again().is_none()
    }

    /// Why the run cannot return, after a promotion was requested. While it is in progress or its result is unknown, nothing says that the
    /// server was promoted.
    pub(super) fn cannot_return(&self) -> Option<String> {
        let open = |component: &&ComponentName| {
            let promotes = |(step, at): (&Step, &StepState)| {
                matches!(&step.action, Action::Op(Operation::Promote(Promote { db, .. })) if db.component == **component)
                    && !matches!(at.work.status, Status::Done(_))
            };
            self.runbook.steps.iter().zip(&self.steps).any(promotes)
        };
        let (asked, done): (Vec<&ComponentName>, Vec<_>) = self.promoted.iter().partition(open);
        let (closed, done): (Vec<_>, Vec<_>) = done.into_iter().partition(|of| self.admits_of(of).is_some());
        let names = |of: Vec<&ComponentName>| {
            let names: Vec<_> = of.into_iter().map(ComponentName::as_str).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        let done = names(done)
            .map(|of| format!("{of} was promoted and takes writes that the old primary does not have"));
        let closed = names(closed).map(|of| format!("{of} was promoted, and a promotion cannot be undone"));
        let asked =
            names(asked).map(|of| format!("the promotion of {of} was requested and cannot be withdrawn"));
        let why: Vec<String> = done.into_iter().chain(closed).chain(asked).collect();
        (!why.is_empty()).then(|| why.join(", and "))
    }

    /// The first step that has still to let users write to the new server of a component: the fence of the old one may have reached it by
    /// replication.
    fn admits_of(&self, component: &ComponentName) -> Option<usize> {
        let lifts = |i: &usize| {
            let step = self.step(*i);
            let of_it = matches!(&step.action, Action::Op(Operation::Unfence(Unfence(fence))) if fence.db.component == *component);
            of_it && !step.debt && !matches!(self.steps[*i].work.status, Status::Done(_))
        };
        (0..self.steps.len()).find(lifts)
    }

    /// Why the run should continue before somebody cancels it: the old primary is fenced, and nobody can write to the new one yet.
    fn continues_first(&self) -> Option<String> {
        if self.displaced || self.goes_no_further() || self.decided_otherwise().is_some() {
            return None;
        }
        let fenced = self.promoted.iter().filter(|of| self.fenced(of).is_some());
        let steps: Vec<&str> =
            fenced.filter_map(|of| self.admits_of(of)).map(|i| self.step(i).id.as_str()).collect();
        let first = if self.halted.is_some() { "resume the run first" } else { "let the run continue first" };
        (!steps.is_empty()).then(|| {
            format!("{} has not let users write to the new server yet, so {first}", steps.join(", "))
        })
    }

    /// What a cancel would undo now, and what it would leave.
    pub fn called_off(&self) -> CalledOff {
        let all = 0..self.steps.len();
        let changed = |i: &usize| {
            let work = &self.steps[*i].work;
            let touched = work.status == Status::Done(End::Performed)
                || work.status.in_flight()
                || (work.parts.acted() && !matches!(work.status, Status::Done(_)));
            touched && self.step(*i).action.mutates() && !self.steps[*i].taken_back()
        };
        let name = |i: usize| self.step(i).id.to_string();
        let past = match self.cannot_return() {
            None if self.displaced => Some("another run holds the guard".to_owned()),
            why => why,
        };
        let touched: Vec<usize> = all.clone().filter(changed).filter(|i| !self.step(*i).debt).collect();
        // What is in progress ends first.
        let settles = |i: usize| {
            self.steps[i].work.status.in_flight() && matches!(self.step(i).action.undo(), Undo::By(_))
        };
        let back = |i: &usize| past.is_none() && (to_undo(self, *i) || settles(*i));
        let lasts = |i: &usize| !back(i) && !matches!(self.step(*i).action.undo(), Undo::Nothing);
        CalledOff {
            stays: touched.iter().copied().filter(lasts).map(name).collect(),
            undone: all.filter(back).map(name).collect(),
            grave: self.past_return() || touched.iter().any(|i| self.step(*i).action.properties().grave),
            guards: match past.is_some() && !self.displaced {
                true => self.guards().iter().map(|guard| guard.component.to_string()).collect(),
                false => Vec::new(),
            },
            served: past.is_some() && self.served_again(),
            away: match past {
                None if self.created.returns.is_some() => self.runbook.from.clone(),
                _ => None,
            },
            users_out: past.is_some() && self.runbook.intent == Intent::Failover && !self.served_again(),
            before: self.continues_first().filter(|_| self.mode != Mode::Cancelling),
            past,
        }
    }

    /// The possible commands for a run that no process drives, the likeliest first. None once it is over.
    pub fn ways_on(&self) -> Vec<PossibleCommand> {
        if self.finished() || self.watch_paused() {
            return Vec::new();
        }
        if let Some(answer) = self.decided_otherwise() {
            return self.as_decided(answer);
        }
        let way = |command: String, means: &str| PossibleCommand { command, means: means.to_owned() };
        let of = |verb: &str, more: &str| self.created.command(verb, more);
        let mut ways = Vec::new();
        // A paused undo is still one.
        let ends = self.mode == Mode::Cancelling || self.goes_no_further();
        if must_be_answered(self) && !self.goes_no_further() {
            let more = " --decide fix-forward --reason TEXT";
            ways.push(way(
                of("ack", more),
                "a named person decides to continue; before a decision, drctl refuses to resume the run",
            ));
        }
        let failed: Vec<usize> = (0..self.steps.len()).filter(|i| self.brought_to_a_stop(*i)).collect();
        // Once all approvals of a request are there, a process is missing.
        let given = |i: usize| approval::all_given(self, i).is_some();
        let (given, blocked): (Vec<_>, Vec<_>) =
            self.blocked_steps().into_iter().partition(|(i, ..)| given(*i));
        if !ends && !failed.is_empty() {
            ways.push(way(of("runs resume", ""), &self.again(&failed)));
        } else if blocked.is_empty() || !given.is_empty() {
            let means = match (self.closing, self.unwinds(), given.first()) {
                (true, ..) => "closes the run once the steps in progress have ended".to_owned(),
                (false, true, _) => "continues to undo the run".to_owned(),
                (false, false, Some((i, ..))) => self.after_answer(*i),
                (false, false, None) => "continues the run".to_owned(),
            };
            ways.push(way(of("runs resume", ""), &means));
        }
        ways.extend(failed.iter().filter(|_| !ends).flat_map(|i| self.around(*i, false)));
        // An answer alone does not start a process.
        let resume = of("runs resume", "");
        let then = format!("; then {resume}");
        ways.extend(blocked.into_iter().map(|(i, answer, waives)| {
            let step = &self.step(i).id;
            match waives {
                true => way(of("runs resume", &format!(" {answer}")), &accepts(&answer, step.as_str())),
                false => {
                    let then = if answer == resume { "" } else { then.as_str() };
                    way(answer, &format!("{}{then}", self.after_answer(i)))
                }
            }
        }));
        let overrides =
            self.blocked_steps().into_iter().filter_map(|(i, ..)| overriding::override_way(self, i));
        ways.extend(overrides.map(|(command, means)| way(command, &format!("{means}{then}"))));
        let close = of("runs cancel", " --reason TEXT");
        ways.push(match self.mode == Mode::Cancelling && self.past_return() {
            true => way(close, "closes the run; everything stays as it is"),
            false => way(close, &self.called_off().words()),
        });
        ways
    }

    /// What a resume does with the steps that failed. A request that nobody answered in time has no cause to correct.
    fn again(&self, failed: &[usize]) -> String {
        let (asks, tries): (Vec<usize>, Vec<usize>) =
            failed.iter().copied().partition(|i| self.asks_people(*i));
        let steps: Vec<&str> = tries.iter().map(|i| self.step(*i).id.as_str()).collect();
        let tries =
            (!tries.is_empty()).then(|| format!("tries {} again; correct the cause first", steps.join(", ")));
        let asks = asks.iter().map(|i| approval::asked_again(self, *i));
        tries.into_iter().chain(asks).collect::<Vec<_>>().join("; ")
    }

    /// Whether a request that expired or was rejected is all that failed.
    pub fn lacks_only_answers(&self) -> bool {
        let mut failed = (0..self.steps.len()).filter(|i| self.brought_to_a_stop(*i)).peekable();
        failed.peek().is_some() && failed.all(|i| self.asks_people(i))
    }

    /// The next commands after a decision not to continue, in words.
    pub fn next_as_decided(&self) -> Option<String> {
        let answer = self.decided_otherwise()?;
        let several = if answer.decision == Decision::Restore { 2 } else { 1 };
        let commands = self.as_decided(answer).into_iter().take(several).map(|way| way.command);
        let commands = commands.collect::<Vec<_>>().join(", then ");
        Some(format!("as {} decided ({}): {commands}", answer.who, answer.decision))
    }

    /// The commands after a decision not to continue: what was decided comes first, and the last one decides otherwise.
    fn as_decided(&self, answer: &Answer) -> Vec<PossibleCommand> {
        let (plan, by) = (&self.created.plan, format!("as {} decided ({})", answer.who, answer.decision));
        let off = self.called_off().words();
        let close = |means: String| PossibleCommand {
            command: self.created.command("runs cancel", " --reason TEXT"),
            means,
        };
        let forward = PossibleCommand {
            command: self.created.command("ack", " --decide fix-forward --reason TEXT"),
            means: "decides otherwise: to correct the cause and to continue the run".to_owned(),
        };
        match answer.decision {
            Decision::FixForward | Decision::TakeBack => vec![close(format!("{by}: {off}")), forward],
            Decision::Restore => {
                let component = match self.runbook.stores.as_slice() {
                    [only] => only.as_str(),
                    _ => "NAME",
                };
                let command = format!("drctl restore {plan} --component {component} --to-time TIME");
                let means = "after that: restores the database to a point in time".to_owned();
                vec![close(format!("{by}, first: {off}")), PossibleCommand { command, means }, forward]
            }
            Decision::Failover => {
                let moves = matches!(self.runbook.intent, Intent::Switchover | Intent::Failback);
                let to = &self.runbook.to;
                let (site, which) = match moves {
                    true => (to.as_str(), String::new()),
                    false => ("SITE", format!("; SITE is another site than {to}")),
                };
                let takes = match self.created.world {
                    WorldKind::Live => "takes the place of this run",
                    // A new rehearsal starts with its scenario.
                    WorldKind::Sandbox { .. } => "in a live run, it takes the place of this run",
                };
                let command = format!("drctl failover {plan} --to {site}");
                vec![PossibleCommand { command, means: format!("{by}: {takes}{which}") }, close(off), forward]
            }
        }
    }

    /// What follows an answer to a step that waits for a person.
    fn after_answer(&self, i: usize) -> String {
        let id = &self.step(i).id;
        if !self.asks_people(i) {
            return format!("says whether {id} ran");
        }
        let next = self.grave_after(i);
        let then = match next.as_slice() {
            [] => "continues the run".to_owned(),
            some if some.len() <= SHOWN => format!("lets the run continue to {}", some.join(", ")),
            some => format!("lets the run continue to {} steps, such as {}", some.len(), some[0]),
        };
        match approval::all_given(self, i) {
            Some(_) => then,
            None => format!("for {}: {then}", approval::approvers(self, i)),
        }
    }

    /// The steps that wait for a step and that affect users or the server that takes their writes.
    fn grave_after(&self, i: usize) -> Vec<&str> {
        let mut after = BTreeSet::new();
        let mut next = vec![i];
        while let Some(i) = next.pop() {
            next.extend(self.dependents[i].iter().filter(|of| after.insert(**of)));
        }
        let grave = |i: &usize| self.step(*i).action.properties().grave && !self.work(*i).status.settled();
        after.into_iter().filter(grave).map(|i| self.step(i).id.as_str()).collect()
    }

    /// Whether a step failed and stopped the run.
    pub(super) fn brought_to_a_stop(&self, i: usize) -> bool {
        let step = self.step(i);
        let halts = step.on_failure == crate::record::runbook::OnFailure::Halt && !step.background;
        halts && self.steps[i].work.status == Status::Failed
    }

    /// Steps that wait for a person: the flag or the command that lets them continue, and whether it is a flag that accepts a risk.
    pub fn blocked_steps(&self) -> Vec<(usize, String, bool)> {
        // Once all approvals are there, a process is missing.
        let answered = |i: usize| approval::answered_since(self, i).and_then(|(_, command)| command);
        let of = |i: usize| match &self.steps[i].work.status {
            Status::Blocked { flag: Some(flag), rule: Some(_), .. } => Some((i, flag.clone(), true)),
            Status::Blocked { flag: Some(flag), rule: None, .. } => {
                Some((i, answered(i).unwrap_or_else(|| flag.clone()), false))
            }
            _ => self.asked_late(i).map(|(_, command)| (i, command, false)),
        };
        (0..self.steps.len()).filter(|i| !self.asks_no_more(*i)).filter_map(of).collect()
    }

    /// The alternatives to a step that failed, or takes too long. A run that a process drives needs no resume after them.
    pub fn around(&self, i: usize, driven: bool) -> Vec<PossibleCommand> {
        let step = self.step(i);
        let then = match driven {
            true => String::new(),
            false => format!("; then {}", self.created.command("runs resume", "")),
        };
        let undecided = !driven && self.to_decide().is_some();
        let mut ways = Vec::new();
        if step.action.watch(&Called::NOT_YET).is_some() {
            // What a command does cannot be observed.
            let observed = !matches!(step.action, Action::Op(Operation::Run(_)));
            let means = match (driven, observed) {
                (true, true) => "use this only once it is done; drctl checks the result".to_owned(),
                (true, false) => "use this only once it is done".to_owned(),
                (false, _) => {
                    let decides =
                        if undecided { "; it is also the decision to continue (fix-forward)" } else { "" };
                    let checks = if observed {
                        ", which checks the result while steps that do not need it continue"
                    } else {
                        ""
                    };
                    format!("use this if you did it by hand{decides}{then}{checks}")
                }
            };
            ways.push(PossibleCommand {
                command: self.created.command("runs done", &format!(" {}", step.id)),
                means,
            });
        }
        if approval::expired(self, i) && !must_be_answered(self) {
            ways.push(PossibleCommand {
                command: self.created.command("approve", &format!(" {}", step.id)),
                means: format!(
                    "for {}: approves it late, which makes the request again",
                    approval::approvers(self, i)
                ),
            });
        }
        if may_skip(self, i).is_ok() {
            let decide = if undecided { format!("; then {}", self.to_continue()) } else { String::new() };
            ways.push(PossibleCommand {
                command: self.created.command("runs skip", &format!(" {} --reason TEXT", step.id)),
                means: format!("{}{decide}{then}", without(&step.action)),
            });
        }
        ways
    }
}

/// What skipping a step means.
fn without(action: &Action) -> String {
    action.left_out().unwrap_or_else(|| "continues without it".to_owned())
}
