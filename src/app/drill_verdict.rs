//! The verdict on a live drill, once its return stopped or ended.

use super::ending::{Came, Ending, Verdict};
use super::run_presenter::RunPresenter;
use super::{exit, live_drill};
use crate::model::ids::SiteName;
use crate::record::event::Outcome;
use crate::report::summary;
use crate::run::RunState;
use crate::run::drill::called_off;
use crate::run::state::Mode;

/// Raises the exit code of a return to what it means for the whole drill, and reports where users are.
pub fn judge_return(presenter: &dyn RunPresenter, first: &RunState, back: &mut Ending) {
    let is_back = match &back.run {
        Some(run) => run.mode == Mode::Finished(Outcome::Recovered),
        None => matches!(back.came, Came::Nothing(..)),
    };
    let report = summary::report(first, first.last_at);
    let why = called_off(first).map(str::to_owned);
    let idle = (is_back && back.run.is_none())
        .then(|| "the return found nothing to do, so no run of this drill moved users back".to_owned());
    // A return that waits is neither good nor bad before somebody answers.
    let waits = waiting(back).is_some();
    if !waits && (!is_back || why.is_some()) {
        back.worsen(exit::NOT_RECOVERED);
    } else if is_back && (idle.is_some() || !(report.rto.holds() && report.rpo.holds())) {
        back.worsen(exit::RECOVERED_BUT);
    }
    verdict(presenter, first, (back, is_back), why.or(idle).as_deref());
}

/// The return, if it waits for a person.
fn waiting(back: &Ending) -> Option<&RunState> {
    back.run.as_deref().filter(|run| !run.finished() && back.code == exit::WAITING)
}

fn verdict(
    presenter: &dyn RunPresenter,
    first: &RunState,
    (back, is_back): (&mut Ending, bool),
    why: Option<&str>,
) {
    let (name, to) = (&first.created.plan, &first.runbook.to);
    let home = first.runbook.from.as_ref().map_or("SITE", SiteName::as_str);
    let (passed, words) = match (is_back, why, back.code) {
        (false, ..) => (false, not_back(first, back)),
        (true, Some(why), _) => (false, format!("{why}; users are in {home} again")),
        (true, None, exit::DONE) => {
            (true, "passed: users moved there and back within the objectives".to_owned())
        }
        (true, None, _) => {
            (false, "users moved there and back, but an objective was missed or not proven".to_owned())
        }
    };
    presenter.verdict(name, &words, passed);
    let users_in = if is_back { home } else { to.as_str() }.to_owned();
    let passed = is_back && back.code == exit::DONE;
    back.verdict = Some(Verdict { passed, users_in, words });
}

/// What a person does while users are not back. A return that is not finished is continued.
fn not_back(first: &RunState, back: &Ending) -> String {
    let (name, to) = (&first.created.plan, &first.runbook.to);
    if let Some(run) = waiting(back) {
        let (id, on) = (&run.created.run, live_drill::way_on(run));
        return format!("users are still in {to}: the return, run {id}, waits for a person. To go on, {on}");
    }
    let home = first.runbook.from.as_ref().map_or("SITE", SiteName::as_str);
    let lost = format!("If {to} is lost, run drctl failover {name} --to {home}");
    let next = match back.run.as_deref() {
        Some(run) if !run.finished() => live_drill::way_on(run),
        // A person decided that, so there is no problem to correct first.
        Some(run) if run.mode == Mode::Finished(Outcome::Cancelled) => {
            let again = live_drill::again(first);
            let id = &run.created.run;
            return format!(
                "USERS ARE NOT BACK from {to}: the return, run {id}, was cancelled. To move them back, run {again}. {lost}"
            );
        }
        _ => format!("run {}", live_drill::again(first)),
    };
    format!("USERS ARE NOT BACK from {to}. Correct the problem above, then {next}. {lost}")
}
