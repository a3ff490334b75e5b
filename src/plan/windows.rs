//! Windows, blackouts and the freeze as they are written under `policy:`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::shape::{Record, Shape, opt, req};
use crate::model::calendar::{Calendar, Freeze, LONGEST, When, Window};
use crate::model::ids::PlanName;
use crate::model::time::{Dur, Timestamp};

/// One window.
pub const WINDOW: Record = Record {
    name: "window",
    fields: &[
        opt("opens", Shape::Text, "a cron pattern: minute, hour, day, month, weekday"),
        opt("for", Shape::Duration, "how long it stays open each time"),
        opt("zone", Shape::Text, "the time zone of the pattern, such as Europe/Prague"),
        opt("from", Shape::Text, "in place of a pattern: when it opens, once; RFC 3339 with a zone"),
        opt("to", Shape::Text, "when it closes"),
        opt("why", Shape::Text, "what it is for"),
        opt("plans", Shape::List(&Shape::Name), "the plans that it is for; all if absent"),
    ],
};

/// `freeze:`.
pub const FREEZE: Record = Record {
    name: "freeze",
    fields: &[
        req("why", Shape::Text, "what it is for"),
        opt("until", Shape::Text, "when it ends, RFC 3339 with a zone; when it is taken out if absent"),
    ],
};

/// As written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWindow {
    opens: Option<String>,
    #[serde(rename = "for")]
    lasts: Option<String>,
    zone: Option<String>,
    from: Option<String>,
    to: Option<String>,
    why: Option<String>,
    plans: Option<BTreeSet<PlanName>>,
}

impl RawWindow {
    /// The window that is meant.
    ///
    /// # Errors
    /// What is neither a pattern with its zone and length nor two instants, or never open.
    pub fn window(self) -> Result<Window, String> {
        let when = match (self.opens, self.lasts, self.zone, self.from, self.to) {
            (Some(opens), Some(lasts), Some(zone), None, None) => {
                let lasts = Dur::parse(&lasts)?;
                if lasts == Dur::ZERO || lasts > LONGEST {
                    return Err(format!(
                        "a window that opens `{opens}` for {lasts}: more than nothing and up to {LONGEST}"
                    ));
                }
                When::Each(Calendar::parse(&opens, &zone)?, lasts)
            }
            (None, None, None, Some(from), Some(to)) => {
                let (from, to) = (Timestamp::parse(&from)?, Timestamp::parse(&to)?);
                if to <= from {
                    return Err(format!("a window from {from} to {to} is never open"));
                }
                When::Once(from, to)
            }
            _ => return Err("a window has `opens`, `for` and `zone`, or `from` and `to`".to_owned()),
        };
        if self.plans.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err("`plans` is empty: leave it out where all are meant".to_owned());
        }
        Ok(Window { why: self.why, when, plans: self.plans.unwrap_or_default() })
    }
}

/// As written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFreeze {
    why: String,
    until: Option<String>,
}

impl RawFreeze {
    /// The freeze that is meant.
    ///
    /// # Errors
    /// What is no time.
    pub fn freeze(self) -> Result<Freeze, String> {
        Ok(Freeze { why: self.why, until: self.until.as_deref().map(Timestamp::parse).transpose()? })
    }
}
