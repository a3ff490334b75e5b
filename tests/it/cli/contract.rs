//! The command line in a hermetic environment: the exit codes, streams and words that scripts rely on.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// An empty folder to run drctl in.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn with_plans() -> Self {
        let folder = Self::empty();
        let plans = folder.path().join("plans");
        std::fs::create_dir(&plans).unwrap();
        for name in ["truststream.yaml", "starter.yaml", "drctl.yaml"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans").join(name);
            let text = std::fs::read_to_string(from).unwrap();
            let text = text.replace("REPLACE-WITH-YOUR-BUCKET", "drctl-guard");
            let text = text.replace("REPLACE-WITH-ITS-ACCOUNT", "333333333333");
            std::fs::write(plans.join(name), text).unwrap();
        }
        folder
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_drctl"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("TZ", "Asia/Tokyo")
            // No credentials, not even those of the machine.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> (i32, String, String) {
        finish(self.command(args).output().unwrap())
    }

    pub fn ok(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args);
        assert_eq!(code, 0, "{args:?}\n{out}\n{err}");
        out
    }

    /// Starts a paced run, and interrupts it once it printed this line. Returns its exit code, its screen, and the lines after the signal.
    pub fn interrupted_at(&self, line: &str, args: &[&str]) -> (i32, String, String) {
        let mut child = self.start(args);
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut read = String::new();
        while !read.contains(line) {
            read.clear();
            assert!(err.read_line(&mut read).unwrap() > 0, "it never printed `{line}`");
        }
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let mut rest = String::new();
        err.read_to_string(&mut rest).unwrap();
        let (code, out, _) = finish(child.wait_with_output().unwrap());
        (code, out, rest)
    }

    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

