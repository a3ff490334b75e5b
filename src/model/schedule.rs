//! Drills that are held by themselves: when they are due, and how late they may begin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::calendar::Calendar;
use crate::model::ids::{ComponentName, Digest, PlanName, RunId, SiteName};
use crate::model::intent::Drill;
use crate::model::time::{Dur, Timestamp};

/// When a drill of a plan is due, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When.
    pub calendar: Calendar,
    /// What it says, as the ledger keeps it.
    pub is: Definition,
}

impl Schedule {
    /// When the drill of an instant begins: later by a part of the jitter that is the same for whoever asks.
    pub fn begins(&self, due: Timestamp) -> Timestamp {
        self.is.begins(&self.name, due)
    }
}

/// What a schedule says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The plan.
    pub plan: PlanName,
    /// How far the drill goes.
    pub drill: Drill,
    /// A cron pattern of five fields.
    pub pattern: String,
    /// The time zone of the pattern.
    pub zone: String,
    /// Up to how much later than due it begins, so that not all begin at once.
    pub jitter_ms: Dur,
    /// How late it may begin; later it is missed.
    pub late_ms: Dur,
    /// The database of an isolated drill; each if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The site that is tried; the only one that can be if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<SiteName>,
    /// How long a live drill stays there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<Dur>,
    /// How long ago the time is that an isolated drill restores; a random one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ago_ms: Option<Dur>,
}

impl Definition {
    fn begins(&self, name: &str, due: Timestamp) -> Timestamp {
        let jitter = self.jitter_ms.millis();
        if jitter == 0 {
            return due;
        }
        let drawn = Digest::of_fields(&[name.as_bytes(), due.to_string().as_bytes()]);
        let drawn = u64::from_str_radix(drawn.as_str().get(..12).unwrap_or("0"), 16).unwrap_or(0);
        due + Dur(drawn % jitter)
    }

    /// The run of an instant. Whoever begins it gives it this name, and a journal has each name once. No name that is written has a `~`.
    /// `prefix` says in which world.
    pub fn run(
        &self,
        prefix: &str,
        (schedule, due): (&str, Timestamp),
        component: Option<&ComponentName>,
    ) -> RunId {
        let day = due.digits();
        let of = component.map_or_else(String::new, |component| format!("~{component}"));
        RunId::new(format!("{prefix}{day}-{}-drill-{}~{schedule}{of}", self.plan, self.drill.id()))
    }
}

/// The result of a drill that was due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It begins: these are its runs, whoever drives them.
    Begun {
        /// What the schedule said then.
        is: Definition,
        /// By name; of a live drill the way there.
        runs: Vec<RunId>,
    },
    /// It was not held.
    Missed {
        /// Why.
        why: String,
    },
    /// It is over.
    Ended {
        /// Whether it showed what it was held for.
        passed: bool,
        /// How it ended.
        why: String,
    },
}
