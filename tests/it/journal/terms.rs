//! The terms of a run are in its journal, its evidence and the ledger, and cannot be replaced.

use std::io::Read as _;

use drctl::executor::create;
use drctl::journal::Journal as _;
use drctl::journal::sqlite::SqliteJournal;
use drctl::model::ids::RunId;
use drctl::model::ledger::{Entry, StoreWorld};
use drctl::record::event::{Event, EventKind, RunCreated};

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::{state_of, store};
use crate::kinds::routing_controls::WWW;
use crate::support::shop::shop;
use crate::support::stored_rehearsals::keep;

const FAILOVER: &[&str] =
    &["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", "--output", "json"];

fn begin(folder: &Folder) -> String {
    let (_, out, err) = folder.run(FAILOVER);
    assert!(out.contains("run_id"), "{out}\n{err}");
    json(&out)["run_id"].as_str().unwrap().to_owned()
}

#[test]
fn the_terms_of_a_run_stand_in_its_journal_its_evidence_and_the_ledger() {
    let folder = Folder::with_plans();
    let run = begin(&folder);
    let created = state_of(&folder, &run).created;
    assert_eq!(created.terms.digest(), created.terms_digest);
    let lines = created.terms.lines();
    assert_eq!(lines["policy.changes.database.by"], "dba, engineering-lead");
    assert_eq!((lines["environment"].as_str(), lines["sql.tls"].as_str()), ("production", "verify"));
    assert!(created.terms.tiers.contains_key("critical"), "{lines:#?}");

    let contents = store(&folder).contents().unwrap();
    let entries: Vec<Entry> =
        contents.ledger.iter().filter_map(|r| serde_json::from_slice(&r.bytes).ok()).collect();
    let known = entries.iter().position(|entry| {
        matches!(entry, Entry::Terms { run: of, terms, .. } if of.as_str() == run && *terms == created.terms_digest)
    });
    let vouched = entries.iter().position(|entry| matches!(entry, Entry::Checkpoint(_)));
    assert!(known.is_some() && known < vouched, "{entries:#?}");

    folder.ok(&["evidence", "export", &run, "--out", "b.tar", "--sandbox"]);
    let shown = folder.ok(&["evidence", "verify", "b.tar", "--sandbox", "--output", "json"]);
    let terms = &json(&shown)["manifest"]["drctl"]["terms"];
    assert_eq!(terms["digest"], created.terms_digest.to_string(), "{terms}");
    assert_eq!(folder.run(&["audit", "verify", "--sandbox"]).0, 0);
}

/// A journal with this change in its first event, in its own store: the results of the audit and of a resume.
fn forged(folder: &Folder, run: &str, change: impl FnOnce(&mut RunCreated)) -> (String, String) {
    let id = RunId::new(run);
    let records = store(folder).read(&id).unwrap();
    let mut events: Vec<Event> = create::decode(&id, &records).unwrap();
    let EventKind::RunCreated(created) = &mut events[0].what else { panic!("no run begins so") };
    change(created);
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("forged.db");
    keep(&SqliteJournal::open(&path, StoreWorld::Sandbox).unwrap(), run, &events);
    let path = path.display().to_string();
    let (code, out, err) = folder.run(&["audit", "verify", "--sandbox", "--store", &path]);
    assert_eq!(code, 1, "{out}\n{err}");
    let (code, _, resumed) = folder.run(&["runs", "resume", run, "--sandbox", "--store", &path]);
    assert!(code != 0 && code != 70, "{code} {resumed}");
    (out, resumed)
}

