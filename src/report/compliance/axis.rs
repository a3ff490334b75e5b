//! The axis of time of the charts, and marks and labels that must not hide each other.

use super::document::Compliance;
use super::picture::{Anchor, Ink, Item, LEFT, Picture, WIDTH, WORDS};
use crate::model::time::{Dur, Timestamp};

/// The possible times between two marks of a period without enough months.
const EVERY: [Dur; 10] = [
    Dur::mins(1),
    Dur::mins(5),
    Dur::mins(15),
    Dur::mins(30),
    Dur::mins(60),
    Dur::mins(3 * 60),
    Dur::mins(6 * 60),
    Dur::mins(12 * 60),
    Dur::mins(24 * 60),
    Dur::mins(7 * 24 * 60),
];
/// The largest number of marks that is readable.
const MARKS: u64 = 7;
/// The width of a letter.
const LETTER: f32 = 7.0;

#[expect(clippy::cast_precision_loss, reason = "a picture has a thousand places")]
pub(super) fn place(report: &Compliance, at: Timestamp) -> f32 {
    let last = report.until.min(report.generated_at).max(at);
    let whole = last.since(report.since).millis().max(1) as f32;
    LEFT + (WIDTH - LEFT - 20.0) * (at.since(report.since).millis() as f32 / whole).clamp(0.0, 1.0)
}

/// The start of each month, for as many as are readable; in a shorter period, days, hours or minutes.
pub(super) fn marks(report: &Compliance, picture: &mut Picture, bottom: f32) {
    let all = report.applications.first().map_or(&[][..], |a| a.months.as_slice());
    let every = all.len().div_ceil(12).max(1);
    let months = all.iter().step_by(every).filter_map(|month| {
        let at = Timestamp::parse(&format!("{}-01T00:00:00Z", month.month)).ok()?;
        Some((at.max(report.since), month.month.clone()))
    });
    let marks = if all.len() > 2 { months.collect() } else { short(report) };
    for (at, label) in marks {
        let x = place(report, at);
        picture.items.push(Item::Line(x, 10.0, x, bottom, Ink::Line));
        let (x, anchor) = if x > WIDTH - 60.0 { (WIDTH - 2.0, Anchor::End) } else { (x, Anchor::Middle) };
        picture.words((x, bottom + 16.0), anchor, (WORDS, Ink::Soft), label);
    }
}

/// Marks at full days, hours or minutes in UTC.
fn short(report: &Compliance) -> Vec<(Timestamp, String)> {
    let last = report.until.min(report.generated_at);
    let span = last.since(report.since).millis();
    let longest = EVERY[EVERY.len() - 1];
    let every = EVERY.into_iter().find(|every| span / every.millis() <= MARKS).unwrap_or(longest);
    let label = |at: Timestamp| {
        let text = at.to_string();
        let part = if every < Dur::mins(24 * 60) { text.get(5..16) } else { text.get(..10) };
        part.unwrap_or(&text).replace('T', " ")
    };
    let step = i64::try_from(every.millis()).unwrap_or(i64::MAX);
    let first = report.since.millis().div_euclid(step) * step;
    let all = (0..=MARKS + 1).map(|n| Timestamp::from_millis(first) + every.times(n));
    all.filter(|at| (report.since..=last).contains(at)).map(|at| (at, label(at))).collect()
}

/// What has been drawn, so that nothing hides it.
#[derive(Default)]
pub(super) struct Taken {
    dots: Vec<(f32, f32, f32)>,
    words: Vec<(f32, f32, f32)>,
}

impl Taken {
    /// The nearest free place for a dot, beside those that are there.
    pub fn dot(&mut self, (x, y): (f32, f32), radius: f32) -> f32 {
        let step = if x > WIDTH * 0.8 { -1.0 } else { 1.0 };
        let hidden = |x: f32, dots: &[(f32, f32, f32)]| {
            dots.iter()
                .any(|(there, high, r)| (there - x).abs() < r + radius && (high - y).abs() < r + radius)
        };
        let mut free = x;
        while hidden(free, &self.dots) && (LEFT..=WIDTH).contains(&free) {
            free += step;
        }
        self.dots.push((free, y, radius));
        free
    }

    /// A free place for the label of a dot: beside it, above it or below it; none if all are taken.
    pub fn label(&mut self, (x, y): (f32, f32), text: &str) -> Option<(f32, f32)> {
        #[expect(clippy::cast_precision_loss, reason = "a name has some letters")]
        let width = text.chars().count() as f32 * LETTER;
        let places = [(9.0, 4.0), (-9.0 - width, 4.0), (-width / 2.0, -9.0), (-width / 2.0, 19.0)];
        let free = |(left, low): &(f32, f32)| {
            let crosses = |(from, to): (f32, f32)| from < left + width && *left < to;
            let inside = *left >= LEFT && left + width <= WIDTH;
            let words = |(from, base, wide): &(f32, f32, f32)| {
                (base - low).abs() < WORDS && crosses((*from, from + wide))
            };
            let dots = |(at, high, r): &(f32, f32, f32)| {
                (high - (low - 4.0)).abs() < r + WORDS / 2.0 && crosses((at - r, at + r))
            };
            inside && !self.words.iter().any(words) && !self.dots.iter().any(dots)
        };
        let found = places.map(|(right, down)| (x + right, y + down)).into_iter().find(free)?;
        self.words.push((found.0, found.1, width));
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_and_labels_at_one_place_stand_beside_each_other() {
        let mut taken = Taken::default();
        let places: Vec<f32> = (0..5).map(|_| taken.dot((300.0, 25.0), 6.0)).collect();
        assert!(places.windows(2).all(|pair| (pair[0] - pair[1]).abs() >= 12.0), "{places:?}");
        let right = taken.dot((980.0, 25.0), 6.0);
        assert!(taken.dot((980.0, 25.0), 6.0) < right, "at the edge they go left");
        let mut taken = Taken::default();
        taken.dot((500.0, 100.0), 6.0);
        let labels: Vec<_> = ["starter", "truststream", "third", "fourth", "fifth"]
            .map(|text| taken.label((500.0, 100.0), text))
            .into_iter()
            .collect();
        assert!(labels[..4].iter().all(Option::is_some) && labels[4].is_none(), "{labels:?}");
    }
}
