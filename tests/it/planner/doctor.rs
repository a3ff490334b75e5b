//! `drctl doctor`: finds everything that a recovery needs from a region that is down, one dependency at a time.

use serde_json::Value;

use crate::cli::contract::{Folder, finish};

fn examined(folder: &Folder, scenario: &str, down: &str, env: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let args = ["doctor", "truststream", "--assume-down", down, "--sandbox", scenario, "--output", "json"];
    let (code, out, err) = finish(folder.command(&args).envs(env.iter().copied()).output().unwrap());
    let document: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    assert_eq!(document["independent"], code == 0, "{document:#}");
    (code, document["findings"].as_array().unwrap().clone())
}

/// Kind and name of each dependency on the region.
fn needed(findings: &[Value]) -> Vec<(String, String)> {
    let text = |f: &Value, key: &str| f[key].as_str().unwrap().to_owned();
    let needs = findings.iter().filter(|f| f["needs"] == "yes");
    needs
        .inspect(|f| assert!(f["fix"].is_string(), "{f}"))
        .map(|f| (text(f, "kind"), text(f, "what")))
        .collect()
}

#[test]
fn a_path_that_needs_nothing_of_the_region_says_so_and_what_it_could_not_see() {
    let (code, all) = examined(&Folder::with_plans(), "calm", "us-west-2", &[]);
    assert_eq!((code, needed(&all)), (0, Vec::new()), "{all:#?}");
    let of = |needs: &str| -> Vec<&str> {
        all.iter().filter(|f| f["needs"] == needs).map(|f| f["what"].as_str().unwrap()).collect()
    };
    assert_eq!(of("asks"), ["db"], "nobody can fence it there");
    assert_eq!(of("tried"), ["fence.db.security_group", "fence.db.sql"]);
    assert!(of("unknown").contains(&"go-bag"), "what drctl cannot see is not said to be well: {all:#?}");
    assert!(of("no").contains(&"switch.www") && of("no").contains(&"us-east-1: role drctl-east"), "{all:#?}");
}

#[test]
fn the_region_of_the_control_plane_of_names_is_one_that_a_recovery_needs() {
    let (code, all) = examined(&Folder::with_plans(), "away", "us-east-1", &[]);
    assert_eq!((code, needed(&all)), (3, vec![("dns".to_owned(), "switch.www".to_owned())]), "{all:#?}");
}

/// Adds one dependency at a time to a plan without any.
#[test]
fn each_need_is_found() {
    let plan = "plans/truststream.yaml";
    let settings = "plans/drctl.yaml";
    for (file, before, after, kind) in [
        (settings, "region: us-east-2", "region: us-west-2", "guard"),
        (
            settings,
            "# Recovery classes",
            "evidence: {retain: {own: 400d}, sinks: {a: {url: \"s3://evidence\", region: us-west-2}}}\n# Recovery classes",
            "evidence",
        ),
        (
            settings,
            "# Recovery classes",
            "endpoints: {rds: \"https://vpce-1.rds.us-west-2.vpce.amazonaws.com\"}\n# Recovery classes",
            "endpoint",
        ),
        (plan, "dns: {cloud: aws,", "dns: {cloud: aws, region: us-west-2,", "credential"),
        (
            plan,
            "fence_group: sg-0bbb, admin: {secret: \"aws-sm:ts/db/admin\"}",
            "fence_group: sg-0bbb, admin: {secret: \"aws-sm:arn:aws:secretsmanager:us-west-2:1:secret:ts\"}",
            "secret",
        ),
        (
            plan,
            "https://www.truststream.example/health",
            "https://lb-1.us-west-2.elb.amazonaws.com/health",
            "probe",
        ),
        (
            plan,
            "us-east-1: {http: \"https://east.truststream.example/health\"}",
            "us-east-1: {http: \"https://lb.us-west-2.elb.amazonaws.com/\"}",
            "probe",
        ),
        (
            plan,
            "watch: {for: 2h}",
            "watch: {for: 2h}\nhooks:\n  - {at: after.promote, name: queue, step: {command: [aws, --region, us-west-2, sqs, purge-queue]}}\n",
            "hook",
        ),
    ] {
        let folder = Folder::with_plans();
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(text.contains(before), "{file} has no {before}");
        std::fs::write(folder.path().join(file), text.replacen(before, after, 1)).unwrap();
        let (code, all) = examined(&folder, "calm", "us-west-2", &[]);
        let found = needed(&all);
        assert!(
            code == 3 && found.iter().any(|(k, _)| k == kind),
            "{kind} of {after}: {code} {found:?}\n{all:#?}"
        );
        // And the steps that it affects.
        assert!(found.iter().all(|(k, _)| k == kind || k == "step"), "{after} is one need: {found:?}");
    }
}

