//! The book uses the terms of its glossary, and links to it.

use super::{Page, page, pages, root};

/// Terms that a reader may not know, each with its forms.
const TERMS: &[&[&str]] = &[
    &["census"],
    &["estate"],
    &["exposure"],
    &["go-bag", "go-bags"],
    &["in doubt"],
    &["ledger"],
    &["pending fence", "pending fences", "fence is pending"],
    &["point of no return", "points of no return"],
    &["seat", "seats"],
    &["waiver", "waivers", "waives"],
];

/// Words that the glossary replaces.
const REPLACED: &[&str] = &[
    "debt",
    "debts",
    "ladder",
    "owe",
    "owed",
    "owes",
    "owing",
    "rung",
    "rungs",
    "obligation",
    "obligations",
];

/// The prose of a page in lower case, without code and link targets.
fn prose(page: &Page) -> String {
    let text = page.prose().join("\n").to_lowercase();
    let words: String = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let mut parts = words.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once(')').map_or(part, |(_, rest)| rest))
}

/// Whether a text contains a term as separate words.
fn has(text: &str, term: &str) -> bool {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let letter = |c: char| c.is_alphanumeric() || c == '-';
    text.match_indices(term)
        .any(|(at, _)| !text[..at].ends_with(letter) && !text[at + term.len()..].starts_with(letter))
}

fn glossary() -> Page {
    page(root().join("docs/src/reference/glossary.md"))
}

#[test]
fn the_glossary_explains_every_term() {
    let glossary = glossary();
    let rows: Vec<&str> = glossary.text.lines().filter_map(|l| l.strip_prefix("| ")).collect();
    let explained = |term: &str| {
        rows.iter().filter_map(|row| row.split(" |").next()).any(|cell| has(&cell.to_lowercase(), term))
    };
    let missing: Vec<_> = TERMS.iter().filter(|forms| !explained(forms[0])).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn pages_that_use_a_term_lead_to_the_glossary() {
    let mut wrong = Vec::new();
    for page in pages() {
        if page.path.to_string_lossy().contains("/reference/") || page.text.contains("glossary.md") {
            continue;
        }
        let text = prose(&page);
        let used = TERMS.iter().flat_map(|forms| forms.iter()).find(|form| has(&text, form));
        wrong.extend(used.map(|term| format!("{}: {term}", page.path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_that_the_glossary_replaces_are_not_used() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text: String =
            prose(&page).lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("\n");
        let used = REPLACED.iter().filter(|word| has(&text, word));
        wrong.extend(used.map(|word| format!("{}: {word}", page.path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
