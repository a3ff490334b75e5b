//! Lays out pages with tables, whose headers repeat on every page, charts and headings, and writes them as PDF.

use krilla::Document;
use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{Artifact, ArtifactType, ContentTag};
use krilla::text::{GlyphId, KrillaGlyph};

use super::layout::{Face, GAP, TEXT, widths};
use super::tags::{Element, Elements, Kind};
use crate::model::time::Timestamp;
use crate::report::compliance::cells::{Bit, Cell, Table, Tone};
use crate::report::compliance::document::Compliance;
use crate::report::compliance::picture::{Anchor, Ink, Item, Picture};

/// A4 landscape, in points.
const PAGE: (f32, f32) = (842.0, 595.0);
const MARGIN: f32 = 36.0;
const BOTTOM: f32 = PAGE.1 - 44.0;
const INNER: f32 = PAGE.0 - 2.0 * MARGIN;
/// Line height as a multiple of the text size.
const LEADING: f32 = 1.3;
const TITLE: f32 = 18.0;
const HEADING: f32 = 12.0;

/// Something drawn on a page.
struct Mark {
    item: Item,
    bold: bool,
    /// The element that it belongs to; `None` for rules and repeated headers.
    of: Option<Element>,
}

/// The measured lines of a cell.
type Lines = Vec<(String, Tone)>;

/// The pages so far.
pub(super) struct Press {
    plain: Face,
    bold: Face,
    pages: Vec<Vec<Mark>>,
    elements: Elements,
    /// The headings, each with its page and position.
    headings: Vec<(String, usize, f32)>,
    /// The vertical position on the page.
    y: f32,
}

const fn ink(tone: Tone) -> Ink {
    match tone {
        Tone::Plain => Ink::Ink,
        Tone::Soft => Ink::Soft,
        Tone::Good => Ink::Good,
        Tone::Warn => Ink::Amber,
        Tone::Bad => Ink::Bad,
    }
}

impl Press {
    pub(super) fn new() -> Result<Self, String> {
        let (plain, bold) = (dejavu::sans_condensed::regular(), dejavu::sans_condensed::bold());
        Ok(Self {
            plain: Face::new(plain)?,
            bold: Face::new(bold)?,
            pages: vec![Vec::new()],
            elements: Elements::default(),
            headings: Vec::new(),
            y: MARGIN,
        })
    }

    fn mark(&mut self, item: Item, bold: bool, of: Option<Element>) {
        if let Some(page) = self.pages.last_mut() {
            page.push(Mark { item, bold, of });
        }
    }

