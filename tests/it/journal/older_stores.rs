//! A store that is older than its signed checkpoints, and statements that are dated back.

use std::path::PathBuf;

use drctl::executor::create;
use drctl::journal::Journal as _;
use drctl::journal::sqlite::SqliteJournal;
use drctl::model::ids::RunId;
use drctl::model::ledger::{Entry, StoreWorld};
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::Person;
use drctl::record::event::{Event, EventKind};

use crate::cli::contract::{Folder, finish, json};
use crate::support::stored_rehearsals::{keep, lived};

const RUN: &str = "20260101-truststream-failover-1";

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// A folder with a live store and a run that started this long ago and waits for an approval, which it accepts for half an hour.
struct Waiting {
    folder: Folder,
    store: PathBuf,
}

impl Waiting {
    fn since(ago: Dur) -> Self {
        let folder = Folder::with_plans();
        let plan = folder.path().join("plans/truststream.yaml");
        let gate = "gates:\n  go: {at: promote, approval: \"may we?\", expires_after: 30m}\n";
        std::fs::write(&plan, std::fs::read_to_string(&plan).unwrap() + gate).unwrap();
        let start =
            ["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes", "--output", "json"];
        let (code, out, err) = folder.run(&start);
        assert_eq!(code, 4, "{out}{err}");
        let rehearsed = json(&out)["run_id"].as_str().unwrap().to_owned();
        folder.ok(&["runs", "list"]);
        let base = folder.path().join(".drctl");
        let sandbox = SqliteJournal::open(&base.join("sandbox.db"), StoreWorld::Sandbox).unwrap();
        let rehearsed = RunId::new(rehearsed);
        let events = create::decode(&rehearsed, &sandbox.read(&rehearsed).unwrap()).unwrap();
        assert!(events.iter().any(|e| matches!(e.what, EventKind::Halted { .. })));
        let all = ended_at(&events, now() - ago);
        let waiting = Self { store: base.join("drctl.db"), folder };
        keep(&waiting.open(), RUN, &all);
        waiting
    }

    fn open(&self) -> SqliteJournal {
        SqliteJournal::open(&self.store, StoreWorld::Live).unwrap()
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.folder.run(args)
    }

    /// Puts an earlier copy in the place of the store.
    fn becomes(&self, older: &[u8]) {
        for suffix in ["-wal", "-shm"] {
            drop(std::fs::remove_file(format!("{}{suffix}", self.store.display())));
        }
        std::fs::write(&self.store, older).unwrap();
    }

    /// Does something while what was signed about the store is out of sight.
    fn unseen(&self, work: impl FnOnce()) {
        let beside = [self.store.with_extension("db.evidence"), self.store.with_extension("db.checkpoint")];
        let away = |p: &PathBuf| PathBuf::from(format!("{}.away", p.display()));
        beside.iter().for_each(|p| std::fs::rename(p, away(p)).unwrap());
        work();
        for path in &beside {
            drop(std::fs::remove_dir_all(path));
            drop(std::fs::remove_file(path));
            std::fs::rename(away(path), path).unwrap();
        }
    }

    fn said(&self) -> Vec<Event> {
        let run = RunId::new(RUN);
        create::decode(&run, &self.open().read(&run).unwrap()).unwrap()
    }
}

/// The same run, with its last event at this time.
fn ended_at(events: &[Event], at: Timestamp) -> Vec<Event> {
    let took = events.last().unwrap().at.since(events[0].at);
    lived(events, RUN, at - took, |created| created.requester = Person::claimed("ann"))
}

/// An approval was given and sealed. Somebody with write access then restores an earlier copy of the store.
fn put_back() -> Waiting {
    put_back_after(&["approve", "--yes", RUN, "approve.go"])
}

/// The same for another answer.
fn put_back_after(answer: &[&str]) -> Waiting {
    let waiting = Waiting::since(Dur::mins(1));
    let older = std::fs::read(&waiting.store).unwrap();
    let (code, out, err) = waiting.run(answer);
    assert!(code == 0 && err.contains("evidence: "), "{out}{err}");
    let (code, out, err) = waiting.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(waiting.run(&["evidence", "list"]).0, 0);
    waiting.becomes(&older);
    waiting
}

const OLDER: &str = "somebody restored an older copy or removed its end";
const SAID: &str = "the store is older than its signed checkpoints, so drctl only reads it: ";

