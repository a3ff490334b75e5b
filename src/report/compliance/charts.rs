//! Charts for the report: computed once, as rectangles, lines, dots and texts, and rendered as SVG and PDF.

use super::axis::{Taken, marks, place};
use super::document::{Application, Class, Compliance, RunLine};
use super::picture::{Anchor, Ink, Item, LEFT, Picture, WIDTH, WORDS};
use super::sheet::ended_well;
use crate::model::measure::Verdict;
use crate::model::readiness::{Area, Standing};

const ROW: f32 = 20.0;
/// Maximum number of applications in one chart; with more it would be too small on paper.
const ROWS: usize = 20;

/// All charts.
pub fn pictures(report: &Compliance) -> Vec<Picture> {
    let mut all = vec![objectives(report)];
    let pages = report.applications.len().div_ceil(ROWS);
    for draw in [timeline, proofs, readiness] {
        for (n, applications) in report.applications.chunks(ROWS).enumerate() {
            let mut picture = draw(report, applications);
            if pages > 1 {
                picture.title += &format!(" ({} of {pages})", n + 1);
            }
            all.push(picture);
        }
    }
    all
}

/// Counts as text: `3 met, 1 missed`.
fn told(counts: &[(usize, &str)]) -> String {
    let words: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if words.is_empty() { "Nothing.".to_owned() } else { format!("{}.", words.join(", ")) }
}

/// A run that stopped or is in progress may still miss the objectives that it has met so far.
const fn judged(line: &RunLine, verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Met if ended_well(line) => Ink::Good,
        Verdict::Missed => Ink::Bad,
        Verdict::Met | Verdict::NotProven | Verdict::NotApplicable => Ink::Warn,
    }
}

