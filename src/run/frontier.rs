//! The steps that something could follow for, kept up to date with each event: deciding then costs what is open, and not all
//! that there is.

use super::state::{RunState, Status};

impl RunState {
    /// Positions of steps that are under way, or wait for nothing but to be started, in order.
    pub fn open(&self) -> Vec<usize> {
        self.open.iter().copied().collect()
    }

    /// A step changed: so may those that need it.
    pub(super) fn touched(&mut self, i: usize) {
        self.steps[i].revision += 1;
        self.place(i);
        if self.work(i).status.settled() {
            for n in 0..self.dependents[i].len() {
                self.place(self.dependents[i][n]);
            }
        }
    }

    /// Anything may have changed.
    pub(super) fn place_all(&mut self) {
        for i in 0..self.steps.len() {
            self.steps[i].revision += 1;
            self.place(i);
        }
    }

    fn place(&mut self, i: usize) {
        let open = match &self.work(i).status {
            Status::Pending => self.needs_met(i),
            status => !status.settled(),
        };
        if open {
            self.open.insert(i);
        } else {
            self.open.remove(&i);
        }
    }
}
