//! A figure compared with its objective, and its text, which every rendering uses.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::Serialize;

use super::attainment::{Attainment, Earlier};
use crate::model::ids::ComponentName;
use crate::model::intent::Drill;
use crate::model::measure::{Basis, Figure, Verdict};
use crate::model::time::{Dur, Timestamp, span};
use crate::model::waiver::Waiver;
use crate::record::runbook::Runbook;
use crate::run::{RunState, exposure};

/// A figure compared with its objective.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Measured {
    /// The objective, in seconds.
    pub objective_s: f64,
    /// The component of the objective, if it has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The achieved value, in seconds.
    pub achieved_s: Option<f64>,
    /// How exact that is.
    pub basis: Basis,
    /// The half-width of the sampling error, in seconds. On the basis `interval`, `achieved_s` is the most, and the least is
    /// shorter by this.
    pub resolution_s: f64,
    /// Whether the objective is proven; `null` if it does not apply.
    pub met: Option<bool>,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether the run was closed while users still failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_recovered: bool,
    /// The time that the figure holds for, if it still grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// The loss that a person accepted, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// A description for people.
    pub text: String,
}

/// An accepted loss, and whether the figure is within it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Accepted {
    /// The accepted loss, in seconds.
    pub accepted_s: f64,
    /// Whether the figure exceeds it, or does not prove that it does not.
    pub beyond: bool,
    /// A description for people.
    pub text: String,
}

impl Accepted {
    /// Compares an accepted loss with a figure.
    pub fn new(accepted_s: f64, achieved_s: Option<f64>, basis: Basis) -> Self {
        let what = match basis {
            Basis::Interval | Basis::UpperBound => "the bound is",
            Basis::LowerBound => "the loss is at least",
            Basis::Measured | Basis::Unknown | Basis::NotApplicable => "the loss is",
        };
        let beyond = basis == Basis::LowerBound || achieved_s.is_none_or(|s| s > accepted_s);
        // Like `shown`, but in full.
        let whole = |s: f64| if basis == Basis::LowerBound { s.floor() } else { s };
        let found =
            achieved_s.map_or_else(|| "unknown".to_owned(), |s| Dur::from_secs_f64(whole(s)).in_full());
        let accepted = Dur::from_secs_f64(accepted_s).in_full();
        let text = match (achieved_s, beyond) {
            (None, _) => format!("accepted: {accepted}; {what} {found}"),
            (Some(s), true) if s <= accepted_s => {
                format!("accepted: {accepted}; {what} {found}: not proven to be within what was accepted")
            }
            (Some(_), true) => format!("accepted: {accepted}; {what} {found}: beyond what was accepted"),
            (Some(_), false) => format!("accepted: {accepted}; {what} {found}: within what was accepted"),
        };
        Self { accepted_s, beyond, text }
    }
}

/// A figure in seconds for display. A lower bound is rounded down, because no more than that is proven; everything else is rounded up, so
/// that a loss never looks smaller than it is.
pub fn shown(seconds: f64, basis: Basis) -> String {
    match basis {
        Basis::LowerBound => Dur::from_secs_f64(seconds).to_string(),
        _ => span(seconds),
    }
}

/// The beginning of the text of a figure that does not apply.
const NOT_APPLICABLE: &str = "not applicable: ";

/// The text of a recovery time if users were never served again.
pub const NEVER_RECOVERED: &str = "never recovered";

/// The same for a run that has not ended: users may still be served again.
pub const NOT_RECOVERED_YET: &str = "not recovered yet";

impl Measured {
    /// A figure without adjustments.
    pub fn new(figure: Figure, objective: Dur) -> Self {
        let text = match figure.basis {
            Basis::NotApplicable => format!("{NOT_APPLICABLE}no database was recovered"),
            _ => figure.to_string(),
        };
        let verdict = figure.verdict(objective);
        Self {
            objective_s: objective.as_secs_f64(),
            component: None,
            achieved_s: figure.value_ms.map(Dur::as_secs_f64),
            basis: figure.basis,
            resolution_s: figure.resolution_ms.as_secs_f64(),
            met: proven(verdict),
            verdict,
            never_recovered: false,
            as_of: None,
            accepted: None,
            text,
        }
    }

