//! Scheduled drills over a year with both clock changes, by a server that is killed again and again.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::Duration;

use drctl::model::time::{Dur, Timestamp};
use serde_json::Value;

use crate::cli::contract::{Folder, json};

const SCHEDULES: &str = r#"
schedules:
  weekly: {plan: truststream, drill: isolated, at: "30 2 * * SUN", zone: Europe/Berlin, jitter: 20m}
  quarterly: {plan: truststream, drill: live, at: "0 6 1 1,4,7,10 *", zone: America/New_York, late: 12h}
"#;
const DAY: u64 = 24 * 3_600;

fn serving(schedules: &str) -> Folder {
    let folder = Folder::with_plans();
    let path = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{schedules}")).unwrap();
    folder
}

fn schedules(folder: &Folder) -> Value {
    json(&folder.ok(&["schedules", "--sandbox", "--output", "json"]))
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The due times of the two schedules in 2026, computed by hand, without drctl's patterns and time zones.
fn due_in_2026() -> BTreeMap<&'static str, Vec<Timestamp>> {
    let mut weekly = Vec::new();
    let mut sunday = at("2026-01-04T00:00:00Z");
    while sunday < at("2026-12-31T00:00:00Z") {
        // Berlin is one hour ahead of UTC, and two from 29 March, 02:00, to 25 October, 03:00.
        let due = if sunday == at("2026-03-29T00:00:00Z") {
            // 02:30 does not exist that night: it is due right after.
            sunday + Dur::mins(60)
        } else if sunday > at("2026-03-29T00:00:00Z") && sunday <= at("2026-10-25T00:00:00Z") {
            // On 25 October it exists twice: it is due once.
            sunday + Dur::mins(30)
        } else {
            sunday + Dur::mins(90)
        };
        weekly.push(due);
        sunday = sunday + Dur::secs(7 * DAY);
    }
    let quarterly =
        ["2026-01-01T11:00:00Z", "2026-04-01T10:00:00Z", "2026-07-01T10:00:00Z", "2026-10-01T10:00:00Z"];
    BTreeMap::from([("weekly", weekly), ("quarterly", quarterly.map(at).to_vec())])
}

/// Every known drill by schedule: its due time and its result.
fn drills(folder: &Folder) -> BTreeMap<String, Vec<(Timestamp, Value)>> {
    let of = |schedule: &Value| {
        let drills = schedule["drills"].as_array().unwrap().iter();
        let drills = drills.map(|d| (at(d["due"].as_str().unwrap()), d["is"].clone())).collect();
        (schedule["schedule"].as_str().unwrap().to_owned(), drills)
    };
    schedules(folder)["schedules"].as_array().unwrap().iter().map(of).collect()
}

/// Random numbers from a seed.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

#[test]
fn a_server_that_is_killed_two_hundred_times_in_a_year_holds_every_drill_once() {
    let folder = serving(SCHEDULES);
    let until = "2027-01-01T00:00:00Z";
    let (mut dice, mut killed, mut held) = (Dice(0x5eed_d1ce), 0, 0);
    let serve = ["serve", "--sandbox", "--until", until];
    while killed < 200 {
        // Sometimes no server runs for some hours.
        let from = match dice.up_to(10) {
            0 if killed > 0 => {
                let now = at(schedules(&folder)["now"].as_str().unwrap());
                (now + Dur::mins(dice.up_to(5 * 60))).to_string()
            }
            _ => "2026-01-01T00:00:00Z".to_owned(),
        };
        let mut child = folder.start(&[&serve[..], &["--from", &from]].concat());
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        said.read_line(&mut text).unwrap();
        // Killed after its first output, and earlier if the year passes faster than the kills. Every eighth one is killed during a drill,
        // however slow the machine is.
        let ahead = held * 200 > (killed + 8) * 56;
        let in_a_drill = !ahead && killed % 8 == 0;
        while in_a_drill && !text.contains(": begins") && said.read_line(&mut text).unwrap() > 0 {}
        let longest = if ahead || in_a_drill { 8 } else { 400 };
        std::thread::sleep(Duration::from_millis(dice.up_to(longest)));
        assert!(child.try_wait().unwrap().is_none(), "the year was over after {killed} deaths");
        child.kill().unwrap();
        child.wait().unwrap();
        said.read_to_string(&mut text).unwrap();
        held += text.matches(": passed: ").count();
        killed += 1;
    }
    folder.ok(&serve);

    let (found, wanted) = (drills(&folder), due_in_2026());
    let runs = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    let runs = runs["runs"].as_array().unwrap();
    let named = |name: &str| runs.iter().filter(|r| r["run_id"].as_str().unwrap().ends_with(name)).count();
    for (name, wanted) in &wanted {
        let due: Vec<_> = found[*name].iter().map(|(due, _)| *due).collect();
        assert_eq!(due, *wanted, "{name}");
        for (due, is) in &found[*name] {
            assert!(is["fate"] == "ended" && is["passed"] == true, "{name} {due}: {is:#}");
        }
    }
    assert_eq!((named("-isolated~weekly~db"), named("-live~quarterly")), (52, 4), "one run for each instant");
    // Each live drill has exactly one return, and there are no other runs.
    assert_eq!(runs.len(), 52 + 2 * 4, "{runs:#?}");
    // Each process that takes over a run records that.
    let taken = folder.ok(&["audit", "export", "--sandbox"]).matches("epoch_taken").count();
    let resumed = taken - runs.len();
    eprintln!("killed {killed} times, and {resumed} times a drill was carried on by another process");
    assert!(resumed > 3, "too few died in a drill: {resumed}");
    let audit = folder.ok(&["audit", "verify", "--sandbox"]);
    assert!(audit.contains("whole: ") && audit.contains(" 0 faults"), "{audit}");
}

