//! Invalid plans, each with its expected findings: ID and line of all of them at once.

use std::path::Path;

use drctl::plan::lint::settings::about;
use drctl::plan::settings::{SqlSettings, SqlTls, Written};
use drctl::plan::{Settings, check};

/// `# expect: ID@LINE ID@LINE` in the first line of each file.
#[test]
fn each_says_what_is_wrong_and_where() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/broken");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10);
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let expected: Vec<_> = text
            .lines()
            .next()
            .unwrap()
            .trim_start_matches("# expect:")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let settings = complete();
        let findings = check(&file.display().to_string(), &bytes, &settings).findings;
        let got: Vec<_> =
            findings.iter().map(|f| format!("{}@{}", f.id, f.span.map_or(0, |s| s.line))).collect();
        assert_eq!(got, expected, "{}: {findings:#?}", file.display());
        for f in &findings {
            assert!(!f.cause.is_empty() && !f.fix.is_empty(), "{f:?} says no cause or no fix");
            assert!(drctl::plan::catalog::find(f.id).is_some(), "drctl explain knows nothing of {}", f.id);
        }
    }
}

fn third_region() -> drctl::model::place::Place {
    drctl::model::place::Place {
        name: "s3://guard".to_owned(),
        cloud: drctl::model::place::CloudProvider::Aws,
        region: "us-east-2".to_owned(),
        account: Some("111111111111".to_owned()),
        role: None,
        external_id: None,
    }
}

/// Settings without findings.
fn complete() -> Settings {
    let sql = SqlSettings { ca_file: Some("global-bundle.pem".to_owned()), ..SqlSettings::default() };
    Settings { guard: Some(third_region()), sql, ..Settings::default() }
}

/// No system trusts Amazon's CAs, so without a CA file every login to RDS would fail in an outage.
#[test]
fn a_managed_database_without_a_file_of_its_cas_is_said() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/truststream.yaml");
    let bytes = std::fs::read(&path).unwrap();
    let written = Written::parse("drctl.yaml", b"");
    let of = |sql: SqlSettings| {
        let settings = Settings { sql, ..complete() };
        let plan = check("truststream", &bytes, &settings).plan.unwrap();
        let found = about(&written, &settings, &[&plan]);
        found.iter().map(|f| format!("{}: {}", f.id, f.fix)).collect::<Vec<_>>()
    };
    let missing = of(SqlSettings::default());
    assert!(
        matches!(missing.as_slice(), [one] if one.starts_with("sql-ca-missing") && one.contains("global-bundle.pem")),
        "{missing:?}"
    );
    assert_eq!(of(complete().sql), Vec::<String>::new());
    // Somebody who turns TLS off did that on purpose.
    assert_eq!(of(SqlSettings { tls: SqlTls::Off, ..SqlSettings::default() }), Vec::<String>::new());
}

/// What people call a kind elsewhere.
#[test]
fn a_kind_by_another_name_is_understood() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/starter.yaml")).unwrap();
    for (typed, meant) in [
        ("autoscaling", "aws.autoscaling"),
        ("aws.autoscaling_group", "aws.autoscaling"),
        ("aws.rds_instance", "aws.rds"),
        ("aws.s3_bucket", "aws.s3"),
        ("aws.ecs_service", "aws.ecs"),
    ] {
        let plan = text.replace("kind: aws.autoscaling", &format!("kind: {typed}"));
        let findings = check("starter", plan.as_bytes(), &complete()).findings;
        let said = findings.iter().any(|f| f.message.contains(&format!("did you mean `{meant}`?")));
        assert!(said, "{typed}: {findings:#?}");
    }
}

#[test]
fn the_plans_that_are_shipped_are_good_and_fit_the_schema() {
    let schema = drctl::plan::schema::schema(&drctl::plan::shapes::PLAN, "plan");
    let validator = jsonschema::validator_for(&schema).unwrap();
    for name in ["truststream", "starter"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("plans/{name}.yaml"));
        let bytes = std::fs::read(&path).unwrap();
        let settings = complete();
        assert_eq!(check(name, &bytes, &settings).findings, []);
        let value: serde_json::Value = serde_saphyr::from_slice(&bytes).unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

/// A tier also determines how often drills are due, and which plans a failover of the tier includes.
#[test]
fn an_unknown_tier_is_said_beside_objectives_of_the_plan() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let tier = text.lines().find(|line| line.starts_with("tier:")).unwrap();
    let typo = text.replacen(tier, "tier: critcal\nobjectives: {rto: 15m, rpo: 5m}", 1);
    let found = check("truststream", typo.as_bytes(), &complete()).findings;
    assert!(found.iter().any(|f| f.id == "plan-unknown-tier"), "{found:?}");
}