    fn judged(self, verdict: Verdict) -> Self {
        Self { met: proven(verdict), verdict, ..self }
    }

    /// Adds a lower bound: a figure that only has an upper bound counts as missed if its lower bound exceeds the objective.
    fn at_least(self, least: Option<Dur>) -> Self {
        let beyond =
            |least: &Dur| self.verdict == Verdict::NotProven && least.as_secs_f64() > self.objective_s;
        match least.filter(beyond) {
            Some(least) => {
                Self { text: format!("{}; at least {least}", self.text), ..self.judged(Verdict::Missed) }
            }
            None => self,
        }
    }

    /// Mentions the earlier figure that a later finding replaced. While it grew, each screen showed another one.
    fn replacing(self, earlier: Option<&Earlier>) -> Self {
        match earlier {
            Some((earlier, at)) => {
                let at = at.map_or_else(String::new, |at| format!(", as of {at}"));
                Self { text: format!("{}, reconciled: replaces {earlier}{at}", self.text), ..self }
            }
            None => self,
        }
    }

    /// The run was closed while users were not served, so the objective is missed whatever the figure.
    fn never_recovered(self) -> Self {
        let text = format!("{NEVER_RECOVERED}: {}", self.text);
        Self { text, never_recovered: true, ..self.judged(Verdict::Missed) }
    }

    /// Says by how much probes can be late. The clock of an outage that nobody has seen to end runs ahead of the lower bound by that much.
    fn seen_late(self, late: Option<Dur>) -> Self {
        match late.filter(|_| self.basis == Basis::LowerBound) {
            Some(late) => {
                let bound = self.basis;
                let told = format!("({bound}: probes can be {late} late)");
                Self { text: self.text.replacen(&format!("({bound})"), &told, 1), ..self }
            }
            None => self,
        }
    }

    /// Says which time a growing figure holds for. Without it, two reports of one run seem to contradict each other.
    #[must_use]
    pub(super) fn known_at(self, at: Option<Timestamp>) -> Self {
        match at.filter(|_| self.achieved_s.is_some()) {
            Some(at) => Self { text: format!("{}, as of {at}", self.text), as_of: Some(at), ..self },
            None => self,
        }
    }

    /// While a fence is pending nothing is proven, because the old primary may take writes that the new one never gets.
    #[must_use]
    pub fn unless(self, owed: bool) -> Self {
        if owed && self.verdict == Verdict::Met { self.judged(Verdict::NotProven) } else { self }
    }

    /// Judges by a stricter objective, if `held` is one. `figure` is the figure of this value.
    #[must_use]
    pub fn held_to(self, figure: Figure, held: Dur) -> Self {
        if held.as_secs_f64() >= self.objective_s {
            return self;
        }
        let verdict = self.verdict.max(figure.verdict(held));
        Self { objective_s: held.as_secs_f64(), component: None, ..self.judged(verdict) }
    }

    /// The same for several stores: a store that is held to a stricter objective replaces this value, unless this verdict is worse.
    #[must_use]
    pub fn or_held(
        self,
        (figure, earlier, least): (Figure, Option<&Earlier>, Option<Dur>),
        (own, held): (Dur, Dur),
    ) -> Self {
        if held >= own || !self.applies() {
            return self;
        }
        let stricter = Self::new(figure, held).at_least(least).replacing(earlier);
        if stricter.verdict < self.verdict {
            return self;
        }
        Self { accepted: self.accepted, ..stricter }.known_at(self.as_of)
    }

    /// A copy or a standby beside production moves no users, and a tabletop drill changes nothing. No figure applies, whatever probes saw.
    #[must_use]
    fn tried_by(self, runbook: &Runbook) -> Self {
        let why = match (runbook.drill, runbook.intent.has_rto()) {
            (Some(Drill::Tabletop), _) => "nothing ran",
            (_, false) => "nobody was moved",
            (_, true) => return self,
        };
        let text = format!("{NOT_APPLICABLE}{why}");
        let (basis, resolution_s) = (Basis::NotApplicable, 0.0);
        Self { achieved_s: None, basis, resolution_s, text, ..self.judged(Verdict::NotApplicable) }
    }