pub fn finish(output: std::process::Output) -> (i32, String, String) {
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

const FAILOVER: &[&str] = &["failover", "truststream", "--to", "us-east-1", "--yes"];

fn sandbox(scenario: &str, more: &[&str]) -> Vec<String> {
    let mut args: Vec<String> = FAILOVER.iter().map(|s| (*s).to_owned()).collect();
    args.extend(["--sandbox".to_owned(), scenario.to_owned()]);
    args.extend(more.iter().map(|s| (*s).to_owned()));
    args
}

fn run(folder: &Folder, args: &[String]) -> (i32, String, String) {
    folder.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn init_check_rehearse_report() {
    let folder = Folder::empty();
    folder.ok(&["init", "shop"]);
    // Only somebody who can read the bucket knows its owner.
    let (code, out, err) = folder.run(&["check"]);
    assert!(code == 2 && out.contains("2 errors"), "{out}{err}");
    let words = "`guard.url` is still a placeholder: s3://REPLACE-WITH-YOUR-BUCKET/prod";
    assert!(err.contains(words) && err.contains("enter a bucket that you own"), "{err}");
    let live = ["failover", "shop", "--to", "us-east-1", "--yes"];
    let (code, _, err) = folder.run(&live);
    assert!(code == 2 && err.contains(words), "{err}");
    let settings = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let text =
        text.replace("REPLACE-WITH-YOUR-BUCKET", "ours").replace("REPLACE-WITH-ITS-ACCOUNT", "333333333333");
    std::fs::write(&settings, text).unwrap();
    assert!(folder.ok(&["check"]).contains("0 errors"));
    let written = std::fs::read_to_string(folder.path().join("plans/shop.yaml")).unwrap();
    let (code, _, err) = folder.run(&["init", "shop"]);
    assert!(code == 2 && err.contains("already exists; nothing was written"), "{code} {err}");
    assert_eq!(std::fs::read_to_string(folder.path().join("plans/shop.yaml")).unwrap(), written);
    folder.ok(&["failover", "shop", "--sandbox", "--to", "us-east-1", "--yes"]);
    let runs = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    let id = runs["runs"][0]["run_id"].as_str().unwrap().to_owned();
    assert!(folder.ok(&["report", "run", &id, "--sandbox"]).starts_with("# Failover of shop: recovered"));
    assert!(folder.ok(&["runs", "show", &id, "--sandbox"]).contains("switch.www"));
    assert!(folder.ok(&["runs", "replay", &id, "--sandbox"]).contains("RECOVERED"));
    folder.ok(&["audit", "verify", "--sandbox"]);
    folder.ok(&["status", "--sandbox"]);
}

#[test]
fn three_seeds_three_figures_each_the_truth() {
    let folder = Folder::with_plans();
    let mut figures = std::collections::BTreeSet::new();
    for seed in ["1", "2", "3"] {
        let (code, out, err) = run(&folder, &sandbox("region-lost", &["--seed", seed, "--output", "json"]));
        assert_eq!(code, 0, "{err}");
        let report = json(&out);
        assert_eq!(report["rto"]["basis"], "measured");
        assert_eq!(report["rto"]["achieved_s"], report["truth"]["users_failed_as_sampled_s"]);
        assert!(report["rpo"]["achieved_s"].as_f64() >= report["truth"]["lost_s"]["db"].as_f64());
        assert_eq!(report["truth"]["two_primaries_s"], 0.0);
        figures.insert(report["rto"]["achieved_s"].to_string());
        let schema = schemars::schema_for!(drctl::report::RunReport);
        let valid = jsonschema::validator_for(schema.as_value()).unwrap();
        assert!(
            valid.is_valid(&report)
                || valid.iter_errors(&report).all(|e| e.to_string().contains("additional")),
            "{report}"
        );
    }
    assert_eq!(figures.len(), 3);
}

#[test]
fn a_dark_region_needs_a_waiver_by_name() {
    let folder = Folder::with_plans();
    let (code, _, err) = run(&folder, &sandbox("region-dark", &[]));
    assert_eq!(code, 3);
    assert!(err.contains("--waive unfenced-promotion:db --accept-data-loss 5m --reason TEXT"), "{err}");
    let (code, _, err) =
        run(&folder, &sandbox("region-dark", &["--waive", "unfenced-promotion:db", "--reason", "dark"]));
    assert_eq!(code, 2, "a waiver without a bound is no waiver: {err}");
    let waive = [
        "--waive",
        "unfenced-promotion:db",
        "--accept-data-loss",
        "5m",
        "--reason",
        "dark",
        "--output",
        "json",
    ];
    let (code, out, _) = run(&folder, &sandbox("region-dark", &waive));
    let report = json(&out);
    assert_eq!((code, report["fence"]["state"].as_str()), (5, Some("pending")));
    // Whoever monitors it must not miss that two servers may take writes.
    let (code, out, err) = folder.run(&["status", "truststream", "--sandbox"]);
    assert!(code == 5 && out.contains("FENCE PENDING"), "{code} {out}{err}");
    assert_eq!(folder.run(&["status", "starter", "--sandbox"]).0, 0, "another plan");
}

#[test]
fn the_fence_is_paid_when_the_primary_returns() {
    let folder = Folder::with_plans();
    let waive =
        ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "dark", "--output", "json"];
    let (code, out, _) = run(&folder, &sandbox("primary-returns", &waive));
    assert_eq!(code, 5);
    let id = json(&out)["run_id"].as_str().unwrap().to_owned();
    let summary = folder.ok(&["runs", "show", &id, "--sandbox"]);
    let command = format!("every later run does, and so does drctl runs resume {id} --sandbox");
    assert!(summary.contains(&command), "{summary}");
    // It is the only run that can be continued, so it needs no name.
    let (code, out, err) = folder.run(&["runs", "resume", "--sandbox", "--output", "json"]);
    // Clients in the same site wrote to it until then, so the loss exceeds the objective.
    assert_eq!((code, json(&out)["fence"]["state"].as_str()), (5, Some("fenced")), "{err}");
    assert!(json(&out)["rpo"]["achieved_s"].as_f64().unwrap() > 3_600.0, "{out}");
    folder.ok(&["audit", "verify", "--sandbox"]);
}

#[test]
fn exposure_above_the_rpo_blocks_and_resumes_with_a_bound() {
    let folder = Folder::with_plans();
    let (code, out, _) = run(&folder, &sandbox("replica-lagging", &["--output", "json"]));
    let report = json(&out);
    assert_eq!(
        (code, report["outcome"].as_str(), report["error"]["code"].as_str()),
        (1, Some("halted"), Some("blocked"))
    );
    let id = report["run_id"].as_str().unwrap();
    let waive = |bound: &'static str| {
        [
            "runs",
            "resume",
            id,
            "--sandbox",
            "--waive",
            "exposure-above-rpo:db",
            "--accept-data-loss",
            bound,
            "--reason",
            "ok",
        ]
    };
    // A bound below the known loss is refused at once, and not recorded.
    let (code, _, err) = folder.run(&waive("6m"));
    let short = "the accepted loss of 6m is less than the bound of 8m ";
    assert!(code == 2 && err.contains(short) && err.contains("was not recorded"), "{code} {err}");
    let shown = || json(&folder.ok(&["runs", "show", id, "--sandbox", "--output", "json"]));
    assert_eq!(shown()["waivers"], serde_json::json!([]), "{:#}", shown());
    // The suggested bound is sufficient.
    let asked = err.split("--accept-data-loss ").nth(1).and_then(|rest| rest.split_whitespace().next());
    assert_eq!(asked, Some("9m"), "{err}");
    let (code, out, err) = folder.run(&waive("9m"));
    assert_eq!(code, 5, "{out}{err}");
    assert!(out.contains("waived   exposure-above-rpo"));
}