/// Commands that read the store of live runs.
const READ: &[&[&str]] = &[
    &["status"],
    &["duties"],
    &["schedules"],
    &["runs", "list"],
    &["runs", "show", RUN],
    &["runs", "replay", RUN],
    &["runs", "export", RUN],
    &["runs", "watch", RUN],
    &["notify", "show", RUN],
    &["report", "run", RUN],
    &["report", "compliance"],
    &["evidence", "list"],
    &["audit", "verify"],
    &["audit", "export"],
    &["audit", "export", "--format", "cef"],
    &["plan", "show", "truststream", "--to", "us-east-1"],
    &["ready", "truststream"],
    &["doctor", "truststream", "--assume-down", "us-west-2"],
];

/// Every command that reads a store says that it is older than something signed, in the same words, once, and none of them exits with 0.
#[test]
fn every_command_that_reads_an_older_store_says_so() {
    let waiting = Waiting::since(Dur::mins(1));
    assert_eq!(waiting.run(&["audit", "checkpoint"]).0, 0);
    let older = std::fs::read(&waiting.store).unwrap();
    assert_eq!(waiting.run(&["approve", "--yes", RUN, "approve.go"]).0, 0);
    let kept = waiting.folder.path().join("kept.json");
    let kept = ["--checkpoint", kept.to_str().unwrap()];
    assert_eq!(waiting.run(&["audit", "checkpoint", "--out", kept[1]]).0, 0);
    let mut before = Vec::new();
    for &verb in READ {
        let (code, out, err) = waiting.run(&[verb, &kept[..]].concat());
        assert!(!format!("{out}{err}").contains(SAID), "{verb:?}: {out}{err}");
        before.push(code);
    }
    for newer in [&[] as &[&str], &kept[..]] {
        waiting.becomes(&older);
        if !newer.is_empty() {
            std::fs::remove_dir_all(waiting.store.with_extension("db.evidence")).unwrap();
            std::fs::remove_file(waiting.store.with_extension("db.checkpoint")).unwrap();
        }
        for (&verb, was) in READ.iter().zip(&before) {
            let (code, out, err) = waiting.run(&[verb, newer].concat());
            assert_eq!(err.matches(SAID).count(), 1, "{verb:?} {newer:?}: {out}{err}");
            assert!(err.contains(OLDER) && err.contains("fix: restore the newer store"), "{verb:?}: {err}");
            assert!(code == 1 || *was != 0 && code != 0, "{verb:?} {newer:?}: {was}, {code}: {out}{err}");
        }
        let (code, out, err) = waiting.run(&[&["duties", "--output", "json"][..], newer].concat());
        let told = json(&out);
        assert!(code == 1 && told["exit_code"] == 1 && err.contains(SAID), "{newer:?}: {out}{err}");
        assert!(told["put_back"][0].as_str().unwrap().contains(OLDER), "{newer:?}: {out}");
    }
}

#[test]
fn a_store_put_back_is_found_and_nothing_of_it_is_carried_on() {
    let waiting = put_back();
    let (code, out, err) = waiting.run(&["evidence", "list"]);
    assert!(code == 1 && out.contains("NOT whole") && out.contains(OLDER), "{out}{err}");
    let (code, out, err) = waiting.run(&["audit", "verify"]);
    assert!(code == 1 && out.contains(&format!("{RUN}-e")) && out.contains(OLDER), "{out}{err}");
    assert!(out.contains("drctl.db.checkpoint"), "the last checkpoint lies beside it, too: {out}");
    let (code, out, err) = waiting.run(&["status"]);
    // A build without providers cannot judge the plans, but reports this as well.
    let judged = if cfg!(feature = "aws") { 1 } else { 2 };
    assert!(code == judged && err.contains(SAID) && err.contains(OLDER), "{out}{err}");
    let before = waiting.said();
    for verb in [
        &["runs", "resume", RUN][..],
        &["runs", "cancel", RUN, "--yes", "--reason", "x"],
        &["runs", "skip", RUN, "approve.go", "--reason", "x"],
        &["approve", "--yes", RUN, "approve.go"],
        &["reject", RUN, "approve.go", "--reason", "x"],
        &["evidence", "export", RUN],
    ] {
        let (code, out, err) = waiting.run(verb);
        assert_eq!(code, 3, "{verb:?}: {out}{err}");
        assert!(err.contains(SAID) && err.contains("restore the newer store"), "{verb:?}: {err}");
    }
    assert_eq!(waiting.said(), before);
    let (code, out, err) = waiting.run(&["audit", "checkpoint"]);
    assert!(code == 1 && err.contains("nothing was signed"), "{out}{err}");
}

