//! Scheduled drills: when they are due, and how late they may start.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::calendar::Calendar;
use crate::model::ids::{ComponentName, Digest, PlanName, RunId, SiteName};
use crate::model::intent::Drill;
use crate::model::time::{Dur, Timestamp};

/// A schedule of drills of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// When.
    pub calendar: Calendar,
    /// Its definition, as recorded in the ledger.
    pub is: Definition,
}

impl Schedule {
    /// When the drill of a due time starts: later by a part of the jitter, which is always the same for one due time.
    pub fn begins(&self, due: Timestamp) -> Timestamp {
        self.is.begins(&self.name, due)
    }
}

/// The definition of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The plan.
    pub plan: PlanName,
    /// The mode of the drill.
    pub drill: Drill,
    /// A cron pattern of five fields.
    pub pattern: String,
    /// The time zone of the pattern.
    pub zone: String,
    /// The longest delay of the start, so that drills do not all start at once.
    pub jitter_ms: Dur,
    /// How late it may start. After that it is missed.
    pub late_ms: Dur,
    /// The database of an isolated drill; every database if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The target site; the only possible one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<SiteName>,
    /// How long users stay at the target of a live drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<Dur>,
    /// The age of the point in time that an isolated drill restores; random if absent.
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

    /// The name of the run of a due time. Every process gives it the same name, so it starts only once. Names in plans have no `~`.
    /// `prefix` stands for the world.
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

/// The result of a due drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It started, with these runs.
    Begun {
        /// The definition of the schedule at that time.
        is: Definition,
        /// The names of the runs. Of a live drill, only the first move.
        runs: Vec<RunId>,
    },
    /// It did not run.
    Missed {
        /// Why.
        why: String,
    },
    /// It ended.
    Ended {
        /// Whether it passed.
        passed: bool,
        /// How it ended.
        why: String,
    },
}
