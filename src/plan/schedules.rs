//! `schedules:` in `drctl.yaml`: drills that `drctl serve` holds.

use serde::Deserialize;

use crate::model::calendar::Calendar;
use crate::model::ids::{ComponentName, PlanName, SiteName};
use crate::model::intent::Drill;
use crate::model::schedule::{Definition, Schedule};
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::time::{Dur, Timestamp};

/// How late a drill may begin where nothing is said.
const LATE: Dur = Dur::secs(24 * 60 * 60);
/// Longer than this nobody means.
const LONGEST: Dur = Dur::secs(7 * 24 * 60 * 60);

const LONGEST_NAME: usize = 60;

/// The shortest time from one instant to the next, of the hundred that come after some day.
fn shortest(calendar: &Calendar) -> Option<Dur> {
    let next = |at: &Timestamp| calendar.after(*at);
    let instants: Vec<_> = std::iter::successors(next(&Timestamp::from_millis(0)), next).take(100).collect();
    instants.windows(2).map(|pair| pair[1].since(pair[0])).min()
}

/// One schedule.
pub const SCHEDULE: Keys = Keys {
    name: "schedule",
    fields: &[
        req("plan", Shape::Name, "the application"),
        req(
            "drill",
            Shape::OneOf(&["tabletop", "isolated", "live"]),
            "the drill mode; live really moves users",
        ),
        req("at", Shape::Text, "a cron pattern: minute, hour, day, month, weekday"),
        req("zone", Shape::Text, "the time zone of the pattern, such as Europe/Prague"),
        opt(
            "jitter",
            Shape::Duration,
            "the longest random delay of the start, so that drills do not all start at once",
        ),
        opt(
            "late",
            Shape::Duration,
            "how late it may start; 24h if absent. After that, the drill counts as missed",
        ),
        opt("component", Shape::Name, "the database of an isolated drill; every database if absent"),
        opt(
            "point",
            Shape::Text,
            "the point in time to restore in an isolated drill: `random` (default), or an age such as 10m",
        ),
        opt("to", Shape::Name, "the target site; if absent, the only possible one"),
        opt("hold", Shape::Duration, "how long a live drill stays there; `watch:` of the plan if absent"),
    ],
};

/// As written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSchedule {
    plan: PlanName,
    drill: Drill,
    at: String,
    zone: String,
    jitter: Option<String>,
    late: Option<String>,
    component: Option<ComponentName>,
    point: Option<String>,
    to: Option<SiteName>,
    hold: Option<String>,
}

impl RawSchedule {
    /// The schedule that is meant.
    ///
    /// # Errors
    /// What never comes, or means nothing.
    pub fn read(self, name: &str) -> Result<Schedule, String> {
        let bad = |why: String| format!("schedules.{name}: {why}");
        let span = |text: Option<String>| {
            let span = text.as_deref().map(Dur::parse).transpose().map_err(bad)?;
            match span.filter(|span| *span > LONGEST) {
                Some(long) => Err(bad(format!("{long} is longer than {LONGEST}"))),
                None => Ok(span),
            }
        };
        let ago = self.point.as_deref().filter(|point| *point != "random");
        let ago_ms = ago.map(Dur::parse).transpose().map_err(bad)?;
        let (jitter, late, hold) = (span(self.jitter)?, span(self.late)?, span(self.hold)?);
        let (jitter_ms, late_ms) = (jitter.unwrap_or_default(), late.unwrap_or(LATE));
        if late_ms <= jitter_ms {
            return Err(bad(format!("`jitter` of {jitter_ms} must be shorter than `late` of {late_ms}")));
        }
        let wrong = [
            ("component", self.component.is_some(), Drill::Isolated),
            ("point", self.point.is_some(), Drill::Isolated),
            ("hold", hold.is_some(), Drill::Live),
        ];
        if let Some((key, _, of)) = wrong.iter().find(|(_, given, of)| *given && self.drill != *of) {
            return Err(bad(format!("`{key}` is only for {} drills", of.id())));
        }
        // It becomes part of the names of runs, and of files.
        if name.len() > LONGEST_NAME {
            return Err(bad(format!("its name is longer than {LONGEST_NAME} characters")));
        }
        let calendar = Calendar::parse(&self.at, &self.zone).map_err(bad)?;
        if let Some(gap) = shortest(&calendar).filter(|gap| *gap <= jitter_ms) {
            return Err(bad(format!(
                "the drill repeats after {gap}, so `jitter` of {jitter_ms} is too long"
            )));
        }
        let is = Definition {
            plan: self.plan,
            drill: self.drill,
            pattern: self.at,
            zone: self.zone,
            jitter_ms,
            late_ms,
            component: self.component,
            to: self.to,
            hold_ms: hold,
            ago_ms,
        };
        Ok(Schedule { name: name.to_owned(), calendar, is })
    }
}
