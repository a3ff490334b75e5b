//! Warnings about a run, and what a person can do next. The screen and every form of the report take both from here, so that they never
//! contradict each other.

use schemars::JsonSchema;
use serde::Serialize;

use super::attainment::attainment;
use super::fences::Fence;
use super::protection::Protection;
use super::typed::typed;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::intent::Intent;
use crate::model::time::Dur;
use crate::record::event::{Outcome, WorldKind};
use crate::run::state::Mode;
use crate::run::ways::PossibleCommand;
use crate::run::{RunState, drill};

/// A warning, and what a person can do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Warning {
    /// `FENCE PENDING`, `NOT SERVED`, `NOT COMPLETE`, `GUARDS KEPT` or `UNPROTECTED`.
    pub title: String,
    /// What is wrong.
    pub text: String,
    /// The words before the commands, such as `once west is back, run`.
    pub next: String,
    /// The commands that help. One of them is enough.
    pub commands: Vec<String>,
    /// The words after the commands.
    pub then: String,
}

impl Warning {
    /// What is wrong, and the next step.
    pub fn words(&self) -> String {
        let next = self.next_words();
        let gap = if next.is_empty() { "" } else { "; " };
        format!("{}: {}{gap}{next}", self.title, self.text)
    }

    /// The next step in words.
    pub fn next_words(&self) -> String {
        let gap = if self.commands.is_empty() { "" } else { " " };
        format!("{}{gap}{}{}", self.next, self.commands.join(", or "), self.then)
    }

    /// The same with commands that work as they stand. The screen completes its commands itself.
    fn typed(mut self, state: &RunState) -> Self {
        for words in [&mut self.text, &mut self.next, &mut self.then] {
            *words = typed(state, words);
        }
        if state.created.world != WorldKind::Live {
            let lacking = self.commands.iter_mut().filter(|command| !command.contains(" --sandbox"));
            lacking.for_each(|command| command.push_str(" --sandbox"));
        }
        self
    }
}

/// All warnings, the gravest first.
pub(super) fn warnings(state: &RunState, fence: &Fence, protection: &Protection) -> Vec<Warning> {
    let all = [
        fence_pending(state, fence),
        not_served(state),
        guards_kept(state),
        unprotected(state, fence, protection),
    ];
    all.into_iter().flatten().map(|warning| warning.typed(state)).collect()
}

/// Two servers may take writes.
pub fn fence_pending(state: &RunState, fence: &Fence) -> Option<Warning> {
    let of: Vec<&str> = state.owed().map(ComponentName::as_str).collect();
    (fence.state == "pending").then(|| Warning {
        title: "FENCE PENDING".to_owned(),
        text: format!(
            "the old primary of {} may still take writes. Keep clients away from it",
            of.join(", ")
        ),
        next: "drctl serve tries to fence it, every later run does, and so does".to_owned(),
        commands: vec![state.created.command("runs resume", "")],
        then: String::new(),
    })
}

/// Users are not served, or the move was not completed.
fn not_served(state: &RunState) -> Option<Warning> {
    let (out, next) = (out(state), end_of(state));
    let (title, text) = match (out, next.is_some()) {
        (Some(words), _) => ("NOT SERVED", format!("{words}, as of {}", state.last_at)),
        (None, true) => ("NOT COMPLETE", "the move is not complete".to_owned()),
        (None, false) => return None,
    };
    Some(Warning { title: title.to_owned(), text, ..next.unwrap_or_default() })
}

/// A run that was closed after its point of no return keeps its guards.
pub fn guards_kept(state: &RunState) -> Option<Warning> {
    let kept = if abandoned(state) && !state.displaced { state.unreturned_guards() } else { Vec::new() };
    let names: Vec<&str> = kept.iter().map(|guard| guard.component.as_str()).collect();
    (!names.is_empty()).then(|| Warning {
        title: "GUARDS KEPT".to_owned(),
        text: format!(
            "at its end, the run kept the guards of {}; the next run takes them with --take-over --reason TEXT",
            names.join(", ")
        ),
        ..Warning::default()
    })
}

/// No second site could take over. While users are not served, they come first.
pub fn unprotected(state: &RunState, fence: &Fence, protection: &Protection) -> Option<Warning> {
    let names: Vec<&str> = protection.unprotected.iter().map(ComponentName::as_str).collect();
    if names.is_empty() {
        return None;
    }
    let text = format!("no standby follows {}", names.join(", "));
    let warning = Warning { title: "UNPROTECTED".to_owned(), text, ..Warning::default() };
    if goes_on(state) || end_of(state).is_some() {
        return Some(warning);
    }
    if !state.finished() && protection.unprotected.iter().all(|of| state.still_makes_standby(of)) {
        let commands = vec![state.created.command("runs resume", "")];
        return Some(Warning { next: "this run makes it:".to_owned(), commands, ..warning });
    }
    let plan = &state.created.plan;
    let from = state.runbook.from.as_ref().map_or("SITE", SiteName::as_str);
    let (next, commands) = match state.runbook.intent {
        // The standby is in another site than the restored server, and follows the abandoned history.
        Intent::Restore => (
            "for the site of each standby, run".to_owned(),
            vec![format!("drctl reprotect {plan} --to SITE")],
        ),
        _ => (
            // Nothing that answers no fence becomes a standby.
            format!(
                "{}{}run",
                protection.lacks.iter().map(|lacks| format!("first {lacks}; then ")).collect::<String>(),
                if fence.state == "pending" { format!("once {from} is back, ") } else { String::new() }
            ),
            vec![format!("drctl reprotect {plan} --to {from}"), format!("drctl failback {plan} --to {from}")],
        ),
    };
    Some(Warning { next, commands, ..warning })
}

