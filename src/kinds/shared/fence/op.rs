//! The operations that set and lift a fence.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::effects::has_no_such_effect;
use crate::kinds::facts::Fact;
use crate::kinds::found::{FoundValues, Readings};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole, made_as_a_whole_after_a_reading};
use crate::kinds::shared::database::server::{DatabaseRef, Engine};
use crate::kinds::shared::fence::calls;
use crate::kinds::shared::fence::method::{Fence, FenceMethod, FenceStage, FenceState};
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{Consent, InDoubt, Late, OnStop, Properties, QUIET, STRICT, Undo, UndoRank};
use crate::model::time::{Dur, Timestamp};

/// Lifts a fence method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Unfence(pub Fence);

has_no_such_effect!(Fence);

impl Op for Fence {
    type Back = Unfence;

    fn properties(&self) -> Properties {
        Properties {
            consent: Consent::WhereUsersAreServed,
            on_stop: OnStop::GoesOnInAFailover,
            undo_rank: UndoRank::Fence,
            made_up_for: true,
            ..STRICT
        }
    }

    fn undo(&self) -> Undo<Unfence> {
        Undo::By(Unfence(self.clone()))
    }

    fn in_doubt(&self) -> InDoubt {
        self.method.in_doubt()
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.db.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        Some(&self.db)
    }

    fn watch(&self, called: &Called<'_>) -> Target {
        Target::Fence { db: self.db.clone(), method: self.method, restart: called.restart }
    }

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        let State::Fence(proof) = seen else { return Judged::other() };
        match proof.stage {
            _ if proof.proven => Judged::Done(vec![fenced(self, of.observed_at, proof)]),
            // For a pending fence: it was rebuilt as a replica, so it takes no writes. Otherwise a replica means that the writer is a third server.
            _ if of.owed && proof.replica => match of.finished {
                true => Judged::Settled(format!("{} is now a replica", self.db.id)),
                false => Judged::Done(vec![fenced(self, of.observed_at, proof)]),
            },
            FenceStage::Half => Judged::Half(proof.proof.clone()),
            FenceStage::Ineffective if !of.owed => Judged::Wrong(proof.proof.clone()),
            FenceStage::UnderWay | FenceStage::Ineffective => Judged::Unclear(proof.proof.clone()),
            FenceStage::Partial => Judged::Partly(proof.proof.clone()),
            FenceStage::Open | FenceStage::Proven => Judged::Before,
        }
    }

    fn absent(&self, target: &Target, of: &Progress<'_>) -> Judged {
        match of.finished {
            true => Judged::Settled(format!("{target} no longer exists")),
            false => Judged::missing(target),
        }
    }

    made_as_a_whole_after_a_reading!();

    fn allows(&self, part: &[u32], found: Option<&FoundValues>) -> bool {
        part.is_empty()
            && match found {
                None => true,
                Some(FoundValues::Groups(groups)) => {
                    self.method == FenceMethod::SecurityGroup && self.admits(groups.iter())
                }
                // A reading of another operation.
                Some(_) => false,
            }
    }

    /// The security groups that the call replaces, if the runbook does not have them.
    fn read(&self, seen: &State, _: &[u32]) -> Option<FoundValues> {
        let State::Fence(FenceState { groups, .. }) = seen else { return None };
        let known = groups.iter().eq(BTreeSet::from_iter(&self.groups_before));
        let read = self.method == FenceMethod::SecurityGroup && self.admits(groups.iter()) && !known;
        read.then(|| FoundValues::Groups(groups.iter().cloned().collect()))
    }

    fn bound(&self, read: &Readings) -> Option<Self> {
        let bound = |groups: &[String]| Self { groups_before: groups.to_vec(), ..self.clone() };
        read.groups().map(bound)
    }

    /// Security groups become active within about a minute, and a reboot takes one or two. AWS publishes neither; the duration of a reboot
    /// depends on the recovery of the database (Amazon RDS User Guide, «Rebooting a DB instance»).
    fn estimate(&self) -> Estimate {
        match self.method {
            FenceMethod::SecurityGroup => Estimate::new(Dur::secs(90), Dur::mins(5)),
            FenceMethod::Stop => STOPS,
            FenceMethod::Sql | FenceMethod::AllowConnections | FenceMethod::PgHba => STATEMENTS,
        }
    }

    fn calls(&self) -> Vec<Call> {
        calls::set(self)
    }

    fn changes(&self) -> Vec<Change> {
        vec![change(self)]
    }
}

/// Before it stops, a server ends its sessions and writes a checkpoint.
const STOPS: Estimate = Estimate::new(Dur::secs(30), Dur::mins(6));
/// The duration of a few statements and their proof.
const STATEMENTS: Estimate = Estimate::new(Dur::secs(15), Dur::secs(60));

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fence {} by {}", self.db.id, self.method.id())
    }
}