#[test]
fn forged_terms_are_a_finding_and_no_bug() {
    let folder = Folder::with_plans();
    let run = begin(&folder);
    let (found, resumed) = forged(&folder, &run, |created| {
        created.terms.settings.insert("policy.changes.database.by".to_owned(), "none".to_owned());
    });
    assert!(found.contains("their digest differs"), "{found}");
    assert!(resumed.contains("the terms of the run are not valid"), "{resumed}");
    let (found, _) = forged(&folder, &run, |created| {
        let known =
            drctl::model::ledger::RecordedOperator { key: "SHA256:x\u{1b}[2J".to_owned(), roles: Vec::new() };
        created.terms.operators.insert("mallory".to_owned(), known);
        created.terms_digest = created.terms.digest();
    });
    assert!(found.contains("different operators than the run accepts"), "{found}");
    assert!(!found.contains('\u{1b}'), "{found:?}");
}

#[test]
fn a_run_that_the_ledger_knows_under_other_terms_is_a_finding() {
    let folder = Folder::with_plans();
    let run = begin(&folder);
    let at = state_of(&folder, &run).last_at;
    let terms = drctl::model::terms::Terms::default().digest();
    store(&folder).enter(&Entry::Terms { at, run: RunId::new(&*run), terms }).unwrap();
    let (code, out, _) = folder.run(&["audit", "verify", "--sandbox"]);
    assert!(code == 1 && out.contains("it records different terms for run"), "{out}");
}

const REPORT: &[&str] = &["report", "compliance", "--sandbox", "--format", "json"];

/// Runs in a folder whose settings somebody changes, and what auditors see.
struct Audited(Folder);

impl Audited {
    fn settings(&self) -> String {
        std::fs::read_to_string(self.0.path().join("plans/drctl.yaml")).unwrap()
    }

    fn put(&self, settings: &str) {
        std::fs::write(self.0.path().join("plans/drctl.yaml"), settings).unwrap();
    }

    /// The audit's lines about terms; the audit finds no fault.
    fn heard(&self) -> Vec<String> {
        let (code, out, err) = self.0.run(&["audit", "verify", "--sandbox"]);
        assert_eq!(code, 0, "{out}\n{err}");
        out.lines().filter(|l| l.contains("terms changed")).map(str::to_owned).collect()
    }

    fn report(&self) -> serde_json::Value {
        json(&self.0.ok(REPORT))
    }
}

fn findings(report: &serde_json::Value, with: &str) -> Vec<String> {
    let all = report["findings"].as_array().unwrap().iter();
    let of =
        all.map(|f| format!("{} {}", f["run"].as_str().unwrap_or_default(), f["text"].as_str().unwrap()));
    of.filter(|text| text.contains(with)).collect()
}

#[test]
fn a_policy_that_was_weakened_for_one_run_and_put_back_is_named() {
    let audited = Audited(Folder::with_plans());
    let usual = audited.settings();
    let first = begin(&audited.0);
    assert!(audited.heard().is_empty());
    audited
        .put(&(usual.clone() + "policy: {changes: {database: {by: []}}, override: {approve_within: 9h}}\n"));
    let weak = begin(&audited.0);
    let heard = audited.heard();
    assert_eq!(heard.len(), 1, "{heard:#?}");
    for words in [
        format!("run {weak} ("),
        format!("those of the previous run {first}"),
        "policy.changes.database.by: dba, engineering-lead -> none".to_owned(),
        "policy.override.approve_within: 4h -> 9h".to_owned(),
        "; not reverted".to_owned(),
    ] {
        assert!(heard[0].contains(&words), "{words}: {heard:#?}");
    }
    audited.put(&usual);
    let back = begin(&audited.0);
    begin(&audited.0);
    let heard = audited.heard();
    assert_eq!(heard.len(), 2, "{heard:#?}");
    assert!(heard[0].contains(&format!("reverted by run {back}")), "{heard:#?}");
    assert!(heard[1].contains(&format!("run {back} (")), "{heard:#?}");
    assert!(heard[1].contains(&format!("reverts the change of run {weak}")), "{heard:#?}");
    let found = findings(&audited.report(), "decided under terms that differ");
    assert!(found.len() == 2 && found.iter().any(|f| f.starts_with(&weak)), "{found:#?}");
    // A changed policy is a change that somebody has to approve.
    let report = json(&audited.0.ok(&[REPORT, &["--profile", "soc2"]].concat()));
    let trail: Vec<_> =
        report["findings"].as_array().unwrap().iter().filter(|f| f["section"] == "trail").collect();
    let md = audited.0.ok(&["report", "compliance", "--sandbox", "--format", "md"]);
    assert!(
        md.contains("policy.changes.database.by: dba, engineering-lead -> none"),
        "an arrow stays one: {md}"
    );
    let controls = serde_json::json!(["CC7.2", "CC8.1"]);
    assert!(trail.len() == 2 && trail.iter().all(|f| f["controls"] == controls), "{trail:#?}");
}

