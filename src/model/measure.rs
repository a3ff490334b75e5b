//! Figures with their basis. A figure that cannot be measured is an upper or lower bound, or unknown. No figure looks better than it is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::{Dur, Timestamp};

/// The largest difference at which clocks count as in agreement: reading one over a network takes about as long.
pub const CLOCKS_AGREE: Dur = Dur::secs(1);

/// A reading of another machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockReading {
    /// The most by which it may be ahead of this machine's clock, in milliseconds; negative if it is behind.
    pub ahead_ms: i64,
    /// The uncertainty of that: the time that the reading took.
    pub within_ms: Dur,
    /// When it was read.
    pub at: Timestamp,
}

impl ClockReading {
    /// A reading of `shows` that was requested and answered at these times.
    pub fn new(shows: Timestamp, asked: Timestamp, answered: Timestamp) -> Self {
        let ahead_ms = shows.millis().saturating_sub(asked.millis());
        Self { ahead_ms, within_ms: answered.since(asked), at: answered }
    }

    /// Whether it must be ahead, however long the answer took.
    pub fn is_ahead(&self) -> bool {
        let within = i64::try_from(self.within_ms.millis().saturating_add(CLOCKS_AGREE.millis()));
        within.is_ok_and(|within| self.ahead_ms >= within)
    }
}

/// The basis of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Observed at both ends.
    Measured,
    /// Known only to an interval: the value is the most, and less the resolution it is the least.
    Interval,
    /// The true value is this or less.
    UpperBound,
    /// The true value is this or more: it can never prove an objective.
    LowerBound,
    /// Nothing can be said.
    Unknown,
    /// There is nothing to measure: no data that could be lost.
    NotApplicable,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Measured => "measured",
            Self::Interval => "interval",
            Self::UpperBound => "upper bound",
            Self::LowerBound => "lower bound",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not applicable",
        })
    }
}

/// The verdict on an objective. The worse one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There was nothing to measure: an application without a database has no recovery point.
    NotApplicable,
    /// The figure proves it.
    Met,
    /// The figure proves neither.
    NotProven,
    /// The figure exceeds it, even with its sampling error.
    Missed,
}

impl Verdict {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::NotProven => "not proven",
            Self::NotApplicable => "not applicable",
        }
    }

    /// Whether the objective is proven, or there is nothing to prove.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Met | Self::NotApplicable)
    }
}

/// A duration with its basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// The duration; absent when the basis is `unknown`.
    pub value_ms: Option<Dur>,
    /// The basis of the duration.
    pub basis: Basis,
    /// The half-width of the sampling error: the interval of the probe, or zero. On the basis `interval`, its whole width.
    #[serde(default)]
    pub resolution_ms: Dur,
}

impl Figure {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { value_ms: None, basis: Basis::Unknown, resolution_ms: Dur::ZERO };

    /// There is nothing to measure.
    pub const NOT_APPLICABLE: Self =
        Self { value_ms: None, basis: Basis::NotApplicable, resolution_ms: Dur::ZERO };

    /// A figure without sampling error.
    pub const fn new(value: Dur, basis: Basis) -> Self {
        Self { value_ms: Some(value), basis, resolution_ms: Dur::ZERO }
    }

    /// A figure between two values. Without a least value, there is only the upper bound.
    pub fn between(least: Dur, most: Dur) -> Self {
        match least == Dur::ZERO {
            true => Self::new(most, Basis::UpperBound),
            false => {
                let resolution_ms = most.minus(least);
                Self { value_ms: Some(most), basis: Basis::Interval, resolution_ms }
            }
        }
    }

    /// Turns a time that sampling may have missed entirely into a bound, because `3m 50s ± 3m 50s` says nothing.
    #[must_use]
    pub fn or_bound(self) -> Self {
        match self.value_ms {
            Some(value) if self.basis == Basis::Measured && self.resolution_ms >= value => {
                Self::new(value.plus(self.resolution_ms), Basis::UpperBound)
            }
            _ => self,
        }
    }

    /// The verdict on an objective. The sampling error must fit in the objective to meet it, and is subtracted before it counts as missed.
    pub fn verdict(&self, objective: Dur) -> Verdict {
        let Some(value) = self.value_ms else {
            let nothing = self.basis == Basis::NotApplicable;
            return if nothing { Verdict::NotApplicable } else { Verdict::NotProven };
        };
        let (most, least) = (value.plus(self.resolution_ms), value.minus(self.resolution_ms));
        match self.basis {
            Basis::NotApplicable => Verdict::NotApplicable,
            Basis::Interval if value <= objective => Verdict::Met,
            Basis::Measured | Basis::UpperBound if most <= objective => Verdict::Met,
            Basis::Measured | Basis::Interval if least > objective => Verdict::Missed,
            // A lower bound above the objective misses it; an upper bound above it does not.
            Basis::LowerBound if value > objective => Verdict::Missed,
            _ => Verdict::NotProven,
        }
    }

