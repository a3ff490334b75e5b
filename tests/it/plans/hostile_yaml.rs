//! Hostile files are refused in bounded time and memory, and the reader never panics.

use drctl::kinds::world::chance::roll;
use drctl::model::finding::Severity;
use drctl::plan::{Settings, check};

fn refused(bytes: &[u8]) -> String {
    let checked = check("hostile.yaml", bytes, &Settings::default());
    assert!(checked.plan.is_none());
    let errors: Vec<_> = checked.findings.iter().filter(|f| f.severity == Severity::Error).collect();
    errors.first().map(|f| f.id.to_owned()).unwrap_or_default()
}

#[test]
fn a_bomb_of_aliases() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..10 {
        let refs = vec![format!("*a{}", i - 1); 10].join(", ");
        text += &format!("a{i}: &a{i} [{refs}]\n");
    }
    assert_eq!(refused(text.as_bytes()), "yaml-limits");
}

#[test]
fn deep_nesting() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let text = format!("plan: {}x{}", open.repeat(100_000), close.repeat(100_000));
        assert!(["yaml-limits", "yaml-syntax"].contains(&refused(text.as_bytes()).as_str()));
    }
}

#[test]
fn a_hundred_megabytes() {
    assert_eq!(refused(&vec![b'a'; 100 * 1024 * 1024]), "yaml-too-large");
}

#[test]
fn not_utf8_duplicate_keys_and_second_documents() {
    assert_eq!(refused(b"plan: \xff\xfe\n"), "yaml-not-utf8");
    assert_eq!(refused(b"plan: a\nplan: b\n"), "yaml-duplicate-key");
    assert_eq!(refused(b"plan: a\n---\nplan: b\n"), "yaml-syntax");
    assert!(!refused(b"").is_empty());
    assert!(!refused(b"- a\n- b\n").is_empty());
    assert!(!refused(b"plan: !!python/object:os.system {a: b}\n").is_empty());
}

/// Word processors write no-break spaces. A name with one looks like another name; text for people is only read.
#[test]
fn a_no_break_space_is_refused_in_names_and_not_in_text_for_people() {
    let text = include_str!("../../../plans/truststream.yaml");
    let errors = |text: &str| {
        let found = check("test.yaml", text.as_bytes(), &Settings::default()).findings;
        let errors = found.into_iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| finding.id).collect::<Vec<_>>()
    };
    let owner = |owner: &str| text.replace("owner: platform", &format!("owner: \"{owner}\""));
    let more = |more: &str| text.replace("watch: {for: 2h}", &format!("watch: {{for: 2h}}\n{more}"));
    for good in [
        owner("the\u{a0}platform team"),
        owner("platform\u{a0}"),
        owner("l\u{2019}\u{e9}quipe\u{202f}: plate-forme"),
        more("gates: {go: {at: promote, approval: \"Go on\u{a0}?\"}}"),
        text.replace("  nodes:\n", "  old: {kind: external, describe: \"the\u{a0}mainframe\"}\n  nodes:\n"),
    ] {
        assert_ne!(good, text);
        assert_eq!(errors(&good), Vec::<&str>::new(), "{good}");
    }
    let unseen = vec!["plan-invisible-character"];
    assert_eq!(errors(&owner("the\u{200b}platform team")), unseen);
    assert_eq!(errors(&text.replace("id: truststream-db", "id: \"truststream\u{a0}db\"")), unseen);
    assert_eq!(errors(&owner("\u{a0}")), vec!["plan-wrong-type"]);
    let policy = "policy: {freeze: {why: \"the end of\u{a0}the year\"}}\n";
    let (_, found) = Settings::read(Some(("drctl.yaml", policy.as_bytes())), Default::default(), &[]);
    assert!(found.iter().all(|finding| finding.id != "plan-invisible-character"), "{found:#?}");
}

/// The parser speaks of tokens and scalars: a person reads which line is wrong, why, and what to write.
#[test]
fn the_usual_mistakes_are_named_with_their_line() {
    for (text, message, fix) in [
        (
            "plan: a\ncomponents:\n  db\n    kind: aws.rds\n",
            "line 3 has no colon after its key",
            "write a colon at the end of the key in line 3",
        ),
        (
            "plan: a\n owner: b\n",
            "line 2 is indented deeper than line 1, which has a value already",
            "indent line 2 like the other keys of its mapping",
        ),
        (
            "plan: a\n\towner: b\n",
            "line 2 is indented with a tab, and YAML allows only spaces there",
            "replace the tab in line 2 with spaces",
        ),
        (
            "plan: a\nowner: team: b\n",
            "line 2 has a second colon, and YAML takes it for another key",
            "put the value in line 2 in quotes",
        ),
    ] {
        let checked = check("p.yaml", text.as_bytes(), &Settings::default());
        let found = &checked.findings[0];
        if message.contains("with a tab") {
            assert_eq!(found.span.map(|span| (span.line, span.column)), Some((2, 1)), "{found:?}");
        }
        assert_eq!((found.id, &*found.message, &*found.fix), ("yaml-syntax", message, fix), "{text}");
    }
}

/// Mutations of a real plan always lead to an answer. A failing case prints its seed.
#[test]
fn mutated_plans_never_panic() {
    let plan = include_bytes!("../../../plans/truststream.yaml");
    for seed in 0..3_000_u64 {
        let mut bytes = plan.to_vec();
        for n in 0..=roll(seed, &["n"], 6) {
            let at = usize::try_from(roll(seed, &["at", &n.to_string()], bytes.len() as u64)).unwrap();
            let byte = u8::try_from(roll(seed, &["byte", &n.to_string()], 256)).unwrap();
            match roll(seed, &["kind", &n.to_string()], 4) {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes[at] = b"{}[]:,&*#|>-\n\t\"'% "[usize::from(byte) % 18],
            }
        }
        let result = std::panic::catch_unwind(|| check("mutated.yaml", &bytes, &Settings::default()));
        let checked = result.unwrap_or_else(|_| panic!("seed {seed} made the reader panic"));
        assert!(
            checked.plan.is_some() || !checked.findings.is_empty(),
            "seed {seed}: refused without a reason"
        );
        for f in &checked.findings {
            assert!(
                f.span.is_none_or(|s| s.offset <= bytes.len()),
                "seed {seed}: {f:?} points outside the file"
            );
        }
    }
}
