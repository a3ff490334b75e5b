//! Writes all mutants of a list into one copy of the code, each behind a switch, so that the code is built only once.
//!
//! `mutants LIST.json FROM TO DROPPED.json`: the list is cargo-mutants' own (`--list --json`). Mutant `n` is the n-th in it, from 1, and is
//! active where `crate::mutant(n)` is true. Dropped mutants are left out, and so are those that this cannot express. Standard output lists
//! what was inserted where and for which mutants, so that the caller can attribute build errors.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use proc_macro2::Span;
use serde_json::{Value, json};
use syn::spanned::Spanned as _;
use syn::visit::Visit;

/// A range: its first byte, and the first byte after it.
type Range = (usize, usize);

/// A file, with the byte offsets of its lines.
struct Source {
    text: String,
    lines: Vec<usize>,
}

impl Source {
    fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let after = text.match_indices('\n').map(|(i, _)| i + 1);
        let lines = std::iter::once(0).chain(after).collect();
        Self { text, lines }
    }

    /// Lines count from 1; columns, in characters, from 0.
    fn at(&self, line: usize, column: usize) -> usize {
        let start = self.lines[line - 1];
        self.text[start..].char_indices().nth(column).map_or(self.text.len(), |(i, _)| start + i)
    }

    fn range(&self, span: Span) -> Range {
        let (from, to) = (span.start(), span.end());
        (self.at(from.line, from.column), self.at(to.line, to.column))
    }
}

/// A change that some test should notice.
#[derive(Clone)]
struct Mutant {
    id: usize,
    genre: String,
    replacement: String,
    range: Range,
}

impl Mutant {
    fn on(&self) -> String {
        format!("crate::mutant({})", self.id)
    }
}

fn any(mutants: &[Mutant]) -> String {
    if mutants.is_empty() {
        return "false".to_owned();
    }
    mutants.iter().map(Mutant::on).collect::<Vec<_>>().join(" || ")
}

/// If two texts meet at the same position, their order follows from what they enclose.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// The end of a range: the one that began last ends first; of two that began together, the one found last.
    End(Reverse<usize>, Reverse<usize>),
    /// The beginning of a range: the one that ends last begins first; of two that end together, the one found first.
    Begin(Reverse<usize>, usize),
    /// A replacement.
    Instead,
}

/// A text to insert into the file.
struct Edit {
    replaces: Range,
    order: Order,
    text: String,
    ids: Vec<usize>,
}

struct Writer<'a> {
    source: &'a Source,
    left: Vec<Mutant>,
    edits: Vec<Edit>,
}