/// Recovery times in percent of the objective, over time.
fn objectives(report: &Compliance) -> Picture {
    let legend = [
        (Ink::Good, "met"),
        (Ink::Bad, "missed, or users were not served again"),
        (Ink::Warn, "not proven, or the run did not succeed"),
        (Ink::Ink, "promised (100 %)"),
        (Ink::Soft, "large: incident, small: drill or move; runs of one time stand side by side"),
    ];
    let tally = report.totals.rto;
    let alt = told(&[
        (tally.met, "runs met their RTO"),
        (tally.missed, "missed it"),
        (tally.not_proven, "prove neither"),
    ]);
    let mut picture = Picture::new(("Recovery time and its objective".to_owned(), alt), 285.0, &legend);
    let bottom = 250.0;
    let y = |share: f32| bottom - 200.0 * (share / 2.0).clamp(0.0, 1.0);
    marks(report, &mut picture, bottom);
    for (share, text) in
        [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %"), (1.5, "150 %"), (2.0, "200 % and more")]
    {
        let strong = (share - 1.0_f32).abs() < f32::EPSILON;
        picture.items.push(Item::Line(
            LEFT,
            y(share),
            WIDTH - 20.0,
            y(share),
            if strong { Ink::Ink } else { Ink::Line },
        ));
        picture.words((LEFT - 8.0, y(share) + 4.0), Anchor::End, (WORDS, Ink::Soft), text);
    }
    // Users who were not served again have no recovery time, whatever passed until the run ended, or until now.
    let never_at = 25.0;
    picture.words((LEFT - 8.0, never_at + 4.0), Anchor::End, (WORDS, Ink::Soft), "not recovered");
    draw_runs(report, &mut picture, |share| share.map_or(never_at, y));
    picture
}

/// Draws each run at the place of its share of the objective; `None` if users were not served. The worst come first, and get the best
/// places.
fn draw_runs(report: &Compliance, picture: &mut Picture, y: impl Fn(Option<f32>) -> f32) {
    let mut taken = Taken::default();
    let mut named = Vec::new();
    for line in &report.runs {
        let Some(objective) = &line.rto else { continue };
        let never = line.not_recovered_s.is_some();
        #[expect(clippy::cast_possible_truncation, reason = "a picture has a thousand places")]
        let share = objective.achieved_s.map(|most| (most / objective.objective_s) as f32);
        if objective.objective_s <= 0.0 || share.is_none() && !never {
            continue;
        }
        let radius = if line.class == Class::Incident { 6.0 } else { 4.0 };
        let at = y(share.filter(|_| !never));
        let x = taken.dot((place(report, line.started_at), at), radius);
        let over = line.ended_at.is_some();
        let ink = if never && over { Ink::Bad } else { judged(line, objective.verdict) };
        picture.items.push(Item::Dot(x, at, radius, ink));
        if never || objective.verdict == Verdict::Missed {
            named.push((x, at, line.plan.as_str()));
        }
    }
    for (x, at, name) in named {
        if let Some(free) = taken.label((x, at), name) {
            picture.words(free, Anchor::Start, (WORDS, Ink::Bad), name);
        }
    }
}

/// The runs of each application over time, and periods without a standby.
fn timeline(report: &Compliance, applications: &[Application]) -> Picture {
    let legend = [
        (Ink::Good, "succeeded"),
        (Ink::Bad, "did not succeed; bar: UNPROTECTED"),
        (Ink::Warn, "not over"),
        (Ink::Plain, "only read: a tabletop drill"),
        (Ink::Soft, "large: incident, small: drill or move"),
    ];
    let bottom = 10.0 + ROW * count(applications.len());
    let of = |plan| report.runs.iter().filter(move |line| line.plan == plan);
    let runs = || applications.iter().flat_map(|application| of(application.plan.clone()));
    let ended = |ink| runs().filter(|line| how_it_ended(line) == ink).count();
    let unprotected = applications.iter().filter(|a| !a.unprotected.is_empty()).count();
    let alt = told(&[
        (ended(Ink::Good), "runs succeeded"),
        (ended(Ink::Bad), "did not"),
        (ended(Ink::Warn), "are still running"),
        (ended(Ink::Plain), "only read"),
        (unprotected, "applications had no standby for some time"),
    ]);
    let title = "Runs, and times without a standby".to_owned();
    let mut picture = Picture::new((title, alt), bottom + 25.0, &legend);
    marks(report, &mut picture, bottom);
    for (i, application) in applications.iter().enumerate() {
        let middle = 10.0 + ROW * count(i) + ROW / 2.0;
        picture.words(
            (LEFT - 8.0, middle + 4.0),
            Anchor::End,
            (WORDS, Ink::Ink),
            short(application.plan.as_str()),
        );
        picture.items.push(Item::Line(LEFT, middle, WIDTH - 20.0, middle, Ink::Line));
        for gap in &application.unprotected {
            let (from, to) = (place(report, gap.from), place(report, gap.to));
            picture.items.push(Item::Box(from, middle - 3.0, (to - from).max(2.0), 6.0, Ink::Bad));
        }
        let mut taken = Taken::default();
        for line in report.runs.iter().filter(|line| line.plan == application.plan) {
            let radius = if line.class == Class::Incident { 6.0 } else { 4.0 };
            let x = taken.dot((place(report, line.started_at), middle), radius);
            picture.items.push(Item::Dot(x, middle, radius, how_it_ended(line)));
        }
    }
    picture
}

fn how_it_ended(line: &RunLine) -> Ink {
    match (line.ended_at.is_some(), line.good) {
        _ if line.only_read() => Ink::Plain,
        (false, _) => Ink::Warn,
        (true, true) => Ink::Good,
        (true, false) => Ink::Bad,
    }
}

/// The last readiness check, by application and area.
fn readiness(_report: &Compliance, applications: &[Application]) -> Picture {
    let legend = [
        (Ink::Good, "ready"),
        (Ink::Warn, "degraded"),
        (Ink::Bad, "not ready"),
        (Ink::Line, "unknown; empty where readiness was not checked or does not apply"),
    ];
    let bottom = 10.0 + ROW * count(applications.len());
    let worst = |a: &Application| a.readiness.as_ref().and_then(|ready| ready.areas.values().max().copied());
    let of = |standing| applications.iter().filter(|a| worst(a) == Some(standing)).count();
    let alt = told(&[
        (of(Standing::NotReady), "applications are not ready"),
        (of(Standing::Degraded), "are degraded"),
        (of(Standing::Unknown), "are unknown"),
        (of(Standing::Ready), "are ready"),
        (applications.iter().filter(|a| a.readiness.is_none()).count(), "were not checked"),
    ]);
    let title = "Readiness at the last check".to_owned();
    let mut picture = Picture::new((title, alt), bottom + 25.0, &legend);
    let width = (WIDTH - LEFT - 20.0) / count(Area::ALL.len());
    for (i, application) in applications.iter().enumerate() {
        let top = 10.0 + ROW * count(i);
        let at = (LEFT - 8.0, top + ROW / 2.0 + 4.0);
        picture.words(at, Anchor::End, (WORDS, Ink::Ink), short(application.plan.as_str()));
        for (a, area) in Area::ALL.iter().enumerate() {
            let Some(standing) = application.readiness.as_ref().and_then(|ready| ready.areas.get(area))
            else {
                continue;
            };
            let ink = match standing {
                Standing::Ready => Ink::Good,
                Standing::Degraded => Ink::Warn,
                Standing::NotReady => Ink::Bad,
                Standing::Unknown => Ink::Line,
            };
            let left = LEFT + width * count(a);
            picture.items.push(Item::Box(left + 1.0, top + 1.0, width - 2.0, ROW - 2.0, ink));
        }
    }
    for (a, area) in Area::ALL.iter().enumerate() {
        let middle = LEFT + width * (count(a) + 0.5);
        picture.words((middle, bottom + 16.0), Anchor::Middle, (WORDS, Ink::Soft), area.id().to_owned());
    }
    picture
}

/// Whether each application was proven at the end of each month.
fn proofs(_report: &Compliance, applications: &[Application]) -> Picture {
    let legend = [
        (Ink::Good, "proven"),
        (Ink::Warn, "the last proof is older than the tier allows"),
        (Ink::Bad, "the last one failed"),
        (Ink::Line, "never proven"),
    ];
    let months = applications.first().map_or(0, |a| a.months.len());
    let bottom = 10.0 + ROW * count(applications.len());
    let of = |state: &str| {
        applications.iter().filter(|a| a.months.last().is_some_and(|month| month.state == state)).count()
    };
    let alt = told(&[
        (of("proven"), "applications were proven at the end of the last month"),
        (of("overdue"), "were overdue"),
        (of("failed"), "had failed"),
        (of("never"), "were never proven"),
    ]);
    let title = "Proven at the end of each month".to_owned();
    let mut picture = Picture::new((title, alt), bottom + 25.0, &legend);
    let width = (WIDTH - LEFT - 20.0) / count(months.max(1));
    for (i, application) in applications.iter().enumerate() {
        let top = 10.0 + ROW * count(i);
        picture.words(
            (LEFT - 8.0, top + ROW / 2.0 + 4.0),
            Anchor::End,
            (WORDS, Ink::Ink),
            short(application.plan.as_str()),
        );
        for (m, month) in application.months.iter().enumerate() {
            let ink = match month.state.as_str() {
                "proven" => Ink::Good,
                "overdue" => Ink::Warn,
                "failed" => Ink::Bad,
                _ => Ink::Line,
            };
            picture.items.push(Item::Box(
                LEFT + width * count(m) + 1.0,
                top + 1.0,
                width - 2.0,
                ROW - 2.0,
                ink,
            ));
            if i == 0 && m % months.div_ceil(12).max(1) == 0 {
                let middle = LEFT + width * (count(m) + 0.5);
                picture.words(
                    (middle, bottom + 16.0),
                    Anchor::Middle,
                    (WORDS, Ink::Soft),
                    month.month.clone(),
                );
            }
        }
    }
    picture
}

fn short(name: &str) -> String {
    if name.chars().count() <= 24 { name.to_owned() } else { name.chars().take(23).chain(['…']).collect() }
}

#[expect(clippy::cast_precision_loss, reason = "nobody draws so many")]
const fn count(n: usize) -> f32 {
    n as f32
}
