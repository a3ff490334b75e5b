//! A name says what a thing is: public types have names of their own, and no function is called by a preposition.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use crate::rules::file_circles::is_for_tests;
use crate::rules::house_rules::sources;

/// Names that several public types still have. Their imports do not say which of them is meant, so the list may only become shorter.
const SHARED: &[&str] = &[
    "Accepted",
    "Adoption",
    "Anchor",
    "Answer",
    "Basis",
    "Begins",
    "Board",
    "Bounded",
    "Call",
    "Change",
    "Check",
    "Checked",
    "Clients",
    "Closed",
    "Command",
    "Component",
    "Contents",
    "Database",
    "Debt",
    "Decided",
    "Decision",
    "Due",
    "Ended",
    "Entry",
    "Estate",
    "Failure",
    "Fate",
    "Fault",
    "Fence",
    "Field",
    "Finding",
    "Gap",
    "Group",
    "Head",
    "InDoubt",
    "Job",
    "Jobs",
    "Kind",
    "Late",
    "Names",
    "Need",
    "Needs",
    "Next",
    "Opened",
    "Operator",
    "Overridden",
    "Override",
    "Policy",
    "Postgres",
    "Progress",
    "Proof",
    "Question",
    "Reads",
    "Record",
    "Refused",
    "Replayed",
    "Request",
    "Rule",
    "Said",
    "Sample",
    "Scope",
    "Severity",
    "Sign",
    "Signed",
    "Site",
    "Source",
    "Standing",
    "Status",
    "Stop",
    "Store",
    "Taken",
    "Tally",
    "Tone",
    "Trust",
    "Turn",
    "Undo",
    "Verdict",
    "Wanted",
    "Why",
    "Writer",
    "Written",
];

/// The public types of a file, and its functions.
#[derive(Default)]
struct Named {
    types: Vec<String>,
    functions: Vec<String>,
}

impl<'a> Visit<'a> for Named {
    fn visit_item(&mut self, item: &'a syn::Item) {
        if is_for_tests(item) {
            return;
        }
        let named = match item {
            syn::Item::Enum(item) => Some((&item.vis, &item.ident)),
            syn::Item::Struct(item) => Some((&item.vis, &item.ident)),
            syn::Item::Trait(item) => Some((&item.vis, &item.ident)),
            syn::Item::Type(item) => Some((&item.vis, &item.ident)),
            _ => None,
        };
        let public = named.filter(|(seen, _)| !matches!(seen, syn::Visibility::Inherited));
        self.types.extend(public.map(|(_, name)| name.to_string()));
        syn::visit::visit_item(self, item);
    }

    fn visit_signature(&mut self, function: &'a syn::Signature) {
        self.functions.push(function.ident.to_string());
        syn::visit::visit_signature(self, function);
    }
}

fn named(text: &str) -> Named {
    let mut named = Named::default();
    named.visit_file(&syn::parse_file(text).unwrap());
    named
}

/// The names that these files give to more than one public type.
fn shared<'t>(texts: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
    let mut counts = BTreeMap::<String, usize>::new();
    for name in texts.into_iter().flat_map(|text| named(text).types) {
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}

fn texts() -> Vec<String> {
    sources("src").iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn public_types_have_names_of_their_own() {
    let found = shared(texts().iter().map(String::as_str));
    let left: BTreeSet<String> = SHARED.iter().map(|name| (*name).to_owned()).collect();
    let new: Vec<_> = found.difference(&left).collect();
    assert!(new.is_empty(), "several public types are called {new:?}: give each the name of what it is");
    let gone: Vec<_> = left.difference(&found).collect();
    assert!(gone.is_empty(), "take from `SHARED`: {gone:?}");
}

/// `from_id`, `for_place`, `new`: see the Rust API guidelines, «Naming».
#[test]
fn no_function_is_called_of() {
    for file in sources("src") {
        let functions = named(&std::fs::read_to_string(&file).unwrap()).functions;
        assert!(!functions.iter().any(|name| name == "of"), "{}: say what `of` does", file.display());
    }
}

/// The rules see every way in which a name can be given.
#[test]
fn names_are_found_however_they_are_given() {
    let once = "pub struct Found;";
    for again in [
        "pub struct Found(u8);",
        "pub(super) enum Found { A }",
        "pub(in crate::kinds) trait Found {}",
        "pub type Found = u8;",
        "mod inner { pub struct Found; }",
    ] {
        assert_eq!(shared([once, again]), BTreeSet::from(["Found".to_owned()]), "{again}");
    }
    for other in [
        "struct Found;",
        "pub struct Other;",
        "#[cfg(test)] mod tests { pub struct Found; }",
        "pub fn found() {}",
    ] {
        assert_eq!(shared([once, other]), BTreeSet::new(), "{other}");
    }
    for text in [
        "fn of() {}",
        "impl A { pub async fn of(&self) {} }",
        "trait A { fn of(); }",
        "mod a { pub fn of() {} }",
    ] {
        assert_eq!(named(text).functions, ["of"], "{text}");
    }
}
