//! When something may start: patterns in a time zone, and time spans.

use std::collections::BTreeSet;
use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;

use crate::model::ids::PlanName;
use crate::model::shape::suggest;
use crate::model::time::{Dur, Timestamp};

/// The maximum duration of one opening of a window.
pub const LONGEST: Dur = Dur::mins(31 * 24 * 60);

/// A cron pattern with five fields, in a time zone of the IANA database.
///
/// If a clock change skips a time, it takes place right after the gap. If it repeats a time, it takes place once. These are the rules of
/// croner, which follow Vixie cron.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    text: String,
    pattern: Cron,
    zone: TimeZone,
}

impl Calendar {
    /// Parses a pattern such as `0 2 * * SUN` and a zone such as `Europe/Prague`.
    ///
    /// # Errors
    /// If the pattern or the zone is invalid, or no date ever matches.
    pub fn parse(pattern: &str, zone: &str) -> Result<Self, String> {
        // The rules for skipped and repeated times apply to single times of day, not to lists, steps and ranges.
        let fields: Vec<&str> = pattern.split_whitespace().collect();
        let plain = |field: &&str| !field.is_empty() && field.chars().all(|c| c.is_ascii_digit());
        if fields.len() == 5 && !fields[..2].iter().all(plain) {
            return Err(format!(
                "`{pattern}`: minute and hour must be plain numbers; write one pattern for each time of day"
            ));
        }
        if fields.len() == 5 && fields[2] != "*" && fields[4] != "*" {
            return Err(format!("`{pattern}` has both a day of the month and a weekday; write two patterns"));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let read = parser.parse(pattern).map_err(|e| {
            format!(
                "`{pattern}` is not a cron pattern such as `0 2 * * SUN` (minute, hour, day, month, weekday): {e}"
            )
        })?;
        let known = TimeZone::get(zone).map_err(|_| {
            let names: Vec<String> =
                jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
            let meant = suggest(zone, names.iter().map(String::as_str));
            let meant = meant.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            format!("`{zone}` is not a time zone such as Europe/Prague, America/New_York or UTC{meant}")
        })?;
        let calendar = Self { text: pattern.to_owned(), pattern: read, zone: known };
        // Any year can show whether a date ever matches.
        match calendar.after(Timestamp::from_millis(0)) {
            Some(_) => Ok(calendar),
            None => Err(format!("`{pattern}` never matches a date")),
        }
    }

    /// The next matching time after an instant.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_millisecond(at.millis()).ok()?.to_zoned(self.zone.clone());
        let next = self.pattern.find_next_occurrence(&at, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }

    /// An instant in local time of the zone.
    pub fn shown(&self, at: Timestamp) -> String {
        match jiff::Timestamp::from_millisecond(at.millis()) {
            Ok(t) => {
                let zone = self.zone.iana_name().unwrap_or("UTC");
                format!("{} {zone}", t.to_zoned(self.zone.clone()).strftime("%a %Y-%m-%d %H:%M"))
            }
            Err(_) => at.to_string(),
        }
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text, self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// When a window is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// For this long, at each time of the pattern.
    Each(Calendar, Dur),
    /// Once, between two instants.
    Once(Timestamp, Timestamp),
}

/// A time span that occurs once or repeatedly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its reason, as text.
    pub why: Option<String>,
    /// When it is open.
    pub when: When,
    /// The plans that it applies to; all if empty.
    pub plans: BTreeSet<PlanName>,
}

impl Window {
    /// Whether it applies to a plan.
    pub fn is_for(&self, plan: &PlanName) -> bool {
        self.plans.is_empty() || self.plans.contains(plan)
    }

