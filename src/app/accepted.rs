//! The sites and the waivers on the command line, checked against the chosen plans.

use super::error::AppError;
use super::start::Starting;
use super::{waived, whatif};
use crate::model::ids::SiteName;
use crate::model::waiver::{Rule, Waiver};
use crate::plan::Plan;

impl Starting<'_> {
    /// Checks that the given names are in the plan: an unknown site has no primary to fence.
    pub(super) fn names_exist(&self, plan: &Plan) -> Result<(), AppError> {
        let from = self.options.from.as_ref().map(|from| SiteName::new(from.as_str()));
        for site in from.into_iter().chain([self.to(plan)]) {
            whatif::has_site(plan, &site)?;
        }
        let typed = self.typed(plan)?;
        waived::say(self.presenter, &plan.name, &typed, &waived::for_plan(typed.clone(), plan)?);
        Ok(())
    }

    /// The waivers for a plan, each with its component if its rule is about one.
    pub(super) fn waivers_of(&self, plan: &Plan) -> Result<Vec<Waiver>, AppError> {
        waived::for_plan(self.typed(plan)?, plan)
    }

    /// The waivers as typed. Of several plans, each gets those that name none of the other plans' components.
    fn typed(&self, plan: &Plan) -> Result<Vec<Waiver>, AppError> {
        let several = self.waves.is_some() || self.foreseen.is_some();
        let all = self.waivers()?;
        Ok(if several { waived::about(all, plan) } else { all })
    }

    /// Every waiver that was typed.
    ///
    /// # Errors
    /// If one is not valid.
    pub fn waivers(&self) -> Result<Vec<Waiver>, AppError> {
        let mut accepted = self.options.how.waive.clone();
        if self.options.how.take_over {
            accepted.waive.push(Rule::GuardHeld.id().to_owned());
        }
        self.context.waivers(&accepted)
    }
}
