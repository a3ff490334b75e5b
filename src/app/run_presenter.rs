//! How the application shows the runs that it starts or continues.

use super::begins::Begins;
use super::ending::Ending;
use super::error::AppError;
use super::presenter::Presenter;
use crate::executor::View;
use crate::model::ids::PlanName;
use crate::planner::Refusal;
use crate::record::runbook::Runbook;
use crate::report::history::History;

/// Shows people the runs that a command starts or continues, and asks them.
pub trait RunPresenter: Presenter {
    /// Whether a person is at the terminal.
    fn is_interactive(&self) -> bool;

    /// The display of a run. The durations of earlier runs tell what is usual.
    fn progress(&self, of: Display<'_>, history: History) -> Box<dyn Progress + '_>;

    /// The runbook of a run that only reads or is not carried out. `signs` is the operator who signs the request of the run.
    fn runbook(&self, runbook: &Runbook, history: &History, begins: &Begins, signs: Option<&str>);

    /// Why a plan is refused.
    fn refused(&self, plan: &PlanName, refusals: &[Refusal]);

    /// Shows the runbook and asks a person to confirm it.
    ///
    /// # Errors
    /// If nobody does.
    fn confirmed(&self, runbook: &Runbook, history: &History, signs: Option<&str>) -> Result<(), AppError>;

    /// A run that stopped or ended.
    fn ended(&self, ending: &Ending);

    /// The verdict on a live drill.
    fn verdict(&self, plan: &PlanName, words: &str, passed: bool);

    /// The results of a command.
    fn results(&self, endings: &[Ending]);
}

/// How a run is displayed.
#[derive(Clone, Copy, Debug)]
pub enum Display<'a> {
    /// Beside the runs of other plans.
    Beside(&'a PlanName),
    /// Alone: how many seconds of it pass in one real second; `None` if a rehearsal takes no time.
    Alone(Option<f64>),
}

/// The display of a run in progress.
pub trait Progress: View {
    /// The run stopped.
    fn finish(&self);
}
