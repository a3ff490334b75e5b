//! A year of twelve applications in three tiers with sixty runs: its report in every format, and its figures computed again by another
//! program.

use std::path::Path;
use std::process::Command;

use drctl::executor::create;
use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::{Journal as _, Release};
use drctl::model::duty::{Duties, Duty};
use drctl::model::ids::{PlanName, RunId};
use drctl::model::intent::{Drill, Intent};
use drctl::model::ledger::{Entry, StoreWorld};
use drctl::model::notice::Kind;
use drctl::model::readiness::{Area, Check, Standing};
use drctl::model::schedule::Fate;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule};
use drctl::plan::Settings;
use drctl::record::event::{Event, EventKind};
use serde_json::{Map, Value};

use crate::cli::contract::{Folder, json};
use crate::kinds::planned_moves::two_stores;
use crate::run::hard_cases::waiver;
use crate::run::resume::events;
use crate::support::rig::{Rig, plan};
use crate::support::stored_rehearsals::{keep, lived};

const TIERS: [&str; 3] = ["critical", "important", "standard"];
const YEAR: [&str; 2] = ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"];
const DAY: u64 = 86_400;

fn text(app: usize) -> String {
    let server = |name: &str, site: &str| {
        format!(
            "{{endpoint: \"{name}-{site}:5432/app\", admin: {{secret: \"file:a\"}}, host: {{run: [ssh, x], data: /data, replication: {{secret: \"file:r\"}}}}}}"
        )
    };
    let orders = two_stores("postgres", server).text;
    let named = orders.replace("plan: orders\n", &format!("plan: app-{app:02}\n"));
    let tiered = named.replace("objectives: {rto: 20m, rpo: 5m}\n", &format!("tier: {}\n", TIERS[app % 3]));
    assert!(tiered.contains("tier: ") && tiered.contains("plan: app-"));
    tiered
}

fn began(n: usize) -> Timestamp {
    Timestamp::parse("2026-01-04T08:00:00Z").unwrap() + Dur::secs(n as u64 * 6 * DAY)
}

fn named(n: usize, intent: Intent) -> String {
    let at = began(n).to_string().replace(['-', ':'], "");
    format!("{}-app-{:02}-{intent}-{n:04x}", &at[..15], n % 12)
}

/// The number of runs in the year. The last one is an incident without a recovery.
const RUNS: usize = 61;

/// Five rounds through the twelve applications: incidents, drills there and back, and planned moves.
fn one(n: usize) -> (String, Vec<Event>) {
    let (app, round) = (n % 12, n / 12);
    let incident = matches!(round, 0 | 3 | 5);
    let (intent, scenario, drill) = match round {
        0 | 5 => (Intent::Failover, "region-lost", None),
        1 => (Intent::Switchover, "calm", None),
        3 => (Intent::Failover, "api-throttled", None),
        _ => (Intent::Switchover, "calm", Some(Drill::Live)),
    };
    let waivers = if incident { vec![waiver(Rule::UnfencedPromotion, Dur::mins(5))] } else { Vec::new() };
    // Users of the second half return from where the third round moved them.
    let returns = round == 4;
    let rig = Rig { intent, drill, waivers, returns, ..Rig::new(plan(&text(app)), scenario, n as u64 + 1) };
    let done = rig.rehearse().unwrap_or_else(|r| panic!("{n}: {r:#?}"));
    let began = began(n);
    let run = named(n, intent);
    let mut all = lived(&events(&done), &run, began, |created| {
        created.returns = returns.then(|| RunId::new(named(n - 24, Intent::Switchover)));
        created.severity = Some(if incident { "P0" } else { "P2" }.to_owned());
        created.duties = incident.then(|| Duties { update_every_ms: Dur::secs(30), ..Duties::default() });
        // Some outages were noticed late.
        created.outage_began = (incident && n.is_multiple_of(5)).then(|| began - Dur::mins(40));
    });
    if n + 1 == RUNS {
        let served = |e: &Event| matches!(&e.what, EventKind::ProbeTurned { good: true, .. });
        let promoted = all.iter().position(
            |e| matches!(&e.what, EventKind::StepFinished { step, .. } if step.as_str().starts_with("promote.")),
        );
        all.truncate(promoted.unwrap() + 1);
        // Users were served before the region was lost, and never again.
        let lost =
            all.iter().position(|e| matches!(&e.what, EventKind::ProbeTurned { good: false, .. })).unwrap();
        assert!(!all[lost..].iter().any(served));
    } else if incident {
        let ended = all.last().unwrap().at;
        let said = |duty| EventKind::Fulfilled {
            duty,
            who: Person::claimed("ann"),
            reference: "=wiki|412".to_owned(),
            sha256: None,
        };
        let after = |hours: u64| ended + Dur::mins(60 * hours);
        let mut done = vec![(Duty::Monitoring, after(2)), (Duty::IncidentReport, after(20))];
        // The review is late in every fourth run, and the report in another.
        match n % 4 {
            0 => done.push((Duty::PostMortem, after(60))),
            1 => done[1].1 = after(30),
            _ => done.push((Duty::PostMortem, after(40))),
        }
        done.sort_by_key(|(_, at)| *at);
        all.extend(done.into_iter().map(|(duty, at)| Event { at, what: said(duty) }));
    }
    (run, all)
}

