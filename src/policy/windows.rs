//! When runs that can wait may start: maintenance windows, blackouts and the freeze. The strictest rule wins.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::calendar::{Freeze, Window};
use crate::model::finding::Finding;
use crate::model::ids::PlanName;
use crate::model::policy::Policy;
use crate::model::severity::Severity;
use crate::model::time::Timestamp;
use crate::model::waiver::Rule;
use crate::plan::settings::Written;

/// Why runs that can wait may not start now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// The rule.
    pub rule: Rule,
    /// What prevents the start, and until when.
    pub facts: String,
    /// Whether the run may start anyway, because its severity does not wait.
    pub lifted: bool,
}

/// Whether runs of a severity keep to the windows.
pub fn keeps(policy: &Policy, severity: Severity) -> bool {
    policy.keep_to_windows.contains(&severity)
}

/// Everything that prevents a start now. The freeze has priority over all, and a blackout over windows. For a severity that does not wait,
/// it is only reported.
pub fn closed(policy: &Policy, plan: &PlanName, severity: Severity, now: Timestamp) -> Vec<Closed> {
    let lifted = !keeps(policy, severity);
    let frozen =
        policy.freeze.iter().filter(|freeze| freeze.until.is_none_or(|until| now < until)).map(frozen);
    let blackouts = policy.blackouts.iter().filter(|window| window.is_for(plan));
    let blacked_out = blackouts.filter_map(|window| {
        window.open_until(now).map(|until| blacked_out(window, over(policy, plan, until)))
    });
    let all = frozen.chain(blacked_out).chain(outside(policy, plan, now));
    all.map(|(rule, facts)| Closed { rule, facts, lifted }).collect()
}

/// The end of this blackout and of all that follow it without a gap.
fn over(policy: &Policy, plan: &PlanName, end: Timestamp) -> Timestamp {
    let next = |at: &Timestamp| {
        let blackouts = policy.blackouts.iter().filter(|window| window.is_for(plan));
        blackouts.filter_map(|window| window.open_until(*at)).max()
    };
    // A window without an end is reported up to the horizon of the search.
    std::iter::successors(Some(end), next).take(400).last().unwrap_or(end)
}

/// Configured windows without effect: for plans that do not exist, or entirely in the past.
pub fn unbound(
    policy: &Policy,
    plans: &BTreeSet<PlanName>,
    written: &Written,
    now: Timestamp,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let file = &written.file;
    for (key, windows) in [("windows", &policy.windows), ("blackouts", &policy.blackouts)] {
        for (n, window) in (1..).zip(windows) {
            for plan in window.plans.difference(plans) {
                let message = format!("the window {window} names plan {plan}, which does not exist");
                let place = written.place(&["policy", key, &i32::to_string(&n), "plans"]);
                let finding = Finding::warning("window-of-no-plan", file, place, message);
                found.push(finding.because("the window has no effect").fix(one_of(plans)));
            }
        }
    }
    if keeps(policy, Severity::P0)
        && !(policy.windows.is_empty() && policy.blackouts.is_empty() && policy.freeze.is_none())
    {
        let message = "emergencies wait for windows: `keep_to_windows` lists P0";
        let place = written.place(&["policy", "keep_to_windows"]);
        let finding = Finding::warning("windows-keep-emergencies", file, place, message);
        let because =
            "drctl would refuse a failover from a lost region outside of windows and during a freeze";
        found.push(
            finding.because(because).fix("remove P0, unless somebody is always there to waive the rule"),
        );
    }
    for plan in plans {
        let mut windows = policy.windows.iter().filter(|window| window.is_for(plan)).peekable();
        if windows.peek().is_some() && windows.all(|w| w.open_until(now).is_none() && w.opens(now).is_none())
        {
            let message = format!("plan {plan} has no future maintenance window");
            let place = written.place(&["policy", "windows"]);
            let finding = Finding::warning("window-never-open", file, place, message);
            let because = "drctl refuses every run that must start within a window";
            found.push(finding.because(because).fix("add windows that repeat, or remove all windows"));
        }
    }
    found
}

/// A hint with the plans that could be meant.
pub fn one_of(plans: &BTreeSet<PlanName>) -> String {
    let known: Vec<_> = plans.iter().map(PlanName::as_str).collect();
    match known.as_slice() {
        [] => "write a plan with that name; drctl init writes a first one".to_owned(),
        known => format!("choose one of: {}", known.join(", ")),
    }
}

fn frozen(freeze: &Freeze) -> (Rule, String) {
    let until = freeze.until.map_or_else(
        || "until somebody removes the freeze from drctl.yaml".to_owned(),
        |t| format!("until {t}"),
    );
    (Rule::ChangeFreeze, format!("changes are frozen {until}: {}", freeze.why))
}

fn blacked_out(window: &Window, until: Timestamp) -> (Rule, String) {
    (Rule::BlackoutWindow, format!("the blackout {window} lasts until {}", window.shown(until)))
}

fn outside(policy: &Policy, plan: &PlanName, now: Timestamp) -> Option<(Rule, String)> {
    let windows: Vec<&Window> = policy.windows.iter().filter(|window| window.is_for(plan)).collect();
    // Without configured windows, a run may start at any time.
    if windows.is_empty() || windows.iter().any(|window| window.open_until(now).is_some()) {
        return None;
    }
    let next = windows
        .iter()
        .filter_map(|window| window.opens(now).map(|at| (at, window)))
        .min_by_key(|(at, _)| *at);
    let next = next.map_or_else(
        || "and no window opens after that".to_owned(),
        |(at, window)| format!("the next window opens {}, by {window}", window.shown(at)),
    );
    Some((Rule::OutsideWindow, format!("no maintenance window is open at {now}; {next}")))
}
