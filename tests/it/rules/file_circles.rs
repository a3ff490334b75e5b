//! No file imports a file that imports it, directly or by way of others: then each can be read, tested and changed without the other.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use crate::rules::house_rules::sources;

/// Files that are left out, each with the reason why a circle through it is inherent.
const OUTSIDE: &[(&str, &str)] = &[(
    "kinds/list.rs",
    "the closed list of all kinds; a kind may ask which other components the plan around it has",
)];

/// A module as the names from the root of the crate to it.
type Module = Vec<String>;

fn module_of(file: &str) -> Module {
    let inside = file.trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').map(str::to_owned).collect()
}

/// The files that the code of a file names.
struct Uses<'a> {
    files: &'a BTreeSet<Module>,
    /// The file's own module, and inside it the modules without a file.
    at: Module,
    found: BTreeSet<Module>,
}

impl Uses<'_> {
    /// The file that a path leads into: the longest part of it that is a file.
    fn note(&mut self, path: &[String]) {
        let Some(first) = path.first() else { return };
        let above = path.iter().take_while(|name| *name == "super").count();
        let mut full = match first.as_str() {
            "crate" => Module::new(),
            _ if above > 0 => self.at[..self.at.len().saturating_sub(above)].to_vec(),
            _ => self.at.clone(),
        };
        let child = [self.at.as_slice(), std::slice::from_ref(first)].concat();
        match first.as_str() {
            "crate" | "self" => full.extend_from_slice(&path[1..]),
            "super" => full.extend_from_slice(&path[above..]),
            _ if self.files.contains(&child) => full.extend_from_slice(path),
            _ => return,
        }
        while !full.is_empty() && !self.files.contains(&full) {
            full.pop();
        }
        self.found.insert(full);
    }

    fn tree(&mut self, before: &mut Module, tree: &syn::UseTree) {
        let name = match tree {
            syn::UseTree::Path(part) => {
                before.push(part.ident.to_string());
                self.tree(before, &part.tree);
                before.pop();
                return;
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.tree(before, tree));
                return;
            }
            syn::UseTree::Name(name) => Some(name.ident.to_string()),
            syn::UseTree::Rename(name) => Some(name.ident.to_string()),
            syn::UseTree::Glob(_) => None,
        };
        let path: Module = before.iter().cloned().chain(name.filter(|name| name != "self")).collect();
        self.note(&path);
    }

    /// Macros have no syntax tree, so every `a::b` in them counts.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Module::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.note_whole(&path);
                        path.clear();
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.note_whole(&path);
                    path.clear();
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.note_whole(&path);
    }

    /// A name alone leads nowhere.
    fn note_whole(&mut self, path: &[String]) {
        if path.len() > 1 {
            self.note(path);
        }
    }
}