fn year() -> Folder {
    let folder = Folder::empty();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    for app in 0..12 {
        std::fs::write(folder.path().join(format!("plans/app-{app:02}.yaml")), text(app)).unwrap();
    }
    let settings = "evidence: {retain: {own: 30d}, sinks: {nowhere: {url: \"gs://x/y\", region: z}}}\nendpoints: {gcs: \"http://127.0.0.1:9\"}\n";
    std::fs::write(folder.path().join("drctl.yaml"), settings).unwrap();
    folder.run(&["runs", "list"]);
    let weekly = "schedules:\n  weekly: {plan: app-07, drill: isolated, at: \"0 3 * * SUN\", zone: UTC}\n";
    let weekly =
        Settings::load(Some(("drctl.yaml", weekly.as_bytes())), Default::default(), &[]).unwrap().schedules;
    let store = SqliteJournal::open(&folder.path().join(".drctl/drctl.db"), StoreWorld::Live).unwrap();
    let is = Some(weekly[0].is.clone());
    store.enter(&Entry::Schedule { at: began(0), name: "weekly".to_owned(), is }).unwrap();
    for n in 0..RUNS {
        if n == 50 {
            store.enter(&stood(began(n))).unwrap();
        }
        let (run, events) = one(n);
        keep_between(&store, &run, &events, &entries(&run, n, &events));
    }
    drop(store);
    folder
}

/// Adds a run and ledger entries in order of time, because nothing may be dated before the latest time in the ledger.
fn keep_between(store: &SqliteJournal, run: &str, events: &[Event], entries: &[Entry]) {
    let mut written = events.iter().take_while(|e| e.at == events[0].at).count();
    keep(store, run, &events[..written]);
    let run = RunId::new(run);
    let until = |written: &mut usize, at: Option<Timestamp>| {
        let new = events[*written..].iter().take_while(|e| at.is_none_or(|at| e.at <= at));
        let bytes: Vec<_> = new.map(create::encode).collect();
        if !bytes.is_empty() {
            let (before, n) = (*written as u64, bytes.len());
            futures_executor::block_on(store.append(&run, 1, before, bytes, Release::Keep)).unwrap();
            *written += n;
        }
    };
    for entry in entries {
        until(&mut written, entry.at());
        store.enter(entry).unwrap();
    }
    until(&mut written, None);
}