#[test]
fn one_process_serves_a_store_and_a_drill_that_is_stopped_is_carried_on_by_the_next() {
    let folder = serving(
        &SCHEDULES.lines().filter(|l| !l.contains("quarterly")).map(|l| format!("{l}\n")).collect::<String>(),
    );
    // So slow that there is time to stop it.
    let mut first =
        folder.start(&["serve", "--sandbox", "--until", "2026-01-04T12:00:00Z", "--pace", "2000"]);
    let begun = || schedules(&folder).to_string().contains("\"begun\"");
    let soon = |what: &dyn Fn() -> bool| {
        (0..600).any(|_| {
            what() || {
                std::thread::sleep(Duration::from_millis(50));
                false
            }
        })
    };
    assert!(soon(&begun), "no drill began");
    let (code, _, err) = folder.run(&["serve", "--sandbox"]);
    assert!(code == 6 && err.contains("another process serves this store"), "{code} {err}");
    let running = || {
        json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]))["runs"]
            .as_array()
            .is_some_and(|runs| !runs.is_empty())
    };
    assert!(soon(&running), "no run began");
    let killed =
        std::process::Command::new("kill").args(["-TERM", &first.id().to_string()]).status().unwrap();
    assert!(killed.success() && first.wait().unwrap().code() == Some(4), "it pauses the drill, and ends");
    assert!(begun(), "what was stopped is not over");
    let said = folder.ok(&["serve", "--sandbox", "--until", "2026-01-04T12:00:00Z"]);
    assert!(said.contains("continuing run") && said.contains("passed"), "{said}");
    for (name, drills) in drills(&folder) {
        assert!(drills.iter().all(|(_, is)| is["passed"] == true), "{name}: {drills:#?}");
    }
}

#[test]
fn a_drill_that_cannot_begin_is_missed_and_said_to_be() {
    let nobodys = "\nschedules:\n  daily: {plan: gone, drill: isolated, at: \"0 3 * * *\", zone: UTC}\n";
    let folder = serving(nobodys);
    let (code, out, err) = folder.run(&["check"]);
    assert!(
        code == 0 && format!("{out}{err}").contains("schedule daily names plan gone"),
        "{code} {out}{err}"
    );
    // A missing plan cannot be read: the server tries again for as long as the drill may be late.
    let (code, said, _) =
        folder.run(&["serve", "--sandbox", "--until", "2026-01-03T12:00:00Z", "--output", "json"]);
    assert_eq!(code, 1, "{said}");
    let ended: Vec<Value> = said.lines().map(json).filter(|l| l["fate"]["fate"] == "missed").collect();
    assert!(ended.len() == 1, "{said}");
    assert!(said.contains("plan `gone` does not exist"), "{said}");
    let shown = folder.ok(&["schedules", "--sandbox"]);
    assert!(
        shown.contains("MISSED") && shown.contains("1 missed") && shown.contains("Fri 2026-01-02 03:00 UTC"),
        "{shown}"
    );
    // A drill that is due today cannot be run at another time.
    let (code, _, err) = folder.run(&["serve", "--from", "2026-01-01T00:00:00Z"]);
    assert!(code == 2 && err.contains("--from works only with --sandbox"), "{err}");
    let said = Folder::with_plans().ok(&["schedules"]);
    assert!(said.contains("no `schedules:`"), "{said}");
}