has_no_such_effect!(Unfence);

impl Op for Unfence {
    type Back = Infallible;

    /// It admits clients that were kept out.
    fn properties(&self) -> Properties {
        Properties { consent: Consent::Always, ..QUIET }
    }

    fn undo(&self) -> Undo<Infallible> {
        Undo::Nothing
    }

    fn in_doubt(&self) -> InDoubt {
        self.0.method.in_doubt()
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        Some(format!("continues, and {} stays fenced; you must lift its fence yourself", self.0.db.id))
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.0.db.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        Some(&self.0.db)
    }

    fn watch(&self, called: &Called<'_>) -> Target {
        self.0.watch(called)
    }

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        let State::Fence(proof) = seen else { return Judged::other() };
        match proof.stage {
            // The name still leads to the previous server: a restored one would not have this word.
            _ if still_the_old_one(proof, of) => {
                Judged::Unclear(format!("{} still points to the old server", self.0.db.id))
            }
            FenceStage::UnderWay => Judged::Unclear(proof.proof.clone()),
            FenceStage::Open if !proof.proven => Judged::Done(Vec::new()),
            FenceStage::Open
            | FenceStage::Partial
            | FenceStage::Half
            | FenceStage::Ineffective
            | FenceStage::Proven => Judged::Before,
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// Security groups become active within about a minute, as for the fence.
    fn estimate(&self) -> Estimate {
        match self.0.method {
            FenceMethod::SecurityGroup => Estimate::new(Dur::secs(60), Dur::mins(5)),
            FenceMethod::Stop => STOPS,
            FenceMethod::Sql | FenceMethod::AllowConnections | FenceMethod::PgHba => STATEMENTS,
        }
    }

    fn calls(&self) -> Vec<Call> {
        calls::lift(&self.0)
    }

    fn changes(&self) -> Vec<Change> {
        vec![change(&self.0).reversed()]
    }
}

impl fmt::Display for Unfence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lift the fence on {} by {}", self.0.db.id, self.0.method.id())
    }
}

fn still_the_old_one(proof: &FenceState, of: &Progress<'_>) -> bool {
    let store = &of.store;
    let same = proof.word.is_some() && proof.word.as_deref() == store.fence_token;
    // A copy also contains a fence from before the restore. Then the WAL decides: the copy's is different or shorter.
    let as_long = || match (proof.wal, store.fenced_end) {
        (Some(here), Some(end)) => here.covers(&end),
        _ => true,
    };
    // A separate step admits users. The undo of a fence applies only to the very server that was fenced.
    !of.undo && store.restores && same && (store.fenced_by_run || as_long())
}

fn fenced(fence: &Fence, at: Timestamp, proof: &FenceState) -> Fact {
    Fact::Fenced {
        component: fence.db.component.clone(),
        method: fence.method,
        at,
        last_commit: proof.last_commit,
        last_commit_there: proof.last_commit_there,
        clock: proof.clock,
        wal: proof.wal,
        word: proof.word.clone(),
        proof: proof.proof.clone(),
        unexplained: proof.unexplained.clone(),
        unreplicated: proof.unreplicated.clone(),
    }
}

/// The change that a fence method makes, each with its own attribute.
fn change(fence: &Fence) -> Change {
    let database = format!("database {}", fence.db.id);
    let (attribute, before, after) = match fence.method {
        FenceMethod::Sql => ("application roles", "LOGIN", "NOLOGIN"),
        FenceMethod::AllowConnections => ("ALLOW_CONNECTIONS", "true", "false"),
        FenceMethod::PgHba => ("pg_hba.conf", "as it was", "rules in front that reject clients"),
        FenceMethod::Stop => ("server", "running", "stopped"),
        FenceMethod::SecurityGroup => {
            let resource = format!("{} {}", resource_of(fence.db.engine), fence.db.id);
            let after = fence.db.fence_group.clone().unwrap_or_default();
            let before = match fence.groups_before.is_empty() {
                true => "unknown".to_owned(),
                false => fence.groups_before.join(","),
            };
            return Change::new(&fence.db.place.name, &resource, "vpc_security_group_ids", before, after);
        }
    };
    Change::new(&fence.db.place.name, &database, attribute, before.to_owned(), after.to_owned())
}

/// Terraform's name for a managed store.
const fn resource_of(engine: Engine) -> &'static str {
    match engine {
        Engine::Aurora => "aws_rds_cluster",
        Engine::Rds | Engine::Postgres => "aws_db_instance",
    }
}