/// The loss is not known yet, so nothing is refused; but a bound below the replica's lag leads to a warning at once.
#[test]
fn a_loss_that_may_be_more_than_is_accepted_is_said_before_the_run() {
    let accepting = |bound: &str| {
        let folder = Folder::with_plans();
        let waive = ["--waive", "exposure-above-rpo:db", "--accept-data-loss", bound, "--reason", "x"];
        run(&folder, &sandbox("replica-lagging", &waive)).2
    };
    let said = accepting("6m");
    let words = "truststream: the last commit in the replica of db is 7m ";
    assert!(said.contains(words) && said.contains("the accepted loss is 6m"), "{said}");
    assert!(said.find(words) < said.find(" created, runbook "), "{said}");
    assert!(!accepting("8m").contains("the last commit in the replica"));
}

#[test]
fn cancel_before_the_promotion_takes_everything_back() {
    let folder = Folder::with_plans();
    let (_, out, _) = run(&folder, &sandbox("replica-lagging", &["--output", "json"]));
    let id = json(&out)["run_id"].as_str().unwrap().to_owned();
    let (code, out, err) = folder.run(&[
        "runs",
        "cancel",
        &id,
        "--yes",
        "--reason",
        "false alarm",
        "--sandbox",
        "--output",
        "json",
    ]);
    let report = json(&out);
    assert_eq!((code, report["outcome"].as_str()), (1, Some("cancelled")), "{err}");
    let undone: Vec<_> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["state"] == "undone")
        .map(|s| s["id"].as_str().unwrap())
        .collect();
    assert!(undone.contains(&"scale.nodes") && undone.contains(&"fence.db.security_group"), "{undone:?}");
    assert_eq!(report["changed"].as_array().unwrap().len(), 0, "nothing of the run is left");
}

#[test]
fn safety_steps_cannot_be_skipped_and_requesters_do_not_approve() {
    let folder = Folder::with_plans();
    let gate = "gates:\n  go: {at: promote, approval: \"may we?\", expires_after: 30m}\n";
    let plan = folder.path().join("plans/truststream.yaml");
    std::fs::write(&plan, std::fs::read_to_string(&plan).unwrap() + gate).unwrap();
    let (code, out, _) = run(&folder, &sandbox("region-lost", &["--output", "json"]));
    let report = json(&out);
    assert_eq!((code, report["error"]["code"].as_str()), (4, Some("approval")));
    let id = report["run_id"].as_str().unwrap();
    let shown = folder.ok(&["runs", "show", id, "--sandbox"]);
    assert!(shown.contains("WAITING FOR APPROVAL: ") && !shown.contains("HALTED"), "{shown}");
    let done: Vec<_> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["state"] == "done")
        .map(|s| s["id"].to_string())
        .collect();
    assert!(
        done.iter().any(|s| s.contains("fence")) && done.iter().any(|s| s.contains("scale")),
        "fencing and scaling run meanwhile: {done:?}"
    );
    let (code, _, err) = folder.run(&["runs", "skip", id, "exposure.db", "--reason", "hurry", "--sandbox"]);
    assert!(code == 3 && err.contains("safety step"), "{err}");
    let (code, _, err) = folder.run(&["approve", "--yes", id, "approve.go", "--sandbox"]);
    assert!(code == 3 && err.contains("cannot approve"), "{err}");
    // The way on and the refusal name who can, and how.
    let me = report["requester"]["who"].as_str().unwrap();
    let means =
        format!("        for somebody other than {me}, with DRCTL_OPERATOR=NAME: lets the run continue to ");
    assert!(shown.contains(&means), "{shown}");
    assert!(err.contains(&format!("somebody: anybody except {me}, with DRCTL_OPERATOR=NAME")), "{err}");
    let other = |args: &[&str]| finish(folder.command(args).env("DRCTL_OPERATOR", "alice").output().unwrap());
    assert_eq!(other(&["approve", "--yes", id, "approve.go", "--sandbox"]).0, 0);
    let (code, out, err) = folder.run(&["runs", "resume", id, "--sandbox", "--output", "json"]);
    assert_eq!(code, 0, "{err}");
    assert!(json(&out)["approvals"][0]["who"]["who"].as_str().unwrap().starts_with("alice"));
}