/// Whether an item is there only for tests.
pub fn is_for_tests(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|of| {
        of.path().is_ident("cfg") && of.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'a> Visit<'a> for Uses<'_> {
    fn visit_item(&mut self, item: &'a syn::Item) {
        if !is_for_tests(item) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        self.at.push(module.ident.to_string());
        syn::visit::visit_item_mod(self, module);
        self.at.pop();
    }

    fn visit_item_use(&mut self, import: &'a syn::ItemUse) {
        self.tree(&mut Module::new(), &import.tree);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Module = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note_whole(&names);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.tokens(call.tokens.clone());
    }

    /// `pub(in path)` uses nothing.
    fn visit_vis_restricted(&mut self, _: &'a syn::VisRestricted) {}
}

/// Which files each file names.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// The graph of some files, each with its path inside `src` and its text.
fn graph<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Graph {
    let texts: Vec<_> = texts.into_iter().map(|(file, text)| (module_of(file), text)).collect();
    let files: BTreeSet<Module> = texts.iter().map(|(module, _)| module.clone()).collect();
    let uses = |(module, text): &(Module, &str)| {
        let mut uses = Uses { files: &files, at: module.clone(), found: BTreeSet::new() };
        uses.visit_file(&syn::parse_file(text).unwrap());
        uses.found.retain(|found| found != module && files.contains(found));
        (module.clone(), uses.found)
    };
    texts.iter().map(uses).collect()
}

/// The largest sets of files in which each file reaches every other one.
fn circles(graph: &Graph) -> Vec<BTreeSet<&Module>> {
    let modules: Vec<&Module> = graph.keys().collect();
    let place = |module: &Module| modules.binary_search(&module).unwrap();
    let uses: Vec<Vec<usize>> = graph.values().map(|used| used.iter().map(place).collect()).collect();
    let reached = |from: usize| {
        let (mut seen, mut next) = (vec![false; uses.len()], vec![from]);
        while let Some(at) = next.pop() {
            next.extend(uses[at].iter().filter(|used| !std::mem::replace(&mut seen[**used], true)));
        }
        seen
    };
    let reached: Vec<Vec<bool>> = (0..uses.len()).map(reached).collect();
    let both = |one: usize, other: usize| reached[one][other] && reached[other][one];
    let circle = |one| (0..uses.len()).filter(|other| both(one, *other)).collect();
    let all: BTreeSet<Vec<usize>> = (0..uses.len()).map(circle).collect();
    let named = |circle: Vec<usize>| circle.into_iter().map(|at| modules[at]).collect();
    all.into_iter().filter(|circle| !circle.is_empty()).map(named).collect()
}

fn words(circle: &BTreeSet<&Module>) -> String {
    circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" ")
}

#[test]
fn no_file_imports_a_file_that_imports_it() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: std::path::PathBuf| {
        let inside = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        (inside, std::fs::read_to_string(&path).unwrap())
    };
    let texts: BTreeMap<String, String> = sources("src").into_iter().map(read).collect();
    // `lib.rs` and `main.rs` are above all others.
    let inside = texts.iter().filter(|(file, _)| *file != "lib.rs" && *file != "main.rs");
    let mut graph = graph(inside.map(|(file, text)| (file.as_str(), text.as_str())));
    for (file, _) in OUTSIDE {
        assert!(graph.remove(&module_of(file)).is_some(), "{file} is not there");
        graph.values_mut().for_each(|used| used.retain(|used| *used != module_of(file)));
    }
    assert!(graph.len() > 300, "{}", graph.len());
    let found: Vec<String> = circles(&graph).iter().map(told(&graph)).collect();
    assert!(
        found.is_empty(),
        "circles of imports: move what both sides need into a file below them, or a function to the side that uses it\n{}",
        found.join("\n")
    );
}

/// The files of a circle, and who uses whom in it.
fn told(graph: &Graph) -> impl Fn(&BTreeSet<&Module>) -> String {
    |circle| {
        let uses = circle.iter().flat_map(|module| {
            let inside = graph[*module].iter().filter(|used| circle.contains(used));
            inside.map(|used| format!("  {} uses {}\n", module.join("::"), used.join("::")))
        });
        format!("{} files: {}\n{}", circle.len(), words(circle), uses.collect::<String>())
    }
}

/// The rule sees every way in which a file can name another one.
#[test]
fn circles_are_found_however_they_are_written() {
    let found = |a: &str, b: &str| {
        let graph = graph([("x/mod.rs", "mod a; mod b;"), ("x/a.rs", a), ("x/b.rs", b), ("y.rs", "")]);
        circles(&graph).iter().map(words).collect::<Vec<_>>().join(", ")
    };
    let b = "use super::a::A;";
    for a in [
        "use super::b::B;",
        "use crate::x::{b::{self, B}, y};",
        "pub use super::b::*;",
        "use super::b as other;",
        "fn f(_: crate::x::b::B) {}",
        "mod inner { fn f() { super::super::b::f(); } }",
        "fn f() { assert_eq!(1, crate::x::b::f()); }",
        "macro_rules! m { () => { $crate::x::b::f() } }",
    ] {
        assert_eq!(found(a, b), "x::a x::b", "{a}");
    }
    for a in [
        "use crate::y::b;",
        "#[cfg(test)] mod tests { use super::super::b::B; }",
        "#[cfg(test)] use super::b::B;",
        "pub(in crate::x) fn f() {}",
        "// super::b::B",
        "fn f() -> &'static str { \"super::b::B\" }",
    ] {
        assert_eq!(found(a, b), "", "{a}");
    }
    let parent = graph([("x.rs", "mod a; fn f() { a::f() }"), ("x/a.rs", "use super::f;")]);
    assert_eq!(circles(&parent).iter().map(words).collect::<Vec<_>>(), ["x x::a"]);
}