    /// The end of the current opening, if it is open now. A run that starts before the end continues after it.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Once(from, to) => (*from <= now && now < *to).then_some(*to),
            When::Each(calendar, lasts) => {
                let next = |at: &Timestamp| calendar.after(*at).filter(|next| *next <= now);
                let last = std::iter::successors(next(&(now - *lasts)), next).last();
                last.map(|opened| opened + *lasts)
            }
        }
    }

    /// The next opening, if there is one.
    pub fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Once(from, _) => (*from > now).then_some(*from),
            When::Each(calendar, _) => calendar.after(now),
        }
    }

    /// An instant in local time of its zone.
    pub fn shown(&self, at: Timestamp) -> String {
        match &self.when {
            When::Once(..) => at.to_string(),
            When::Each(calendar, _) => format!("{} ({at})", calendar.shown(at)),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::Each(calendar, lasts) => write!(f, "{calendar} for {}", lasts.exact())?,
            When::Once(from, to) => write!(f, "{from} to {to}")?,
        }
        self.why.as_ref().map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}

/// A change freeze: nothing starts that can wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// The reason, as text.
    pub why: String,
    /// The end; without one it lasts until it is removed.
    pub until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn window(pattern: &str, zone: &str, lasts: Dur) -> Window {
        let calendar = Calendar::parse(pattern, zone).unwrap();
        Window { why: None, when: When::Each(calendar, lasts), plans: BTreeSet::new() }
    }

    #[test]
    fn a_window_opens_by_the_clocks_of_its_zone() {
        let sundays = window("0 2 * * SUN", "Europe/Prague", Dur::mins(240));
        // In Prague, two o'clock is 01:00 UTC in winter and 00:00 UTC in summer.
        for (before, first, last) in [
            ("2026-11-29T00:59:59.999Z", "2026-11-29T01:00:00Z", "2026-11-29T04:59:59.999Z"),
            ("2026-07-04T23:59:59.999Z", "2026-07-05T00:00:00Z", "2026-07-05T03:59:59.999Z"),
        ] {
            assert_eq!(sundays.open_until(at(before)), None, "{before}");
            let end = Some(at(first) + Dur::mins(240));
            assert_eq!(sundays.open_until(at(first)), end, "{first}");
            assert_eq!(sundays.open_until(at(last)), end, "{last}");
            assert_eq!(sundays.open_until(at(first) + Dur::mins(240)), None, "the end is not in it");
            assert_eq!(sundays.opens(at(before)), Some(at(first)));
        }
    }

    #[test]
    fn a_time_that_is_left_out_comes_right_after_and_one_that_comes_twice_comes_once() {
        let nights = window("30 2 * * *", "Europe/Prague", Dur::mins(60));
        // On 2026-03-29 clocks go from 02:00 to 03:00 (01:00 UTC); on 2026-10-25 from 03:00 back to 02:00 (01:00 UTC).
        assert_eq!(nights.opens(at("2026-03-28T12:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
        assert_eq!(nights.open_until(at("2026-03-29T01:10:00Z")), Some(at("2026-03-29T02:00:00Z")));
        assert_eq!(nights.opens(at("2026-10-24T12:00:00Z")), Some(at("2026-10-25T00:30:00Z")));
        assert_eq!(nights.opens(at("2026-10-25T00:30:00Z")), Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn openings_that_run_into_each_other_are_one() {
        let daily = window("0 1 * * *", "UTC", Dur::mins(30 * 60));
        assert_eq!(daily.open_until(at("2026-11-29T03:10:00Z")), Some(at("2026-11-30T07:00:00Z")));
    }

    #[test]
    fn what_is_no_pattern_no_zone_or_never_comes_is_refused() {
        for (pattern, zone) in [
            ("0 2 * *", "UTC"),
            ("0 0 2 * * SUN", "UTC"),
            ("0 25 * * *", "UTC"),
            ("0 2 * * SUN", "Europe/Pargue"),
            ("0 2 * * SUN", ""),
            ("0 0 30 2 *", "UTC"),
            ("15,45 2 * * *", "UTC"),
            ("*/20 2 * * *", "UTC"),
            ("0 * * * *", "UTC"),
            ("0 2-4 * * *", "UTC"),
            ("0 2 1 * SUN", "UTC"),
        ] {
            assert!(Calendar::parse(pattern, zone).is_err(), "{pattern} {zone} was taken");
        }
    }
}
