//! A picture: rectangles, lines, dots and texts, as SVG.

use std::fmt::Write as _;

use crate::model::plain::html;

/// The role of a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Text.
    Ink,
    /// Less important text.
    Soft,
    /// Guide lines.
    Line,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Unknown.
    Warn,
    /// The same for text: dark enough to be readable.
    Amber,
    /// Neutral.
    Plain,
    /// Background.
    Pale,
}

impl Ink {
    /// Red, green and blue.
    pub const fn rgb(self) -> (u8, u8, u8) {
        match self {
            Self::Ink => (0x1b, 0x24, 0x30),
            Self::Soft => (0x5b, 0x66, 0x75),
            Self::Line => (0xd8, 0xde, 0xe6),
            Self::Good => (0x1a, 0x7f, 0x4b),
            Self::Bad => (0xb3, 0x26, 0x1e),
            Self::Warn => (0xc9, 0x8a, 0x00),
            Self::Amber => (0x8a, 0x5c, 0x00),
            Self::Plain => (0x2f, 0x7d, 0xd1),
            Self::Pale => (0xf0, 0xf3, 0xf7),
        }
    }

    fn css(self) -> String {
        let (r, g, b) = self.rgb();
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

/// The alignment of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It starts at the position.
    Start,
    /// It is centred at the position.
    Middle,
    /// It ends at the position.
    End,
}

/// An element of a chart.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A rectangle: left, top, width, height.
    Box(f32, f32, f32, f32, Ink),
    /// A line between two points.
    Line(f32, f32, f32, f32, Ink),
    /// A dot: centre and radius.
    Dot(f32, f32, f32, Ink),
    /// A text: position, alignment, size.
    Words(f32, f32, Anchor, f32, Ink, String),
}

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// A description for people who cannot see it.
    pub alt: String,
    /// The legend.
    pub legend: Vec<(Ink, String)>,
    /// The width.
    pub width: f32,
    /// The height.
    pub height: f32,
    /// Its elements, in drawing order.
    pub items: Vec<Item>,
}

pub(super) const WIDTH: f32 = 1_000.0;

/// Width of the column for names.
pub(super) const LEFT: f32 = 170.0;

/// Text size. On paper, where a chart is as wide as the page, it is more than 9 points.
pub(super) const WORDS: f32 = 12.0;

impl Picture {
    pub(super) fn new((title, alt): (String, String), height: f32, legend: &[(Ink, &str)]) -> Self {
        let legend = legend.iter().map(|(ink, text)| (*ink, (*text).to_owned())).collect();
        Self { title, alt, legend, width: WIDTH, height, items: Vec::new() }
    }

    pub(super) fn words(
        &mut self,
        (x, y): (f32, f32),
        anchor: Anchor,
        (size, ink): (f32, Ink),
        text: impl Into<String>,
    ) {
        self.items.push(Item::Words(x, y, anchor, size, ink, text.into()));
    }

    /// Renders it as SVG.
    pub fn svg(&self) -> String {
        let (width, height) = (self.width, self.height);
        let mut out = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            html(&format!("{}. {}", self.title, self.alt))
        );
        for item in &self.items {
            // Writing to a String cannot fail.
            let _ = match item {
                Item::Box(x, y, w, h, ink) => {
                    write!(
                        out,
                        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{}\"/>",
                        ink.css()
                    )
                }
                Item::Line(x, y, x2, y2, ink) => {
                    write!(
                        out,
                        "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{}\"/>",
                        ink.css()
                    )
                }
                Item::Dot(x, y, r, ink) => {
                    write!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\" fill=\"{}\"/>", ink.css())
                }
                Item::Words(x, y, anchor, size, ink, text) => {
                    let anchor = match anchor {
                        Anchor::Start => "start",
                        Anchor::Middle => "middle",
                        Anchor::End => "end",
                    };
                    write!(
                        out,
                        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size:.0}\" fill=\"{}\">{}</text>",
                        ink.css(),
                        html(text)
                    )
                }
            };
        }
        out + "</svg>"
    }
}