#[test]
fn tiers_of_another_file_for_one_run_make_no_objective_met() {
    let audited = Audited(Folder::with_plans());
    let strict = audited.settings().replace("{rto: 15m, rpo: 5m,", "{rto: 1m, rpo: 5m,");
    audited.put(&strict);
    let first = begin(&audited.0);
    let loose = strict.replace("{rto: 1m,", "{rto: 4h,");
    std::fs::write(audited.0.path().join("plans/loose.yaml.txt"), loose).unwrap();
    let with = ["-C", ".", "--config", "plans/loose.yaml.txt"];
    let (code, out, err) = audited.0.run(&[&with[..], FAILOVER].concat());
    assert_eq!(code, 0, "by its own objective it was in time: {out}\n{err}");
    let weak = json(&out)["run_id"].as_str().unwrap().to_owned();
    let heard = audited.heard();
    assert!(heard.len() == 1 && heard[0].contains("tiers.critical.rto: 1m -> 4h"), "{heard:#?}");
    let report = audited.report();
    let line = |run: &str| {
        let all = report["runs"].as_array().unwrap();
        all.iter().find(|l| l["run"] == run).unwrap().clone()
    };
    for run in [&first, &weak] {
        let rto = &line(run)["rto"];
        assert_eq!((&rto["objective_s"], &rto["verdict"]), (&60.0.into(), &"missed".into()), "{rto:#}");
    }
    assert_eq!(line(&weak)["rpo"]["objective_s"], 300.0);
    let found = findings(&report, "the objective of the run is 4h, but drctl holds it to 1m");
    assert!(found.len() == 1 && found[0].starts_with(&weak), "{found:#?}");
    assert!(findings(&report, "tiers.critical.rto: 1m -> 4h").len() == 1);
}

/// A component's objective still holds like the plan's, by whatever key it was loosened.
#[test]
fn objectives_of_a_component_that_are_loosened_for_one_run_still_hold() {
    let audited = Audited(Folder::with_plans());
    let path = audited.0.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let own = |of: &str| text.replace("kind: aws.rds", &format!("kind: aws.rds\n    objectives: {of}"));
    std::fs::write(&path, own("{rto: 1m, rpo: 2m}")).unwrap();
    let first = begin(&audited.0);
    let mut loosened = Vec::new();
    for looser in [own("{rto: 15m, rpo: 10m}"), text.clone()] {
        std::fs::write(&path, looser).unwrap();
        loosened.push(begin(&audited.0));
    }
    let report = audited.report();
    let all = report["runs"].as_array().unwrap();
    for run in std::iter::once(&first).chain(&loosened) {
        let line = all.iter().find(|l| l["run"] == **run).unwrap();
        let (rto, rpo) = (&line["rto"], &line["rpo"]);
        assert_eq!(
            (&rto["objective_s"], &rto["verdict"]),
            (&60.0.into(), &"missed".into()),
            "{run}: {rto:#}"
        );
        assert_eq!((&rpo["objective_s"], &rpo["verdict"]), (&120.0.into(), &"met".into()), "{run}: {rpo:#}");
    }
    for (what, many) in [
        ("RTO of db: the objective of the run is 15m, but drctl holds it to 1m", 2),
        ("RPO of db: the objective of the run is 10m, but drctl holds it to 2m", 1),
        ("RPO of db: the objective of the run is 5m, but drctl holds it to 2m", 1),
    ] {
        let found = findings(&report, what);
        assert_eq!(found.len(), many, "{what}: {report:#}");
        assert!(loosened.iter().any(|run| found[0].starts_with(run)), "{found:#?}");
    }
    assert!(findings(&report, "RTO: the objective of the run").is_empty(), "the plan's own stayed");
}