/// Removing the anchors beside the store does not affect those kept elsewhere.
#[test]
fn a_checkpoint_kept_elsewhere_is_held_against_it() {
    let waiting = Waiting::since(Dur::mins(1));
    let kept = waiting.folder.path().join("kept.json");
    let kept = kept.to_str().unwrap();
    // The older copy knows the store's key.
    assert_eq!(waiting.run(&["audit", "checkpoint"]).0, 0);
    let older = std::fs::read(&waiting.store).unwrap();
    assert_eq!(waiting.run(&["approve", "--yes", RUN, "approve.go"]).0, 0);
    let (code, out, err) = waiting.run(&["audit", "checkpoint", "--out", kept]);
    assert_eq!(code, 0, "{out}{err}");
    for verb in [&["evidence", "list"][..], &["audit", "verify"]] {
        let (code, out, err) = waiting.run(&[verb, &["--checkpoint", kept]].concat());
        assert_eq!(code, 0, "{verb:?}: {out}{err}");
    }
    std::fs::write(&waiting.store, older).unwrap();
    std::fs::remove_dir_all(waiting.store.with_extension("db.evidence")).unwrap();
    std::fs::remove_file(waiting.store.with_extension("db.checkpoint")).unwrap();
    for (verb, code) in [
        (&["evidence", "list"][..], 1),
        (&["audit", "verify"], 1),
        (&["report", "compliance"], 1),
        (&["runs", "resume", RUN], 3),
        (&["runs", "cancel", RUN, "--yes", "--reason", "x"], 3),
        (&["approve", "--yes", RUN, "approve.go"], 3),
    ] {
        let (was, out, err) = waiting.run(&[verb, &["--checkpoint", kept]].concat());
        assert_eq!(was, code, "{verb:?}: {out}{err}");
        let told = format!("{out}{err}");
        assert!(
            told.contains("the end of the ledger was removed") || told.contains(OLDER),
            "{verb:?}: {told}"
        );
    }
    // A checkpoint of another store is not valid.
    let other = Waiting::since(Dur::mins(1));
    let (code, _, err) = other.run(&["runs", "resume", RUN, "--checkpoint", kept]);
    assert!(code == 2 && err.contains("is not a checkpoint of this store"), "{err}");
}

/// A checkpoint does not cover its own entry, but the ledger has it before anybody gets the checkpoint.
#[test]
fn a_lost_entry_of_a_checkpoint_alone_is_found() {
    let waiting = Waiting::since(Dur::mins(1));
    assert_eq!(waiting.run(&["audit", "checkpoint"]).0, 0);
    assert_eq!(waiting.run(&["audit", "export", "--out", "audit.jsonl"]).0, 0);
    let older = std::fs::read(&waiting.store).unwrap();
    assert_eq!(waiting.run(&["audit", "checkpoint", "--out", "kept.json"]).0, 0);
    let kept = ["--checkpoint", "kept.json"];
    for verb in [&["audit", "verify"][..], &["audit", "verify", "--file", "audit.jsonl"], &["runs", "list"]] {
        let (code, out, err) = waiting.run(&[verb, &kept[..]].concat());
        assert!(code == 0 && !err.contains(SAID), "an export may be older: {verb:?}: {out}{err}");
    }
    waiting.becomes(&older);
    let words =
        "the entry about this checkpoint is missing: somebody restored an older copy or removed its end";
    for newer in [&[] as &[&str], &kept[..]] {
        let (code, out, err) = waiting.run(&[&["audit", "verify"][..], newer].concat());
        assert!(code == 1 && out.contains(words), "{newer:?}: {out}{err}");
        let (code, out, err) = waiting.run(&[&["runs", "list"][..], newer].concat());
        assert!(code == 1 && err.contains(SAID) && err.contains(words), "{newer:?}: {out}{err}");
        let (code, out, err) = waiting.run(&[&["runs", "resume", RUN][..], newer].concat());
        assert!(code == 3 && err.contains(words), "{newer:?}: {out}{err}");
        drop(std::fs::remove_file(waiting.store.with_extension("db.checkpoint")));
    }
}