/// What drctl cannot do without the machine of a server is known when the plan is written, and not in the move.
#[test]
fn a_server_of_ones_own_without_its_host_is_said() {
    let server = |host: &str| format!("{{endpoint: \"db:5432/app\", admin: {{secret: \"file:a\"}}{host}}}");
    let host = ", host: {run: [ssh, x], data: /data, replication: {secret: \"file:r\"}}";
    let found = |west: &str, east: &str| {
        let text = format!(
            "plan: orders\nobjectives: {{rto: 15m, rpo: 5m}}\nsites: {{west: {{cloud: none}}, east: {{cloud: none}}}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    at:\n      west: {}\n      east: {}\n    verify: {{sql_write: {{table: drctl_canary}}}}\nprobes:\n  - {{name: public, role: public, http: \"https://orders.example/health\"}}\n",
            server(west),
            server(east).replace("db:5432", "db-east:5432")
        );
        let checked = check("orders", text.as_bytes(), &complete());
        assert!(checked.plan.is_some(), "{:#?}", checked.findings);
        checked.findings.into_iter().filter(|f| f.id == "no-host").collect::<Vec<_>>()
    };
    assert_eq!(found(host, host), []);
    let of = |west: &str, east: &str| match found(west, east).as_slice() {
        [one] => {
            assert_eq!(one.severity, drctl::model::finding::Severity::Warning);
            assert!(
                one.cause.contains("`switchover`, `failback`, `reprotect`") && one.cause.contains("restore")
            );
            one.message.clone()
        }
        found => panic!("{found:#?}"),
    };
    assert_eq!(of("", ""), "`db` has no `host:` in east and west");
    assert_eq!(of(host, ""), "`db` has no `host:` in east");
}

/// Such a server needs the login for more than the fence, so no fix offers to do without.
#[test]
fn a_server_of_ones_own_without_its_login_is_said_once() {
    let text = "plan: orders\nobjectives: {rto: 15m, rpo: 5m}\nsites: {west: {cloud: none}, east: {cloud: none}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    at:\n      west: {endpoint: \"db:5432/app\"}\n      east: {endpoint: \"db-east:5432/app\", admin: {secret: \"file:a\"}}\nprobes:\n  - {name: public, role: public, http: \"https://orders.example/health\"}\n";
    let found = check("orders", text.as_bytes(), &complete()).findings;
    let errors: Vec<_> =
        found.iter().filter(|f| f.severity == drctl::model::finding::Severity::Error).collect();
    assert!(matches!(errors.as_slice(), [one] if one.message.ends_with("has no `admin`")), "{errors:#?}");
    assert!(!found.iter().any(|f| f.fix.contains("remove that method")), "{found:#?}");
}

#[cfg(feature = "postgres")]
#[test]
fn certificates_that_cannot_be_read_are_said_before_the_day() {
    let folder = crate::cli::contract::Folder::with_plans();
    let settings = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("global-bundle.pem", "gone.pem")).unwrap();
    let (code, out, err) = folder.run(&["check", "plans/truststream.yaml"]);
    let said = format!("{out}{err}");
    assert!(code == 0 && said.contains("sql-ca-missing") && said.contains("gone.pem"), "{code} {said}");
    // The path starts from the folder of -C, wherever the shell is.
    std::fs::write(folder.path().join("gone.pem"), "not a certificate").unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let mut command = folder.command(&["-C", "..", "check"]);
    let (code, out, err) = crate::cli::contract::finish(command.current_dir(&elsewhere).output().unwrap());
    let said = format!("{out}{err}");
    assert!(code == 0 && said.contains("contains no PEM certificate"), "{code} {said}");
}

/// A single line fixes it, so there is a single finding.
#[test]
fn a_value_that_cannot_be_read_is_not_missing_too() {
    let text = include_str!("../../../plans/truststream.yaml");
    for (from, to, id) in [
        ("type: A, ttl: 60s,", "type: A, ttl: 60,", "plan-wrong-unit"),
        ("type: A, ttl: 60s,", "type: A, tll: 60s,", "plan-unknown-key"),
        ("fence: [sql, security_group]", "fence: sql", "plan-wrong-type"),
        ("verify:", "verfy:", "plan-unknown-key"),
        ("capacity_floor: 4", "capacity_floor: four", "plan-wrong-type"),
        ("role: public", "role: pubic", "plan-unknown-value"),
        ("needs: [db, nodes]", "needs: db", "plan-wrong-type"),
    ] {
        assert!(text.contains(from), "{from}");
        let before = check("p", text.as_bytes(), &complete()).findings;
        let found = check("p", text.replacen(from, to, 1).as_bytes(), &complete()).findings;
        let ids: Vec<_> =
            found.iter().map(|f| f.id).filter(|id| !before.iter().any(|b| b.id == *id)).collect();
        assert_eq!(ids, [id], "{to}: {found:#?}");
    }
    // A value that is really missing is reported.
    let without = text.replacen("type: A, ttl: 60s,", "type: A,", 1);
    let found = check("p", without.as_bytes(), &complete()).findings;
    assert!(found.iter().any(|f| f.id == "record-without-ttl"), "{found:#?}");
}
