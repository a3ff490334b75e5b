//! Windows, blackouts and the freeze as they are written under `policy:`.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::model::calendar::{Calendar, Freeze, LONGEST, When, Window};
use crate::model::ids::PlanName;
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::time::{Dur, Timestamp};

/// One window.
pub const WINDOW: Keys = Keys {
    name: "window",
    fields: &[
        opt("opens", Shape::Text, "a cron pattern: minute, hour, day, month, weekday"),
        opt("for", Shape::Duration, "how long the window stays open each time"),
        opt("zone", Shape::Text, "the time zone of the pattern, such as Europe/Prague"),
        opt("from", Shape::Text, "instead of a pattern: when the window opens once; RFC 3339 with a zone"),
        opt("to", Shape::Text, "when the window closes"),
        opt("why", Shape::Text, "the reason, for people"),
        opt("plans", Shape::List(&Shape::Name), "the plans that it applies to; all if absent"),
    ],
};

/// `freeze:`.
pub const FREEZE: Keys = Keys {
    name: "freeze",
    fields: &[
        req("why", Shape::Text, "the reason, for people"),
        opt(
            "until",
            Shape::Text,
            "when the freeze ends, RFC 3339 with a zone; if absent, it lasts until you remove it",
        ),
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
                        "a window opens `{opens}` for {lasts}; the length must be above zero and at most {LONGEST}"
                    ));
                }
                When::Each(Calendar::parse(&opens, &zone)?, lasts)
            }
            (None, None, None, Some(from), Some(to)) => {
                let (from, to) = (Timestamp::parse(&from)?, Timestamp::parse(&to)?);
                if to <= from {
                    return Err(format!("a window from {from} to {to} never opens"));
                }
                When::Once(from, to)
            }
            _ => return Err("a window needs `opens`, `for` and `zone`, or `from` and `to`".to_owned()),
        };
        if self.plans.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err("`plans` is empty; to apply the window to all plans, remove the key".to_owned());
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
