//! Pages: words that are measured and broken into lines, tables whose heads stand on every page, pictures; and how they become a PDF.

use krilla::Document;
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::MetadataProvider as _;
use skrifa::instance::{LocationRef, Size};

use super::super::Compliance;
use super::super::charts::{Anchor, Ink, Item, Picture};
use crate::model::time::Timestamp;
use crate::model::waiver::harmless;

/// A4, lying, in points.
const PAGE: (f32, f32) = (842.0, 595.0);
const MARGIN: f32 = 36.0;
const BOTTOM: f32 = PAGE.1 - 44.0;
const INNER: f32 = PAGE.0 - 2.0 * MARGIN;
/// Of text, and from line to line.
const TEXT: f32 = 7.5;
const LEADING: f32 = 1.3;

/// A font, to measure and to draw with.
struct Face {
    font: Font,
    read: skrifa::FontRef<'static>,
}

impl Face {
    fn new(bytes: &'static [u8]) -> Result<Self, String> {
        let font = Font::new(bytes.into(), 0).ok_or("the font cannot be read")?;
        Ok(Self { font, read: skrifa::FontRef::new(bytes).map_err(|e| e.to_string())? })
    }

    /// A character, or one that stands for all that the font does not have.
    fn glyph(&self, c: char) -> skrifa::GlyphId {
        let map = self.read.charmap();
        map.map(c).filter(|g| g.to_u32() != 0).or_else(|| map.map('?')).unwrap_or_default()
    }

    /// Parts of an em.
    fn advance(&self, c: char) -> f32 {
        let metrics = self.read.glyph_metrics(Size::new(1.0), LocationRef::default());
        metrics.advance_width(self.glyph(c)).unwrap_or(0.5)
    }

    fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.advance(c)).sum::<f32>() * size
    }

    /// Lines that are no wider; what has no gap to break at is broken anywhere.
    fn wrap(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = vec![String::new()];
        let mut used = 0.0;
        for word in harmless(text).split_whitespace() {
            let long = self.width(word, size);
            let gap = if used > 0.0 { self.width(" ", size) } else { 0.0 };
            if used + gap + long <= width {
                used += gap + long;
                push(&mut lines, if gap > 0.0 { " " } else { "" });
                push(&mut lines, word);
                continue;
            }
            if used > 0.0 {
                lines.push(String::new());
                used = 0.0;
            }
            for c in word.chars() {
                let wide = self.advance(c) * size;
                if used + wide > width && used > 0.0 {
                    lines.push(String::new());
                    used = 0.0;
                }
                used += wide;
                push(&mut lines, c.encode_utf8(&mut [0; 4]));
            }
        }
        lines
    }
}

fn push(lines: &mut [String], text: &str) {
    if let Some(last) = lines.last_mut() {
        last.push_str(text);
    }
}

/// What is drawn on a page.
struct Mark {
    item: Item,
    bold: bool,
}

/// Pages under way.
pub(super) struct Press {
    plain: Face,
    bold: Face,
    pages: Vec<Vec<Mark>>,
    /// How far down the page it is.
    pub(super) y: f32,
}

impl Press {
    pub(super) fn new() -> Result<Self, String> {
        let (plain, bold) = (dejavu::sans_condensed::regular(), dejavu::sans_condensed::bold());
        Ok(Self { plain: Face::new(plain)?, bold: Face::new(bold)?, pages: vec![Vec::new()], y: MARGIN })
    }

    fn mark(&mut self, item: Item, bold: bool) {
        if let Some(page) = self.pages.last_mut() {
            page.push(Mark { item, bold });
        }
    }

