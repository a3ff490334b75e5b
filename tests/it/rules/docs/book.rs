//! Builds the book the way mdBook does, and checks the links between its pages.

use std::path::{Path, PathBuf};

use mdbook_driver::MDBook;

fn html(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let inside = folders.iter().flat_map(|folder| html(folder));
    files.into_iter().filter(|path| path.extension().is_some_and(|x| x == "html")).chain(inside).collect()
}

/// The links of a page to other parts of the book.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let own = parts.filter(|link| !link.contains("://") && !link.starts_with("mailto:"));
    own.filter_map(|link| link.split('#').next()).filter(|link| !link.is_empty())
}

#[test]
fn the_book_is_built_and_its_links_hold() {
    let built = tempfile::tempdir().unwrap();
    let mut book = MDBook::load(super::root().join("docs")).unwrap();
    book.config.build.build_dir = built.path().to_owned();
    book.build().unwrap();
    let pages = html(built.path());
    assert!(pages.len() > 45, "{} pages", pages.len());
    let mut tried = 0;
    for page in &pages {
        // The address of a page that is not found is unknown, so its links cannot be checked.
        if page.ends_with("404.html") {
            continue;
        }
        let text = std::fs::read_to_string(page).unwrap();
        for link in links(&text) {
            let to = page.parent().unwrap().join(link);
            assert!(to.exists(), "{} leads to {link}", page.display());
            tried += 1;
        }
    }
    assert!(tried > 800, "{tried} links");
}

/// One sheet of paper: whoever is called at night reads no second page.
#[test]
fn the_card_has_room_on_a_page() {
    let text = std::fs::read_to_string(super::root().join("docs/src/card.md")).unwrap();
    // 80 characters fit into a printed line.
    let lines: usize = text.lines().map(|line| line.len().div_ceil(80).max(1)).sum();
    assert!(lines <= 88 && text.split_whitespace().count() <= 450, "{lines} lines");
    assert_eq!(text.lines().filter(|line| line.starts_with("## ")).count(), 6);
}
