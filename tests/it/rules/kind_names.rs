//! The name of a kind of component occurs in its own folder, in the lists of kinds and in the docs. Elsewhere, the code would change with
//! that kind.

use std::collections::BTreeSet;
use std::path::Path;

use drctl::kinds::KINDS;

use crate::rules::house_rules::sources;

/// Kinds with an ordinary word for a name. Of these, only the module and the quoted name count.
const ORDINARY: &[&str] = &["clients", "external"];

/// Where else kinds are named: a file or a folder, the kinds, and why. An entry that is not needed fails, so the list becomes shorter.
const ALLOWED: &[(&str, &[&str], &str)] = &[
    (
        "src/kinds/list.rs",
        &["aurora", "autoscaling", "ecs", "external", "postgres", "rds", "route53", "s3"],
        "the list of kinds",
    ),
    ("src/kinds/operation.rs", &["aurora", "autoscaling", "ecs", "rds"], "the list of operations"),
    ("src/kinds/state.rs", &["autoscaling", "ecs"], "the list of states"),
    (
        "src/kinds/target.rs",
        &["autoscaling", "ecs", "postgres", "rds", "route53", "s3"],
        "the list of targets, each with its service",
    ),
    ("src/kinds/mod.rs", &["postgres"], "declares its module"),
    (
        "src/kinds/aws/mod.rs",
        &["aurora", "autoscaling", "ecs", "rds", "route53", "s3"],
        "declares their modules",
    ),
    (
        "src/kinds/aws/services.rs",
        &["autoscaling", "ecs", "rds", "route53", "s3"],
        "the list of services, each with its limit",
    ),
    ("src/kinds/aws/arn.rs", &["s3"], "guards are objects, too, and need permissions for them"),
    ("src/kinds/aws/quotas.rs", &["rds"], "the quotas for databases in an account are those of RDS"),
    ("src/kinds/aws/aurora/", &["rds"], "the API of Aurora is a part of the API of RDS"),
    (
        "src/kinds/aws/rds/",
        &["aurora", "postgres"],
        "the same CAs sign for Aurora; PostgreSQL is an engine of RDS",
    ),
    ("src/kinds/aws/ecs/", &["autoscaling"], "Application Auto Scaling scales tasks"),
    ("src/kinds/aws/route53/", &["s3"], "health checks can watch an object"),
    (
        "src/kinds/shared/database/",
        &["aurora", "postgres", "rds"],
        "the kinds of database, and who runs each",
    ),
    ("src/kinds/shared/fence/", &["aurora", "postgres", "rds"], "a fence has other calls for each database"),
    ("src/kinds/shared/promotion/", &["aurora", "postgres", "rds"], "a promotion has other calls for each"),
    ("src/kinds/shared/rejoin/", &["aurora", "postgres", "rds"], "a standby has other calls for each"),
    ("src/kinds/shared/restore/", &["rds"], "a managed copy has other calls"),
    ("src/kinds/shared/names/", &["route53", "s3"], "names move by what Route 53 and its health checks do"),
    (
        "src/adapters/aws/",
        &["aurora", "autoscaling", "ecs", "rds", "route53", "s3"],
        "the wire code of these products",
    ),
    (
        "src/adapters/postgres/",
        &["aurora", "postgres", "rds"],
        "the wire code of PostgreSQL, also of managed servers",
    ),
    ("src/adapters/mod.rs", &["postgres"], "declares the provider"),
    ("src/adapters/registry.rs", &["postgres", "s3"], "the list of providers"),
    ("src/adapters/sinks.rs", &["s3"], "a sink of evidence is a bucket"),
    ("src/app/uploads.rs", &["s3"], "a sink of evidence is a bucket"),
    ("src/cli/args/proving.rs", &["s3"], "help with the URL of a sink"),
    ("src/model/environment.rs", &["route53", "s3"], "the hosts of AWS that a setting may replace"),
    ("src/model/place.rs", &["s3"], "a guard is an object"),
    ("src/model/provider.rs", &["postgres"], "the list of providers"),
    (
        "src/plan/catalog.rs",
        &["aurora", "rds", "route53", "s3"],
        "the reference of findings is documentation",
    ),
    ("src/plan/retention.rs", &["s3"], "a sink of evidence is a bucket"),
    ("src/plan/shapes/settings.rs", &["rds", "s3"], "the reference of settings; a guard is an object"),
    ("src/record/calls.rs", &["s3"], "a guard is an object"),
];

/// The names of a kind.
struct KindName {
    /// In plans: `aws.ecs`.
    plan: &'static str,
    /// Of the product: `ecs`.
    word: String,
    /// Of its folder: `src/kinds/aws/ecs/`.
    folder: String,
}

impl KindName {
    fn is_in(&self, line: &str) -> bool {
        if ORDINARY.contains(&self.word.as_str()) {
            let module = format!("kinds::{}", self.plan.replace('.', "::"));
            return line.contains(&module) || line.contains(&format!("\"{}\"", self.plan));
        }
        let words = words(line);
        words.contains(&self.word) || words.windows(2).any(|pair| pair.concat() == self.word)
    }
}