/// Truncated and continued: the new entries are a different history than the sealed one.
#[test]
fn a_history_that_was_cut_and_written_anew_is_found() {
    let waiting = put_back();
    // A different ledger grows in place of the removed part.
    waiting.unseen(|| grow(&waiting));
    let (code, out, _) = waiting.run(&["audit", "verify"]);
    assert!(code == 1 && out.contains("covers a different entry"), "{out}");
    let (code, _, err) = waiting.run(&["runs", "resume", RUN]);
    assert!(code == 3 && err.contains("covers a different entry"), "{err}");
}

fn grow(waiting: &Waiting) {
    for _ in 0..8 {
        assert_eq!(waiting.run(&["audit", "checkpoint"]).0, 0);
    }
}

/// A no that was sealed is cut away, and somebody else says yes in its place.
#[test]
fn a_yes_in_the_place_of_a_sealed_no_is_carried_on_by_nobody() {
    let waiting = put_back_after(&["reject", RUN, "approve.go", "--reason", "not now"]);
    let act = [
        &["runs", "resume", RUN][..],
        &["runs", "cancel", RUN, "--yes", "--reason", "x"],
        &["runs", "skip", RUN, "approve.go", "--reason", "x"],
        &["runs", "done", RUN, "approve.go"],
        &["runs", "pause", RUN],
        &["ack", RUN, "--reason", "x"],
        &["approve", "--yes", RUN, "approve.go"],
        &["reject", RUN, "approve.go", "--reason", "x"],
        &["override", RUN, "approve.go", "--reason", "x"],
    ];
    let refuses = |words: &str| {
        let before = waiting.said();
        for verb in act {
            let (code, out, err) = waiting.run(verb);
            assert!(code == 3 && err.contains(SAID) && err.contains(words), "{verb:?}: {code} {out}{err}");
        }
        assert_eq!(waiting.said(), before);
    };
    refuses(OLDER);
    waiting.unseen(|| {
        let mut yes = waiting.folder.command(&["approve", "--yes", RUN, "approve.go"]);
        let (code, out, err) = finish(yes.env("DRCTL_OPERATOR", "bob").output().unwrap());
        assert_eq!(code, 0, "{out}{err}");
        grow(&waiting);
    });
    let approved = |e: &Event| matches!(e.what, EventKind::Approved { .. });
    assert!(waiting.said().iter().any(approved));
    let words = "covers a different entry";
    refuses(words);
    let (code, out, err) = waiting.run(&["audit", "verify"]);
    let found = |place: &str| out.lines().any(|line| line.contains(place) && line.contains(words));
    assert!(code == 1 && found(&format!("{RUN}-e")) && found("drctl.db.checkpoint"), "{out}{err}");
    let (code, out, err) = waiting.run(&["evidence", "list"]);
    assert!(code == 1 && out.contains("NOT whole") && out.contains(words), "{out}{err}");
}

