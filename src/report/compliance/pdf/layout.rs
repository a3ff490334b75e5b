//! Font metrics, line breaking, and column widths that fit their content.

use krilla::text::Font;
use skrifa::MetadataProvider as _;
use skrifa::instance::{LocationRef, Size};

use crate::model::waiver::harmless;
use crate::report::compliance::cells::{Bit, Table};

/// Text size in points; smaller text is hard to read on paper.
pub(super) const TEXT: f32 = 9.0;
/// Free space at the right of a cell.
pub(super) const GAP: f32 = 8.0;

/// A font for measuring and drawing.
pub(super) struct Face {
    pub(super) font: Font,
    read: skrifa::FontRef<'static>,
}

impl Face {
    pub(super) fn new(bytes: &'static [u8]) -> Result<Self, String> {
        let font = Font::new(bytes.into(), 0).ok_or("the font cannot be read")?;
        Ok(Self { font, read: skrifa::FontRef::new(bytes).map_err(|e| e.to_string())? })
    }

    /// The glyph of a character, or the replacement glyph if the font lacks it.
    pub(super) fn glyph(&self, c: char) -> skrifa::GlyphId {
        let map = self.read.charmap();
        map.map(c).filter(|g| g.to_u32() != 0).or_else(|| map.map('?')).unwrap_or_default()
    }

    /// The advance width in em.
    pub(super) fn advance(&self, c: char) -> f32 {
        let metrics = self.read.glyph_metrics(Size::new(1.0), LocationRef::default());
        metrics.advance_width(self.glyph(c)).unwrap_or(0.5)
    }

    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.advance(c)).sum::<f32>() * size
    }

    /// Breaks text into lines of this width. A broken line ends with its space, so that copied text keeps its words separate.
    pub(super) fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = vec![String::new()];
        let mut used = 0.0;
        let space = self.width(" ", size);
        for word in harmless(text).split_whitespace() {
            let long = self.width(word, size);
            if used > 0.0 && used + space + long > width {
                push(&mut lines, " ");
                lines.push(String::new());
                used = 0.0;
            }
            if used > 0.0 {
                push(&mut lines, " ");
                used += space;
            }
            if long <= width {
                used += long;
                push(&mut lines, word);
                continue;
            }
            for piece in self.pieces(word, size, width) {
                let long = self.width(&piece, size);
                if used > 0.0 && used + long > width {
                    lines.push(String::new());
                    used = 0.0;
                }
                used += long;
                push(&mut lines, &piece);
            }
        }
        lines
    }

    /// Breaks a word that is wider than its column: at hyphens and similar characters, or anywhere if there are none.
    fn pieces(&self, word: &str, size: f32, width: f32) -> Vec<String> {
        let mut all = Vec::new();
        for part in parts(word) {
            if self.width(part, size) <= width {
                all.push(part.to_owned());
            } else {
                all.extend(part.chars().map(String::from));
            }
        }
        all
    }
}

fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split_inclusive(['-', '/', ':', '.', ',', '_', '='])
}

fn push(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

/// The width of each column: at least its longest word if there is room for all, and at most its content.
pub(super) fn widths(table: &Table, (plain, bold): (&Face, &Face), whole: f32) -> Vec<f32> {
    let room = |least: &[f32]| least.iter().sum::<f32>() <= whole;
    let least = |breaks: fn(&Bit) -> bool| {
        columns(table, (plain, bold), |text, face, bit| {
            let longest = |words: &mut dyn Iterator<Item = &str>| {
                words.map(|w| face.width(w, TEXT)).fold(0.0, f32::max)
            };
            match bit.is_some_and(breaks) {
                true => longest(&mut text.split_whitespace().flat_map(parts)),
                false => longest(&mut text.split_whitespace()),
            }
        })
    };
    // Identifiers are broken last.
    let ways: [fn(&Bit) -> bool; 3] = [|_| false, |bit| !bit.id, |_| true];
    let mut minimum = Vec::new();
    for way in ways {
        minimum = least(way);
        if room(&minimum) {
            break;
        }
    }
    let most = columns(table, (plain, bold), |text, face, _| face.width(text, TEXT).min(whole * 0.6));
    let all: f32 = minimum.iter().sum();
    if all > whole {
        return minimum.iter().map(|width| width * whole / all).collect();
    }
    let wanted: f32 = minimum.iter().zip(&most).map(|(least, most)| (most - least).max(0.0)).sum();
    let spare = whole - all;
    let grown =
        |(least, most): (&f32, &f32)| least + (most - least).max(0.0) * (spare / wanted.max(1.0)).min(1.0);
    minimum.iter().zip(&most).map(grown).collect()
}

/// The width of the widest cell, by column.
fn columns(
    table: &Table,
    (plain, bold): (&Face, &Face),
    need: impl Fn(&str, &Face, Option<&Bit>) -> f32,
) -> Vec<f32> {
    let column = |n: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(n)).flatten();
        let bits = cells.map(|bit| need(&harmless(&bit.text), plain, Some(bit)));
        let head = table.columns.get(n).map(|head| need(head, bold, None));
        bits.chain(head).fold(0.0, f32::max) + GAP
    };
    (0..table.columns.len()).map(column).collect()
}