    /// Whether the figure proves that `objective` was met, or there is nothing to prove.
    pub fn proves(&self, objective: Dur) -> bool {
        self.verdict(objective).holds()
    }

    /// The worse of two figures: the longer time, on the basis that proves less. Used where one number stands for several stores.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |f: &Self| match f.basis {
            Basis::Measured => 0,
            Basis::Interval => 1,
            Basis::UpperBound => 2,
            Basis::LowerBound => 3,
            Basis::Unknown | Basis::NotApplicable => 4,
        };
        let least = self.least().max(other.least());
        let weaker = if rank(&self) >= rank(&other) { self.basis } else { other.basis };
        match (self.value_ms, other.value_ms) {
            _ if self.basis == Basis::NotApplicable => other,
            _ if other.basis == Basis::NotApplicable => self,
            (None, _) => self,
            (_, None) => other,
            (Some(_), Some(_)) if weaker == Basis::LowerBound => Self::new(least, weaker),
            (Some(a), Some(b)) if weaker == Basis::Measured => Self {
                value_ms: Some(a.max(b)),
                basis: weaker,
                resolution_ms: self.resolution_ms.max(other.resolution_ms),
            },
            (Some(_), Some(_)) => {
                let most = self.most().max(other.most());
                if weaker == Basis::Interval { Self::between(least, most) } else { Self::new(most, weaker) }
            }
        }
    }

    /// The least that the time can be.
    fn least(&self) -> Dur {
        match self.basis {
            Basis::Measured | Basis::Interval => self.value_ms.unwrap_or_default().minus(self.resolution_ms),
            Basis::LowerBound => self.value_ms.unwrap_or_default(),
            Basis::UpperBound | Basis::Unknown | Basis::NotApplicable => Dur::ZERO,
        }
    }

    /// The most that the time can be, if the basis limits it.
    fn most(&self) -> Dur {
        let beyond = if self.basis == Basis::Measured { self.resolution_ms } else { Dur::ZERO };
        self.value_ms.unwrap_or_default().plus(beyond)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The shown value is never less than the known loss or time, and never more than a lower bound.
        let shown = match self.basis {
            Basis::LowerBound => self.value_ms,
            _ => self.value_ms.map(Dur::shown_up),
        };
        let text = match (shown, self.basis) {
            (_, Basis::NotApplicable) => "not applicable".to_owned(),
            (None, _) | (_, Basis::Unknown) => "unknown".to_owned(),
            (Some(_), Basis::Measured) if self.resolution_ms > Dur::ZERO => {
                let value = self.value_ms.unwrap_or_default().shown_within(self.resolution_ms);
                format!("{value} ± {} (measured)", self.resolution_ms)
            }
            (Some(v), Basis::Measured) => format!("{v} (measured)"),
            (Some(_), Basis::Interval) => {
                let most = self.value_ms.unwrap_or_default();
                format!("{} to {} (interval)", most.minus(self.resolution_ms), most.shown_up())
            }
            (Some(v), Basis::UpperBound) => format!("at most {v} (upper bound)"),
            (Some(v), Basis::LowerBound) => format!("at least {v} (lower bound)"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_bound_proves_nothing() {
        let lower = |mins| Figure::new(Dur::mins(mins), Basis::LowerBound).verdict(Dur::mins(15));
        assert_eq!(
            (lower(0), lower(15), lower(16)),
            (Verdict::NotProven, Verdict::NotProven, Verdict::Missed)
        );
        assert_eq!(Figure::UNKNOWN.verdict(Dur::mins(15)), Verdict::NotProven);
        assert_eq!(Figure::NOT_APPLICABLE.verdict(Dur::mins(15)), Verdict::NotApplicable);
    }

    #[test]
    fn sampling_error_counts_against_the_objective() {
        let f = Figure { value_ms: Some(Dur::secs(58)), basis: Basis::Measured, resolution_ms: Dur::secs(5) };
        assert_eq!(f.verdict(Dur::secs(63)), Verdict::Met);
        assert_eq!(f.verdict(Dur::secs(60)), Verdict::NotProven);
        assert_eq!(f.verdict(Dur::secs(53)), Verdict::NotProven);
        assert_eq!(f.verdict(Dur::secs(52)), Verdict::Missed);
    }

    #[test]
    fn an_uncertainty_as_large_as_the_figure_makes_it_a_bound() {
        let measured = |value, resolution| Figure {
            value_ms: Some(Dur::secs(value)),
            basis: Basis::Measured,
            resolution_ms: Dur::secs(resolution),
        };
        assert_eq!(measured(230, 230).or_bound().to_string(), "at most 7m 40s (upper bound)");
        assert_eq!(measured(230, 229).or_bound(), measured(230, 229));
        for objective in [Dur::secs(230), Dur::secs(460), Dur::secs(461)] {
            let (of, bound) = (measured(230, 230), measured(230, 230).or_bound());
            assert_eq!(of.verdict(objective), bound.verdict(objective), "{objective}");
        }
    }

    #[test]
    fn an_interval_meets_with_its_most_and_misses_with_its_least() {
        let f = Figure::between(Dur::secs(155), Dur::secs(305));
        assert_eq!(f.to_string(), "2m 35s to 5m 5s (interval)");
        assert_eq!(
            f.value_ms,
            Some(Dur::secs(305)),
            "who reads only the value reads none that is better than the outage"
        );
        for (objective, verdict) in
            [(305, Verdict::Met), (304, Verdict::NotProven), (155, Verdict::NotProven)]
        {
            assert_eq!(f.verdict(Dur::secs(objective)), verdict, "{objective}");
        }
        assert_eq!(f.verdict(Dur::secs(154)), Verdict::Missed);
        let only_most = Figure::between(Dur::ZERO, Dur::secs(305));
        assert_eq!(only_most.to_string(), "at most 5m 5s (upper bound)");
    }

    #[test]
    fn an_upper_bound_beyond_an_objective_is_not_proven() {
        let upper = |secs| Figure::new(Dur::secs(secs), Basis::UpperBound).verdict(Dur::secs(60));
        assert_eq!(
            (upper(60), upper(61), upper(6_000)),
            (Verdict::Met, Verdict::NotProven, Verdict::NotProven)
        );
    }

    #[test]
    fn what_is_shown_does_not_flatter() {
        let shown = |ms, basis| Figure::new(Dur(ms), basis).to_string();
        assert_eq!(shown(12_369, Basis::UpperBound), "at most 12.4s (upper bound)");
        assert_eq!(shown(12_369, Basis::Measured), "12.4s (measured)");
        assert_eq!(shown(12_300, Basis::Measured), "12.3s (measured)");
        assert_eq!(shown(12_369, Basis::LowerBound), "at least 12.3s (lower bound)");
        assert_eq!(shown(59_950, Basis::Measured), "1m (measured)");
        assert_eq!(shown(61_001, Basis::UpperBound), "at most 1m 2s (upper bound)");
        assert_eq!(shown(999, Basis::Measured), "999ms (measured)");
        let long = Dur::secs(2 * 86_400 + 2 * 3_600 + 48 * 60 + 55);
        let long = Figure { resolution_ms: Dur::secs(5), ..Figure::new(long, Basis::Measured) };
        assert_eq!(long.to_string(), "2d 2h 48m 55s ± 5s (measured)");
    }

    #[test]
    fn the_worse_of_two_keeps_the_weaker_basis() {
        let a = Figure::new(Dur::secs(10), Basis::Measured);
        let b = Figure::new(Dur::secs(3), Basis::UpperBound);
        assert_eq!(a.worse(b), Figure::new(Dur::secs(10), Basis::UpperBound));
        assert_eq!(a.worse(Figure::UNKNOWN), Figure::UNKNOWN);
    }

    /// One of the two times is 5s or more, so the longer one is. Nobody knows that it is 30s.
    #[test]
    fn an_upper_bound_beside_a_lower_bound_proves_no_longer_time() {
        let upper = Figure::new(Dur::secs(30), Basis::UpperBound);
        let lower = Figure::new(Dur::secs(5), Basis::LowerBound);
        assert_eq!((upper.worse(lower), lower.worse(upper)), (lower, lower));
        let measured = Figure { resolution_ms: Dur::secs(1), ..Figure::new(Dur::secs(9), Basis::Measured) };
        assert_eq!(measured.worse(lower), Figure::new(Dur::secs(8), Basis::LowerBound));
        let between = Figure::between(Dur::secs(6), Dur::secs(20));
        assert_eq!(between.worse(measured), Figure::between(Dur::secs(8), Dur::secs(20)));
        assert_eq!(between.worse(upper), upper);
        assert_eq!(between.worse(lower), Figure::new(Dur::secs(6), Basis::LowerBound));
    }
}
