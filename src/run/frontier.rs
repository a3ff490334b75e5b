//! The steps that the run may have to act on, updated with each event. The cost of a decision then depends on the open steps and not on all
//! steps.

use super::state::{RunState, Status};

impl RunState {
    /// Positions of the steps that are in progress or ready to start, in order.
    pub fn open(&self) -> Vec<usize> {
        self.open.iter().copied().collect()
    }

    /// A step changed, so the steps that need it may be ready now.
    pub(super) fn touched(&mut self, i: usize) {
        self.steps[i].revision += 1;
        self.place(i);
        if self.work(i).status.settled() {
            for n in 0..self.dependents[i].len() {
                self.place(self.dependents[i][n]);
            }
        }
    }

    /// Recomputes all steps, because any of them may have changed.
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
