//! A change of record sets as an operation.

use crate::kinds::aws::route53::{calls, reliance};
use crate::kinds::effects::{
    Effects, calls_no_endpoint_of_the_plan, is_more_than_a_row, renames_nothing, scales_nothing,
};
use crate::kinds::facts::Fact;
use crate::kinds::found::{FoundValues, Readings};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::Op;
use crate::kinds::parts::Parts;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::names::parts;
use crate::kinds::shared::names::records::{ChangeState, RecordSet};
use crate::kinds::shared::names::reliance::Reliance;
use crate::kinds::shared::names::switch::{RecordChange, Switch, was};
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, LEADS, Late, Looks, Moves, Properties, Undo, UndoRank};
use crate::model::time::Dur;

impl Effects for Switch {
    fn switches(&self) -> Option<&Switch> {
        Some(self)
    }

    fn reliance(&self, region: &str) -> Option<Reliance> {
        Some(reliance::records(region))
    }

    scales_nothing!();
    renames_nothing!();
    calls_no_endpoint_of_the_plan!();
    is_more_than_a_row!();
}

impl Op for Switch {
    type Back = Self;

    fn properties(&self) -> Properties {
        // A switch that moved traffic restores the observed TTLs as well, so TTLs alone have a rank of their own.
        let undo_rank = if self.only_ttl().is_some() { UndoRank::Ttl } else { UndoRank::Traffic };
        // A compare-and-swap checks the current state itself. TTLs usually stand already, and a call would be refused.
        let looks = if self.is_swap() && self.only_ttl().is_none() {
            Looks::AfterTheFirstCall
        } else {
            Looks::BeforeEachCall
        };
        // A lower TTL alone moves nobody.
        let grave = self.only_ttl().is_none();
        Properties { moves: Moves::ByName, undo_rank, looks, grave, ..LEADS }
    }

    fn undo(&self) -> Undo<Self> {
        Undo::By(self.reversed())
    }

    /// A repeated compare-and-swap is rejected if the first one took effect, which looks like a change by somebody else.
    fn in_doubt(&self) -> InDoubt {
        InDoubt::ObserveAfter(Dur::secs(5))
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.zone.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    /// Watches the change, if the service returned its ID, or else the record sets.
    fn watch(&self, called: &Called<'_>) -> Target {
        match called.token {
            Some(id) => Target::Change { zone: self.zone.clone(), id: id.to_owned() },
            None => Target::Records { zone: self.zone.clone(), names: self.names() },
        }
    }

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        let fact = |token: Option<&str>| Fact::Switched {
            change: token.map(str::to_owned),
            old_ttl_ms: self.old_ttl(),
        };
        match seen {
            State::Change(ChangeState::Pending) => Judged::Unclear("the change is PENDING".to_owned()),
            State::Change(ChangeState::Insync) => Judged::Done(vec![fact(of.token)]),
            State::Records(seen) => {
                match self.changes.iter().all(|c| c.find(&seen.sets) == c.after.as_ref()) {
                    true => Judged::Done(vec![fact(None)]),
                    false => Judged::Before,
                }
            }
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    fn parts(&self, seen: &State, in_scope: &dyn Fn(u32) -> bool) -> Option<Parts> {
        match seen {
            State::Records(seen) => Some(parts::find(self, &seen.sets, in_scope)),
            _ => None,
        }
    }

    fn only(&self, in_scope: &dyn Fn(u32) -> bool) -> Option<Self> {
        let changes = self.changes.iter().zip(0..).filter(|(_, position)| in_scope(*position));
        let changes = changes.map(|(change, _)| change.clone()).collect();
        Some(Self { zone: self.zone.clone(), changes })
    }

    /// The change may replace only what was read.
    fn allows(&self, part: &[u32], found: Option<&FoundValues>) -> bool {
        let at = |position: u32| self.changes.get(position as usize);
        part.iter().all(|position| at(*position).is_some())
            && match found {
                None => true,
                Some(FoundValues::Sets(sets)) => {
                    sets.iter().all(|read| at(read.change).is_some_and(|c| c.replaces(read.set.as_ref())))
                }
                // A reading of another operation.
                Some(_) => false,
            }
    }

    fn read(&self, seen: &State, part: &[u32]) -> Option<FoundValues> {
        match seen {
            State::Records(seen) => parts::read(self, part, &seen.sets),
            _ => None,
        }
    }

    fn bound(&self, read: &Readings) -> Option<Self> {
        (!read.sets().is_empty()).then(|| self.with_read(read.sets()))
    }

    /// A change is `INSYNC` generally within 60 seconds (Amazon Route 53 API Reference, `GetChange`). That is the usual limit; drctl expects
    /// somewhat more than half of it.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(35), Dur::mins(5))
    }

    fn calls(&self) -> Vec<Call> {
        calls::switch(self)
    }

    fn changes(&self) -> Vec<Change> {
        let of = |c: &RecordChange| {
            let name = c.after.as_ref().or(c.before.as_ref())?;
            let resource = match &name.set_identifier {
                Some(id) => format!("aws_route53_record {} {} ({id})", name.name, name.rtype),
                None => format!("aws_route53_record {} {}", name.name, name.rtype),
            };
            let after = c.after.as_ref().map_or_else(|| "none".to_owned(), RecordSet::words);
            Some(Change::new(&self.zone.zone, &resource, "answer", was(c), after))
        };
        self.changes.iter().filter_map(of).collect()
    }
}
