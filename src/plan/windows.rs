//! Windows, blackouts and the freeze under `policy:`.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::model::calendar::{Calendar, Freeze, LONGEST, When, Window};
use crate::model::fault::Fault;
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
        opt("why", Shape::Prose, "the reason, for people"),
        opt("plans", Shape::List(&Shape::Name), "the plans that it applies to; all if absent"),
    ],
};

/// `freeze:`.
pub const FREEZE: Keys = Keys {
    name: "freeze",
    fields: &[
        req("why", Shape::Prose, "the reason, for people"),
        opt(
            "until",
            Shape::Text,
            "when the freeze ends, RFC 3339 with a zone; if absent, it lasts until you remove it",
        ),
    ],
};

/// The values as written.
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
    /// Converts it.
    ///
    /// # Errors
    /// If it is neither a pattern with zone and length nor two instants, or never open.
    pub fn window(self, at: &[&str]) -> Result<Window, Vec<Fault>> {
        let bad = |why: String| Fault::said(at, why);
        let when = match (self.opens, self.lasts, self.zone, self.from, self.to) {
            (Some(opens), Some(lasts), Some(zone), None, None) => {
                let lasts = Dur::parse(&lasts).map_err(|why| bad(why).key("for"))?;
                let mut faults = Vec::new();
                if lasts == Dur::ZERO || lasts > LONGEST {
                    let why = format!(
                        "a window opens `{opens}` for {lasts}; the length must be above zero and at most {LONGEST}"
                    );
                    faults.push(bad(why).key("for"));
                }
                match calendar(at, ("opens", &opens), &zone) {
                    Ok(calendar) if faults.is_empty() => When::Each(calendar, lasts),
                    Ok(_) => return Err(faults),
                    Err(more) => return Err([faults, more].concat()),
                }
            }
            (None, None, None, Some(from), Some(to)) => {
                let (from, to) = match (Timestamp::parse(&from), Timestamp::parse(&to)) {
                    (Ok(from), Ok(to)) => (from, to),
                    (from, to) => {
                        let from = from.err().map(|why| bad(why).key("from"));
                        return Err(from.into_iter().chain(to.err().map(|why| bad(why).key("to"))).collect());
                    }
                };
                if to <= from {
                    return Err(bad(format!("a window from {from} to {to} never opens")).key("to").into());
                }
                When::Once(from, to)
            }
            _ => {
                let why = "a window needs `opens`, `for` and `zone`, or `from` and `to`".to_owned();
                let fix =
                    "write {opens: \"0 2 * * SUN\", for: 4h, zone: Europe/Prague}, or {from: ..., to: ...}";
                return Err(bad(why).fix(fix).into());
            }
        };
        if self.plans.as_ref().is_some_and(BTreeSet::is_empty) {
            let why = "`plans` is empty; to apply the window to all plans, remove the key".to_owned();
            return Err(bad(why).key("plans").into());
        }
        Ok(Window { why: self.why, when, plans: self.plans.unwrap_or_default() })
    }
}

/// A pattern in its zone. Both are checked, so that one mistake does not hide the other.
pub(super) fn calendar(
    at: &[&str],
    (key, pattern): (&str, &str),
    zone: &str,
) -> Result<Calendar, Vec<Fault>> {
    let of_pattern = Calendar::parse(pattern, "UTC").err().map(|why| Fault::said(at, why).key(key));
    let of_zone = Calendar::parse("0 0 * * *", zone).err().map(|why| Fault::said(at, why).key("zone"));
    let faults: Vec<Fault> = of_pattern.into_iter().chain(of_zone).collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    Calendar::parse(pattern, zone).map_err(|why| Fault::said(at, why).key(key).into())
}

/// The values as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFreeze {
    why: String,
    until: Option<String>,
}

impl RawFreeze {
    /// Converts it.
    ///
    /// # Errors
    /// If a time is invalid.
    pub fn freeze(self) -> Result<Freeze, Fault> {
        let until = self.until.as_deref().map(Timestamp::parse).transpose();
        let until = until.map_err(|why| Fault::said(&["policy", "freeze", "until"], why))?;
        Ok(Freeze { why: self.why, until })
    }
}
