//! Positions in PostgreSQL's WAL. They show exactly what a standby has, whatever the clocks are.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The size of a WAL page, and of its longest header, in bytes (`XLOG_BLCKSZ` and `XLogLongPageHeaderData`).
const PAGE: u64 = 8_192;
const HEADER: u64 = 40;

/// A position (PostgreSQL documentation, «pg_lsn Type»).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Lsn(pub u64);

impl Lsn {
    /// The position without the header of a page that is still empty: the next record would be written there, but an idle primary sends its
    /// standbys only the previous page.
    #[must_use]
    pub const fn without_header(self) -> Self {
        let into = self.0 % PAGE;
        if into <= HEADER { Self(self.0 - into) } else { self }
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> Self {
        lsn.to_string()
    }
}

impl TryFrom<String> for Lsn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let half = |text: &str| u32::from_str_radix(text, 16).ok();
        let halves = text.split_once('/').and_then(|(high, low)| half(high).zip(half(low)));
        let (high, low) =
            halves.ok_or_else(|| format!("`{text}` is not a WAL position such as 16/B374D848"))?;
        Ok(Self(u64::from(high) << 32 | u64::from(low)))
    }
}

/// A position on a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WalPoint {
    /// The timeline: every promotion starts a new one.
    pub timeline: u32,
    /// The position.
    pub position: Lsn,
}

impl WalPoint {
    /// Whether it includes everything up to `other`. Positions on different timelines cannot be compared.
    pub fn covers(&self, other: &Self) -> bool {
        self.timeline == other.timeline && self.position >= other.position
    }
}

impl fmt::Display for WalPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of timeline {}", self.position, self.timeline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_as_it_is_written() {
        let lsn = Lsn::try_from("16/B374D848".to_owned()).unwrap();
        assert_eq!((lsn.0, lsn.to_string()), (0x16_B374_D848, "16/B374D848".to_owned()));
        assert!(Lsn::try_from("16".to_owned()).is_err() && Lsn::try_from("x/1".to_owned()).is_err());
    }

    #[test]
    fn a_header_alone_is_nothing_to_wait_for() {
        assert_eq!(Lsn(0x300_0028).without_header(), Lsn(0x300_0000));
        assert_eq!(Lsn(0x300_2018).without_header(), Lsn(0x300_2000));
        assert_eq!(Lsn(0x300_2030).without_header(), Lsn(0x300_2030));
    }

    #[test]
    fn another_timeline_covers_nothing() {
        let at = |timeline, position| WalPoint { timeline, position: Lsn(position) };
        assert!(at(1, 8).covers(&at(1, 8)) && !at(1, 7).covers(&at(1, 8)) && !at(2, 9).covers(&at(1, 8)));
    }
}
