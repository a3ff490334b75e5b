//! The dates of journal lines, which have only times of day.

use std::cell::RefCell;

use crate::model::time::Timestamp;

/// Keeps the date of the last printed line.
#[derive(Default)]
pub struct Dates(RefCell<Option<String>>);

impl Dates {
    /// The line with the date, if the next line is of another day than the last one, or if the first line is not of `today`.
    pub fn turn(&self, at: Timestamp, today: Timestamp) -> Option<String> {
        let next = day(at);
        let last = self.0.replace(Some(next.clone())).unwrap_or_else(|| day(today));
        (next != last).then(|| format!("{next} UTC"))
    }
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_said_when_it_is_new() {
        let at = |text: &str| Timestamp::parse(text).expect("a time");
        let today = at("2026-01-02T09:00:00Z");
        let dates = Dates::default();
        assert_eq!(dates.turn(at("2026-01-02T08:00:00Z"), today), None, "it is today");
        assert_eq!(dates.turn(at("2026-01-02T23:59:59.999Z"), today), None);
        assert_eq!(dates.turn(at("2026-01-04T00:00:00Z"), today).as_deref(), Some("2026-01-04 UTC"));
        assert_eq!(dates.turn(at("2026-01-04T05:00:00Z"), today), None);
        let first = Dates::default().turn(at("2026-01-01T08:00:00Z"), today);
        assert_eq!(first.as_deref(), Some("2026-01-01 UTC"), "the first line is of another day");
    }
}