/// The next due time is one that a rehearsal reaches first, whatever the real time is.
#[test]
fn the_schedules_of_a_rehearsal_are_shown_by_its_clock() {
    let folder = serving(SCHEDULES);
    let shown = || folder.ok(&["schedules", "--sandbox"]);
    let next = || schedules(&folder)["schedules"][1]["next_due"].as_str().map(str::to_owned);
    let first = shown();
    assert!(
        first.starts_with("now 2026-01-01T03:00:00.000Z, by the clock of drctl serve --sandbox\n"),
        "{first}"
    );
    assert_eq!(next().as_deref(), Some("2026-01-04T01:30:00.000Z"));
    folder.run(&["serve", "--sandbox", "--until", "2026-01-05T00:00:00Z"]);
    assert!(shown().starts_with("now 2026-01-04T"), "{}", shown());
    assert_eq!(next().as_deref(), Some("2026-01-11T01:30:00.000Z"));
    assert!(!folder.ok(&["schedules"]).contains("by the clock of"));
}

/// With operators, a drill that moves users waits for approvals. The server runs other drills, and then continues it.
#[test]
fn a_drill_that_waits_for_a_person_is_carried_on_when_that_person_has_spoken() {
    let folder = serving(SCHEDULES);
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(
        &plan,
        format!("{text}\ngates: {{look: {{at: promote, approval: \"may we?\", expires_after: 30m}}}}\n"),
    )
    .unwrap();
    let serve = ["serve", "--sandbox", "--until", "2026-01-05T00:00:00Z"];
    let (code, said, _) = folder.run(&serve);
    assert!(
        code == 4 && said.contains("waits for a person") && said.contains("weekly, due Sun 2026-01-04"),
        "{said}"
    );
    let run = "sandbox-20260101110000-truststream-drill-live~quarterly";
    assert!(drills(&folder)["quarterly"][0].1["fate"] == "begun");
    let open = || folder.ok(&["drill", "schedules", "--sandbox"]);
    let shown = open();
    let waits = format!("  open  run {run} waits for a person: approve.look, ");
    assert!(
        shown.contains(&waits) && shown.contains(&format!("drctl approve {run} approve.look")),
        "{shown}"
    );
    let mut approve = folder.command(&["approve", "--yes", run, "approve.look", "--sandbox"]);
    assert!(approve.env("DRCTL_OPERATOR", "alice").output().unwrap().status.success());
    let shown = open();
    assert!(
        shown.contains(&format!(
            "run {run}: approve.look is answered; drctl --sandbox serve continues the run"
        )),
        "{shown}"
    );
    let (_, said, _) = folder.run(&serve);
    assert!(said.contains("continuing run"), "{said}");
}

fn terminated(child: &mut std::process::Child) -> bool {
    let killed =
        std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    killed.success() && child.wait().unwrap().code().is_some()
}

fn exported(folder: &Folder, run: &str) -> String {
    folder.run(&["runs", "export", run, "--sandbox"]).1
}

fn soon(what: &str, there: impl Fn() -> bool) {
    let waited = (0..1_200).any(|_| {
        std::thread::sleep(Duration::from_millis(25));
        there()
    });
    assert!(waited, "it did not come: {what}");
}

/// Users are away when the server ends, and the drill can no longer start when the next one runs: they are moved back all the same.
#[test]
fn users_who_are_away_for_a_drill_are_taken_back_however_late_it_is() {
    let live = "schedules:\n  moved: {plan: truststream, drill: live, at: \"0 6 1 1,7 *\", zone: UTC, late: 1h, hold: 3h}\n";
    let folder = serving(&format!("\n{live}"));
    let run = "sandbox-20260101060000-truststream-drill-live~moved";
    let mut first =
        folder.start(&["serve", "--sandbox", "--until", "2026-01-03T00:00:00Z", "--pace", "3000"]);
    soon("users are away", || exported(&folder, run).contains("\\\"step_started\\\",\\\"step\\\":\\\"watch"));
    assert!(terminated(&mut first));
    let stopped = exported(&folder, run);
    let said = folder.ok(&[
        "serve",
        "--sandbox",
        "--from",
        "2026-01-02T00:00:00Z",
        "--until",
        "2026-01-03T00:00:00Z",
    ]);
    let runs = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2, "{said}\n{stopped}");
    assert!(said.contains("moved, due Thu 2026-01-01 06:00 UTC: passed"), "{said}");
    let (_, status, _) = folder.run(&["status", "--sandbox", "--output", "json"]);
    assert_eq!(json(&status)["plans"][1]["active"]["site"], "us-west-2", "{status}");
}