/// The ledger's times still apply after a clock is set back.
#[test]
fn a_yes_is_not_made_earlier_than_what_the_ledger_knows() {
    let waiting = Waiting::since(Dur::mins(1));
    let later = now() + Dur::mins(600);
    waiting.open().enter(&Entry::Schedule { at: later, name: "weekly".to_owned(), is: None }).unwrap();
    let (code, out, err) = waiting.run(&["approve", "--yes", RUN, "approve.go"]);
    let behind = |err: &str| {
        let ways = ["10h", "9h 59m"]
            .map(|by| format!("the clock is {by} behind the ledger. This entry has the date "));
        ways.iter().map(|words| err.matches(words).count()).sum::<usize>() == 1
    };
    assert!(behind(&err), "{out}{err}");
    assert!(err.contains(&format!("This entry has the date {later}")), "{err}");
    // No process recorded that the request expired, so the approval counts. It is nine and a half hours late, whatever the clock of the
    // approver shows, and the approver and every report say so.
    assert_eq!(code, 0, "{out}{err}");
    let told = err.lines().find(|line| line.starts_with("  open      until ")).unwrap_or_default();
    assert!(told.ends_with(", which has passed"), "{err}");
    let said = waiting.said();
    let approved = said.iter().find(|e| matches!(e.what, EventKind::Approved { .. })).unwrap();
    assert!(approved.at >= later, "{approved:?}");
    let report = waiting.folder.ok(&["report", "run", RUN]);
    let late = report.lines().find(|line| line.contains(" approved approve.go, ")).unwrap_or_default();
    assert!(
        late.contains("LATE: the request was open until ") && late.contains(" approved approve.go, 9h "),
        "{report}"
    );
    let (code, out, err) = waiting.run(&["audit", "checkpoint"]);
    assert!(code == 0 && behind(&err), "{err}");
    let signed = json(&out)["statement"].as_str().unwrap().to_owned();
    assert!(Timestamp::parse(json(&signed)["at"].as_str().unwrap()).unwrap() >= later, "{signed}");
    let clocks = waiting.open().entries(b"{\"ledger\":\"clo").unwrap();
    let first: Entry = serde_json::from_slice(&clocks[0].bytes).unwrap();
    assert!(
        matches!(first, Entry::Clock { at, behind_ms } if at == later && behind_ms > Dur::mins(590)),
        "{first:?}"
    );
    let sealed = waiting.folder.path().join("sealed.tar");
    for verb in [
        &["audit", "export"][..],
        &["kit", "export", "--to", "kit.json"],
        &["evidence", "export", RUN, "--out", sealed.to_str().unwrap()],
    ] {
        drop(std::fs::remove_dir_all(waiting.store.with_extension("db.evidence")));
        let (code, out, err) = waiting.run(verb);
        assert!(code == 0 && behind(&err), "{verb:?}: {out}{err}");
    }
    let (code, out, _) = waiting.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn a_ledger_whose_time_runs_backwards_is_a_finding() {
    let waiting = Waiting::since(Dur::mins(60 * 24));
    assert_eq!(waiting.run(&["audit", "verify"]).0, 0);
    let store = waiting.open();
    let at = now() - Dur::mins(60);
    store.enter(&Entry::Schedule { at, name: "weekly".to_owned(), is: None }).unwrap();
    // A later entry is not dated earlier.
    store.enter(&Entry::Schedule { at: at - Dur::mins(30), name: "daily".to_owned(), is: None }).unwrap();
    drop(store);
    let (code, out, _) = waiting.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{out}");
    // A run that claims to have started before that.
    let events = waiting.said();
    let mut early = ended_at(&events, at - Dur::mins(10));
    if let EventKind::RunCreated(created) = &mut early[0].what {
        created.run = RunId::new("early");
    }
    keep(&waiting.open(), "early", &early);
    let (code, out, _) = waiting.run(&["audit", "verify"]);
    assert!(
        code == 1 && out.contains("broken run early, event ") && out.contains("time ran backwards by "),
        "{out}"
    );
}

/// An older copy from before the first signature does not know the key, and the key file is moved away.
#[test]
fn a_store_put_back_without_its_key_is_found_and_gets_no_new_one() {
    let waiting = put_back();
    let key = waiting.folder.path().join(".drctl/drctl.db.key");
    std::fs::rename(&key, waiting.folder.path().join("away.key")).unwrap();
    let (code, out, err) = waiting.run(&["audit", "verify"]);
    let words = "which is not a key of this store: somebody restored an older copy, or removed its key";
    assert!(code == 1 && out.contains("drctl.db.checkpoint") && out.contains(words), "{out}{err}");
    let (code, out, err) = waiting.run(&["audit", "checkpoint"]);
    assert!(code == 1 && err.contains("nothing was signed"), "{out}{err}");
    let (_, _, err) = waiting.run(&["status"]);
    assert!(err.contains(SAID) && err.contains(words), "{err}");
    let (code, _, err) = waiting.run(&["runs", "resume", RUN]);
    assert!(code == 3 && err.contains(words), "{err}");
    assert!(!key.exists(), "a new key would make the store look whole");
}

/// A damaged file proves nothing, so it is a finding, but no recovery waits for it.
#[test]
fn a_damaged_checkpoint_beside_the_store_is_a_finding() {
    let waiting = Waiting::since(Dur::mins(1));
    assert_eq!(waiting.run(&["audit", "checkpoint"]).0, 0);
    std::fs::write(waiting.store.with_extension("db.checkpoint"), "{").unwrap();
    let (code, out, err) = waiting.run(&["audit", "verify"]);
    assert!(code == 1 && out.contains("it is not a checkpoint of this store"), "{out}{err}");
    let (code, out, err) = waiting.run(&["approve", "--yes", RUN, "approve.go"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(waiting.run(&["audit", "verify"]).0, 0, "the next checkpoint replaces it");
}

/// Two stores in one folder share neither key nor evidence, whatever their names are.
#[test]
fn a_rehearsal_beside_a_live_store_changes_nothing_of_it() {
    let waiting = Waiting::since(Dur::mins(1));
    assert_eq!(waiting.run(&["approve", "--yes", RUN, "approve.go"]).0, 0);
    for name in [".drctl/drctl.rehearsal", ".drctl/drctl", ".drctl/drctl.db2"] {
        let rehearse = ["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox", "--store", name];
        let (code, out, err) = waiting.run(&rehearse);
        assert_eq!(code, 0, "{out}{err}");
        for verb in [&["audit", "verify"][..], &["audit", "checkpoint"], &["evidence", "list"]] {
            let (code, out, err) = waiting.run(verb);
            assert_eq!(code, 0, "{name}, {verb:?}: {out}{err}");
        }
    }
    // Nor does a bundle of a rehearsal that somebody put there, even if the live key signed it.
    let base = waiting.folder.path().join(".drctl");
    let copy = |from: &str, to: &str| std::fs::copy(base.join(from), base.join(to)).unwrap();
    let other = Folder::with_plans();
    std::fs::create_dir_all(other.path().join(".drctl")).unwrap();
    std::fs::copy(base.join("drctl.db.key"), other.path().join(".drctl/sandbox.db.key")).unwrap();
    other.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let sealed = std::fs::read_dir(other.path().join(".drctl/sandbox.db.evidence")).unwrap().next();
    let sealed = sealed.unwrap().unwrap();
    copy(sealed.path().to_str().unwrap(), &format!("drctl.db.evidence/{}", sealed.file_name().display()));
    assert_eq!(waiting.run(&["audit", "verify"]).0, 0);
    assert!(waiting.run(&["runs", "resume", RUN]).0 != 3);
}

/// Nothing depends on a store of rehearsals, but no two commands disagree about it.
#[test]
fn an_older_store_of_rehearsals_is_whole_for_nobody_and_stops_nothing() {
    let folder = Folder::with_plans();
    let rehearse = ["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"];
    folder.ok(&rehearse);
    let store = folder.path().join(".drctl/sandbox.db");
    let older = std::fs::read(&store).unwrap();
    folder.ok(&rehearse);
    for verb in [&["evidence", "list", "--sandbox"][..], &["audit", "verify", "--sandbox"]] {
        folder.ok(verb);
    }
    for suffix in ["db-wal", "db-shm"] {
        drop(std::fs::remove_file(store.with_extension(suffix)));
    }
    std::fs::write(&store, older).unwrap();
    for verb in [
        &["evidence", "list", "--sandbox"][..],
        &["audit", "verify", "--sandbox"],
        &["audit", "export", "--sandbox"],
        &["status", "--sandbox"],
    ] {
        let (code, out, err) = folder.run(verb);
        assert!(
            code == 1 && out.contains("sandbox.db.evidence") && out.contains(OLDER),
            "{verb:?}: {out}{err}"
        );
        assert!(!err.contains(SAID), "{verb:?}: {err}");
    }
    folder.ok(&rehearse);
}

#[test]
fn a_rehearsal_is_never_made_in_the_live_store_to_be() {
    for store in [".drctl/drctl.db", "./.drctl/../.drctl/drctl.db", "live.db"] {
        let folder = Folder::with_plans();
        if store == "live.db" {
            let path = folder.path().join("plans/drctl.yaml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, format!("{text}store: live.db\n")).unwrap();
        }
        std::fs::create_dir_all(folder.path().join(".drctl")).unwrap();
        let rehearse = ["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox", "--store", store];
        let (code, out, err) = folder.run(&rehearse);
        assert!(code == 2 && err.contains("is the store of the real environment"), "{store}: {out}{err}");
        assert!(!folder.path().join(store).exists(), "{store}");
    }
}
