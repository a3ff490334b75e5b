//! Cells and tables of the report.

use serde::Serialize;

use crate::model::plain::each_time;
use crate::model::time::Timestamp;

/// How a text is rated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// Neutral.
    Plain,
    /// Less important.
    Soft,
    /// As it should be.
    Good,
    /// Unknown, or not yet known.
    Warn,
    /// Not as it should be.
    Bad,
}

/// A line of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bit {
    /// The text.
    pub text: String,
    /// Its rating.
    pub tone: Tone,
    /// Whether it is an identifier, which people copy and compare, so it is never broken.
    pub id: bool,
    /// Whether it is a time, which is never broken either.
    pub time: bool,
}

/// A cell: lines, one below the other.
pub type Cell = Vec<Bit>;

/// A table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// The column headers. The first cell of each row is the row's header.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
    /// A note on how to read it.
    pub note: Option<String>,
}

pub(super) const fn tone(bad: bool) -> Tone {
    if bad { Tone::Bad } else { Tone::Good }
}

pub(super) fn bit(text: impl Into<String>, tone: Tone) -> Bit {
    // One sheet has one form of time.
    let text: String = text.into();
    let text = each_time(&text, |time| short(time).unwrap_or_else(|| time.to_owned()));
    Bit { text, tone, id: false, time: false }
}

pub(super) fn plain(text: impl Into<String>) -> Cell {
    vec![bit(text, Tone::Plain)]
}

pub(super) fn name(text: impl Into<String>) -> Bit {
    Bit { text: text.into(), tone: Tone::Plain, id: true, time: false }
}

/// A time to the second, in UTC, for people.
pub fn when(at: Timestamp) -> String {
    let text = at.to_string();
    short(&text).unwrap_or(text)
}

/// The same of a time in a text.
fn short(time: &str) -> Option<String> {
    time.get(..19).map(|short| short.replace('T', " "))
}

pub(super) fn time(at: Timestamp) -> Cell {
    vec![Bit { time: true, ..bit(when(at), Tone::Plain) }]
}

pub(super) fn table(title: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> Table {
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    Table { title: title.to_owned(), columns, rows, note: None }
}
