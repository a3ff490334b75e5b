//! Effects of calls that may still happen although no process drives their runs.

use serde_json::json;

use crate::inventory::{Estate, Knowledge};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Operation, Target};
use crate::model::ids::RunId;
use crate::model::readiness::Area;
use crate::model::time::Timestamp;
use crate::record::action::Action;
use crate::run::RunState;
use crate::run::outstanding::Outstanding;

/// An effect in doubt that a run left.
#[derive(Clone, Debug)]
pub struct Left {
    /// The run.
    pub run: RunId,
    /// The effect.
    pub effect: Outstanding,
    words: String,
    resume: String,
    /// Whether the run is over, so that no command settles it.
    over: bool,
}

/// Effects in doubt of these runs. A later run that observed a server has settled an earlier promotion of it.
pub fn left(runs: &[RunState], now: Timestamp) -> Vec<Left> {
    let seen_since = |db: &DatabaseRef, since: Timestamp| {
        let after = |at: Option<Timestamp>| at.is_some_and(|at| at > since);
        runs.iter().any(|r| after(r.made_writer(db)) || after(r.kept_out(db)))
    };
    let of = |state: &RunState| {
        let effects = state.outstanding(state.looked_at(now)).into_iter();
        let open = effects.filter(|e| !e.promotes().is_some_and(|db| seen_since(db, e.since)));
        let told = open.map(|effect| Left {
            run: state.created.run.clone(),
            words: effect.words(state),
            resume: state.created.command("runs resume", ""),
            over: state.finished(),
            effect,
        });
        told.collect::<Vec<_>>()
    };
    runs.iter().flat_map(of).collect()
}

impl Left {
    /// Whether a promotion took effect: the server takes writes now. Other effects are observed when the run is resumed.
    pub fn took_effect(&self, seen: &Estate, now: Timestamp) -> bool {
        let Some(db) = self.effect.promotes() else { return false };
        matches!(seen.database(&Target::Database(db.clone()), now), Knowledge::Fresh(state) if !state.is_replica())
    }

    /// The message, depending on whether it took effect.
    pub fn words(&self, took_effect: bool) -> String {
        match (self.effect.promotes(), took_effect) {
            (Some(db), true) => format!(
                "TOOK EFFECT  {} of the stopped run {}: {} takes writes; {} continues from there",
                self.effect.step, self.run, db.id, self.resume
            ),
            _ => format!("IN DOUBT  run {}: {}", self.run, self.words),
        }
    }

    /// What to do about it before a recovery.
    pub fn fix(&self) -> String {
        match self.effect.until {
            Some(until) if self.effect.promotes().is_none() => match self.over {
                true => format!("wait until {until}"),
                false => format!("run {}, or wait until {until}", self.resume),
            },
            _ => format!("drctl runs show {}", self.run),
        }
    }

    /// The area of readiness to which it belongs.
    pub fn area(&self) -> Area {
        match &self.effect.action {
            Action::Op(op) if op.scaled().is_some() => Area::Capacity,
            Action::Op(Operation::Fence(_)) => Area::Fence,
            _ => Area::Replica,
        }
    }

    /// The JSON form.
    pub fn json(&self, took_effect: bool) -> serde_json::Value {
        json!({
            "run": self.run, "step": self.effect.step, "since": self.effect.since, "until": self.effect.until,
            "took_effect": took_effect, "text": self.words(took_effect),
        })
    }
}
