//! The commands that people have to type, and how many lines were printed below each.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::model::ids::StepId;

/// A command is still in sight if it and what is below it have fewer lines.
const SCREENFUL: usize = 24;

/// Keeps where the command for each step stands.
#[derive(Default)]
pub struct PrintedCommands {
    lines: Cell<usize>,
    at: RefCell<BTreeMap<StepId, usize>>,
}

impl PrintedCommands {
    /// These lines were printed.
    pub fn printed(&self, lines: usize) {
        self.lines.set(self.lines.get().saturating_add(lines));
    }

    /// The command for a step is printed next.
    pub fn asks(&self, step: &StepId) {
        self.at.borrow_mut().insert(step.clone(), self.lines.get());
    }

    /// Whether the command for a step was never printed, or has scrolled away.
    pub fn is_out_of_sight(&self, step: &StepId) -> bool {
        let at = self.at.borrow().get(step).copied();
        at.is_none_or(|at| self.lines.get().saturating_sub(at) >= SCREENFUL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_in_sight_until_a_screenful_of_lines_is_below_it() {
        let (asked, [one, other]) = (PrintedCommands::default(), [StepId::new("one"), StepId::new("other")]);
        assert!(asked.is_out_of_sight(&one), "it was never printed");
        asked.printed(3);
        asked.asks(&one);
        asked.printed(SCREENFUL - 1);
        assert!(!asked.is_out_of_sight(&one) && asked.is_out_of_sight(&other));
        asked.asks(&other);
        asked.printed(1);
        assert!(asked.is_out_of_sight(&one) && !asked.is_out_of_sight(&other));
    }
}