#[test]
fn where_people_sign_in_is_part_of_the_path() {
    let folder = Folder::with_plans();
    let file = folder.path().join("aws.ini");
    let text = "[default]\nsso_region = eu-west-1\n\n[profile dr]\nsso_session = corp\nregion = us-east-1\n\n[sso-session corp]\nsso_start_url = https://x\nsso_region = us-west-2\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    for (profile, expected) in [("dr", 3), ("default", 0)] {
        let (code, all) =
            examined(&folder, "calm", "us-west-2", &[("AWS_CONFIG_FILE", file), ("AWS_PROFILE", profile)]);
        let identity = all.iter().find(|f| f["kind"] == "identity").unwrap();
        assert_eq!((code, identity["needs"] == "yes"), (expected, expected == 3), "{identity}");
    }
    let endpoint = ("AWS_ENDPOINT_URL_STS", "https://sts.us-west-2.amazonaws.com");
    let (code, all) = examined(&folder, "calm", "us-west-2", &[endpoint, ("AWS_ACCESS_KEY_ID", "x")]);
    assert_eq!((code, needed(&all)), (3, vec![("identity".to_owned(), "AWS_ENDPOINT_URL_STS".to_owned())]));
}

#[test]
fn a_site_that_nobody_declared_is_an_error() {
    let (code, _, err) = Folder::with_plans().run(&["doctor", "--assume-down", "mars", "--sandbox"]);
    assert!(code == 2 && err.contains("no plan has a site `mars`"), "{code}: {err}");
}

/// A rehearsal opens no connection, so only a look at real servers says that no login would work.
#[cfg(all(feature = "aws", feature = "postgres"))]
#[test]
fn logins_that_no_certificate_lets_in_are_found() {
    let folder = Folder::with_plans();
    let file = folder.path().join("plans/drctl.yaml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let settings = settings.replace("sql: {ca_file: global-bundle.pem}\n", "");
    let found = |sql: &str| -> Option<(String, String)> {
        std::fs::write(&file, format!("{settings}{sql}")).unwrap();
        let args = ["doctor", "truststream", "--assume-down", "us-west-2", "--output", "json"];
        let (_, out, err) = folder.run(&args);
        let document: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
        let all = document["findings"].as_array().unwrap();
        let tls = all.iter().find(|f| f["kind"] == "tls")?;
        let text = |key: &str| tls[key].as_str().unwrap().to_owned();
        Some((text("what"), text("why") + " " + &text("fix")))
    };
    let (what, words) = found("").unwrap();
    assert!(
        what == "sql.ca_file" && words.contains("so every login to RDS and Aurora fails"),
        "{what}: {words}"
    );
    assert!(words.contains("global-bundle.pem"), "{words}");
    let (what, words) = found("sql: {ca_file: not-there.pem}\n").unwrap();
    assert!(what.ends_with("not-there.pem") && words.contains("use a PEM file"), "{what}: {words}");
    assert_eq!(found("sql: {tls: \"off\"}\n"), None);
}
