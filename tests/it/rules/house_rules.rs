//! Enforces the rules in CONTRIBUTING.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned as _;
use syn::visit::Visit;

/// Modules from the lowest layer up. A module uses itself and lower ones; only `cli` and `server` use each other.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["kinds"],
    &["record"],
    &["plan"],
    &["inventory"],
    &["policy"],
    &["planner"],
    &["run"],
    &["report"],
    &["files"],
    &["world"],
    &["journal"],
    &["probe"],
    &["adapters"],
    &["notify"],
    &["executor"],
    &["app"],
    &["cli", "server"],
];

/// Modules of the pure core: no files, threads or waiting.
const PURE: &[&str] =
    &["model", "kinds", "record", "plan", "inventory", "planner", "run", "policy", "report"];

pub fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|x| x == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&module))
}

/// Every `crate::x` in the code of a file.
struct Uses(BTreeSet<String>);

impl<'a> Visit<'a> for Uses {
    fn visit_path(&mut self, path: &'a syn::Path) {
        let mut segments = path.segments.iter();
        if segments.next().is_some_and(|s| s.ident == "crate") {
            self.0.extend(segments.next().map(|s| s.ident.to_string()));
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_use_path(&mut self, path: &'a syn::UsePath) {
        if path.ident == "crate" {
            collect(&path.tree, &mut self.0);
        }
        syn::visit::visit_use_path(self, path);
    }
}

fn collect(tree: &syn::UseTree, names: &mut BTreeSet<String>) {
    match tree {
        syn::UseTree::Path(p) => {
            names.insert(p.ident.to_string());
        }
        syn::UseTree::Name(n) => {
            names.insert(n.ident.to_string());
        }
        syn::UseTree::Group(g) => g.items.iter().for_each(|t| collect(t, names)),
        _ => {}
    }
}

#[test]
fn modules_use_only_lower_layers() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        let module = module_of(&file);
        if module == "lib" || module == "main" {
            continue;
        }
        let own =
            layer(&module).unwrap_or_else(|| panic!("{module} has no layer: say where it belongs in LAYERS"));
        let mut uses = Uses(BTreeSet::new());
        uses.visit_file(&syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap());
        for used in uses.0 {
            if layer(&used).is_some_and(|l| l > own) {
                wrong.push(format!("{}: {module} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The modules with kinds, such as `kinds::aws`. What several kinds use is beside them.
fn modules_of_kinds() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kinds");
    let folders =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.is_dir());
    let names = folders.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let own = names.filter(|name| !["shared", "world"].contains(&name.as_str()));
    let found: Vec<_> = own.map(|name| format!("kinds::{name}")).collect();
    assert!(found.len() > 3, "{found:?}");
    found
}

/// A check of plans that names a kind is one that the next kind would not have.
#[test]
fn what_is_wrong_with_one_kind_is_found_by_the_kind() {
    let mut kinds = modules_of_kinds();
    kinds.extend(["kinds::shared", " Role::", "(Role::"].map(str::to_owned));
    let mut files = sources("src/plan/lint");
    files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/lint.rs"));
    // What is wrong with the settings for SQL depends on who has a login.
    for file in files.into_iter().filter(|file| !file.ends_with("lint/settings.rs")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let found: Vec<_> = kinds.iter().filter(|kind| text.contains(kind.as_str())).collect();
        assert!(found.is_empty(), "{} uses {found:?}; see `Kind::lint`", file.display());
    }
}

/// Planner, runs and reports ask roles, operations and who runs a database. The sandbox asks the simulation of each component. What is true
/// of one product stands in its folder.
#[test]
fn planner_runs_reports_and_sandbox_name_no_product() {
    const PRODUCTS: &[&str] = &[
        "Engine::",
        "Spec::",
        "AWS",
        "Aurora",
        "Autoscaling",
        "Aws",
        "CloudWatch",
        "Ecs",
        "Postgres",
        "RDS",
        "Rds",
        "Route 53",
        "Route53",
        "S3",
        "STS",
        "Secrets Manager",
        "\"rds\"",
        "aurora",
        "aws ",
        "aws.",
        "cloudwatch",
        "postgres",
        "route53",
        "s3:",
        "secretsmanager",
    ];
    // These still do. The list may only become shorter. Of a trace: the name that OpenTelemetry gives to the attribute.
    const LEFT: &[&str] = &["src/report/trace.rs"];
    // `RDS` in `WORDS` is no product.
    let names = |line: &str, product: &str| {
        let within = |at: usize| line[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        line.match_indices(product).any(|(at, _)| !within(at))
    };
    let kinds = modules_of_kinds();
    let products: Vec<&str> = kinds.iter().map(String::as_str).chain(PRODUCTS.iter().copied()).collect();
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in ["src/planner", "src/run", "src/report", "src/adapters/sandbox"].into_iter().flat_map(sources)
    {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code = code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        let path = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_string_lossy().into_owned();
        for (i, line) in code {
            for product in products.iter().filter(|product| names(line, product)) {
                wrong.push(format!("{path}:{}: {product}", i + 1));
                found.insert(path.clone());
            }
        }
    }
    let left: BTreeSet<String> = LEFT.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(
        found,
        left,
        "ask a role or a property instead, or take a file from the list: {}",
        wrong.join("\n")
    );
}

/// Simulated kinds meet in the world, and what they do alike is shared. One that names another would change with it.
#[test]
fn no_simulation_names_the_folder_of_another_kind() {
    let kinds = modules_of_kinds();
    let mut tried = 0;
    let is_sim = |file: &Path| {
        let inside = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kinds")).unwrap();
        let own = inside.components().any(|part| part.as_os_str() == "sim" || part.as_os_str() == "sim.rs");
        own || inside.starts_with("world") || inside.ends_with("simulated.rs")
    };
    for file in sources("src/kinds").into_iter().filter(|file| is_sim(file)) {
        let text = std::fs::read_to_string(&file).unwrap();
        let found: Vec<_> = kinds.iter().filter(|kind| text.contains(kind.as_str())).collect();
        assert!(found.is_empty(), "{} names {found:?}; simulated kinds meet in kinds/world", file.display());
        tried += 1;
    }
    assert!(tried > 15, "{tried}");
}

/// A list of some roles would silently leave out the next one. The compiler names a `match` without a wildcard.
#[test]
fn no_list_of_roles_leaves_out_the_next_one() {
    let is_role = |line: &str, at: usize| !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let roles = |line: &str| line.match_indices("Role::").filter(|(at, _)| is_role(line, *at)).count();
    assert_eq!(roles("matches!(c.role(), Role::Copy(_) | Role::Declared | ProbeRole::Site)"), 2);
    let mut wrong = Vec::new();
    for file in sources("src") {
        let text = std::fs::read_to_string(&file).unwrap();
        let lists =
            text.lines().enumerate().filter(|(_, line)| line.contains("matches!(") && roles(line) > 1);
        wrong.extend(lists.map(|(i, _)| format!("{}:{}", file.display(), i + 1)));
    }
    assert!(wrong.is_empty(), "match on the role instead, see `Role::is_changed`: {}", wrong.join("\n"));
}

/// A wildcard or a comparison would decide for the next target, state or operation as well, and nobody would notice.
#[test]
fn no_decision_about_a_target_state_or_operation_has_a_default() {
    const DEFAULTS: &[&str] = &["matches!(", " _ =>", "other =>", "if let ", "let Self::", " == ", " != "];
    let defaults =
        |line: &str| !line.trim_start().starts_with("//") && DEFAULTS.iter().any(|d| line.contains(d));
    assert!(defaults("        self.provider() == ProviderName::Postgres"));
    assert!(defaults("            _ => false,"));
    assert!(!defaults("            Self::Group(_) => (P::Aws, \"autoscaling\"),"));
    let mut wrong = Vec::new();
    for name in ["effects", "found", "kind", "operation", "state", "target", "targeted"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/kinds/{name}.rs"));
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| defaults(line));
        wrong.extend(lines.map(|(i, line)| format!("{}:{}: {}", file.display(), i + 1, line.trim())));
    }
    assert!(
        wrong.is_empty(),
        "match on every variant, so that the next one is decided: {}",
        wrong.join("\n")
    );
}

#[test]
fn the_pure_core_touches_nothing() {
    const FORBIDDEN: &[&str] = &[
        "std::fs",
        "std::net",
        "std::thread",
        "std::process",
        "std::io",
        "tokio",
        "rusqlite",
        "async fn",
        ".await",
    ];
    let mut wrong = Vec::new();
    for file in sources("src").into_iter().filter(|f| PURE.contains(&module_of(f).as_str())) {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
        for (i, line) in code.enumerate() {
            for word in FORBIDDEN.iter().filter(|w| line.contains(**w)) {
                wrong.push(format!("{}:{}: {word}", file.display(), i + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The oracle judges by its own reading of plan and estate. `planner::Refusal` is an answer of the product, and decides nothing.
#[test]
fn the_oracle_shares_no_decision_with_the_product() {
    const FORBIDDEN: &[&str] =
        &["planner", "plan::graph", "inventory::active", "answered_by", "sets_when_active"];
    let mut wrong = Vec::new();
    for file in sources("tests/it/support/oracle") {
        let text = std::fs::read_to_string(&file).unwrap();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let line = line.replace("planner::Refusal", "");
            for word in FORBIDDEN.iter().filter(|w| line.contains(**w)) {
                wrong.push(format!("{}:{}: {word}", file.display(), i + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lengths of functions, with their names.
#[derive(Default)]
struct Lengths(Vec<(String, usize)>);

impl Lengths {
    fn note(&mut self, name: String, span: proc_macro2::Span) {
        self.0.push((name, span.end().line - span.start().line + 1));
    }
}

impl<'a> Visit<'a> for Lengths {
    fn visit_item_fn(&mut self, f: &'a syn::ItemFn) {
        self.note(f.sig.ident.to_string(), f.block.span());
        syn::visit::visit_item_fn(self, f);
    }

    fn visit_impl_item_fn(&mut self, f: &'a syn::ImplItemFn) {
        self.note(f.sig.ident.to_string(), f.block.span());
        syn::visit::visit_impl_item_fn(self, f);
    }
}

#[test]
fn functions_fit_a_screen_and_files_a_reader() {
    let mut wrong = Vec::new();
    for file in [sources("src"), sources("tests")].concat() {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if lines > 600 {
            wrong.push(format!("{} has {lines} lines; at most 600", file.display()));
        }
        let mut lengths = Lengths::default();
        lengths.visit_file(&syn::parse_file(&text).unwrap());
        for (name, length) in lengths.0.into_iter().filter(|(_, l)| *l > 70) {
            wrong.push(format!("{}: fn {name} has {length} lines; at most 70", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_printer_writes_to_the_terminal() {
    let writes = ["println!", "print!(", "eprintln!", "std::io::stdout", "std::io::stderr"];
    for file in sources("src").into_iter().filter(|f| !f.ends_with("cli/printer.rs")) {
        let text = std::fs::read_to_string(&file).unwrap();
        // The width of the terminal is that of stderr.
        let width = |write: &&str| file.ends_with("cli/terminal.rs") && *write == "std::io::stderr";
        let found: Vec<_> = writes.iter().filter(|w| text.contains(**w) && !width(w)).collect();
        assert!(
            found.is_empty(),
            "{} uses {found:?}; results and notes go through cli/printer.rs",
            file.display()
        );
    }
}

#[test]
fn dependencies_are_those_that_were_allowed() {
    const BANNED: &[&str] = &[
        "backoff",
        "serde_yaml",
        "serde_yml",
        "libyml",
        "native-tls",
        "openssl-sys",
        "ring",
        "rustls-pemfile",
        "proc-macro-error2",
        "instant",
        "paste",
        "chrono-tz",
        "yaml-rust2",
    ];
    const LICENCES: &[&str] = &[
        "MIT",
        "Apache-2.0",
        "Unlicense",
        "BSD-3-Clause",
        "BSD-2-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "CC0-1.0",
        "BSL-1.0",
        "0BSD",
        "MIT-0",
        "MPL-2.0",
        "CDLA-Permissive-2.0",
        "BlueOak-1.0.0",
    ];
    // The dependencies of a build with the resolved features, for every platform.
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal,build", "--target", "all", "--prefix", "none"])
        .args(["--format", "{p}|{l}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let shipped: BTreeSet<_> = tree.lines().filter(|l| l.contains('|')).collect();
    assert!(shipped.len() > 50, "{tree}");
    for line in shipped {
        let (package, licence) = line.split_once('|').unwrap();
        let name = package.split(' ').next().unwrap();
        assert!(!BANNED.contains(&name), "{name} is banned");
        let licence = licence.trim_end_matches(" (*)").replace('/', " OR ");
        // For `A OR B` one must be allowed, for `A AND B` both.
        let allowed = licence.split(" OR ").any(|alternative| {
            alternative.split(" AND ").all(|l| {
                LICENCES.contains(
                    &l.trim_matches(|c| c == '(' || c == ')' || c == ' ').split(" WITH ").next().unwrap(),
                )
            })
        });
        assert!(allowed, "{package} has licence `{licence}`");
    }
}

/// A planted bug that no longer applies tests nothing, and would be noticed only in the next nightly run.
#[test]
fn planted_bugs_apply_to_the_code() {
    let mut tried = 0;
    for file in std::fs::read_dir("tests/planted").unwrap() {
        let path = file.unwrap().path();
        let applied =
            std::process::Command::new("git").args(["apply", "--check"]).arg(&path).output().unwrap();
        assert!(applied.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&applied.stderr));
        tried += 1;
    }
    assert!(tried > 10);
}

/// Calls of a service without a line would be limited by nothing that AWS publishes, and a bucket without an expected owner may be a
/// stranger's.
#[test]
fn every_call_of_aws_is_of_a_listed_service_and_every_bucket_of_a_known_owner() {
    let listed = |name: &str| drctl::kinds::aws::services::SERVICES.iter().any(|of| of.name == name);
    let mut calls = 0;
    for path in sources("src/adapters/aws") {
        let text = std::fs::read_to_string(&path).unwrap();
        for call in ["self.once(", "self.look(", "self.pages(", "const SERVICE: &str = "] {
            for (at, _) in text.match_indices(call) {
                let Some(rest) = text[at + call.len()..].trim_start().strip_prefix('"') else { continue };
                let name = rest.split('"').next().unwrap();
                assert!(listed(name), "{}: {name} has no line in kinds/aws/services.rs", path.display());
                calls += 1;
            }
        }
        let count = |what: &str| text.matches(what).count();
        let buckets = count(".bucket(bucket") + count(".bucket(&bucket") + count(".bucket(&of.bucket");
        assert_eq!(count("set_expected_bucket_owner("), buckets, "{}", path.display());
    }
    assert!(calls > 40, "{calls}");
}

/// A client without a line would have no limit, and a line without a client is of a service that is no longer called.
#[test]
fn clients_and_listed_services_of_aws_are_the_same() {
    let text = std::fs::read_to_string("src/adapters/aws/clients.rs").unwrap();
    let named = |line: &str| Some(line.split('"').nth(1)?.trim_start_matches("sign of ").to_owned());
    let made = text.lines().filter(|l| l.contains("client!(") || l.contains("self.client(\""));
    let mut clients: BTreeSet<String> = made.filter_map(named).collect();
    // It has a client for each endpoint.
    assert!(text.contains("aws_sdk_route53recoverycluster::Client"));
    clients.insert("route53-recovery-cluster".to_owned());
    let listed = drctl::kinds::aws::services::SERVICES.iter().map(|of| of.name.to_owned()).collect();
    assert_eq!(clients, listed);
}

/// A stage of a plan or a run checks that this build includes its providers. Only `serve` has one without a plan: it looks at what earlier
/// runs left.
#[test]
fn every_live_verb_asks_whether_its_providers_are_built() {
    let with = |call: &str| -> BTreeSet<String> {
        let has = |path: &PathBuf| std::fs::read_to_string(path).unwrap().contains(call);
        let names = [sources("src/app"), sources("src/cli")].concat().into_iter().filter(has);
        names.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(with("Live::new("), BTreeSet::from(["stage.rs".to_owned()]));
    assert_eq!(with("Stage::live("), BTreeSet::from(["watch.rs".to_owned()]));
    let stage = std::fs::read_to_string("src/app/stage.rs").unwrap();
    let (made, asked) = (stage.matches("Self::live(").count(), stage.matches("adapters::BUILT)?;").count());
    assert_eq!((made, asked), (2, 2));
}

/// What the application does is independent of how people type it and see it.
#[test]
fn the_application_knows_no_command_line() {
    const FORBIDDEN: &[&str] =
        &["cli::", "crate::server", "clap", "rpassword", "IsTerminal", "indicatif", "miette"];
    for file in sources("src/app") {
        let text = std::fs::read_to_string(&file).unwrap();
        let found: Vec<_> = FORBIDDEN.iter().filter(|word| text.contains(**word)).collect();
        assert!(
            found.is_empty(),
            "{} uses {found:?}; it takes values and reports through `Presenter`",
            file.display()
        );
    }
}
