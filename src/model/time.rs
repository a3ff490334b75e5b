//! Instants and durations. Both count whole milliseconds, so that equal inputs give equal bytes.

use std::fmt;
use std::ops::{Add, Sub};

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in UTC with millisecond resolution. Written as RFC 3339, always with `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339. A time without a zone is refused, because the zone would be a guess.
    pub fn parse(text: &str) -> Result<Self, String> {
        DateTime::parse_from_rfc3339(text)
            .map(|t| Self(t.timestamp_millis()))
            .map_err(|e| format!("`{text}` is not a time with a zone such as 2026-09-21T12:00:00Z ({e})"))
    }

    /// The time since `earlier`; zero if that is later.
    pub fn since(self, earlier: Self) -> Dur {
        Dur(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `HH:MM:SSZ` of the instant in UTC, for timelines.
    pub fn clock(self) -> String {
        self.utc().map_or_else(|| self.0.to_string(), |t| t.format("%H:%M:%SZ").to_string())
    }

    /// The instant in UTC to the second, digits only: for names that sort by time.
    pub fn digits(self) -> String {
        self.to_string().chars().filter(char::is_ascii_digit).take(14).collect()
    }

    fn utc(self) -> Option<DateTime<Utc>> {
        DateTime::<Utc>::from_timestamp_millis(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.utc() {
            Some(t) => f.pad(&t.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{} ms since 1970 UTC", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

impl Add<Dur> for Timestamp {
    type Output = Self;
    fn add(self, d: Dur) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Dur> for Timestamp {
    type Output = Self;
    fn sub(self, d: Dur) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.0).unwrap_or(i64::MAX)))
    }
}

/// A duration in milliseconds. Names of such fields end in `_ms`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Dur(pub u64);

impl Dur {
    /// The zero duration.
    pub const ZERO: Self = Self(0);

    /// The longest duration that a person may write: 100 years. Journals may have longer ones, because clocks may be wrong.
    pub const LONGEST: Self = Self(36_500 * DAY);

    /// Whole seconds, or the maximum on overflow.
    pub const fn secs(s: u64) -> Self {
        Self(s.saturating_mul(SECOND))
    }

    /// Whole minutes, or the maximum on overflow.
    pub const fn mins(m: u64) -> Self {
        Self(m.saturating_mul(MINUTE))
    }

    /// Milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Seconds, with the fraction.
    #[expect(clippy::cast_precision_loss, reason = "an outage of 2^53 ms is 285,000 years")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// As the type of the standard library.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// The difference, or zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum, or the maximum on overflow.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The product, or the maximum on overflow.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// Parses `250ms`, `90s`, `15m`, `2h`, `90d` and sums such as `1h30m` and `1h 30m`. A bare number is refused, because the unit would be
    /// a guess. So is a duration above [`Dur::LONGEST`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{text}` is not a duration; write a number with a unit, such as 250ms, 90s, 15m, 2h, 7d or 1h30m"
            )
        };
        let mut rest = text.trim();
        let mut total = Self::ZERO;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0).ok_or_else(bad)?;
            // Digits that are no `u64` are too many.
            let number: u64 = rest[..digits].parse().unwrap_or(u64::MAX);
            rest = &rest[digits..];
            let unit_len = rest.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(rest.len());
            let scale = match &rest[..unit_len] {
                "ms" => 1,
                "s" => SECOND,
                "m" => MINUTE,
                "h" => HOUR,
                "d" => DAY,
                _ => return Err(bad()),
            };
            rest = rest[unit_len..].trim_start();
            total = total.plus(Self(number).times(scale));
        }
        if total > Self::LONGEST {
            let longest = Self::LONGEST.exact();
            return Err(format!("`{text}` is too long; the longest duration is 100 years ({longest})"));
        }
        Ok(total)
    }
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Dur {
    /// From decimal seconds; negative values become zero.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast keeps what is too long at the maximum"
    )]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds.max(0.0) * 1_000.0).round() as u64)
    }

    /// Rounds up to exactly what [`Display`](fmt::Display) shows, or to the maximum on overflow.
    #[must_use]
    pub const fn shown_up(self) -> Self {
        self.up_to(self.step())
    }

    /// Rounds up to a multiple of `step`, or to the maximum on overflow.
    const fn up_to(self, step: u64) -> Self {
        Self(step).times(self.0.div_ceil(step))
    }

    /// The smallest unit that [`Display`](fmt::Display) shows.
    const fn step(self) -> u64 {
        match self.0 {
            0..SECOND => 1,
            SECOND..MINUTE => 100,
            MINUTE..HOUR => SECOND,
            HOUR..DAY => MINUTE,
            _ => HOUR,
        }
    }

    /// Rounded up for people, like [`Dur::shown_up`], but no coarser than `resolution`, down to whole seconds: a figure that is rounded to
    /// hours does not stand beside `± 5s`. Zero is no resolution.
    pub fn shown_within(self, resolution: Self) -> String {
        let finest = match resolution.0 {
            0 => DAY,
            1..MINUTE => SECOND,
            MINUTE..HOUR => MINUTE,
            _ => HOUR,
        };
        if self.step() <= finest {
            return self.shown_up().to_string();
        }
        let mut left = self.up_to(finest).0;
        let mut words = Vec::new();
        for (unit, each) in [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)] {
            if left >= each {
                words.push(format!("{}{unit}", left / each));
                left %= each;
            }
        }
        words.join(" ")
    }

    /// Rounded up to whole seconds, with all its units: for durations that are compared, which must not look equal because of rounding.
    pub fn in_full(self) -> String {
        self.shown_within(Self::secs(1))
    }

    /// The exact value in one word, for commands and files. [`Dur::parse`] reads it.
    pub fn exact(self) -> String {
        let units = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1)];
        let (mut left, mut text) = (self.0, String::new());
        for (unit, each) in units {
            if left >= each {
                text += &format!("{}{unit}", left / each);
                left %= each;
            }
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }
}