/// What a person must do after a run that was ended while users may be between two sites: no run continues it.
pub fn after_the_end(state: &RunState) -> Option<String> {
    end_of(state).map(|next| next.next_words())
}

/// What is left of a run that a person ended, first whether users are served: nothing continues it. Empty if everything is done, or once a
/// later run moved the application.
pub fn left_by(state: &RunState, runs: &[RunState]) -> Vec<Warning> {
    let later = |run: &RunState| run.created.plan == state.created.plan && run.created_at > state.created_at;
    // Each rehearsal has an estate of its own.
    let moves = |run: &RunState| {
        let live = run.created.world == WorldKind::Live;
        live && drill::moved(run) && run.mode != Mode::Finished(Outcome::Cancelled)
    };
    if !cut_short(state) || runs.iter().any(|run| later(run) && moves(run)) {
        return Vec::new();
    }
    [not_served(state), guards_kept(state)].into_iter().flatten().collect()
}

/// How a person ended it, behind the words that it is over.
pub fn how_it_ended(state: &RunState) -> &'static str {
    match (abandoned(state), state.displaced) {
        (false, _) => ": it was cancelled",
        (true, true) => ": it was cancelled while another run held its guard",
        (true, false) => ": it was cancelled after its point of no return",
    }
}

fn end_of(state: &RunState) -> Option<Warning> {
    let moves = matches!(state.runbook.intent, Intent::Failover | Intent::Switchover | Intent::Failback);
    let (plan, to) = (&state.created.plan, &state.runbook.to);
    let failover = || vec![format!("drctl failover {plan} --to {to}")];
    let words = |next: String, commands: Vec<String>, then: String| Warning {
        next,
        commands,
        then,
        ..Warning::default()
    };
    if moves && abandoned(state) && attainment(state, state.last_at).validated.is_none() {
        // A new rehearsal starts with its scenario, so it does not complete this one.
        if matches!(state.created.world, WorldKind::Sandbox { .. }) {
            let next = format!(
                "a rehearsal ends here. In a live run, a failover of {plan} to {to} would complete the move"
            );
            return Some(words(next, Vec::new(), String::new()));
        }
        let held = match state.unreturned_guards().is_empty() {
            true => "",
            false => "; add --take-over --reason TEXT for the guards that this run keeps",
        };
        return Some(words("run".to_owned(), failover(), format!(" to complete the move{held}")));
    }
    let from = state.runbook.from.as_ref()?;
    (moves && cut_short(state) && out(state).is_some()).then(|| {
        let next = format!("users still fail in {from}: repair {from}, or run");
        words(next, failover(), " again once the cause is corrected".to_owned())
    })
}

/// The possible commands of a run that stands still, the likeliest first. None while no process has said that it stopped.
pub fn ways(state: &RunState) -> Vec<PossibleCommand> {
    if state.halted.is_none() {
        return Vec::new();
    }
    if state.watch_paused() {
        let held = if state.guards().is_empty() { "" } else { "; until then the run holds its guards" };
        let lacking: Vec<&str> = state
            .promoted_at
            .keys()
            .filter(|of| state.still_makes_standby(of))
            .map(ComponentName::as_str)
            .collect();
        let makes = match lacking.as_slice() {
            [] => String::new(),
            of => format!("makes the standby of {}, and ", of.join(", ")),
        };
        let means = format!("{makes}continues to watch that users stay served{held}");
        return vec![PossibleCommand { command: state.created.command("runs resume", ""), means }];
    }
    let of = |way: PossibleCommand| PossibleCommand {
        command: typed(state, &way.command),
        means: typed(state, &way.means),
    };
    state.ways_on().into_iter().map(of).collect()
}

/// Whether it stopped and somebody has to resume it.
pub fn goes_on(state: &RunState) -> bool {
    !state.finished() && !state.watch_paused()
}

/// Whether a person ended it before anything was recovered.
pub fn cut_short(state: &RunState) -> bool {
    abandoned(state) || state.mode == Mode::Finished(Outcome::Cancelled)
}

/// Whether a person closed it after its point of no return.
fn abandoned(state: &RunState) -> bool {
    state.mode == Mode::Finished(Outcome::Abandoned)
}

/// Whether users are served, according to the last probe results. Nothing if no probe failed.
pub fn users(state: &RunState) -> Option<String> {
    // A drill of copies moves nobody.
    if state.runbook.intent == Intent::Drill {
        return None;
    }
    let seen = attainment(state, state.last_at);
    seen.detected?;
    Some(match seen.validated {
        Some(_) if state.fails_again().is_none() => "users are served again".to_owned(),
        Some(_) => "users fail again".to_owned(),
        None => {
            let long = seen.out_for(state.last_at).unwrap_or_default();
            format!("users have not been served for at least {}", Dur::secs(long.millis() / 1_000))
        }
    })
}

/// The same for a run that was stopped or given up, if users are not served.
pub fn out(state: &RunState) -> Option<String> {
    let served = attainment(state, state.last_at).validated.is_some() && state.fails_again().is_none();
    users(state).filter(|_| !served && (goes_on(state) || cut_short(state)))
}