    /// Whether the objective is proven, or there is nothing to prove.
    pub const fn holds(&self) -> bool {
        self.verdict.holds()
    }

    /// Whether there is anything to measure.
    pub fn applies(&self) -> bool {
        self.basis != Basis::NotApplicable
    }

    /// Why there is no figure, if it does not apply.
    pub fn no_figure(&self) -> Option<&str> {
        (!self.applies()).then(|| self.text.strip_prefix(NOT_APPLICABLE).unwrap_or(&self.text))
    }

    /// The objective: `15m`, or `30s of db`.
    pub fn promised(&self) -> String {
        promised(self.objective_s, self.component.as_ref().map(ComponentName::as_str))
    }

    /// Everything in one sentence: `12.4s (measured); objective 15m: met`.
    pub fn words(&self) -> String {
        match self.applies() {
            true => format!("{}; objective {}: {}", self.text, self.promised(), self.verdict.words()),
            false => self.text.clone(),
        }
    }
}

/// Whether a verdict proves its objective; nothing if it does not apply, which is no success.
fn proven(verdict: Verdict) -> Option<bool> {
    (verdict != Verdict::NotApplicable).then_some(verdict == Verdict::Met)
}

/// The objective and its component.
pub fn promised(objective_s: f64, component: Option<&str>) -> String {
    let of = component.map_or_else(String::new, |component| format!(" of {component}"));
    format!("{}{of}", span(objective_s))
}

/// The recovery time against the strictest objective.
pub(super) fn rto(state: &RunState, attained: &Attainment) -> Measured {
    let (objective, component) = state.runbook.promised_rto();
    let rto = Measured::new(attained.rto, objective).unless(state.proves_no_objective().is_some());
    let rto = rto.seen_late(attained.late);
    let rto = if attained.never_recovered { rto.never_recovered() } else { rto };
    Measured { component: component.cloned(), ..rto }.tried_by(&state.runbook).known_at(attained.rto_as_of)
}

/// The recovery point of a store.
pub(super) fn rpo_of(
    state: &RunState,
    component: &ComponentName,
    (figure, earlier): (Figure, Option<&Earlier>),
) -> Measured {
    let least = exposure::at_least(state, component);
    let unproven = state.proves_no_objective().is_some() || state.owed().any(|c| c == component);
    let rpo =
        Measured::new(figure, state.runbook.objectives_of(component).rpo_ms).at_least(least).unless(unproven);
    let own = state.runbook.component_objectives.contains_key(component);
    let accepted = accepted_of(state, component);
    let accepted = accepted.map(|most| Accepted::new(most.as_secs_f64(), rpo.achieved_s, rpo.basis));
    Measured { component: own.then(|| component.clone()), accepted, ..rpo }.replacing(earlier)
}

/// The loss of a store that people accepted.
fn accepted_of(state: &RunState, component: &ComponentName) -> Option<Dur> {
    let of = |waiver: &&Waiver| waiver.covers(waiver.rule, Some(component));
    state.waivers.iter().filter(of).filter_map(|waiver| waiver.accept_loss_ms).max()
}

/// The recovery point. Each store is judged by its objective, and the worst verdict counts.
pub(super) fn rpo(state: &RunState, attained: &Attainment) -> Measured {
    let has_own = |component: &ComponentName| state.runbook.component_objectives.contains_key(component);
    let (own, rest): (Vec<_>, Vec<_>) = attained.stores.iter().partition(|(component, _)| has_own(component));
    let owes = state.proves_no_objective().is_some() || state.owed().next().is_some();
    let earlier = |component: &ComponentName| attained.replaced.get(component);
    let rest = rest.into_iter().map(|(component, (figure, _))| {
        let least = attained.least.get(component).copied();
        Measured::new(*figure, state.runbook.objectives.rpo_ms).at_least(least).replacing(earlier(component))
    });
    let own = own
        .into_iter()
        .map(|(component, (figure, _))| rpo_of(state, component, (*figure, earlier(component))));
    let all = own.chain(rest).map(|rpo| rpo.unless(owes));
    let worst = all.max_by(stricter);
    let worst = worst.unwrap_or_else(|| Measured::new(attained.rpo, state.runbook.objectives.rpo_ms));
    worst.tried_by(&state.runbook).known_at(attained.losses_as_of.values().max().copied())
}