impl Writer<'_> {
    fn take(&mut self, genre: &str, is: impl Fn(Range) -> bool) -> Vec<Mutant> {
        let (taken, left) =
            std::mem::take(&mut self.left).into_iter().partition(|m| m.genre == genre && is(m.range));
        self.left = left;
        taken
    }

    fn wrap(&mut self, node: Range, (before, after): (String, String), ids: &[usize]) {
        let (ids, met) = (ids.to_vec(), self.edits.len());
        let begin = Order::Begin(Reverse(node.1), met);
        self.edits.push(Edit { replaces: (node.0, node.0), order: begin, text: before, ids: ids.clone() });
        let end = Order::End(Reverse(node.0), Reverse(met));
        self.edits.push(Edit { replaces: (node.1, node.1), order: end, text: after, ids });
    }

    fn put(&mut self, replaces: Range, text: String, ids: &[usize]) {
        self.edits.push(Edit { replaces, order: Order::Instead, text, ids: ids.to_vec() });
    }

    /// A function that checks a switch cannot be `const`.
    fn no_constant(&mut self, sig: &syn::Signature, block: &syn::Block) {
        let (Some(word), whole) = (sig.constness, self.source.range(block.span())) else { return };
        let inside = |m: &&Mutant| whole.0 <= m.range.0 && m.range.1 <= whole.1;
        let ids: Vec<usize> = self.left.iter().filter(inside).map(|m| m.id).collect();
        if !ids.is_empty() {
            let word = self.source.range(word.span());
            self.put(word, String::new(), &ids);
        }
    }

    /// Replaces the whole body of a function with a value.
    fn body(&mut self, block: &syn::Block) {
        let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) else { return };
        let inside = (self.source.range(first.span()).0, self.source.range(last.span()).1);
        let open = self.source.range(block.brace_token.span.open()).1;
        for mutant in self.take("FnValue", |range| range == inside) {
            let text = format!(" if {} {{ return {}; }} ", mutant.on(), mutant.replacement);
            self.put((open, open), text, &[mutant.id]);
        }
    }

    /// Both operands are written once, however many alternative operators there are.
    fn operator(&mut self, of: &syn::ExprBinary, node: Range, op: Range, found: &[Mutant]) {
        use syn::BinOp as B;
        let ids: Vec<usize> = found.iter().map(|m| m.id).collect();
        let text = self.source.text[op.0..op.1].to_owned();
        let each = |left: &str, right: &str| {
            let other = |m: &Mutant| format!("if {} {{ {left} {} {right} }} else ", m.on(), m.replacement);
            let others: String = found.iter().map(other).collect();
            format!("{others}{{ {left} {text} {right} }}")
        };
        match of.op {
            B::And(_) | B::Or(_) => {
                let not = if matches!(of.op, B::And(_)) { "" } else { "!" };
                self.wrap(node, ("({ let l__: bool = ".to_owned(), " } else { l__ } })".to_owned()), &ids);
                self.put(op, format!("; if {not}(l__ != ({})) {{ ", any(found)), &ids);
            }
            B::AddAssign(_) | B::SubAssign(_) | B::MulAssign(_) | B::DivAssign(_) | B::RemAssign(_) => {
                let side = |e: &syn::Expr| {
                    let range = self.source.range(e.span());
                    self.source.text[range.0..range.1].to_owned()
                };
                let (left, right) = (side(&of.left), side(&of.right));
                let other =
                    |m: &Mutant| format!("if {} {{ {left} {} {right}; }} else ", m.on(), m.replacement);
                let before: String = found.iter().map(other).collect();
                self.wrap(node, (format!("{{ {before}{{ "), "; } }".to_owned()), &ids);
            }
            B::Eq(_) | B::Ne(_) | B::Lt(_) | B::Le(_) | B::Gt(_) | B::Ge(_) => {
                let after = format!(")) {{ (l__, r__) => {} }})", each("*l__", "*r__"));
                self.wrap(node, ("(match (&(".to_owned(), after), &ids);
                self.put(op, "), &(".to_owned(), &ids);
            }
            _ => {
                let after = format!(")) {{ (l__, r__) => {} }})", each("l__", "r__"));
                self.wrap(node, ("(match ((".to_owned(), after), &ids);
                self.put(op, "), (".to_owned(), &ids);
            }
        }
    }
}

