//! The structure of the document for screen readers: headings, paragraphs, tables with headers, and figures with descriptions.

use std::num::NonZeroU16;

use krilla::tagging::{Identifier, Node, TableHeaderScope, Tag, TagGroup, TagKind, TagTree};

/// The kind of an element.
pub(super) enum Kind {
    /// A heading with its level.
    Heading(u16, String),
    /// A paragraph.
    Paragraph,
    /// A figure with its description.
    Figure(String),
    /// A table.
    Table,
    /// The header rows of a table.
    Head,
    /// The body rows of a table.
    Body,
    /// A row.
    Row,
    /// A column header.
    ColumnHead,
    /// A row header.
    RowHead,
    /// A cell.
    Cell,
}

impl Kind {
    fn tag(&self) -> TagKind {
        match self {
            Self::Heading(level, title) => {
                Tag::Hn(NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN), Some(title.clone())).into()
            }
            Self::Paragraph => Tag::P.into(),
            Self::Figure(alt) => Tag::Figure(Some(alt.clone())).into(),
            Self::Table => Tag::Table.into(),
            Self::Head => Tag::THead.into(),
            Self::Body => Tag::TBody.into(),
            Self::Row => Tag::TR.into(),
            Self::ColumnHead => Tag::TH(TableHeaderScope::Column).into(),
            Self::RowHead => Tag::TH(TableHeaderScope::Row).into(),
            Self::Cell => Tag::TD.into(),
        }
    }
}

/// An element, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element(usize);

struct ElementContent {
    kind: Kind,
    parts: Vec<Element>,
    /// What was drawn for it, in order.
    drawn: Vec<Identifier>,
}

/// The elements of a document, in reading order.
#[derive(Default)]
pub(super) struct Elements {
    all: Vec<ElementContent>,
    top: Vec<Element>,
}

impl Elements {
    /// Adds an element, inside another one or at the top level.
    pub(super) fn add(&mut self, kind: Kind, within: Option<Element>) -> Element {
        let element = Element(self.all.len());
        self.all.push(ElementContent { kind, parts: Vec::new(), drawn: Vec::new() });
        match within.and_then(|Element(outer)| self.all.get_mut(outer)) {
            Some(outer) => outer.parts.push(element),
            None => self.top.push(element),
        }
        element
    }

    /// Records that a part of an element was drawn.
    pub(super) fn drawn(&mut self, Element(at): Element, identifier: Identifier) {
        if let Some(part) = self.all.get_mut(at) {
            part.drawn.push(identifier);
        }
    }

    /// The tag tree.
    pub(super) fn tree(mut self) -> TagTree {
        let mut tree = TagTree::new().with_lang(Some("en".to_owned()));
        for element in std::mem::take(&mut self.top) {
            tree.push(self.group(element));
        }
        tree
    }

    fn group(&mut self, Element(at): Element) -> TagGroup {
        let Some(part) = self.all.get_mut(at) else { return TagGroup::new(Tag::P) };
        let (tag, drawn, parts) =
            (part.kind.tag(), std::mem::take(&mut part.drawn), std::mem::take(&mut part.parts));
        let mut group = TagGroup::new(tag);
        drawn.into_iter().for_each(|identifier| group.push(identifier));
        for part in parts {
            let inner: Node = self.group(part).into();
            group.push(inner);
        }
        group
    }
}
