//! `schedules:` in `drctl.yaml`: drills that `drctl serve` runs.

use serde::Deserialize;

use super::windows::calendar;
use crate::model::calendar::Calendar;
use crate::model::document::Node;
use crate::model::fault::Fault;
use crate::model::finding::Finding;
use crate::model::ids::{ComponentName, PlanName, SiteName};
use crate::model::intent::Drill;
use crate::model::schedule::{Definition, Schedule};
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::time::{Dur, Timestamp};

/// How late a drill may start by default.
const LATE: Dur = Dur::secs(24 * 60 * 60);
/// The maximum of that; a longer time is a mistake.
const LONGEST: Dur = Dur::secs(7 * 24 * 60 * 60);

const LONGEST_NAME: usize = 60;

/// The shortest interval between the first hundred times of a pattern.
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

/// The modes are those of `drctl drill` but one. Whoever knows that one learns how to run it.
pub fn explain(tree: &Node, findings: &mut [Finding]) {
    let schedules = tree.get("schedules").into_iter().flat_map(Node::entries);
    let drills = schedules.filter_map(|(_, schedule)| schedule.get("drill"));
    for drill in drills.filter(|drill| drill.text() == Some(Drill::Rehearsal.id())) {
        for finding in findings.iter_mut().filter(|finding| finding.span == Some(drill.span)) {
            "a schedule cannot hold `rehearsal`".clone_into(&mut finding.message);
            "drctl serve runs tabletop, isolated and live drills".clone_into(&mut finding.cause);
            "choose one of them, or let cron run drctl drill PLAN --mode rehearsal"
                .clone_into(&mut finding.fix);
        }
    }
}

/// The values as written.
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
    /// Converts it.
    ///
    /// # Errors
    /// If its pattern never matches, or a value is invalid or has no effect.
    pub fn read(self, name: &str) -> Result<Schedule, Vec<Fault>> {
        let at = ["schedules", name];
        let bad = |key: &str, why: String| Fault::said(&at, why).key(key);
        let mut faults = Vec::new();
        let mut span = |key: &str, text: Option<&str>| match text.map(Dur::parse).transpose() {
            Err(why) => {
                faults.push(bad(key, why));
                None
            }
            Ok(Some(long)) if long > LONGEST => {
                faults.push(bad(key, format!("{long} is longer than {LONGEST}")));
                None
            }
            Ok(span) => span,
        };
        let (jitter, late) = (span("jitter", self.jitter.as_deref()), span("late", self.late.as_deref()));
        let hold = span("hold", self.hold.as_deref());
        let ago = self.point.as_deref().filter(|point| *point != "random").map(Dur::parse).transpose();
        let ago_ms = ago.unwrap_or_else(|why| {
            faults.push(bad("point", why));
            None
        });
        let (jitter_ms, late_ms) = (jitter.unwrap_or_default(), late.unwrap_or(LATE));
        if late_ms <= jitter_ms {
            let why = format!("`jitter` of {jitter_ms} must be shorter than `late` of {late_ms}");
            faults.push(bad("jitter", why));
        }
        let wrong = [
            ("component", self.component.is_some(), Drill::Isolated),
            ("point", self.point.is_some(), Drill::Isolated),
            ("hold", hold.is_some(), Drill::Live),
        ];
        for (key, _, of) in wrong.iter().filter(|(_, given, of)| *given && self.drill != *of) {
            faults.push(bad(key, format!("`{key}` is only for {} drills", of.id())));
        }
        // The name becomes part of the names of runs and files.
        if name.len() > LONGEST_NAME {
            faults.push(Fault::said(&at, format!("its name is longer than {LONGEST_NAME} characters")));
        }
        let calendar = match calendar(&at, ("at", &self.at), &self.zone) {
            Ok(calendar) => calendar,
            Err(more) => return Err([faults, more].concat()),
        };
        if let Some(gap) = shortest(&calendar).filter(|gap| *gap <= jitter_ms) {
            let why = format!("the drill repeats after {gap}, so `jitter` of {jitter_ms} is too long");
            faults.push(bad("jitter", why));
        }
        if !faults.is_empty() {
            return Err(faults);
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