/// Orders the figures of stores by what they prove, the worst last. Where nothing is proven, a loss without a known end is worse than any
/// bound.
fn stricter(a: &Measured, b: &Measured) -> Ordering {
    let endless = |m: &Measured| m.verdict == Verdict::NotProven && m.basis == Basis::LowerBound;
    let of = |m: &Measured| (m.verdict, m.achieved_s.is_none(), endless(m));
    let seconds = |m: &Measured| m.achieved_s.unwrap_or(f64::INFINITY);
    of(a).cmp(&of(b)).then(seconds(a).total_cmp(&seconds(b)))
}

/// Template filters for durations and figures, so that all renderings agree.
pub(super) fn filters(environment: &mut minijinja::Environment<'_>) {
    environment.add_filter("span", |seconds: f64| span(seconds));
    environment.add_filter("span_ms", |ms: u64| Dur(ms).to_string());
    environment.add_filter("promised", |of: minijinja::Value| {
        let is = |key: &str| of.get_attr(key).unwrap_or_default();
        promised(f64::try_from(is("objective_s")).unwrap_or_default(), is("component").as_str())
    });
    environment.add_filter("verdict", |of: minijinja::Value| {
        let is = of.get_attr("verdict").unwrap_or_default();
        serde_json::from_value(is.as_str().into()).map_or("", Verdict::words)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the names of the stores, so in both orders.
    #[test]
    fn a_loss_without_a_known_end_is_not_hidden_by_a_longer_one_that_was_measured() {
        let of = |secs, basis| Measured::new(Figure::new(Dur::secs(secs), basis), Dur::mins(5));
        let unknown = || Measured::new(Figure::UNKNOWN, Dur::mins(5));
        for (better, worse) in [
            (of(2, Basis::Measured), of(0, Basis::LowerBound)),
            (of(400, Basis::UpperBound), of(0, Basis::LowerBound)),
            (of(400, Basis::LowerBound), of(500, Basis::Measured)),
            (of(1, Basis::LowerBound), unknown()),
            (unknown(), of(301, Basis::LowerBound)),
        ] {
            for pair in [[&better, &worse], [&worse, &better]] {
                let found = pair.into_iter().max_by(|a, b| stricter(a, b)).unwrap();
                assert_eq!(found.text, worse.text, "not {}", better.text);
            }
        }
    }

    #[test]
    fn a_lower_bound_is_never_within_what_was_accepted() {
        let of = |seconds| Accepted::new(600.0, Some(seconds), Basis::LowerBound);
        let (short, long) = (of(300.0), of(601.0));
        assert_eq!(
            short.text,
            "accepted: 10m; the loss is at least 5m: not proven to be within what was accepted"
        );
        assert!(
            short.beyond && long.beyond && long.text.ends_with(": beyond what was accepted"),
            "{}",
            long.text
        );
        assert!(!Accepted::new(600.0, Some(300.0), Basis::UpperBound).beyond);
    }

    #[test]
    fn no_more_than_a_lower_bound_is_shown_and_no_less_than_a_loss() {
        for (basis, text) in
            [(Basis::LowerBound, "2m 5s"), (Basis::UpperBound, "2m 6s"), (Basis::Measured, "2m 6s")]
        {
            assert_eq!(shown(125.228, basis), text, "{basis:?}");
        }
        let lost = Accepted::new(60.0, Some(125.228), Basis::LowerBound);
        assert_eq!(lost.text, "accepted: 1m; the loss is at least 2m 5s: beyond what was accepted");
    }
}