/// The readiness of a plan in the middle of the year.
fn stood(at: Timestamp) -> Entry {
    let check = |area, standing| Check {
        area,
        about: "db".to_owned(),
        standing,
        facts: "as it is".to_owned(),
        fix: None,
    };
    let checks = vec![
        check(Area::Replica, Standing::Ready),
        check(Area::Backups, Standing::NotReady),
        check(Area::Backups, Standing::Ready),
    ];
    Entry::Readiness { at, plan: PlanName::new("app-03"), standing: Standing::NotReady, checks }
}

/// The ledger entries: some drills were missed, and people were notified about some incidents, in time or too rarely.
fn entries(run: &str, n: usize, events: &[Event]) -> Vec<Entry> {
    let (began, ended) = (events[0].at, events.last().unwrap().at);
    if n.is_multiple_of(17) {
        let fate = Fate::Missed { why: "nobody served".to_owned() };
        return vec![Entry::Drill { at: began, schedule: "weekly".to_owned(), due: began, fate }];
    }
    if n >= 12 || n.is_multiple_of(2) {
        return Vec::new();
    }
    let every = if n.is_multiple_of(3) { Dur::mins(40) } else { Dur::mins(1) };
    let instants = (0..).map(|i| began + Dur(every.millis() * i)).take_while(|at| *at < ended).take(30);
    let told = |at| Entry::Notice {
        at,
        notice: format!("{run}/{at}"),
        kind: Kind::Update,
        run: Some(RunId::new(run)),
        thread: run.to_owned(),
        due: at,
        channel: "chat".to_owned(),
        delivered: true,
        said: "200".to_owned(),
    };
    instants.map(told).collect()
}

fn reported(folder: &Folder, format: &str, more: &[&str]) -> String {
    let out = folder.path().join(format!("report.{format}"));
    let args = [
        "report",
        "compliance",
        "--since",
        "2026-01-01",
        "--until",
        YEAR[1],
        "--profile",
        "soc2",
        "--format",
        format,
        "--out",
    ];
    folder.ok(&[&args[..], &[out.to_str().unwrap()], more].concat());
    out.to_str().unwrap().to_owned()
}