/// A chain with a `let` pattern is not a value.
fn has_let(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(b) if matches!(b.op, syn::BinOp::And(_)) => has_let(&b.left) || has_let(&b.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Writer<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.no_constant(&item.sig, &item.block);
        self.body(&item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.no_constant(&item.sig, &item.block);
        self.body(&item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        let op = self.source.range(expr.op.span());
        let node = (self.source.range(expr.left.span()).0, self.source.range(expr.right.span()).1);
        if !has_let(&expr.left) && !has_let(&expr.right) {
            let found = self.take("BinaryOperator", |range| range == op);
            if !found.is_empty() {
                self.operator(expr, node, op, &found);
            }
        }
        syn::visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast syn::ExprUnary) {
        let (node, op) = (self.source.range(expr.span()), self.source.range(expr.op.span()));
        if matches!(expr.op, syn::UnOp::Not(_)) {
            for mutant in self.take("UnaryOperator", |range| range == op) {
                let before = format!("(({}) != !", mutant.on());
                self.wrap(node, (before, "))".to_owned()), &[mutant.id]);
                self.put(op, "(".to_owned(), &[mutant.id]);
            }
        }
        syn::visit::visit_expr_unary(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let begins = self.source.range(arm.span()).0;
        if let syn::Pat::Guard(syn::PatGuard { guard, .. }) = &arm.pat {
            let node = self.source.range(guard.span());
            if has_let(guard) {
                return syn::visit::visit_arm(self, arm);
            }
            let gone = self.take("MatchArm", |range| range.0 == begins);
            let found = self.take("MatchArmGuard", |range| range == node);
            if !(found.is_empty() && gone.is_empty()) {
                let ids: Vec<usize> = found.iter().chain(&gone).map(|m| m.id).collect();
                let (yes, no): (Vec<_>, Vec<_>) = found.into_iter().partition(|m| m.replacement == "true");
                let before = format!("(!({}) && (({}) || (!({}) && (", any(&gone), any(&yes), any(&no));
                self.wrap(node, (before, "))))".to_owned()), &ids);
            }
        } else {
            let end = self.source.range(arm.pat.span()).1;
            let gone = self.take("MatchArm", |range| range.0 == begins);
            gone.iter().for_each(|m| self.put((end, end), format!(" if !{}", m.on()), &[m.id]));
        }
        syn::visit::visit_arm(self, arm);
    }
}

/// The file with all insertions, and their positions.
fn write(source: &Source, mut edits: Vec<Edit>) -> (String, Vec<Value>) {
    edits.sort_by(|a, b| (a.replaces.0, &a.order).cmp(&(b.replaces.0, &b.order)));
    let (mut out, mut from, mut pieces) = (String::new(), 0, Vec::new());
    for edit in edits {
        assert!(edit.replaces.0 >= from, "two mutants overlap");
        out += &source.text[from..edit.replaces.0];
        let begin = out.len();
        out += &edit.text;
        pieces.push(json!([begin, out.len(), edit.ids]));
        from = edit.replaces.1;
    }
    out += &source.text[from..];
    (out, pieces)
}

fn parsed(path: &str) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [list, from, to, dropped] = args.as_slice() else {
        panic!("usage: mutants LIST.json FROM TO DROPPED.json");
    };
    let dropped = parsed(dropped);
    let dropped: BTreeSet<usize> = dropped.as_array().into_iter().flatten().map(number).collect();
    let list = parsed(list);
    let mut files: BTreeMap<&str, Vec<(usize, &Value)>> = BTreeMap::new();
    for (id, mutant) in (1..).zip(list.as_array().into_iter().flatten()) {
        if !dropped.contains(&id) {
            files.entry(mutant["file"].as_str().unwrap_or_default()).or_default().push((id, mutant));
        }
    }
    let (mut pieces, mut left) = (serde_json::Map::new(), Vec::new());
    for (name, mutants) in files {
        let source = Source::read(&format!("{from}/{name}"));
        let place = |at: &Value| source.at(number(&at["line"]), number(&at["column"]) - 1);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mutant = |(id, of): &(usize, &Value)| Mutant {
            id: *id,
            genre: word(&of["genre"]),
            replacement: word(&of["replacement"]),
            range: (place(&of["span"]["start"]), place(&of["span"]["end"])),
        };
        let file = syn::parse_file(&source.text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut writer =
            Writer { source: &source, left: mutants.iter().map(mutant).collect(), edits: Vec::new() };
        writer.visit_file(&file);
        left.extend(writer.left.iter().map(|m| m.id));
        let (text, here) = write(&source, writer.edits);
        std::fs::write(format!("{to}/{name}"), text).unwrap_or_else(|e| panic!("{to}/{name}: {e}"));
        pieces.insert(name.to_owned(), here.into());
    }
    let said = json!({"pieces": pieces, "not_expressed": left});
    writeln!(std::io::stdout(), "{said}").unwrap_or_else(|e| panic!("{e}"));
}