/// A component with a looser objective from the start is held only to that.
#[test]
fn a_component_with_looser_objectives_of_its_own_is_not_held_to_the_plans() {
    let audited = Audited(Folder::with_plans());
    let path = audited.0.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("kind: aws.rds", "kind: aws.rds\n    objectives: {rto: 1h, rpo: 1h}"))
        .unwrap();
    let strict = audited.settings().replace("{rto: 15m, rpo: 5m,", "{rto: 15m, rpo: 10s,");
    audited.put(&strict);
    let run = begin(&audited.0);
    let report = audited.report();
    let line = report["runs"].as_array().unwrap().iter().find(|l| l["run"] == run).unwrap().clone();
    let rpo = &line["rpo"];
    assert_eq!((&rpo["objective_s"], &rpo["verdict"]), (&3600.0.into(), &"met".into()), "{rpo:#}");
}

#[test]
fn a_test_estate_counts_for_no_compliance_and_says_so() {
    let audited = Audited(Folder::with_plans());
    audited.put(&(audited.settings() + "environment: test\n"));
    let (code, out, err) = audited.0.run(FAILOVER);
    assert_eq!(code, 0, "figures are judged as they are: {out}\n{err}");
    let told = json(&out);
    assert_eq!((&told["terms"]["environment"], &told["rto"]["met"]), (&"test".into(), &true.into()));
    let run = told["run_id"].as_str().unwrap();
    let shown = audited.0.ok(&["report", "run", run, "--sandbox"]);
    assert!(shown.contains("environment: test"), "{shown}");
    let report = audited.report();
    let totals = &report["totals"];
    assert_eq!((&totals["runs"], &totals["tests"], &totals["incidents"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!(totals["rto"]["met"], 0, "{totals:#}");
    assert!(report["runs"][0]["rto"].is_null(), "{report:#}");
    assert_eq!(findings(&report, "the run proves nothing: drctl.yaml declares a test environment").len(), 1);
}

#[test]
fn endpoints_that_are_not_the_providers_own_prove_no_objective() {
    use drctl::model::environment::{Endpoint, Source};
    use drctl::report::{summary, verified};
    let folder = Folder::with_plans();
    let run = begin(&folder);
    let id = RunId::new(&*run);
    let mut events: Vec<Event> = create::decode(&id, &store(&folder).read(&id).unwrap()).unwrap();
    let met = |events: &[Event]| {
        let state = drctl::run::RunState::fold(events).unwrap();
        let report = summary::report(&state, state.last_at);
        assert!(report.rto.achieved_s.is_some() && report.rpo.achieved_s.is_some());
        (report.rto.holds(), report.rpo.holds(), state.is_evidence())
    };
    assert_eq!(met(&events), (true, true, true));
    // A process that resumes it records its endpoints: its own AWS endpoint, then somebody else's.
    let used =
        |url: &str| EventKind::EndpointsUsed { endpoints: vec![Endpoint::new("rds", url, Source::Sdk)] };
    let last = events.last().unwrap().at;
    events.push(Event { at: last, what: used("https://rds.us-east-1.amazonaws.com") });
    assert_eq!(met(&events), (true, true, true));
    events.push(Event { at: last, what: used("http://127.0.0.1:4566") });
    assert_eq!(met(&events), (false, false, false));
    let mut begun = events[..events.len() - 2].to_vec();
    let EventKind::RunCreated(created) = &mut begun[0].what else { panic!("no run begins so") };
    created.world = drctl::record::event::WorldKind::Live;
    assert_eq!(verified::proof(&drctl::run::RunState::fold(&begun).unwrap()), Some(true));
    let EventKind::RunCreated(created) = &mut begun[0].what else { panic!("no run begins so") };
    created.terms.endpoints.insert(Endpoint::new("route53", "https://10.0.0.1", Source::Settings));
    created.terms_digest = created.terms.digest();
    assert_eq!(met(&begun), (false, false, false));
    assert_eq!(verified::proof(&drctl::run::RunState::fold(&begun).unwrap()), None);
}

/// Whoever has only the bundle learns it, too: from the signed manifest, the reports in it, and the verification.
#[test]
fn an_endpoint_that_is_not_the_providers_own_stands_in_the_bundle() {
    let own = "https://b.route53-recovery-cluster.us-west-2.amazonaws.com/v1";
    for foreign in [false, true] {
        let folder = Folder::with_plans();
        let cluster = if foreign { WWW.replace(own, "https://10.0.0.1/v1") } else { WWW.to_owned() };
        std::fs::write(folder.path().join("plans/shop.yaml"), shop(&cluster)).unwrap();
        let start = ["failover", "shop", "--to", "east", "--yes", "--sandbox", "--output", "json"];
        let (_, out, err) = folder.run(&start);
        let run = json(&out)["run_id"].as_str().unwrap_or_else(|| panic!("{out}{err}")).to_owned();
        folder.ok(&["evidence", "export", &run, "--out", "b.tar", "--sandbox"]);
        let mut files = std::collections::BTreeMap::new();
        let bundle = std::fs::read(folder.path().join("b.tar")).unwrap();
        for entry in tar::Archive::new(bundle.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), String::from_utf8(bytes).unwrap());
        }
        let terms = &json(&files["manifest.json"])["drctl"]["terms"];
        let verified = folder.ok(&["evidence", "verify", "b.tar", "--sandbox"]);
        let words = "calls went to endpoints that do not belong to the provider: route53-recovery-cluster at https://10.0.0.1 (the plan)";
        let places = ["manifest.json", "report.json", "report.md", "report.html"];
        let said: Vec<_> = places.into_iter().filter(|place| files[*place].contains(words)).collect();
        if foreign {
            let of = serde_json::json!([{"service": "route53-recovery-cluster", "url": "https://10.0.0.1", "from": "plan"}]);
            assert_eq!(terms["foreign_endpoints"], of);
            assert_eq!(said, places);
            assert!(verified.contains(&format!("  PROVES NOTHING: {words}")), "{verified}");
        } else {
            assert!(terms["foreign_endpoints"].is_null() && said.is_empty(), "{terms}: {said:?}");
            assert!(!verified.contains("PROVES NOTHING"), "{verified}");
        }
    }
}

/// The terms of another store count as soon as its run does.
#[test]
fn a_policy_that_was_weakened_in_another_store_is_named_once_its_run_is_adopted() {
    let (here, there) = (Audited(Folder::with_plans()), Audited(Folder::with_plans()));
    let first = begin(&here.0);
    there.put(&(there.settings() + "policy: {changes: {database: {by: []}}}\n"));
    let (_, out, err) = there.0.run(&[FAILOVER, &["--seed", "2"]].concat());
    let weak = json(&out)["run_id"].as_str().unwrap_or_else(|| panic!("{out}{err}")).to_owned();
    there.0.ok(&[
        "runs",
        "export",
        &weak,
        "--to",
        here.0.path().join("weak.jsonl").to_str().unwrap(),
        "--sandbox",
    ]);
    here.0.ok(&["runs", "import", "weak.jsonl", "--sandbox"]);
    assert!(here.heard().is_empty(), "it does not count yet");
    here.0.ok(&["runs", "adopt", &weak, "--reason", "moved here", "--sandbox"]);
    let heard = here.heard();
    assert_eq!(heard.len(), 1, "{heard:#?}");
    for words in [&format!("run {weak} ("), &format!("those of the previous run {first}")] {
        assert!(heard[0].contains(words), "{words}: {heard:#?}");
    }
}