/// The names of all kinds, from their list.
fn kinds() -> Vec<KindName> {
    let named = |plan: &'static str| {
        let path = plan.replace('.', "/");
        // `aws.aurora_global` is in `aws/aurora`.
        let path = path.split('_').next().unwrap();
        let (word, folder) = (path.rsplit('/').next().unwrap().to_owned(), format!("src/kinds/{path}/"));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder).join("plan.rs");
        assert!(file.is_file(), "kind {plan} has no {}", file.display());
        KindName { plan, word, folder }
    };
    KINDS.iter().map(|case| named(case.name)).collect()
}

/// The words of a line in lower case: `RdsOperator`, `rds_operator` and `Route 53` have two each. Other marks stand between words as `|`.
fn words(line: &str) -> Vec<String> {
    let letters: Vec<char> = line.chars().collect();
    let mut words = vec![String::new()];
    for (i, letter) in letters.iter().copied().enumerate() {
        let after_small = i > 0 && !letters[i - 1].is_ascii_uppercase();
        let before_small = letters.get(i + 1).is_some_and(char::is_ascii_lowercase);
        let begins = letter.is_ascii_uppercase() && (after_small || before_small);
        if begins || !letter.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        match letter {
            letter if letter.is_ascii_alphanumeric() => {
                words.last_mut().unwrap().push(letter.to_ascii_lowercase());
            }
            ' ' | '_' | '-' => {}
            _ => words.extend(["|".to_owned(), String::new()]),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The lines of code that name a kind. Comments may name kinds, because an example explains a rule; so may tests.
fn mentions<'k>(text: &str, kinds: &'k [KindName]) -> Vec<(usize, &'k KindName)> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let code = code.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with("//"));
    code.flat_map(|(line, number)| {
        kinds.iter().filter(move |kind| kind.is_in(line)).map(move |kind| (number, kind))
    })
    .collect()
}

#[test]
fn a_kind_is_named_only_in_its_folder_and_in_the_lists() {
    let (kinds, root) = (kinds(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let (mut wrong, mut needed) = (Vec::new(), BTreeSet::new());
    for file in sources("src") {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        let text = std::fs::read_to_string(&file).unwrap();
        for (line, kind) in mentions(&text, &kinds) {
            let word = kind.word.as_str();
            let may =
                |(place, words, _): &&(&str, &[&str], &str)| path.starts_with(place) && words.contains(&word);
            match ALLOWED.iter().find(may) {
                _ if path.starts_with(&kind.folder) => {}
                Some((place, ..)) => {
                    needed.insert((*place, word.to_owned()));
                }
                None => wrong.push(format!("{path}:{line} names {}", kind.plan)),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "ask the role, the operation or who runs it, and let the kind answer in its folder:\n{}",
        wrong.join("\n")
    );
    let listed = ALLOWED
        .iter()
        .flat_map(|(place, words, _)| words.iter().map(move |word| (*place, (*word).to_owned())));
    let listed: BTreeSet<_> = listed.collect();
    assert_eq!(needed, listed, "take from `ALLOWED` what is no longer needed");
}

/// The rule sees every way in which code can name a kind.
#[test]
fn a_kind_is_found_however_it_is_written() {
    let kinds = kinds();
    let found = |text: &str| {
        let all = mentions(text, &kinds);
        all.iter().map(|(line, kind)| format!("{line} {}", kind.plan)).collect::<Vec<_>>().join(", ")
    };
    for (text, expected) in [
        ("use crate::kinds::aws::ecs::service::ServiceRef;", "1 aws.ecs"),
        ("fn f() {\n    let rds_like = EcsOperator;\n}", "2 aws.rds, 2 aws.ecs"),
        ("\"Route 53 would refuse it\"", "1 aws.route53"),
        ("const ROUTE53_CHANGES: u32 = 1;", "1 aws.route53"),
        ("\"a group of Auto Scaling\"", "1 aws.autoscaling"),
        ("Some(\"aws.aurora_global\")", "1 aws.aurora_global"),
        ("url(\"s3://bucket/key\")", "1 aws.s3"),
        ("db.engine == Engine::Postgres", "1 postgres"),
        ("RDSInstance::default()", "1 aws.rds"),
        ("use crate::kinds::clients::plan;", "1 clients"),
        ("component.kind() == \"external\"", "1 external"),
        ("// a comment\nlet s3 = 1;", "2 aws.s3"),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
    for text in [
        "// RDS reports it late.",
        "    /// An RDS instance.",
        "const WORDS: u32 = 1;",
        "let records = f(s, 3);",
        "clients.iter().filter(|of| of.external)",
        "use crate::kinds::shared::clients::moved;",
        "\"PostgreSQL\"",
        "let code = 1;\n\n#[cfg(test)]\nmod tests {\n    use super::Rds;\n}",
    ] {
        assert_eq!(found(text), "", "{text}");
    }
}
