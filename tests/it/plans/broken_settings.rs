//! Errors in drctl.yaml are all reported at once, each at its position, together with those of plans.

use std::collections::BTreeMap;

use drctl::plan::Settings;
use drctl::plan::settings::Written;

use crate::cli::contract::{Folder, json};

/// Nine errors, each found in a different way.
const BROKEN: &str = r#"tiers:
  standard: {rto: 15m, rpo: 5, dril_every: 90d}
  gold: {rto: 1h, rpo: 15m}
plan: plans
operators:
  alice: {key: "ssh-ed25519 nonsense", roles: [dba]}
  bob: {key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ9Ch2Ge0RHYMCDhqBH9hXJ2hbRVQKbDzDXvGCPAMLr", rolls: [dba]}
schedules:
  q: {plan: truststream, drill: isolated, at: "0 6 31 2 *", zone: Europe/Pragu}
policy:
  windows:
    - {opens: "0 2 * * SUN", for: 4h, zone: UTC}
    - {from: "2026-12-02T00:00:00Z", to: "2026-12-01T00:00:00Z"}
dns: {resolvers: [9.9.9.9, resolver.example]}
"#;

fn read(text: &str) -> (Settings, Vec<String>) {
    let (settings, findings) = Settings::read(Some(("drctl.yaml", text.as_bytes())), BTreeMap::new(), &[]);
    let at = |f: &drctl::model::finding::Finding| {
        let span = f.span.unwrap_or_else(|| panic!("{f:#?} stands nowhere"));
        assert!(!f.cause.is_empty() && !f.fix.is_empty() && f.file == "drctl.yaml", "{f:#?}");
        format!("{}:{} {}", span.line, span.column, f.message)
    };
    (settings, findings.iter().map(at).collect())
}

#[test]
fn all_mistakes_in_settings_are_said_in_one_pass_with_their_places() {
    let (settings, found) = read(BROKEN);
    let expected = [
        "2:29 `rpo` needs a value with a unit",
        "2:32 tier has no key `dril_every`; did you mean `drill_every`?",
        "4:1 drctl.yaml has no key `plan`; did you mean `plans`?",
        "6:16 operators.alice.key is not an OpenSSH public key: ",
        "7:98 operator has no key `rolls`; did you mean `roles`?",
        "9:47 schedules.q: `0 6 31 2 *` never matches a date",
        "9:67 schedules.q: `Europe/Pragu` is not a time zone such as Europe/Prague, America/New_York or UTC; did you mean `Europe/Prague`?",
        "13:42 policy.windows[2]: a window from 2026-12-02T00:00:00.000Z to 2026-12-01T00:00:00.000Z never opens",
        "14:28 dns.resolvers[2]: `resolver.example` is not an IP address",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    // The valid parts are available, so that plans can be checked with them.
    assert!(settings.tiers.contains_key("gold") && settings.resolvers.len() == 1);
    assert!(settings.authority.operators.contains_key("bob") && settings.policy.windows.len() == 1);
}

/// It is a mode of `drctl drill`, so the answer says where it works.
#[test]
fn a_schedule_that_is_to_rehearse_learns_how() {
    let text = "schedules:\n  m: {plan: shop, drill: rehearsal, at: \"0 6 * * *\", zone: UTC}\n";
    assert_eq!(read(text).1, ["2:26 a schedule cannot hold `rehearsal`"]);
    let findings = Settings::read(Some(("drctl.yaml", text.as_bytes())), BTreeMap::new(), &[]).1;
    assert!(findings[0].fix.contains("drctl drill PLAN --mode rehearsal"), "{findings:#?}");
    let other = text.replace("rehearsal", "rehersal");
    assert!(read(&other).1[0].contains("is not a valid drill"), "{:?}", read(&other).1);
}

#[test]
fn mistakes_in_settings_hide_none_of_the_plans_and_make_none() {
    let folder = Folder::with_plans();
    std::fs::write(folder.path().join("plans/drctl.yaml"), BROKEN).unwrap();
    let path = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let tier = text.lines().find(|line| line.starts_with("tier:")).unwrap().to_owned();
    // The tier exists, but has an error of its own.
    let text = text.replacen(&tier, "tier: standard", 1).replacen("role: public", "role: pubic", 1);
    std::fs::write(&path, text).unwrap();
    let (code, out, _) = folder.run(&["check", "--output", "json"]);
    let all = json(&out)["findings"].as_array().unwrap().clone();
    let errors: Vec<_> = all.iter().filter(|f| f["severity"] == "error").collect();
    let of = |file: &str| errors.iter().filter(|f| f["file"].as_str().unwrap().ends_with(file)).count();
    assert!(code == 2 && of("drctl.yaml") == 9 && of("truststream.yaml") == 1, "{code} {errors:#?}");
    // People see the file and line of each.
    let (_, out, err) = folder.run(&["check"]);
    let said = format!("{out}{err}");
    for place in ["drctl.yaml:2:29", "drctl.yaml:9:67", "drctl.yaml:14:28", "truststream.yaml:"] {
        assert!(said.contains(place), "{place}: {said}");
    }
    assert!(said.contains("10 errors"), "{said}");
    // No other command accepts these settings.
    let (code, _, err) = folder.run(&["status"]);
    assert!(code == 2 && err.contains("drctl.yaml has errors") && err.contains("drctl.yaml:9:67"), "{err}");
    // A file that cannot be parsed does not hide errors in plans, and does not make a plan's tier unknown.
    std::fs::write(folder.path().join("plans/drctl.yaml"), "tiers: [\n").unwrap();
    let (code, out, _) = folder.run(&["check", "--output", "json"]);
    let ids: Vec<_> = json(&out)["findings"].as_array().unwrap().iter().map(|f| f["id"].clone()).collect();
    assert!(code == 2 && ids == ["yaml-syntax", "plan-unknown-value"], "{ids:?}");
}

/// Nobody means it, and it would make every objective met.
#[test]
fn a_duration_above_a_hundred_years_is_an_error_with_its_place() {
    for (file, from, long, place) in [
        ("drctl.yaml", "critical: {rto: 15m", "18446744073709551615ms", "drctl.yaml:6:19"),
        ("drctl.yaml", "critical: {rto: 15m", "307445734561825m", "drctl.yaml:6:19"),
        ("truststream.yaml", "watch: {for: 2h", "36501d", "truststream.yaml:53:14"),
    ] {
        let folder = Folder::with_plans();
        let path = folder.path().join("plans").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let (key, _) = from.rsplit_once(' ').unwrap();
        std::fs::write(&path, text.replacen(from, &format!("{key} {long}"), 1)).unwrap();
        let (code, out, err) = folder.run(&["check"]);
        assert!(code == 2 && format!("{out}{err}").contains(place), "{place}: {code} {out}{err}");
        let (_, out, _) = folder.run(&["check", "--output", "json"]);
        let cause = format!("`{long}` is too long; the longest duration is 100 years (36500d)");
        assert!(json(&out)["findings"].as_array().unwrap().iter().any(|f| f["cause"] == cause), "{out}");
    }
}

/// A reference to something that has an error of its own is valid.
#[test]
fn a_mistake_in_settings_is_said_once_and_not_of_what_refers_to_it() {
    let (_, found) = read(
        "notify: {channels: {pager: {slack: {url: secret}}}}\npolicy: {escalation: [{after: 5m, role: a, tell: [pager, nobody]}]}\n",
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("1:42 notify.channels.pager: do not write a secret here"), "{found:#?}");
    assert!(found[1].starts_with("2:58 policy.escalation: notify.channels has no `nobody`"), "{found:#?}");
}

#[test]
fn a_variable_with_a_mistake_is_named_and_hides_nothing() {
    let variables = BTreeMap::from([
        ("DRCTL_READINESS_EVERY".to_owned(), "often".to_owned()),
        ("DRCTL_POLICY__APART".to_owned(), "1s".to_owned()),
    ]);
    let (_, found) = Settings::read(Some(("drctl.yaml", b"dns: {resolvers: [x]}")), variables, &[]);
    let mut all: Vec<_> = found.iter().map(|f| (f.file.as_str(), f.fix.as_str())).collect();
    all.sort_unstable();
    assert_eq!(
        all,
        [
            ("DRCTL_POLICY__APART", "correct DRCTL_POLICY__APART, or remove it"),
            ("DRCTL_READINESS_EVERY", "correct DRCTL_READINESS_EVERY, or remove it"),
            ("drctl.yaml", "write an address such as 9.9.9.9 or 2620:fe::fe"),
        ]
    );
}

/// A single line fixes it, so it is reported once, for drctl.yaml, however many plans there are.
#[test]
fn what_is_missing_in_settings_is_said_of_them_once() {
    let folder = Folder::with_plans();
    let plan = std::fs::read_to_string(folder.path().join("plans/truststream.yaml")).unwrap();
    std::fs::write(
        folder.path().join("plans/again.yaml"),
        plan.replacen("plan: truststream", "plan: again", 1)
            .replace("truststream-nodes", "again-nodes")
            .replace("truststream-db", "again-db")
            .replace("truststream-replica", "again-replica"),
    )
    .unwrap();
    let settings = "environment: production\nguard: {url: \"s3://acme/guard\", region: us-west-2}\n";
    std::fs::write(folder.path().join("plans/drctl.yaml"), settings).unwrap();
    let (_, out, _) = folder.run(&["check", "--output", "json"]);
    let all = json(&out)["findings"].as_array().unwrap().clone();
    let found: Vec<_> = all.iter().map(|f| (f["id"].as_str().unwrap(), f["span"]["line"].clone())).collect();
    assert_eq!(
        found,
        [
            ("guard-owner-unknown", 2.into()),
            ("needs-lost-site", 2.into()),
            ("sql-ca-missing", serde_json::Value::Null)
        ],
        "{all:#?}"
    );
    assert!(all.iter().all(|f| f["file"].as_str().unwrap().ends_with("drctl.yaml")), "{all:#?}");
    let of_both = |f: &serde_json::Value| f["message"].as_str().unwrap().contains("again");
    assert!(of_both(&all[1]) && of_both(&all[2]), "{all:#?}");
    std::fs::write(folder.path().join("plans/drctl.yaml"), "environment: production\n").unwrap();
    let (_, out, err) = folder.run(&["check"]);
    let said = format!("{out}{err}");
    assert_eq!(said.matches("no-guard").count(), 1, "{said}");
    assert!(said.contains("drctl.yaml: the settings name no guard"), "{said}");
}

/// A plan with errors exists, so a schedule that names it is valid.
#[test]
fn a_schedule_of_a_broken_plan_is_a_schedule_of_a_plan() {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap().replacen("role: public", "role: pubic", 1);
    std::fs::write(&path, text).unwrap();
    let settings = |plan: &str| {
        let text =
            format!("schedules:\n  q: {{plan: {plan}, drill: tabletop, at: \"0 6 * * *\", zone: UTC}}\n");
        std::fs::write(folder.path().join("plans/drctl.yaml"), text).unwrap();
        let (_, out, _) = folder.run(&["check", "--output", "json"]);
        let all = json(&out)["findings"].as_array().unwrap().clone();
        all.into_iter().filter(|f| f["id"] == "schedule-of-no-plan").collect::<Vec<_>>()
    };
    assert_eq!(settings("truststream"), Vec::<serde_json::Value>::new());
    let found = settings("trustsream");
    assert!(found.len() == 1 && found[0]["span"]["line"] == 2, "{found:#?}");
    assert!(found[0]["fix"].as_str().unwrap().contains("truststream"), "{found:#?}");
}

#[test]
fn a_site_that_is_not_declared_is_shown_at_its_own_key() {
    let text = include_str!("../../../plans/truststream.yaml");
    let declared = text.lines().find(|l| l.starts_with("  us-east-1:")).unwrap();
    let text = text.replacen(declared, &declared.replacen("us-east-1", "us-east-11", 1), 1);
    let found = drctl::plan::check("p", text.as_bytes(), &Settings::default()).findings;
    let found: Vec<_> = found.iter().filter(|f| f.id == "unknown-site").collect();
    assert!(found.len() > 2, "{found:#?}");
    for f in found {
        let span = f.span.unwrap();
        assert_eq!(&text[span.offset..span.offset + span.len], "us-east-1", "{f:#?}");
        assert!(f.message.ends_with("`sites:` declares `us-east-11`, which is not a region"), "{f:#?}");
        assert_eq!(f.fix, "correct `us-east-11` under `sites:` to `us-east-1`");
    }
}

/// The finding points to the occurrence that counts, which is the last one.
#[test]
fn what_is_said_of_a_key_points_at_it() {
    let written = Written::parse("drctl.yaml", b"sql:\n  ca_file: gone.pem\n");
    let line = |at: &[&str]| written.place(at).map(|span| (span.line, span.column));
    assert_eq!(line(&["sql", "ca_file"]), Some((2, 12)));
    assert_eq!(line(&["sql", "tls"]), Some((1, 1)), "what is missing is shown where it belongs");
}