    /// Goes to the next page unless so much fits on this one.
    fn room(&mut self, height: f32) -> bool {
        let full = self.y + height > BOTTOM;
        if full {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
        full
    }

    pub(super) fn lines(&mut self, text: &str, (size, ink, bold): (f32, Ink, bool)) {
        let face = if bold { &self.bold } else { &self.plain };
        for line in face.wrap(text, size, INNER) {
            self.room(size * LEADING);
            self.y += size * LEADING;
            self.mark(Item::Words(MARGIN, self.y, Anchor::Start, size, ink, line), bold);
        }
    }

    pub(super) fn heading(&mut self, text: &str) {
        // With something of what it is about.
        self.room(60.0);
        self.y += 8.0;
        self.lines(text, (11.0, Ink::Ink, true));
        self.y += 4.0;
    }

    /// A table with its columns' shares of the width; its head stands on every page.
    pub(super) fn table(&mut self, head: &[(&str, f32)], rows: &[Vec<(String, Ink)>]) {
        let whole: f32 = head.iter().map(|(_, share)| share).sum();
        let widths: Vec<f32> = head.iter().map(|(_, share)| INNER * share / whole).collect();
        let top: Vec<(String, Ink)> = head.iter().map(|(text, _)| ((*text).to_owned(), Ink::Soft)).collect();
        self.row(&top, &widths, true);
        for row in rows {
            let height = self.height(row, &widths);
            if self.room(height) {
                self.row(&top, &widths, true);
            }
            self.row(row, &widths, false);
        }
        if rows.is_empty() {
            self.row(&[("none".to_owned(), Ink::Soft)], &widths, false);
        }
    }

    fn cells(&self, row: &[(String, Ink)], widths: &[f32], bold: bool) -> Vec<Vec<String>> {
        let face = if bold { &self.bold } else { &self.plain };
        row.iter().zip(widths).map(|((text, _), width)| face.wrap(text, TEXT, width - 5.0)).collect()
    }

    fn height(&self, row: &[(String, Ink)], widths: &[f32]) -> f32 {
        let lines = self.cells(row, widths, false).iter().map(Vec::len).max().unwrap_or(1);
        // A row that fits on no page is broken where the page ends.
        (lines_high(lines) + 4.0).min(BOTTOM - MARGIN)
    }

    fn row(&mut self, row: &[(String, Ink)], widths: &[f32], bold: bool) {
        let cells = self.cells(row, widths, bold);
        let most = cells.iter().map(Vec::len).max().unwrap_or(1);
        for n in 0..most {
            self.room(TEXT * LEADING + 2.0);
            self.y += TEXT * LEADING;
            let mut x = MARGIN;
            for ((lines, (_, ink)), width) in cells.iter().zip(row).zip(widths) {
                if let Some(line) = lines.get(n).filter(|line| !line.is_empty()) {
                    self.mark(Item::Words(x, self.y, Anchor::Start, TEXT, *ink, line.clone()), bold);
                }
                x += width;
            }
        }
        self.y += 2.5;
        self.mark(Item::Line(MARGIN, self.y, MARGIN + INNER, self.y, Ink::Line), false);
        self.y += 1.5;
    }

    pub(super) fn picture(&mut self, picture: &Picture) {
        let scale = (INNER / picture.width).min((BOTTOM - MARGIN - 60.0) / picture.height);
        self.room(picture.height * scale + 50.0);
        self.heading(&picture.title);
        let (left, top) = (MARGIN, self.y);
        for item in &picture.items {
            self.mark(placed(item, (left, top, scale)), false);
        }
        self.y += picture.height * scale + 8.0;
        let mut x = MARGIN;
        for (ink, text) in &picture.legend {
            self.mark(Item::Box(x, self.y - 5.5, 6.0, 6.0, *ink), false);
            self.mark(Item::Words(x + 9.0, self.y, Anchor::Start, TEXT, Ink::Soft, text.clone()), false);
            x += 22.0 + self.plain.width(text, TEXT);
        }
        self.y += 6.0;
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody prints so many")]
fn lines_high(lines: usize) -> f32 {
    lines as f32 * TEXT * LEADING
}

/// A part of a picture where it stands on the page.
fn placed(item: &Item, (left, top, scale): (f32, f32, f32)) -> Item {
    let (x, y) = (|at: f32| left + at * scale, |at: f32| top + at * scale);
    match item {
        Item::Box(a, b, w, h, ink) => Item::Box(x(*a), y(*b), w * scale, h * scale, *ink),
        Item::Line(a, b, c, d, ink) => Item::Line(x(*a), y(*b), x(*c), y(*d), *ink),
        Item::Dot(a, b, r, ink) => Item::Dot(x(*a), y(*b), r * scale, *ink),
        Item::Words(a, b, anchor, size, ink, text) => {
            Item::Words(x(*a), y(*b), *anchor, size * scale, *ink, text.clone())
        }
    }
}

/// All of it as PDF.
pub(super) fn print(press: &Press, report: &Compliance) -> Result<Vec<u8>, String> {
    let configuration = ConfigurationBuilder::new().with_archival_validator(Archival::A2_B).finish();
    let configuration = configuration.map_err(|e| format!("{e:?}"))?;
    let settings = krilla::SerializeSettings { configuration, ..Default::default() };
    let mut document = Document::new_with(settings);
    let title = format!("Recovery of applications, {} to {}", report.since, report.until);
    let metadata = Metadata::new()
        .title(title.clone())
        .language("en".to_owned())
        .creator(format!("drctl {}", report.tool))
        .document_id(
            crate::model::ids::Digest::of(format!("{title}{}", report.generated_at).as_bytes()).to_string(),
        );
    document.set_metadata(match date(report.generated_at) {
        Some(date) => metadata.creation_date(date),
        None => metadata,
    });
    let all = press.pages.len();
    for (n, marks) in press.pages.iter().enumerate() {
        let size = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or("no page")?;
        let mut page = document.start_page_with(size);
        let mut surface = page.surface();
        marks.iter().for_each(|mark| draw(&mut surface, press, mark));
        let foot = format!("{title}; written at {}; page {} of {all}", report.generated_at, n + 1);
        let item = Item::Words(MARGIN, PAGE.1 - 22.0, Anchor::Start, 7.0, Ink::Soft, foot);
        draw(&mut surface, press, &Mark { item, bold: false });
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|e| format!("{e:?}"))
}

fn date(at: Timestamp) -> Option<DateTime> {
    let text = at.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u8>().ok());
    let year = text.get(0..4)?.parse().ok()?;
    let (month, day, hour) = (part(5..7)?, part(8..10)?, part(11..13)?);
    let (minute, second) = (part(14..16)?, part(17..19)?);
    Some(
        DateTime::new(year)
            .month(month)
            .day(day)
            .hour(hour)
            .minute(minute)
            .second(second)
            .utc_offset_hour(0)
            .utc_offset_minute(0),
    )
}

fn fill(ink: Ink) -> Fill {
    let (r, g, b) = ink.rgb();
    Fill {
        paint: krilla::color::rgb::Color::new(r, g, b).into(),
        opacity: NormalizedF32::ONE,
        rule: Default::default(),
    }
}

fn draw(surface: &mut Surface<'_>, press: &Press, mark: &Mark) {
    surface.set_stroke(None);
    match &mark.item {
        Item::Words(x, y, anchor, size, ink, text) => {
            let face = if mark.bold { &press.bold } else { &press.plain };
            let wide = face.width(text, *size);
            let left = match anchor {
                Anchor::Start => *x,
                Anchor::Middle => x - wide / 2.0,
                Anchor::End => x - wide,
            };
            surface.set_fill(Some(fill(*ink)));
            let glyphs: Vec<KrillaGlyph> = text
                .char_indices()
                .map(|(i, c)| {
                    let id = GlyphId::new(face.glyph(c).to_u32());
                    KrillaGlyph::new(id, face.advance(c), 0.0, 0.0, 0.0, i..i + c.len_utf8(), None)
                })
                .collect();
            surface.draw_glyphs(Point::from_xy(left, *y), &glyphs, face.font.clone(), text, *size, false);
        }
        Item::Line(x, y, x2, y2, ink) => {
            let mut path = PathBuilder::new();
            path.move_to(*x, *y);
            path.line_to(*x2, *y2);
            let Some(path) = path.finish() else { return };
            surface.set_fill(None);
            let stroke = Stroke { paint: fill(*ink).paint, width: 0.6, ..Default::default() };
            surface.set_stroke(Some(stroke));
            surface.draw_path(&path);
        }
        Item::Box(x, y, w, h, ink) => {
            let mut path = PathBuilder::new();
            path.move_to(*x, *y);
            path.line_to(x + w, *y);
            path.line_to(x + w, y + h);
            path.line_to(*x, y + h);
            path.close();
            shape(surface, path, *ink);
        }
        Item::Dot(x, y, r, ink) => {
            // Four curves of Bézier are a circle, to three in ten thousand.
            let k = r * 0.552_284_8;
            let mut path = PathBuilder::new();
            path.move_to(x + r, *y);
            path.cubic_to(x + r, y + k, x + k, y + r, *x, y + r);
            path.cubic_to(x - k, y + r, x - r, y + k, x - r, *y);
            path.cubic_to(x - r, y - k, x - k, y - r, *x, y - r);
            path.cubic_to(x + k, y - r, x + r, y - k, x + r, *y);
            path.close();
            shape(surface, path, *ink);
        }
    }
}

fn shape(surface: &mut Surface<'_>, path: PathBuilder, ink: Ink) {
    if let Some(path) = path.finish() {
        surface.set_fill(Some(fill(ink)));
        surface.draw_path(&path);
    }
}