#[test]
fn a_year_of_twelve_applications_adds_up_to_what_another_program_computes() {
    let folder = year();
    // It seals missing bundles; that no sink accepts them does not matter here.
    folder.run(&["evidence", "push"]);
    let report = json(&std::fs::read_to_string(reported(&folder, "json", &[])).unwrap());
    folder.ok(&["audit", "export", "--out", "audit.jsonl"]);
    let computed = recomputed(&folder, &report);
    let totals = &report["totals"];
    // All figures except late overrides, which do not exist without operators (`policy::` has one).
    for (key, figure) in totals.as_object().unwrap() {
        let other = if key == "overrides_late" { &Value::from(0) } else { &computed["total"][key] };
        let near = |a: f64| other.as_f64().is_some_and(|b| (a - b).abs() < 1e-6);
        let same = figure == other || figure.as_f64().is_some_and(near);
        assert!(same, "{key}: {figure} here, {other} there\n{totals:#}\n{computed:#}");
    }
    let of = |key: &str| totals[key].as_u64().unwrap();
    assert_eq!((of("runs"), of("incidents"), of("drills"), of("drills_missed")), (61, 25, 12, 4));
    assert_eq!((of("not_recovered"), of("not_recovered_yet")), (0, 1), "it is still in progress");
    assert_eq!((of("returns"), of("planned")), (12, 12));
    assert!(totals["unprotected_s"].as_f64() > Some(1e6) && of("unproven") > 0, "{totals:#}");
    // 24 incidents with four obligations each, and one that is still open and has only updates. Six reviews are late and six missing, six
    // reports are late. Notifications: some were sent, two of them too rarely; the others were not sent by drctl, which is unknown.
    assert_eq!(report["obligations"].as_array().unwrap().len(), 24 * 4 + 1);
    assert_eq!(of("obligations_missed"), 6 + 6 + 6 + 2, "{totals:#}");
    let groups = computed["groups"].as_array().unwrap();
    let find = |by: &str, name: &Value| groups.iter().find(|g| g["by"] == by && g["name"] == *name).unwrap();
    let mut compared = 0;
    for (by, key, all) in [("tier", "tier", &report["tiers"]), ("plan", "plan", &report["applications"])] {
        for group in all.as_array().unwrap() {
            let (figures, other) = (&group["figures"], find(by, &group[key]));
            for figure in ["runs", "incidents", "planned", "drills", "returns", "read", "tests", "rto", "rpo"]
            {
                assert_eq!(figures[figure], other[figure], "{figure} {group:#}\n{other:#}");
            }
            for (kind, figure) in ["rto_s", "rpo_s"]
                .iter()
                .flat_map(|kind| ["known", "p50", "p95", "max", "trend"].map(|f| (kind, f)))
            {
                let rank = |of: &Value| ["at_least", "at_most", "not_recovered"].map(|key| of[key].clone());
                let (here, there) = (&figures[kind][figure], &other[kind][figure]);
                assert_eq!(rank(here), rank(there), "{kind} {figure} {group:#}\n{other:#}");
                let number = |of: &Value| of.as_f64().or_else(|| of["seconds"].as_f64());
                let (here, there) = (number(here), number(there));
                let same = here.zip(there).map_or(here == there, |(a, b)| (a - b).abs() < 1e-6);
                assert!(same, "{kind} {figure} {group:#}\n{other:#}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 15);
    bounds_stay_bounds(&report);
    let (rto, rpo) = (&totals["rto"], &totals["rpo"]);
    assert!(rto["missed"].as_u64() > Some(0) && rto["met"].as_u64() > Some(20), "{totals:#}");
    assert!(rpo["met"].as_u64() > Some(20), "{totals:#}");
    worst_first(&report);
    let sha = report["runs"][7]["sha256"].as_str().unwrap();
    let file =
        folder.path().join(".drctl/drctl.db.evidence").join(report["runs"][7]["bundle"].as_str().unwrap());
    let summed = Command::new("sha256sum").arg(file).output().unwrap();
    assert!(String::from_utf8(summed.stdout).unwrap().starts_with(sha));
    // Every miss is a finding with its controls.
    let missed: Vec<_> =
        report["findings"].as_array().unwrap().iter().filter(|f| f["section"] == "objectives").collect();
    assert!(missed.iter().all(|f| f["controls"] == serde_json::json!(["A1.2", "CC7.5"])), "{missed:#?}");
    assert!(
        missed.iter().filter(|f| f["text"].as_str().unwrap().starts_with("RTO MISSED")).count() as u64
            == rto["missed"].as_u64().unwrap()
    );
    forms(&folder, &report);
}

/// A loss that is only bounded from above stays a bound in the longest.
fn bounds_stay_bounds(report: &Value) {
    let bounded = |tier: &Value| tier["figures"]["rpo_s"]["max"]["at_most"] == true;
    assert!(report["tiers"].as_array().unwrap().iter().any(bounded), "{:#}", report["tiers"]);
}

/// The incident without a recovery comes first and is the longest of its application, however short it was.
fn worst_first(report: &Value) {
    let (run, app) = (&report["runs"][0], &report["applications"][0]);
    assert_eq!((&run["class"], &run["outcome"]), (&"incident".into(), &"running".into()));
    assert!(run["not_recovered_s"].as_f64() > Some(2_380.0), "{run:#}");
    assert_eq!(run["not_recovered_s"], run["rto"]["achieved_s"], "one outage, one duration: {run:#}");
    let of = |name: &Value| {
        report["applications"].as_array().unwrap().iter().find(|a| a["plan"] == *name).unwrap()
    };
    let longest = &of(&run["plan"])["figures"]["rto_s"]["max"];
    assert_eq!((&longest["not_recovered"], &longest["at_least"]), (&true.into(), &true.into()));
    let rank = |a: &Value| a["status"].as_str().map(|s| usize::from(s != "failed")).unwrap();
    let all = report["applications"].as_array().unwrap();
    assert!(all.is_sorted_by_key(rank) && rank(app) <= rank(all.last().unwrap()), "{all:#?}");
}

/// The figures that another program computes from the exported journal.
fn recomputed(folder: &Folder, report: &Value) -> Value {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compliance/recompute.py");
    let every = |tier: &Value| Some((tier["tier"].as_str()?.to_owned(), tier["drill_every_s"].clone()));
    let tiers: Map<String, Value> = report["tiers"].as_array().unwrap().iter().filter_map(every).collect();
    let mut python = Command::new("python3");
    python
        .arg(program)
        .arg(folder.path().join("audit.jsonl"))
        .arg(folder.path().join(".drctl/drctl.db.evidence"));
    python.args(YEAR).arg(report["generated_at"].as_str().unwrap()).arg(Value::Object(tiers).to_string());
    let computed = python.output().unwrap();
    assert!(computed.status.success(), "{}", String::from_utf8_lossy(&computed.stderr));
    json(&String::from_utf8(computed.stdout).unwrap())
}

/// The content is the same in every format.
fn forms(folder: &Folder, report: &Value) {
    let csv = std::fs::read_to_string(reported(folder, "csv", &[])).unwrap();
    let (head, lines) = csv.split_once("\r\n").unwrap();
    let rows = |kind: &str| lines.lines().filter(|line| line.starts_with(kind)).count();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!((rows("run,"), rows("finding,")), (RUNS, findings.len()));
    assert!(
        head.ends_with(",controls,finding") && lines.lines().next().unwrap().contains("A1.2 CC7.4 CC7.5"),
        "{csv}"
    );
    let proven = last_proven(report, &csv);
    ready(report);
    let html = std::fs::read_to_string(reported(folder, "html", &[])).unwrap();
    assert_eq!(html.matches("<svg").count(), 4);
    assert!(
        !html.contains("<script") && !html.contains("http://") && html.contains("CC7.5"),
        "it needs nothing else"
    );
    let md = std::fs::read_to_string(reported(folder, "md", &[])).unwrap();
    let bare = html.replace("<span class=\"at\">", "").replace("</span>", "");
    assert!([&md, &bare].iter().all(|text| text.contains(&proven)), "{proven}");
    assert!(md.contains("=wiki\\|412") && !md.contains("=wiki|412"), "a table keeps its cells");
    let again = folder.run(&["report", "compliance", "--format", "md", "--out", "report.md"]);
    assert!(again.0 == 2 && again.2.contains("never overwrites it"), "{again:?}");
    if cfg!(feature = "pdf") {
        let pdf = std::fs::read(reported(folder, "pdf", &[])).unwrap();
        assert!(pdf.starts_with(b"%PDF-1.7") && pdf.len() < 2 << 20, "{}", pdf.len());
    }
    hides_nothing(folder);
    for wrong in [["--since", "2027-01-01"], ["--profile", "sox"], ["--since", "lately"]] {
        let args = [&["report", "compliance", "--until", YEAR[1]][..], &wrong].concat();
        assert_eq!(folder.run(&args).0, 2, "{args:?}");
    }
}

/// The last run that proved an application is a date and a name, in every format. Returns how tables say it.
fn last_proven(report: &Value, csv: &str) -> String {
    let applications = report["applications"].as_array().unwrap();
    let proofs = applications.iter().filter(|a| !a["last_proven"].is_null());
    for application in proofs.clone() {
        let proof = &application["last_proven"];
        let run = report["runs"].as_array().unwrap().iter().find(|line| line["run"] == proof["run"]).unwrap();
        assert_eq!(
            (&run["plan"], &run["ended_at"], &run["good"]),
            (&application["plan"], &proof["at"], &true.into())
        );
        let words = [&proof["run"], &application["plan"], &application["tier"]].map(|v| v.as_str().unwrap());
        let row = format!("application,live,{},{},{},", words[0], words[1], words[2]);
        assert!(csv.lines().any(|line| line.starts_with(&row)), "{row}");
    }
    assert_eq!(
        applications.iter().filter(|a| a["never_proven"] == true).count(),
        applications.len() - proofs.clone().count()
    );
    let at = proofs.clone().next().unwrap()["last_proven"]["at"].as_str().unwrap();
    format!("last proven {}, by", at[..19].replace('T', " "))
}

/// The report has the readiness of plans at the last check, by the worst result in each area. What was not ready, and every missed drill,
/// is a finding about its application.
fn ready(report: &Value) {
    let of =
        |name: &str| report["applications"].as_array().unwrap().iter().find(|a| a["plan"] == name).unwrap();
    assert_eq!(
        of("app-03")["readiness"]["areas"],
        serde_json::json!({"replica": "ready", "backups": "not_ready"})
    );
    assert_eq!(of("app-04")["readiness"], Value::Null, "nobody looked");
    let findings = report["findings"].as_array().unwrap();
    let unready: Vec<_> =
        findings.iter().filter(|f| f["section"] == "protection" && f["plan"] == "app-03").collect();
    assert!(
        unready.iter().any(|f| f["text"].as_str().unwrap().ends_with("at the last check: db: as it is")),
        "{unready:#?}"
    );
    let missed = findings
        .iter()
        .find(|f| f["text"].as_str().unwrap().contains("schedule weekly did not run"))
        .unwrap();
    assert_eq!((&missed["plan"], &missed["controls"]), (&"app-07".into(), &serde_json::json!(["A1.3"])));
}

/// Attempts to make the report look better.
fn hides_nothing(folder: &Folder) {
    let ask = |since: &str, until: &str| {
        let args = ["report", "compliance", "--since", since, "--until", until, "--format", "json"];
        json(&folder.run(&args).1)
    };
    // The last proofs were months before it, so a short period does not start with everything proven.
    let short = ask("2026-09-01", "2026-11-20");
    assert!(short["totals"]["unproven"].as_u64() > Some(0), "{:#}", short["totals"]);
    assert_eq!(ask("2026-11-19", "2026-11-20")["applications"].as_array().unwrap().len(), 12);
    let evidence = folder.path().join(".drctl/drctl.db.evidence");
    let bundle = std::fs::read_dir(evidence)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| p.extension().is_some_and(|e| e == "tar"))
        .unwrap();
    let mut bytes = std::fs::read(&bundle).unwrap();
    bytes[2_000] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let found = ask("2026-01-01", "2026-01-02")["findings"].to_string();
    let name = bundle.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(found.contains(&format!("bundle {name} was CHANGED after it was signed")), "{found}");
    let plan = folder.path().join("plans/app-06.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::remove_file(&plan).unwrap();
    let gone = ask("2026-01-01", "2026-12-01");
    let gone = gone["applications"].as_array().unwrap().iter().find(|a| a["plan"] == "app-06").unwrap();
    assert_eq!(gone["status"], "gone");
    std::fs::write(&plan, "plan: [").unwrap();
    assert_eq!(folder.run(&["report", "compliance"]).0, 2);
    std::fs::write(&plan, text).unwrap();
}

#[test]
fn a_report_is_never_written_later_than_what_it_knows() {
    let folder = Folder::with_plans();
    let short = ["failover", "truststream", "--sandbox=capacity-short", "--to", "us-east-1", "--yes"];
    assert_ne!(folder.run(&short).0, 0, "it stops, and is not over");
    let last = crate::evidence::signatures::state_of(&folder, "sandbox-truststream-failover-s1-1").last_at;
    let args = ["report", "compliance", "--sandbox", "--until", "2027-01-01", "--format", "json"];
    let report = json(&folder.ok(&args));
    assert_eq!(report["generated_at"], last.to_string());
    let line = &report["runs"][0];
    for seconds in [&line["rto"]["achieved_s"], &line["not_recovered_s"]] {
        let seconds = seconds.as_f64().unwrap();
        assert!(seconds > 0.0 && seconds < 24.0 * 3_600.0, "no further than its last event: {line:#}");
    }
}

/// A run that stopped has not ended: its users may still be served again, so it neither missed its RTO nor never recovered.
#[test]
fn an_incident_that_stopped_has_not_recovered_yet() {
    let folder = Folder::with_plans();
    let short = ["failover", "truststream", "--sandbox=capacity-short", "--to", "us-east-1", "--yes"];
    assert_ne!(folder.run(&short).0, 0, "it stops, and is not over");
    let asked = |format: &str| folder.ok(&["report", "compliance", "--sandbox", "--format", format]);
    let report = json(&asked("json"));
    let of = |key: &str| report["totals"][key].as_u64().unwrap();
    assert_eq!((of("not_recovered"), of("not_recovered_yet")), (0, 1), "{:#}", report["totals"]);
    let yet = |f: &&Value| {
        f["text"].as_str().unwrap().starts_with("not recovered yet: users were still out at least ")
    };
    assert_eq!(report["findings"].as_array().unwrap().iter().filter(yet).count(), 1, "{report:#}");
    let md = asked("md");
    assert!(md.contains("| Incidents not recovered yet | 1 |"), "{md}");
    assert!(md.contains("| Incidents that never recovered | 0 |"), "{md}");
    for format in ["md", "html", "csv"] {
        assert!(!asked(format).contains("never recovered:"), "{format}");
    }
}

#[test]
fn an_application_without_any_proof_is_a_finding() {
    let folder = Folder::with_plans();
    let args = ["report", "compliance", "--since", "2026-01-01", "--until", "2026-02-01", "--format", "json"];
    let report = json(&folder.ok(&args));
    let applications = report["applications"].as_array().unwrap();
    assert_eq!(report["totals"]["never_proven"], applications.len(), "{report:#}");
    for application in applications {
        let said = |f: &&Value| {
            f["plan"] == application["plan"] && f["text"].as_str().unwrap().contains("never proven")
        };
        assert_eq!(report["findings"].as_array().unwrap().iter().filter(said).count(), 1, "{report:#}");
    }
}

/// Each rehearsal has a world and a clock of its own: what another one does later says nothing about it.
#[test]
fn a_rehearsal_is_judged_by_its_own_clock() {
    let folder = Folder::with_plans();
    let start = |scenario: &str, seed: &str| {
        let to = ["failover", "truststream", "--to", "us-east-1", "--yes"];
        folder.run(&[&to[..], &[scenario, "--seed", seed]].concat());
    };
    let reported = || json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    start("--sandbox=capacity-short", "1");
    let alone = reported()["runs"][0].clone();
    let run = alone["run"].as_str().unwrap().to_owned();
    let last = crate::evidence::signatures::state_of(&folder, &run).last_at;
    assert_eq!(alone["rto"]["as_of"], last.to_string(), "users wait, so the figure says when: {alone:#}");
    ["2", "3"].into_iter().for_each(|seed| start("--sandbox=region-lost", seed));
    let report = reported();
    assert!(report["generated_at"].as_str() > Some(&last.to_string()), "the others ran for longer");
    let again = report["runs"].as_array().unwrap().iter().find(|line| line["run"] == *run).unwrap();
    for figure in ["rto", "rpo", "not_recovered_s"] {
        assert_eq!(again[figure], alone[figure], "{again:#}");
    }
    let gaps = report["applications"][0]["unprotected"].as_array().unwrap();
    let ends = report["runs"].as_array().unwrap().iter().filter(|line| line["run"] != *run);
    let ends = ends
        .map(|line| crate::evidence::signatures::state_of(&folder, line["run"].as_str().unwrap()).last_at);
    for end in ends.map(|at| at.to_string()) {
        assert!(
            gaps.iter().any(|gap| gap["to"] == *end),
            "a gap in each world, up to its end {end}: {gaps:#?}"
        );
    }
    let (start, mut sum) = ("UNPROTECTED for ", Dur::ZERO);
    for finding in report["findings"].as_array().unwrap() {
        let Some(text) = finding["text"].as_str().unwrap().strip_prefix(start) else { continue };
        sum = sum.plus(Dur::parse(text.split_once(" from ").unwrap().0).unwrap());
        let mut runs = report["runs"].as_array().unwrap().iter();
        assert!(runs.any(|line| line["run"] == finding["run"]), "{finding:#}");
    }
    let md = folder.ok(&["report", "compliance", "--sandbox", "--format", "md"]);
    let row = md.lines().find_map(|line| line.split_once("added up over all databases | ")).unwrap().1;
    assert_eq!(Dur::parse(row.trim_end_matches(" |")).unwrap(), sum, "what is printed adds up: {md}");
    assert_eq!(report["totals"]["unprotected_s"].as_f64(), Some(sum.as_secs_f64()), "the same everywhere");
    for gap in gaps {
        let time = |key: &str| Timestamp::parse(gap[key].as_str().unwrap()).unwrap();
        let exact = time("to").since(time("from")).as_secs_f64();
        assert_eq!(gap["seconds"].as_f64(), Some(exact.round()), "{gap:#}");
    }
}

/// A tabletop drill proves nothing, so it must not make the share of good runs look better.
#[test]
fn a_tabletop_drill_is_no_recovery() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    folder.ok(&["drill", "starter", "--mode", "tabletop", "--sandbox"]);
    let report = json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let tabletop = report["runs"].as_array().unwrap().iter().find(|line| line["outcome"] == "read").unwrap();
    assert_eq!((&tabletop["class"], &tabletop["good"]), (&"read".into(), &false.into()), "{tabletop:#}");
    assert_eq!((&report["totals"]["runs"], &report["totals"]["good"]), (&2.into(), &1.into()));
    let findings = report["findings"].as_array().unwrap();
    let about =
        |f: &&Value| f["run"] == tabletop["run"] && f["text"].as_str().unwrap().contains("ended: read");
    assert!(!findings.iter().any(|f| about(&f)), "it did not fail either: {findings:#?}");
    let md = folder.ok(&["report", "compliance", "--sandbox", "--format", "md"]);
    assert!(md.contains("| Runs that recovered, or passed as a drill | 1 of 1 |"), "{md}");
    let html = folder.ok(&["report", "compliance", "--sandbox", "--format", "html"]);
    assert!(html.contains("class=\"soft\">read<") && !html.contains("class=\"good\">read<"), "{html}");
}

/// Worse is first: a longer outage before a shorter one, and more misses before fewer, whatever the names are.
#[test]
fn the_worst_is_first() {
    let folder = Folder::with_plans();
    let start = |plan: &str, seed: &str, scenario: &str| {
        folder.run(&["failover", plan, "--to", "us-east-1", "--yes", "--seed", seed, scenario]);
    };
    let cancel = |run: &str| {
        folder.run(&["runs", "cancel", run, "--reason", "enough", "--yes", "--sandbox"]);
    };
    for seed in ["1", "2", "3"] {
        start("truststream", seed, "--sandbox=capacity-short");
    }
    let report = || json(&folder.ok(&["report", "compliance", "--sandbox", "--format", "json"]));
    let of = |line: &Value| line["not_recovered_s"].as_f64().unwrap_or(-1.0);
    let first = report();
    first["runs"].as_array().unwrap().iter().for_each(|line| cancel(line["run"].as_str().unwrap()));
    start("starter", "4", "--sandbox=capacity-short");
    let report = report();
    let out: Vec<f64> = report["runs"].as_array().unwrap().iter().map(of).filter(|s| *s >= 0.0).collect();
    assert!(out.len() > 1 && out.is_sorted_by(|a, b| a >= b), "{out:?}");
    let names: Vec<_> = report["applications"].as_array().unwrap().iter().map(|a| &a["plan"]).collect();
    assert_eq!(names, ["truststream", "starter"], "three misses before one at most");
}