/// The form for people: the two largest units, `364d 23h`, `2h 5m`, `15m`, and tenths of a second below a minute. The rest is truncated.
/// Use [`Dur::shown_up`] first if the result must not be less than the value, and [`Dur::exact`] for commands.
impl fmt::Display for Dur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |each: u64, unit: &str, next: u64, small: &str| match self.0 % each / next {
            0 => format!("{}{unit}", self.0 / each),
            more => format!("{}{unit} {more}{small}", self.0 / each),
        };
        let text = match self.0 {
            0 => "0s".to_owned(),
            ms @ 1..SECOND => format!("{ms}ms"),
            ms @ SECOND..MINUTE => match ms % SECOND / 100 {
                0 => format!("{}s", ms / SECOND),
                tenths => format!("{}.{tenths}s", ms / SECOND),
            },
            MINUTE..HOUR => of(MINUTE, "m", SECOND, "s"),
            HOUR..DAY => of(HOUR, "h", MINUTE, "m"),
            _ => of(DAY, "d", HOUR, "h"),
        };
        f.pad(&text)
    }
}

/// Decimal seconds in the form of [`Dur`], with a sign if negative, never rounded towards zero.
pub fn span(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    format!("{sign}{}", Dur::from_secs_f64(seconds.abs()).shown_up())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_they_are_written() {
        for text in ["250ms", "5s", "90d", "15m", "2h", "1h30m", "4m5s", "364d23h59m4s7ms"] {
            assert_eq!(Dur::parse(text).unwrap().exact(), text);
        }
        for text in ["0s", "250ms", "5s", "90d", "15m", "2h", "1h 30m", "4m 5s", "364d 23h"] {
            assert_eq!(Dur::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn durations_are_shown_as_people_write_them() {
        let shown = |text: &str| Dur::parse(text).unwrap().to_string();
        assert_eq!(shown("8756h59m4s"), "364d 20h");
        assert_eq!(shown("900s"), "15m");
        assert_eq!(shown("2h5m59s"), "2h 5m");
        assert_eq!(shown("4s230ms"), "4.2s");
        assert_eq!(shown("48h"), "2d");
        assert_eq!((span(900.0).as_str(), span(42.25).as_str()), ("15m", "42.3s"));
        assert_eq!((span(-90_000.0).as_str(), span(3.5 * 86_400.0).as_str()), ("-1d 1h", "3d 12h"));
    }

    #[test]
    fn what_is_shown_up_is_shown_whole_and_is_no_less() {
        for ms in [1, 999, 1_001, 59_901, 59_999, 61_001, 3_599_001, 3_600_001, 86_399_999, 90_000_001] {
            let up = Dur(ms).shown_up();
            assert!(up >= Dur(ms), "{ms}");
            let tenths = up.to_string().contains('.');
            assert!(tenths || Dur::parse(&up.to_string()) == Ok(up), "{ms}");
        }
    }

    #[test]
    fn what_has_a_resolution_is_shown_no_coarser_than_that() {
        let shown =
            |text: &str, within: &str| Dur::parse(text).unwrap().shown_within(Dur::parse(within).unwrap());
        assert_eq!(shown("2d2h48m55s", "5s"), "2d 2h 48m 55s");
        assert_eq!(shown("18h52m24s300ms", "5s"), "18h 52m 25s");
        assert_eq!(shown("2d2h48m55s", "5m"), "2d 2h 49m");
        assert_eq!(shown("2d2h48m55s", "2h"), "2d 3h");
        assert_eq!(shown("2d2h48m55s", "0s"), "2d 3h");
        assert_eq!(shown("1h59m59s500ms", "250ms"), "2h");
        assert_eq!((shown("5m14s100ms", "5s"), shown("12s369ms", "5s")), ("5m 15s".into(), "12.4s".into()));
    }

    #[test]
    fn a_bare_number_is_refused() {
        for text in ["15", "", "m", "1.5h", "-3s", "5 m", "99999999999999999999", "99999999999999999999y"] {
            let said = Dur::parse(text).unwrap_err();
            assert!(said.contains("is not a duration; write a number with a unit"), "{text}: {said}");
        }
    }

    #[test]
    fn a_duration_above_a_hundred_years_is_refused_with_the_limit() {
        for text in ["36500d", "876000h", "36499d 24h"] {
            assert_eq!(Dur::parse(text), Ok(Dur::LONGEST), "{text}");
        }
        for text in [
            "36501d",
            "36500d1ms",
            "18446744073709551615ms",
            "18446744073709551615d",
            "99999999999999999999d",
            "307445734561825m",
            "18446744073709551615ms 1ms",
        ] {
            let said = format!("`{text}` is too long; the longest duration is 100 years (36500d)");
            assert_eq!(Dur::parse(text), Err(said));
        }
    }

    /// Journals may have any number, and an overflow must neither panic nor wrap to a small one.
    #[test]
    fn the_greatest_duration_stays_the_greatest() {
        let most = Dur(u64::MAX);
        assert_eq!((Dur::secs(u64::MAX), Dur::mins(u64::MAX), Dur::mins(u64::MAX / 2)), (most, most, most));
        assert_eq!((most.plus(Dur(1)), most.plus(most), Dur(1).minus(most)), (most, most, Dur::ZERO));
        assert_eq!((most.times(0), most.times(1), most.times(2)), (Dur::ZERO, most, most));
        assert_eq!((Dur::secs(5).times(3), Dur(2).times(u64::MAX)), (Dur::secs(15), most));
        assert_eq!((most.shown_up(), Dur(u64::MAX - 1).shown_up()), (most, most));
        assert_eq!(most.to_string(), "213503982334d 14h");
        for within in [Dur::ZERO, Dur(1), Dur::secs(5), Dur::mins(5), Dur::mins(120), Dur::mins(1_500), most]
        {
            assert!(most.shown_within(within).starts_with("213503982334d 14h"), "{within}");
        }
        assert_eq!(most.in_full(), "213503982334d 14h 25m 51s");
        assert_eq!(most.exact(), "213503982334d14h25m51s615ms");
        assert_eq!((most.millis(), most.std()), (u64::MAX, std::time::Duration::from_millis(u64::MAX)));
        assert_eq!(Dur::from_secs_f64(most.as_secs_f64()), most);
        assert_eq!((Dur::from_secs_f64(f64::INFINITY), Dur::from_secs_f64(f64::MAX)), (most, most));
        assert_eq!((Dur::from_secs_f64(f64::NAN), Dur::from_secs_f64(-1.0)), (Dur::ZERO, Dur::ZERO));
        assert_eq!(span(f64::NEG_INFINITY), "-213503982334d 14h");
        let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        assert_eq!((last + most, first - most), (last, first));
        assert_eq!((last.since(first), first.since(last)), (Dur(u64::MAX / 2), Dur::ZERO));
        for at in [first, last] {
            assert!(!at.to_string().is_empty() && !at.clock().is_empty() && !at.digits().is_empty());
        }
    }

    #[test]
    fn a_time_needs_a_zone() {
        assert!(Timestamp::parse("2026-09-21T12:00:00").is_err());
        let t = Timestamp::parse("2026-09-21T14:00:00+02:00").unwrap();
        assert_eq!(t.to_string(), "2026-09-21T12:00:00.000Z");
    }
}