/// The second of two databases is copied by the next server, and the drill does not count as passed before that.
#[test]
fn a_drill_of_two_databases_is_over_when_both_were_copied() {
    let folder = serving(
        "\nschedules:\n  copies: {plan: truststream, drill: isolated, at: \"0 6 1 1,7 *\", zone: UTC}\n",
    );
    let path = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let db = text
        .lines()
        .skip_while(|l| *l != "  db:")
        .skip(1)
        .take_while(|l| l.starts_with("    ") || l.trim().is_empty());
    let second = format!("  zdb:\n{}\n", db.collect::<Vec<_>>().join("\n")).replace("truststream-", "zdb-");
    std::fs::write(&path, text.replace("  db:\n", &format!("{second}  db:\n"))).unwrap();
    let mut first = folder.start(&["serve", "--sandbox", "--until", "2026-01-03T00:00:00Z", "--pace", "200"]);
    let run = |db: &str| format!("sandbox-20260101060000-truststream-drill-isolated~copies~{db}");
    soon("the first begins", || !exported(&folder, &run("db")).is_empty());
    assert!(terminated(&mut first));
    assert_eq!(drills(&folder)["copies"][0].1["fate"], "begun", "{}", exported(&folder, &run("db")));
    let said = folder.ok(&["serve", "--sandbox", "--until", "2026-01-03T00:00:00Z"]);
    assert!(said.contains(&run("db")) && said.contains(&run("zdb")) && said.contains("passed"), "{said}");
    assert_eq!(
        json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]))["runs"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

/// The restored time of a copy is random and differs between drills, unless the schedule states how long ago.
#[test]
fn copies_are_of_the_times_that_schedules_say() {
    let folder = serving(
        "\nschedules:\n  daily: {plan: truststream, drill: isolated, at: \"0 2 * * *\", zone: UTC}\n  newest: {plan: truststream, drill: isolated, point: 10m, at: \"0 14 * * *\", zone: UTC}\n",
    );
    folder.ok(&["serve", "--sandbox", "--from", "2026-01-01T00:00:00Z", "--until", "2026-01-07T00:00:00Z"]);
    let runs = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    let ages = |of: &str| -> Vec<f64> {
        let named = |run: &&Value| run["run_id"].as_str().unwrap().contains(of);
        let report = |run: &Value| {
            let run = run["run_id"].as_str().unwrap();
            json(&folder.ok(&["report", "run", run, "--sandbox", "--format", "json"]))
        };
        let reports = runs["runs"].as_array().unwrap().iter().filter(named).map(report);
        let age = |report: Value| {
            let of = |text: &Value| at(text.as_str().unwrap());
            of(&report["started_at"]).since(of(&report["restored"][0]["to_time"])).as_secs_f64()
        };
        reports.map(age).collect()
    };
    let (random, newest) = (ages("daily"), ages("newest"));
    assert_eq!((random.len(), newest.len()), (5, 6), "a sandbox begins at three");
    assert!(newest.iter().all(|age| (599.0..700.0).contains(age)), "{newest:?}");
    let mut apart: Vec<i64> = random.iter().map(|age| *age as i64).collect();
    apart.sort_unstable();
    apart.dedup();
    assert!(apart.len() >= 4 && apart[0] >= 60, "{random:?}");
    let wrong = serving(
        "\nschedules:\n  x: {plan: truststream, drill: live, point: 10m, at: \"0 2 * * *\", zone: UTC}\n",
    );
    let (code, _, err) = wrong.run(&["schedules", "--sandbox"]);
    assert!(code == 2 && err.contains("`point` is only for isolated drills"), "{code} {err}");
}

/// The old primary returns after the end of the run. A server tries the pending fence, in a rehearsal as well.
#[test]
fn a_rehearsed_server_pays_the_fence_that_a_run_owes() {
    let folder = Folder::with_plans();
    let waive = ["--waive", "unfenced-promotion", "--accept-data-loss", "10m", "--reason", "dark"];
    let start = ["failover", "truststream", "--to", "us-east-1", "--yes"];
    let (code, out, err) = folder.run(&[&start[..], &waive, &["--sandbox", "primary-returns"]].concat());
    assert!(code == 5 && out.contains("PENDING"), "{code} {out}{err}");
    let serve = ["serve", "--sandbox", "--until", "2026-01-02T00:00:00Z"];
    let said = folder.ok(&serve);
    assert!(
        said.contains("the fence of db that run sandbox-truststream-failover-s1-1 left pending is set"),
        "{said}"
    );
    assert!(
        !folder.ok(&["runs", "show", "sandbox-truststream-failover-s1-1", "--sandbox"]).contains("PENDING")
    );
    assert!(!folder.ok(&serve).contains("the fence of db"), "once");
}

/// Setting a pending fence takes an hour of a rehearsal. No drill that is due meanwhile is forgotten.
#[test]
fn a_drill_that_is_due_while_a_rehearsed_fence_is_set_is_held_or_missed() {
    let every = |name: &str, hour: u32| {
        format!("  {name}: {{plan: truststream, drill: isolated, at: \"0 {hour} * * *\", zone: UTC}}\n")
    };
    let folder = serving(&format!("\nschedules:\n{}{}", every("first", 4), every("second", 5)));
    let waive = ["--waive", "unfenced-promotion", "--accept-data-loss", "10m", "--reason", "dark"];
    let start = ["failover", "truststream", "--to", "us-east-1", "--yes"];
    folder.run(&[&start[..], &waive, &["--sandbox", "region-dark"]].concat());
    let (_, out, err) = folder.run(&["serve", "--sandbox", "--until", "2026-01-02T00:00:00Z"]);
    let drills = drills(&folder);
    for (name, due) in [("first", "2026-01-01T04:00:00Z"), ("second", "2026-01-01T05:00:00Z")] {
        assert!(drills[name].iter().any(|(at_, _)| *at_ == at(due)), "{name}: {drills:?}\n{out}{err}");
    }
}

/// The names of scheduled drills can be predicted, so a finished run from a file must not take the place of one.
#[test]
fn a_run_from_a_file_passes_no_scheduled_drill() {
    let weekly: String =
        SCHEDULES.lines().filter(|l| !l.contains("quarterly")).map(|l| format!("{l}\n")).collect();
    let (there, here) = (serving(&weekly), serving(&weekly));
    let serve = ["serve", "--sandbox", "--until", "2026-01-04T12:00:00Z"];
    there.ok(&serve);
    let runs = json(&there.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    for run in runs["runs"].as_array().unwrap() {
        std::fs::write(here.path().join("run.jsonl"), exported(&there, run["run_id"].as_str().unwrap()))
            .unwrap();
        here.ok(&["runs", "import", "run.jsonl", "--sandbox"]);
    }
    let (code, said, err) = here.run(&serve);
    assert!(code != 0 && said.contains("came from a file and is read-only"), "{code} {said}{err}");
    assert!(!said.contains(" passed: ") && said.contains("0 passed"), "{said}");
    for (name, drills) in drills(&here) {
        assert!(drills.iter().all(|(_, is)| is["passed"] != true), "{name}: {drills:#?}");
    }
}

/// Every call hangs. SIGTERM ends the check of readiness and the server, and nothing is recorded about it.
#[test]
fn an_interrupt_ends_a_server_that_waits_for_a_region() {
    let folder = Folder::with_plans();
    let region = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", region.local_addr().unwrap());
    let live = |args: &[&str]| {
        let mut command = folder.command(args);
        command.env("AWS_ENDPOINT_URL", &url);
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    };
    let mut server = live(&["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The first call is under way. It never gets an answer.
    region.set_nonblocking(true).unwrap();
    let call = std::cell::OnceCell::new();
    soon("the first call", || region.accept().is_ok_and(|accepted| call.set(accepted).is_ok()));
    std::thread::sleep(Duration::from_millis(300));
    let began = std::time::Instant::now();
    assert!(terminated(&mut server));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    assert_eq!(server.wait().unwrap().code(), Some(0));
    let ledger = live(&["audit", "export"]).output().unwrap();
    assert!(
        ledger.status.success()
            && !String::from_utf8_lossy(&ledger.stdout).contains("\\\"ledger\\\":\\\"readiness")
    );
}