#[test]
fn usage_errors_say_what_was_meant() {
    let folder = Folder::with_plans();
    for (args, code, words) in [
        (
            &["failover", "trustream", "--sandbox", "--to", "us-east-1", "--yes"][..],
            2,
            "plan `trustream` does not exist",
        ),
        (
            &["failover", "truststream", "--to", "us-east-1", "--sandbox", "region-drak", "--yes"],
            2,
            "did you mean `region-dark`?",
        ),
        (&["failover", "truststream", "--sandbox", "--to", "mars", "--yes"], 2, "no site `mars`"),
        (
            &["failover", "truststream", "--to", "us-east-1", "--yes"],
            if cfg!(feature = "aws") { 4 } else { 2 },
            if cfg!(feature = "aws") { "waiting for credentials" } else { "built without aws" },
        ),
        (&["failover", "truststream", "--sandbox", "--to", "us-east-1"], 2, "--yes"),
        (
            &["failback", "truststream", "--sandbox", "--to", "us-east-1", "--yes"],
            3,
            "the home site of the plan",
        ),
        (&["switchover", "truststream", "--sandbox", "--to", "us-west-2", "--yes"], 0, "nothing to do"),
        (&["explain", "unfenced-promoton"], 2, "did you mean `unfenced-promotion`?"),
        (
            &[
                "failover",
                "truststream",
                "--sandbox",
                "region-dark",
                "--to",
                "us-east-1",
                "--yes",
                "--waive",
                "unfenced-promotion:db",
                "--accept-data-loss",
                "18446744073709551615ms",
                "--reason",
                "dark",
            ],
            2,
            "`18446744073709551615ms` is too long; the longest duration is 100 years (36500d)",
        ),
        (&["runs", "show", "nothing"], 2, "run `nothing` does not exist"),
        (&["status", "--config", "none.yaml"], 2, "none.yaml"),
    ] {
        let (got, out, err) = folder.run(args);
        assert_eq!(got, code, "{args:?}: {out}{err}");
        assert!(err.contains(words) || out.contains(words), "{args:?}: {out}{err}");
        assert!(!err.contains('\u{1b}') && !out.contains('\u{1b}'), "colours in a pipe");
    }
}

#[test]
fn words_of_a_person_never_flatter_and_bounds_bind() {
    let folder = Folder::with_plans();
    let late = ["--outage-began", "2026-01-01T03:01:20Z", "--output", "json"];
    let (_, out, err) = run(&folder, &sandbox("region-lost", &late));
    let report = json(&out);
    assert_eq!(report["rto"]["achieved_s"], report["truth"]["users_failed_as_sampled_s"], "{err}");
    for nonsense in ["yesterday", "2030-01-01T00:00:00Z"] {
        assert_eq!(run(&folder, &sandbox("region-lost", &["--outage-began", nonsense])).0, 2, "{nonsense}");
    }
    let waive = |rule, bound| ["--waive", rule, "--accept-data-loss", bound, "--reason", "x"];
    assert_eq!(
        run(&folder, &sandbox("region-dark", &waive("unfenced-promotion", "1s"))).0,
        1,
        "46 s are not 1 s"
    );
    assert_eq!(run(&folder, &sandbox("region-dark", &waive("unfenced-promotion:nodb", "5m"))).0, 2);
    assert_eq!(run(&folder, &sandbox("region-slow", &["--from", "mars"])).0, 2);
    let (_, out, _) = run(
        &folder,
        &sandbox("region-slow", &[&waive("unfenced-promotion", "5m")[..], &["--output", "json"]].concat()),
    );
    assert_eq!(
        json(&out)["fence"]["state"],
        "proven",
        "a fence that can be had is waited for, waiver or not"
    );
}

#[test]
fn json_is_one_document() {
    let folder = Folder::with_plans();
    for args in [
        sandbox("region-dark", &["--output", "json"]),
        sandbox("region-lost", &["--dry-run", "--output", "json"]),
        sandbox("region-lost", &["--output", "json"]),
    ] {
        let (_, out, err) = run(&folder, &args);
        assert!(json(&out).is_object(), "{args:?}: {out}{err}");
    }
    let (code, _, err) = run(&folder, &sandbox("region-lost", &["--pace", "nan"]));
    assert_eq!(code, 2, "{err}");
}

