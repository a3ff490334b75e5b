//! The only code of the stub that reads a clock or waits, and the formats of times.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch.
pub type Micros = u64;

/// Microseconds in a second.
pub const SECOND: Micros = 1_000_000;

/// Wall time that never goes back: read once, then continued by the monotonic clock.
pub struct Clock {
    origin: Instant,
    epoch: Micros,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the stub stands for AWS, which has a clock of its own")]
    pub fn start() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin: Instant::now(), epoch: micros(epoch) }
    }

    pub fn now(&self) -> Micros {
        self.epoch + micros(self.origin.elapsed())
    }
}

/// Waits for this many milliseconds without blocking a thread.
#[expect(clippy::disallowed_methods, reason = "the stub waits in real time; it has no World")]
pub async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Year, month (1 to 12), day (1 to 31) of a day counted from 1 January 1970 (Hinnant's algorithm).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The inverse: days from 1 January 1970.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let month_from_march = (month + 9) % 12;
    let of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

/// `2026-11-21T02:10:00.123Z`.
pub fn iso(out: &mut String, at: Micros) {
    let (year, month, day) = civil(at / SECOND / 86_400);
    let of_day = at / SECOND % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let ms = at / 1_000 % 1_000;
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z");
}

/// `Sat, 21 Nov 2026 02:10:00 GMT`.
pub fn http_date(out: &mut String, at: Micros) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = at / SECOND / 86_400;
    let (year, month, day) = civil(days);
    let of_day = at / SECOND % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let named = |names: &[&'static str], index: u64| {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("")
    };
    let (weekday, month) = (named(&DAYS, days % 7), named(&MONTHS, month - 1));
    let _ = write!(out, "{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT");
}

/// Reads `2026-11-21T02:10:00Z`, with or without a fraction. Only UTC is accepted; SDKs send nothing else.
pub fn parse_iso(text: &str) -> Option<Micros> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    if !matches!(zone, "Z" | "+00:00") {
        return None;
    }
    let seconds = days_from_civil(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_moment() {
        let at = 1_795_227_000 * SECOND + 123_000;
        let (mut iso_text, mut http_text) = (String::new(), String::new());
        iso(&mut iso_text, at);
        http_date(&mut http_text, at);
        assert_eq!(iso_text, "2026-11-21T02:10:00.123Z");
        assert_eq!(http_text, "Sat, 21 Nov 2026 02:10:00 GMT");
        assert_eq!(parse_iso(&iso_text), Some(1_795_227_000 * SECOND));
        assert_eq!(parse_iso("2024-02-29T00:00:00Z"), Some(1_709_164_800 * SECOND));
        assert_eq!(parse_iso("2026-11-21T02:10:00+01:00"), None);
    }
}
