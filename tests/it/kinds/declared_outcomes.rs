//! Commands in rehearsals, which do not run them: a plan may declare the outcome of each.

use drctl::kinds::shared::command::Declared;
use drctl::model::time::Dur;
use drctl::plan::{Settings, check};

use crate::support::rig::plan;
use crate::support::shop::shop;

const WWW: &str = r#"  www:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    records:
      - {name: www.shop.example, type: A, ttl: 60s, at: {west: [192.0.2.1], east: [198.51.100.1]}}
"#;

/// A plan with one hook, whose step has these keys beside its command, and whose last line declares its outcome.
fn hooked(keys: &str, outcome: &str) -> String {
    format!(
        "{}hooks:\n  - at: after.promote\n    name: files\n    change: none\n    step:\n      command: [restore-files]\n{keys}      rehearsal: {outcome}\n",
        shop(WWW)
    )
}

#[test]
fn an_outcome_has_a_duration_a_code_and_an_output() {
    let declared = |outcome: &str| {
        let plan = plan(&hooked("", outcome));
        plan.hooks[0].command.rehearsal.clone().unwrap()
    };
    let of = |takes_ms, exit, output: &str| Declared { takes_ms, exit, output: output.to_owned() };
    assert_eq!(declared("{takes: 0s}"), of(Dur::ZERO, 0, ""));
    assert_eq!(declared("{takes: 1m30s, exit: 255, output: disk full}"), of(Dur::secs(90), 255, "disk full"));
    let longest = "x".repeat(2_000);
    assert_eq!(declared(&format!("{{takes: 40s, output: {longest}}}")).output, longest);
}

#[test]
fn an_outcome_that_cannot_be_is_refused_with_its_line() {
    let long = format!("{{takes: 40s, output: {}}}", "x".repeat(2_001));
    for (outcome, id, said, fix) in [
        ("{takes: 40}", "plan-wrong-unit", "`takes` needs a value with a unit", "40s for seconds"),
        ("{takes: soon}", "plan-wrong-unit", "`takes` is not a duration", "60s"),
        (
            "{takes: 40s, exit: 256}",
            "plan-out-of-range",
            "`exit` is 256, but must be from 0 to 255",
            "0 to 255",
        ),
        ("{takes: 40s, exit: -1}", "plan-out-of-range", "`exit` is -1", "0 to 255"),
        ("{takes: 40s, exit: failed}", "plan-wrong-type", "`exit` is text", "write "),
        (
            "{takes: 40s, output: \"\"}",
            "plan-bad-value",
            "is not the output of a command",
            "restored 120 files",
        ),
        (
            long.as_str(),
            "plan-bad-value",
            "`output` has 2001 characters, but the output of a command has at most 2000",
            "restored 120 files",
        ),
        ("{takes: 40s, output: \"a\\nb\"}", "plan-invisible-character", "`output` contains", "on one line"),
        ("{takes: 40s, code: 1}", "plan-unknown-key", "rehearsal has no key `code`", "takes, exit, output"),
        ("{take: 40s}", "plan-unknown-key", "did you mean `takes`?", "takes"),
        ("{exit: 1}", "plan-missing-key", "rehearsal has no `takes`", "add `takes:`"),
        ("40s", "plan-wrong-type", "`rehearsal` is text, but must be a mapping", "{takes: ..}"),
    ] {
        let text = hooked("", outcome);
        let found = check("plans/shop.yaml", text.as_bytes(), &Settings::default()).findings;
        let is = |f: &&drctl::model::finding::Finding| f.id == id && f.message.contains(said);
        let finding = found.iter().find(is).unwrap_or_else(|| panic!("{outcome}: {found:#?}"));
        let line = finding.span.map(|span| span.line);
        assert_eq!(
            (finding.file.as_str(), line),
            ("plans/shop.yaml", Some(text.lines().count())),
            "{outcome}"
        );
        assert!(finding.fix.contains(fix), "{outcome}: {finding:?}");
    }
    // The commands of clients have the same key.
    let app = "  app:\n    kind: clients\n    of: db\n    at:\n      west: {switch: {command: [lead], rehearsal: {takes: 1}}}\n      east: {restart: [{command: [again], rehearsal: {takes: 2s, exit: 300}}]}\n";
    let text = shop(&format!("{app}{WWW}"));
    let found = check("plans/shop.yaml", text.as_bytes(), &Settings::default()).findings;
    let at = |part: &str| text.lines().position(|line| line.contains(part)).map(|n| n + 1);
    let is =
        |id: &str, part: &str| found.iter().any(|f| f.id == id && f.span.map(|span| span.line) == at(part));
    assert!(is("plan-wrong-unit", "takes: 1}") && is("plan-out-of-range", "exit: 300"), "{found:#?}");
}