#[test]
fn a_finished_estate_needs_nothing() {
    let folder = Folder::with_plans();
    let (code, out, err) =
        folder.run(&["failback", "starter", "--sandbox", "calm", "--to", "us-west-2", "--yes"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.contains("nothing to do"), "{err}");
}

#[test]
fn a_run_moves_to_another_store_and_a_kit_holds_it() {
    let (folder, elsewhere) = (Folder::with_plans(), Folder::with_plans());
    let (_, out, _) = run(&folder, &sandbox("replica-lagging", &["--output", "json"]));
    let id = json(&out)["run_id"].as_str().unwrap().to_owned();
    let file = folder.path().join("run.jsonl");
    folder.ok(&["runs", "export", &id, "--out", file.to_str().unwrap(), "--sandbox"]);
    elsewhere.ok(&["runs", "import", file.to_str().unwrap(), "--sandbox"]);
    assert!(elsewhere.ok(&["runs", "list", "--sandbox"]).contains(&id));
    elsewhere.ok(&["audit", "verify", "--sandbox"]);
    let text = std::fs::read_to_string(&file).unwrap().replacen("us-east-1", "us-east-2", 1);
    std::fs::write(&file, text).unwrap();
    let (code, _, err) = Folder::with_plans().run(&["runs", "import", file.to_str().unwrap(), "--sandbox"]);
    assert!(code == 2 && err.contains("event"), "{err}");
    let kit = folder.path().join("kit.json");
    let export = ["kit", "export", "--out", kit.to_str().unwrap(), "--sandbox", "--output", "json"];
    let key = json(&folder.ok(&export))["signed_by"].as_str().unwrap().to_owned();
    let check = ["check", "--kit", kit.to_str().unwrap(), "--kit-key", &key];
    assert!(Folder::empty().ok(&check).contains("2 files, 0 errors"));
}

#[test]
fn same_seed_same_journal() {
    let exports: Vec<_> = (0..2)
        .map(|_| {
            let folder = Folder::with_plans();
            let (_, out, _) = run(&folder, &sandbox("chaos", &["--seed", "7", "--output", "json"]));
            folder.ok(&["runs", "export", json(&out)["run_id"].as_str().unwrap(), "--sandbox"])
        })
        .collect();
    assert!(exports[0] == exports[1]);
}

#[test]
fn schemas_and_completions_are_printed() {
    let folder = Folder::empty();
    for of in ["plan", "settings", "event", "report"] {
        assert!(json(&folder.ok(&["schema", of])).is_object());
    }
    assert!(folder.ok(&["completions", "bash"]).contains("drctl"));
    let help = folder.ok(&["failover", "--help"]);
    assert!(help.contains("Examples:") && help.contains("--accept-data-loss"));
}

#[test]
fn another_programs_database_is_left_as_it_is() {
    let folder = Folder::with_plans();
    let path = folder.path().join("music.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    let (code, _, err) = folder.run(&["runs", "list", "--store", "music.db"]);
    assert!(code == 2 && err.contains("another program"), "{code}: {err}");
    let tables: i64 = other.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_variable_that_no_setting_has_is_an_error_and_not_ignored() {
    let folder = Folder::with_plans();
    let with = |key: &str, value: &str| finish(folder.command(&["check"]).env(key, value).output().unwrap());
    let (code, _, err) = with("DRCTL_OPERATR", "alice");
    assert!(code == 2 && err.contains("operatr"), "{code}: {err}");
    let (code, _, err) = with("DRCTL_GUARD__BUKET", "x");
    assert!(code == 2 && err.contains("buket"), "{code}: {err}");
    let (code, _, err) = with("DRCTL_OPERATOR", "alice");
    assert_eq!(code, 0, "{err}");
}

#[test]
fn every_command_prints_one_document_when_asked() {
    let folder = Folder::empty();
    let all: &[&[&str]] = &[
        &["init", "shop"],
        &["check"],
        &["explain"],
        &["explain", "unfenced-promotion"],
        &["plan", "show", "shop", "--to", "us-east-1", "--sandbox"],
        &["observe", "--sandbox"],
        &["failover", "shop", "--to", "us-east-1", "--sandbox", "--yes"],
        &["status", "--sandbox"],
        &["runs", "list", "--sandbox"],
        &["runs", "show", "sandbox-shop-failover-s1-1", "--sandbox"],
        &["runs", "watch", "sandbox-shop-failover-s1-1", "--sandbox"],
        &["runs", "replay", "sandbox-shop-failover-s1-1", "--sandbox"],
        &["runs", "export", "sandbox-shop-failover-s1-1", "--out", "run.jsonl", "--sandbox"],
        &["runs", "import", "run.jsonl", "--store", "other.db"],
        &["report", "run", "sandbox-shop-failover-s1-1", "--sandbox"],
        &["audit", "verify", "--sandbox"],
        &["kit", "export", "--out", "bag.json", "--sandbox"],
        &["schema", "plan"],
        &["runs", "show", "nothing"],
    ];
    for args in all {
        let (_, out, err) = folder.run(&[*args, &["--output", "json"][..]].concat());
        let document: Result<serde_json::Value, _> = serde_json::from_str(&out);
        assert!(document.is_ok_and(|d| d.is_object()), "{args:?}: {out}{err}");
    }
    let plan = std::fs::read_to_string(folder.path().join("plans/shop.yaml")).unwrap();
    assert!(plan.contains("plan: shop") && !plan.contains("starter"), "{plan}");
}

#[test]
fn whatever_is_asked_json_is_one_document() {
    let folder = Folder::with_plans();
    let (code, out, _) = folder.run(&["bogus", "--output", "json"]);
    assert_eq!((code, json(&out)["exit_code"].as_u64()), (2, Some(2)), "{out}");
    let show = [
        "plan",
        "show",
        "truststream",
        "--to",
        "us-east-1",
        "--as-commands",
        "--sandbox",
        "--output",
        "json",
    ];
    let (_, out, _) = folder.run(&show);
    assert!(json(&out)["commands"].as_str().unwrap().contains("promote-read-replica"), "{out}");
    let (_, out, _) = run(&folder, &sandbox("region-lost", &["--output", "json"]));
    let id = json(&out)["run_id"].as_str().unwrap().to_owned();
    let (_, out, _) = folder.run(&["runs", "export", &id, "--sandbox", "--output", "json"]);
    assert!(json(&out)["events"].as_array().unwrap().len() > 20);
}

#[test]
fn a_rehearsal_of_a_planned_move_begins_where_it_makes_sense() {
    let folder = Folder::with_plans();
    let at = |site: &str| {
        format!(
            "{{endpoint: \"{site}:5432/o\", admin: {{secret: \"file:a\"}}, host: {{run: [ssh, {site}], data: /d, replication: {{secret: \"file:r\"}}}}}}"
        )
    };
    let plan = format!(
        "plan: orders\nobjectives: {{rto: 5m, rpo: 1m}}\nsites: {{west: {{cloud: none}}, east: {{cloud: none}}}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    at:\n      west: {}\n      east: {}\nprobes:\n  - {{name: app, role: public, http: \"https://o.example/\", every: 1s, timeout: 3s}}\nwatch: {{for: 1m}}\n",
        at("w"),
        at("e")
    );
    std::fs::write(folder.path().join("plans/orders.yaml"), plan).unwrap();
    for (verb, to) in [("switchover", "east"), ("failback", "west"), ("reprotect", "west")] {
        let (code, out, err) =
            folder.run(&[verb, "orders", "--to", to, "--sandbox", "--yes", "--output", "json"]);
        let report = json(&out);
        assert_eq!((code, &report["outcome"]), (0, &"recovered".into()), "{verb}: {out}{err}");
        assert_eq!(report["protection"]["state"], "protected", "{verb}: {out}");
        // An outage that probes may have missed is not reported as zero.
        let failed = report["truth"]["users_failed_s"].as_f64().unwrap_or_default();
        if verb == "reprotect" {
            assert_eq!((&report["rto"]["verdict"], failed), (&"not_applicable".into(), 0.0), "{out}");
            // What does not apply is not met, for whoever filters by that field.
            assert!(report["rto"]["met"].is_null() && report["rto"].get("met").is_some(), "{out}");
            continue;
        }
        let (rto, slack) = (&report["rto"]["achieved_s"], &report["rto"]["resolution_s"]);
        // If nobody is moved there is no figure, and no user is affected.
        let none = verb == "reprotect" && rto.is_null();
        let most = if none { 0.0 } else { rto.as_f64().unwrap() + slack.as_f64().unwrap() };
        assert!(most >= failed, "{verb}: users failed for {failed} s, and {most} s are reported");
    }
}