    /// Starts a new page unless this height fits on the current one. Returns whether it did.
    fn room(&mut self, height: f32) -> bool {
        let full = self.y + height > BOTTOM;
        if full {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
        full
    }

    fn lines(&mut self, text: &str, (size, ink, bold): (f32, Ink, bool), of: Element) {
        let face = if bold { &self.bold } else { &self.plain };
        for line in face.wrap(text, size, INNER) {
            self.room(size * LEADING);
            self.y += size * LEADING;
            self.mark(Item::Words(MARGIN, self.y, Anchor::Start, size, ink, line), bold, Some(of));
        }
    }

    pub(super) fn title(&mut self, text: &str) {
        let of = self.elements.add(Kind::Heading(1, text.to_owned()), None);
        self.headings.push((text.to_owned(), self.pages.len() - 1, self.y));
        self.lines(text, (TITLE, Ink::Ink, true), of);
        self.y += 4.0;
    }

    fn heading(&mut self, text: &str) {
        self.y += 8.0;
        let of = self.elements.add(Kind::Heading(2, text.to_owned()), None);
        self.headings.push((text.to_owned(), self.pages.len() - 1, self.y));
        self.lines(text, (HEADING, Ink::Ink, true), of);
        self.y += 4.0;
    }

    pub(super) fn paragraph(&mut self, text: &str, tone: Tone, bold: bool) {
        let of = self.elements.add(Kind::Paragraph, None);
        self.lines(text, (TEXT, ink(tone), bold), of);
        self.y += 3.0;
    }

    /// A table with its heading; the column headers repeat on every page.
    pub(super) fn table(&mut self, table: &Table) {
        let widths = widths(table, (&self.plain, &self.bold), INNER);
        let head = |text: &String| vec![Bit { text: text.clone(), tone: Tone::Soft, id: false, time: false }];
        let top: Vec<Cell> = table.columns.iter().map(head).collect();
        let top = self.measured(&top, &widths, true);
        let rows: Vec<Vec<Lines>> = table.rows.iter().map(|row| self.measured(row, &widths, false)).collect();
        // Keeps a heading together with the first row.
        let first = rows.first().map_or(20.0, |row| height(row));
        self.room((40.0 + height(&top) + first).min(BOTTOM - MARGIN));
        self.heading(&table.title);
        if rows.is_empty() {
            return self.paragraph("None.", Tone::Soft, false);
        }
        let whole = self.elements.add(Kind::Table, None);
        let heads = self.elements.add(Kind::Head, Some(whole));
        let heads = self.elements.add(Kind::Row, Some(heads));
        let heads: Vec<_> = top.iter().map(|_| self.elements.add(Kind::ColumnHead, Some(heads))).collect();
        self.row(&top, (&widths, true), Some(&heads));
        let body = self.elements.add(Kind::Body, Some(whole));
        for row in &rows {
            if self.room(height(row)) {
                self.row(&top, (&widths, true), None);
            }
            let of = self.elements.add(Kind::Row, Some(body));
            let kind = |n: usize| if n == 0 { Kind::RowHead } else { Kind::Cell };
            let cells: Vec<_> = (0..row.len()).map(|n| self.elements.add(kind(n), Some(of))).collect();
            self.row(row, (&widths, false), Some(&cells));
        }
        if let Some(note) = &table.note {
            self.y += 3.0;
            self.paragraph(note, Tone::Soft, false);
        }
    }

    /// The lines of each cell. An empty cell gets a placeholder.
    fn measured(&self, row: &[Cell], widths: &[f32], bold: bool) -> Vec<Lines> {
        let face = if bold { &self.bold } else { &self.plain };
        let cell = |(cell, width): (&Cell, &f32)| -> Lines {
            let of = |bit: &Bit| {
                let lines = face.wrap(&bit.text, TEXT, width - GAP);
                lines
                    .into_iter()
                    .filter(|line| !line.is_empty())
                    .map(|line| (line, bit.tone))
                    .collect::<Vec<_>>()
            };
            let lines: Lines = cell.iter().flat_map(of).collect();
            if lines.is_empty() { vec![("-".to_owned(), Tone::Soft)] } else { lines }
        };
        row.iter().zip(widths).map(cell).collect()
    }

    fn row(&mut self, cells: &[Lines], (widths, bold): (&[f32], bool), of: Option<&[Element]>) {
        let most = cells.iter().map(Vec::len).max().unwrap_or(1);
        for n in 0..most {
            self.room(TEXT * LEADING + 2.0);
            self.y += TEXT * LEADING;
            let mut x = MARGIN;
            for (c, (lines, width)) in cells.iter().zip(widths).enumerate() {
                if let Some((line, tone)) = lines.get(n) {
                    let words = Item::Words(x, self.y, Anchor::Start, TEXT, ink(*tone), line.clone());
                    self.mark(words, bold, of.and_then(|of| of.get(c)).copied());
                }
                x += width;
            }
        }
        self.y += 3.5;
        self.mark(Item::Line(MARGIN, self.y, MARGIN + INNER, self.y, Ink::Line), false, None);
        self.y += 1.5;
    }

    pub(super) fn picture(&mut self, picture: &Picture) {
        let scale = (INNER / picture.width).min((BOTTOM - MARGIN - 70.0) / picture.height);
        self.room(picture.height * scale + 60.0);
        self.heading(&picture.title);
        let (left, top) = (MARGIN, self.y);
        let of = self.elements.add(Kind::Figure(picture.alt.clone()), None);
        for item in &picture.items {
            self.mark(placed(item, (left, top, scale)), false, Some(of));
        }
        self.y += picture.height * scale + 10.0;
        let mut x = MARGIN;
        let of = self.elements.add(Kind::Paragraph, None);
        for (ink, text) in &picture.legend {
            let wide = 22.0 + self.plain.width(text, TEXT);
            if x + wide > MARGIN + INNER {
                (x, self.y) = (MARGIN, self.y + TEXT * LEADING);
            }
            self.mark(Item::Box(x, self.y - 6.5, 7.0, 7.0, *ink), false, None);
            let words = Item::Words(x + 10.0, self.y, Anchor::Start, TEXT, Ink::Soft, format!("{text} "));
            self.mark(words, false, Some(of));
            x += wide;
        }
        self.y += 6.0;
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody prints so many")]
fn height(row: &[Lines]) -> f32 {
    let lines = row.iter().map(Vec::len).max().unwrap_or(1);
    // A row that is higher than a page is broken at the end of the page.
    (lines as f32 * TEXT * LEADING + 5.0).min(BOTTOM - MARGIN)
}

/// An element of a chart at its position on the page.
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

/// Writes the PDF file.
pub(super) fn print(mut press: Press, title: &str, report: &Compliance) -> Result<Vec<u8>, String> {
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_B)
        .with_accessibility_validator(Accessibility::UA1)
        .finish();
    let configuration = configuration.map_err(|e| format!("{e:?}"))?;
    let settings = krilla::SerializeSettings { configuration, ..Default::default() };
    let mut document = Document::new_with(settings);
    let metadata = Metadata::new()
        .title(title.to_owned())
        .language("en".to_owned())
        .creator(format!("drctl {}", report.tool))
        .document_id(
            crate::model::ids::Digest::of_bytes(format!("{title}{}", report.generated_at).as_bytes())
                .to_string(),
        );
    document.set_metadata(match date(report.generated_at) {
        Some(date) => metadata.creation_date(date),
        None => metadata,
    });
    let all = press.pages.len();
    let mut outline = Outline::new();
    for (text, page, y) in std::mem::take(&mut press.headings) {
        let there = XyzDestination::new(page, Point::from_xy(MARGIN, y));
        outline.push_child(OutlineNode::new(text, there));
    }
    document.set_outline(outline);
    for (n, marks) in std::mem::take(&mut press.pages).iter().enumerate() {
        let size = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or("no page")?;
        let mut page = document.start_page_with(size);
        let mut surface = page.surface();
        for together in marks.chunk_by(|a, b| a.of == b.of) {
            tagged(&mut surface, &mut press, together);
        }
        let foot = format!("{title}; page {} of {all}", n + 1);
        let item = Item::Words(MARGIN, PAGE.1 - 22.0, Anchor::Start, TEXT, Ink::Soft, foot);
        surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Footer)));
        draw(&mut surface, &press, &Mark { item, bold: false, of: None });
        surface.end_tagged();
        surface.finish();
        page.finish();
    }
    document.set_tag_tree(std::mem::take(&mut press.elements).tree());
    document.finish().map_err(|e| format!("{e:?}"))
}

/// Draws everything that belongs to one element, or to none.
fn tagged(surface: &mut Surface<'_>, press: &mut Press, marks: &[Mark]) {
    let of = marks.first().and_then(|mark| mark.of);
    let tag = match of {
        Some(_) => ContentTag::Other,
        None => ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout)),
    };
    let identifier = surface.start_tagged(tag);
    marks.iter().for_each(|mark| draw(surface, press, mark));
    surface.end_tagged();
    if let Some(of) = of {
        press.elements.drawn(of, identifier);
    }
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
            // Four Bézier curves approximate a circle to three in ten thousand.
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
