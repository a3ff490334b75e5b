//! Whose statements a run accepts: requests and approvals are signed by operators, and each kind of invalid signature is distinguished.

use std::path::Path;
use std::process::Command;

use drctl::executor::create;
use drctl::journal::chain::{self, Record};
use drctl::journal::sqlite::SqliteJournal;
use drctl::journal::verify;
use drctl::journal::{Journal as _, contents};
use drctl::model::ids::{Digest, RunId, SiteName, StepId};
use drctl::model::ledger::StoreWorld;
use drctl::model::time::{Dur, Timestamp};
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::record::event::{End, Event, EventKind, Signal, WorldKind};
use drctl::record::statement::{NAMESPACE, Statement};
use drctl::run::{RunState, signal};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::cli::contract::{Folder, finish, json};

const GATE: &str = "gates:
  go: {at: promote, approval: \"may we?\", expires_after: 30m, by: [dba, engineering-lead]}
";

/// Only the plan's own gate asks for an approval.
const NO_POLICY: &str =
    "policy: {severities: {P0: {by: []}}, changes: {database: {by: []}, dns: {by: []}}}\n";

/// A folder with operators: ann is on call, bob and eve may approve, cy has no role. Mallory is not an operator.
pub fn folder() -> Folder {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    std::fs::write(&plan, std::fs::read_to_string(&plan).unwrap() + GATE).unwrap();
    let people = [("ann", "on-call"), ("bob", "dba"), ("eve", "dba, engineering-lead"), ("cy", "")];
    people_of(&folder, "plans/drctl.yaml", &people, NO_POLICY);
    folder
}

/// Keys of people who become operators with these roles; and one of Mallory, who does not.
pub fn people_of(folder: &Folder, settings: &str, people: &[(&str, &str)], more: &str) {
    let mut operators = "operators:\n".to_owned();
    for (name, roles) in people {
        let line = folder.ok(&["key", "new", name, "--no-passphrase"]);
        operators += &line.replace("roles: []", &format!("roles: [{roles}]"));
    }
    folder.ok(&["key", "new", "mallory", "--no-passphrase"]);
    let settings = folder.path().join(settings);
    let before = std::fs::read_to_string(&settings).unwrap_or_default();
    std::fs::write(&settings, before + more + &operators).unwrap();
}

pub fn as_operator(folder: &Folder, key: &str, args: &[&str]) -> (i32, String, String) {
    finish(folder.command(args).env("DRCTL_KEY", key).output().unwrap())
}

/// A failover that ann requested and that waits at its gate.
pub fn waiting(folder: &Folder) -> String {
    let start = ["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1", "--yes"];
    let (code, out, err) = as_operator(folder, "ann.key", &[&start[..], &["--output", "json"]].concat());
    assert_eq!(code, 4, "{out}\n{err}");
    let report = json(&out);
    assert_eq!(report["requester"]["who"], "ann");
    assert_eq!(report["requester"]["claimed"], false);
    report["run_id"].as_str().unwrap().to_owned()
}

pub fn store(folder: &Folder) -> SqliteJournal {
    let base = [folder.path().join("plans/.drctl"), folder.path().join(".drctl")];
    let path = base.iter().map(|b| b.join("sandbox.db")).find(|p| p.exists()).unwrap();
    SqliteJournal::open(&path, StoreWorld::Sandbox).unwrap()
}

pub fn state_of(folder: &Folder, run: &str) -> RunState {
    let run = RunId::new(run);
    create::replay(&run, &store(folder).read(&run).unwrap()).unwrap()
}

pub fn signed(folder: &Folder, key: &str, statement: &Statement) -> Person {
    let text = serde_json::to_string(statement).unwrap();
    let key = PrivateKey::read_openssh_file(&folder.path().join(key)).unwrap();
    let signature = key.sign(NAMESPACE, HashAlg::Sha512, text.as_bytes()).unwrap();
    Person {
        who: statement.by.clone(),
        claimed: false,
        signature: Some(signature.to_pem(LineEnding::LF).unwrap()),
        statement: Some(text),
    }
}

pub fn yes(state: &RunState, by: &str) -> Statement {
    let runbook = state.created.runbook_digest.clone();
    let signal = Signal::Approve { step: StepId::new("approve.go"), runbook };
    Statement {
        by: by.to_owned(),
        at: state.last_at,
        until: state.last_at + Dur::mins(10),
        nonce: format!("{by}-1"),
        ..Statement::about(&state.created, state.runbook.to.as_str(), Some(signal))
    }
}

fn answer(state: &RunState, person: Person, now: Timestamp) -> Result<Vec<EventKind>, String> {
    let runbook = state.created.runbook_digest.clone();
    let signal = Signal::Approve { step: StepId::new("approve.go"), runbook };
    let events = signal::take(state, signal, person, now);
    match events.iter().find_map(|e| match e {
        EventKind::SignalRefused { reason, .. } => Some(reason.clone()),
        _ => None,
    }) {
        Some(reason) => Err(reason),
        None => Ok(events),
    }
}

#[test]
fn an_approval_takes_two_people_with_the_roles_that_are_asked_for() {
    let folder = folder();
    let run = waiting(&folder);
    let approve = ["approve", "--yes", &run, "approve.go", "--sandbox"];
    let refused = |key: &str, words: &str| {
        let (code, _, err) = as_operator(&folder, key, &approve);
        assert!(matches!(code, 2 | 3) && err.contains(words), "{key}: {code} {err}");
    };
    refused("ann.key", "the requester of a run cannot approve it");
    refused("cy.key", "cy does not have a required role; still required: dba and engineering-lead");
    refused("mallory.key", "is not the key of any current or former operator");
    let (code, _, err) = folder.run(&approve);
    assert!(code == 2 && err.contains("no key to sign with") && err.contains("DRCTL_KEY"), "{err}");

    assert_eq!(as_operator(&folder, "bob.key", &approve).0, 0);
    let resume = ["runs", "resume", &run, "--sandbox", "--output", "json"];
    let (code, out, _) = as_operator(&folder, "ann.key", &resume);
    assert_eq!(code, 4, "one of two is not enough");
    assert!(out.contains("waiting for approval by engineering-lead"), "{out}");
    // Nobody needs a key to continue a run, but whoever has one is named by it.
    let resumed = || {
        let last = |event: &Event| match &event.what {
            EventKind::Resumed { who } => Some((who.who.clone(), who.signature.is_some())),
            _ => None,
        };
        state_of(&folder, &run).people.iter().rev().find_map(last).unwrap()
    };
    assert_eq!(resumed(), ("ann".to_owned(), true));
    assert_eq!(folder.run(&resume).0, 4);
    assert!(!resumed().1 && resumed().0 != "ann", "{:?}", resumed());
    let (_, _, err) = as_operator(&folder, "mallory.key", &resume);
    assert!(err.contains("this is recorded unsigned: ") && !resumed().1, "{err}");
    refused("bob.key", "bob already approved approve.go at 2026-");

    assert_eq!(as_operator(&folder, "eve.key", &approve).0, 0);
    let (code, out, err) = as_operator(&folder, "ann.key", &resume);
    assert_eq!(code, 0, "{err}");
    let approvals = json(&out)["approvals"].clone();
    assert_eq!((&approvals[0]["who"]["who"], &approvals[1]["who"]["who"]), (&"bob".into(), &"eve".into()));
    assert!(folder.ok(&["audit", "verify", "--sandbox"]).contains("whole"), "every signature is checked");
    verified_by_openssh(&folder, &approvals[1]["who"]);
}

/// A refusal comes before the confirmation, and says who may answer.
#[test]
fn a_refused_answer_names_those_who_may_give_it_before_anybody_confirms() {
    let folder = folder();
    let run = waiting(&folder);
    let (code, _, err) = as_operator(&folder, "ann.key", &["approve", &run, "approve.go", "--sandbox"]);
    assert!(code == 3 && err.contains("the requester of a run cannot approve it"), "{code} {err}");
    assert!(!err.contains("--yes") && !err.contains("runbook   "), "{err}");
    let may = "ask for the approvals that are missing (dba: bob, eve; engineering-lead: eve); they run ";
    assert!(err.contains(may) && err.contains(&format!("approve {run} approve.go")), "{err}");
    let (code, _, err) = as_operator(&folder, "cy.key", &["approve", &run, "approve.go", "--sandbox"]);
    assert!(code == 3 && err.contains("does not have a required role") && err.contains(may), "{code} {err}");
    let over = ["override", &run, "approve.go", "--reason", "x", "--sandbox"];
    let (code, _, err) = as_operator(&folder, "cy.key", &over);
    assert!(code == 3 && err.contains("override this approval") && err.contains(may), "{code} {err}");
    assert_eq!(
        as_operator(&folder, "ann.key", &["runs", "cancel", &run, "--reason", "x", "--yes", "--sandbox"]).0,
        1
    );
    let (code, _, err) =
        as_operator(&folder, "eve.key", &["approve", "--yes", &run, "approve.go", "--sandbox"]);
    assert!(code == 3 && err.contains("a run that is over takes no answers"), "{code} {err}");
}

/// An auditor needs only `ssh-keygen -Y verify` and the public key for this.
fn verified_by_openssh(folder: &Folder, who: &serde_json::Value) {
    let name = who["who"].as_str().unwrap();
    let public = std::fs::read_to_string(folder.path().join(format!("{name}.key.pub"))).unwrap();
    std::fs::write(folder.path().join("allowed"), format!("{name} {public}")).unwrap();
    std::fs::write(folder.path().join("sig"), who["signature"].as_str().unwrap()).unwrap();
    for (bytes, good) in [(who["statement"].as_str().unwrap(), true), ("something else", false)] {
        std::fs::write(folder.path().join("said"), bytes).unwrap();
        let done = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-f", "allowed", "-I", name, "-n", NAMESPACE, "-s", "sig"])
            .current_dir(folder.path())
            .stdin(std::fs::File::open(folder.path().join("said")).unwrap())
            .output()
            .unwrap();
        assert_eq!(done.status.success(), good, "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn each_worthless_approval_is_refused_with_its_own_words() {
    let folder = folder();
    let state = state_of(&folder, &waiting(&folder));
    let now = state.last_at + Dur::mins(1);
    let good = yes(&state, "eve");
    let refusal = |person: Person| answer(&state, person, now).unwrap_err();
    let by_eve = |statement: Statement| refusal(signed(&folder, "eve.key", &statement));

    assert!(refusal(Person::claimed("eve")).contains("it is not signed"));
    assert!(by_eve(Statement { until: now, ..good.clone() }).contains("it expired at"));
    let other = Statement { runbook: Digest::of_bytes(b"another runbook"), ..good.clone() };
    assert!(by_eve(other).contains("it is for runbook "));
    let other = Statement { run: RunId::new("another-run"), ..good.clone() };
    assert!(by_eve(other).contains("it is for run another-run, not for "));
    let other = Statement { to: SiteName::new("us-west-2").to_string(), ..good.clone() };
    assert!(by_eve(other).contains("it is for site us-west-2, not for us-east-1"));
    let no = Signal::Reject { step: StepId::new("approve.go"), reason: "no".to_owned() };
    let other = Statement { signal: Some(no), ..good.clone() };
    assert!(by_eve(other).contains("the rejection of approve.go, not for the approval of approve.go"));
    let request = Statement { signal: None, ..good.clone() };
    assert!(by_eve(request).contains("the start of the run, not for the approval of approve.go"));

    let words = refusal(signed(&folder, "mallory.key", &good));
    assert!(words.contains("SHA256:") && words.contains("not the key of an operator"), "{words}");
    let words = refusal(signed(&folder, "cy.key", &good));
    assert!(words.contains("the statement names eve, but it is signed with the key of cy"), "{words}");
    let renamed = Person { who: "bob".to_owned(), ..signed(&folder, "eve.key", &good) };
    assert!(refusal(renamed).contains("names bob, but it is signed with the key of eve"));
    let later = serde_json::to_string(&Statement { until: now + Dur::mins(600), ..good.clone() }).unwrap();
    let stretched = Person { statement: Some(later), ..signed(&folder, "eve.key", &good) };
    assert!(refusal(stretched).contains("the signature is forged"));
    let forged =
        Person { who: "eve\u{1b}[2J".to_owned(), signature: Some("x".to_owned()), ..Person::claimed("") };
    let signal = yes(&state, "eve").signal.unwrap();
    let events = signal::take(&state, signal, forged, now);
    let [EventKind::SignalRefused { who, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        *who,
        Person::claimed("eve\u{fffd}[2J"),
        "a name that nobody vouched for is not told as if signed"
    );
    let garbage = Person { signature: Some("yes".to_owned()), ..signed(&folder, "eve.key", &good) };
    assert!(refusal(garbage).contains("is not readable"));

    // A signature for another purpose, such as a Git commit, is not valid.
    let key = PrivateKey::read_openssh_file(&folder.path().join("eve.key")).unwrap();
    let text = serde_json::to_string(&good).unwrap();
    let for_git = key.sign("git", HashAlg::Sha512, text.as_bytes()).unwrap();
    let git = Person {
        signature: Some(for_git.to_pem(LineEnding::LF).unwrap()),
        ..signed(&folder, "eve.key", &good)
    };
    assert!(refusal(git).contains("the signature is forged"));

    assert!(answer(&state, signed(&folder, "eve.key", &good), now).is_ok());
}

#[test]
fn a_statement_is_taken_once_and_counts_while_it_is_good() {
    let folder = folder();
    let mut state = state_of(&folder, &waiting(&folder));
    let said = |state: &mut RunState, person: Person, at: Timestamp| {
        let events = answer(state, person, at)?;
        events.into_iter().for_each(|what| state.apply(&Event { at, what }).unwrap());
        Ok::<_, String>(())
    };
    let at = state.last_at + Dur::secs(1);
    let bob = signed(&folder, "bob.key", &yes(&state, "bob"));
    said(&mut state, bob.clone(), at).unwrap();
    assert!(said(&mut state, bob, at).unwrap_err().contains("was already used"));

    let missing = |state: &RunState, now: Timestamp| {
        let gate = state.position(&StepId::new("approve.go")).unwrap();
        drctl::run::approval::lacking(state, gate, &state.steps[gate].approved_by, now)
    };
    assert_eq!(missing(&state, at), ["engineering-lead"]);
    assert_eq!(
        missing(&state, at + Dur::mins(11)),
        ["dba", "engineering-lead"],
        "a yes that expired is none"
    );

    let rule = Rule::GuardUnread;
    let who = Person::claimed("eve");
    let waiver = Waiver { rule, component: None, accept_loss_ms: None, reason: "r".to_owned(), who };
    let waives = || Signal::Waive { waiver: waiver.clone() };
    let eve = signed(&folder, "eve.key", &Statement { signal: Some(waives()), ..yes(&state, "eve") });
    let waived = signal::take(&state, waives(), eve.clone(), at);
    assert!(matches!(waived[..], [EventKind::Waived { .. }]), "{waived:?}");
    waived.into_iter().for_each(|what| state.apply(&Event { at, what }).unwrap());
    let again = signal::take(&state, waives(), eve, at);
    let [EventKind::SignalRefused { reason, .. }] = &again[..] else { panic!("{again:?}") };
    assert!(reason.contains("was already used"), "{reason}");
}

#[test]
fn an_audit_finds_words_that_nobody_signed() {
    let folder = folder();
    let run = waiting(&folder);
    for key in ["bob.key", "eve.key"] {
        assert_eq!(as_operator(&folder, key, &["approve", "--yes", &run, "approve.go", "--sandbox"]).0, 0);
    }
    assert_eq!(as_operator(&folder, "ann.key", &["runs", "resume", &run, "--sandbox"]).0, 0);
    let id = RunId::new(&run);
    let records = store(&folder).read(&id).unwrap();
    let audit = |change: &dyn Fn(&mut Event)| {
        let mut written: Vec<Record> = Vec::new();
        for record in &records {
            let mut event: Event = serde_json::from_slice(&record.bytes).unwrap();
            change(&mut event);
            let last = written.last().map(|r| (r.seq, &r.hash));
            let next = chain::link(&id, last, record.epoch, serde_json::to_vec(&event).unwrap());
            written.push(next);
        }
        let last = written.last().unwrap();
        let head = serde_json::to_vec(&(&id, last.seq, &last.hash)).unwrap();
        let ledger = vec![chain::link(&RunId::new(contents::LEDGER), None, 0, head)];
        verify::audit(
            &contents::Contents { events: written, ledger, ..Default::default() },
            &verify::Trust::default(),
        )
        .faults
    };
    assert_eq!(audit(&|_| ()), []);
    // Somebody who rewrites the whole chain does not have their key.
    let as_approver = |event: &mut Event, change: &dyn Fn(&mut Person)| {
        if let EventKind::Approved { who, .. } = &mut event.what {
            change(who);
        }
    };
    let faults = audit(&|event| as_approver(event, &|who| who.who = "cy".to_owned()));
    assert!(faults[0].why.contains("the journal names cy as the author"), "{faults:?}");
    let faults = audit(&|event| as_approver(event, &|who| *who = Person::claimed(&*who.who)));
    assert!(faults[0].why.contains("it is not signed"), "{faults:?}");
    let faults = audit(&|event| {
        if let EventKind::RunCreated(created) = &mut event.what {
            created.runbook_digest = Digest::of_bytes(b"another");
        }
    });
    assert!(faults[0].seq == 1 && faults[0].why.contains("changed after the approval"), "{faults:?}");
    // Nor can the operators be replaced, or the statements of a rehearsal be used in a live run.
    let faults = audit(&|event| {
        if let EventKind::RunCreated(created) = &mut event.what {
            let mine = created.authority.operators["cy"].key.clone();
            created.authority.operators.get_mut("eve").unwrap().key = mine;
            created.authority.operators.remove("cy");
            created.terms.operators = drctl::plan::terms::known(&created.authority);
            created.terms_digest = created.terms.digest();
        }
    });
    assert!(faults[0].seq == 1 && faults[0].why.contains("it is for operators"), "{faults:?}");
    let faults = audit(&|event| {
        if let EventKind::RunCreated(created) = &mut event.what {
            created.world = WorldKind::Live;
        }
    });
    assert!(faults[0].why.contains("it is for world sandbox, not for live"), "{faults:?}");
}

/// A process that reads a journal trusts the approvals of a gate, not the event that it opened.
#[test]
fn a_gate_that_was_passed_by_hand_is_not_believed() {
    let folder = folder();
    let state = state_of(&folder, &waiting(&folder));
    let step = || StepId::new("approve.go");
    let refused = |state: &RunState, what: EventKind| {
        state.clone().apply(&Event { at: state.last_at, what }).unwrap_err().to_string()
    };
    let passed = EventKind::StepFinished { step: step(), end: End::Performed, facts: Vec::new() };
    assert!(refused(&state, passed.clone()).contains("the approval of dba and engineering-lead is missing"));
    let skipped = EventKind::StepSkipped { step: step(), reason: "hurry".to_owned(), who: None };
    assert!(refused(&state, skipped).contains("cannot be skipped"));
    let approved = |who| EventKind::Approved { step: step(), who };
    let ann = signed(&folder, "ann.key", &yes(&state, "ann"));
    assert!(refused(&state, approved(ann)).contains("the requester of a run cannot approve it"));
    let mut one = state.clone();
    let bob = signed(&folder, "bob.key", &yes(&state, "bob"));
    one.apply(&Event { at: state.last_at, what: approved(bob.clone()) }).unwrap();
    assert!(refused(&one, approved(bob)).contains("was already used"));
    assert!(refused(&one, passed).contains("the approval of engineering-lead is missing"));
}

/// Signatures are verified before a run is resumed or imported.
#[test]
fn a_run_with_words_that_nobody_said_is_not_gone_on_with() {
    let folder = folder();
    let run = waiting(&folder);
    let mut records = store(&folder).read(&RunId::new(&run)).unwrap();
    let last = records.last().unwrap().clone();
    let at = serde_json::from_slice::<Event>(&last.bytes).unwrap().at;
    let forged = Person { signature: Some("x".to_owned()), claimed: false, ..Person::claimed("bob") };
    let what = EventKind::Approved { step: StepId::new("approve.go"), who: forged };
    let bytes = serde_json::to_vec(&Event { at, what }).unwrap();
    records.push(chain::link(&last.run, Some((last.seq, &last.hash)), last.epoch, bytes));
    let refused = create::vouched_for(&last.run, &records).unwrap_err().to_string();
    assert!(refused.contains("the journal names bob as the author: it is not signed"), "{refused}");

    // The operators of a run must match those in drctl.yaml, or it is not resumed.
    let settings = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("roles: [dba]", "roles: [dba, cto]")).unwrap();
    let (code, _, err) = as_operator(&folder, "ann.key", &["runs", "resume", &run, "--sandbox"]);
    assert!(code == 3 && err.contains("started with different operators"), "{err}");
    std::fs::write(&settings, text).unwrap();
    let sly = [("DRCTL_KEY", "ann.key"), ("DRCTL_OPERATORS__BOB__KEY", "ssh-ed25519 AAAA")];
    let (code, _, err) = finish(folder.command(&["status"]).envs(sly).output().unwrap());
    assert!(code == 2 && err.contains("drctl reads only from the file"), "{err}");
}

#[test]
fn a_no_ends_every_yes_before_it_and_is_not_lifted_by_anybody() {
    let folder = folder();
    let run = waiting(&folder);
    let said = |key: &str, args: &[&str]| as_operator(&folder, key, &[args, &["--sandbox"]].concat());
    assert_eq!(said("bob.key", &["approve", "--yes", &run, "approve.go"]).0, 0);
    assert_eq!(said("eve.key", &["reject", &run, "approve.go", "--reason", "not now"]).0, 0);
    // No process needs to read it first.
    let at_gate = || {
        let state = state_of(&folder, &run);
        let gate = state.position(&StepId::new("approve.go")).unwrap();
        (state.work(gate).status.word(), state.steps[gate].approved_by.len())
    };
    assert_eq!(at_gate(), ("failed", 0));
    let (code, _, err) = folder.run(&["runs", "resume", &run, "--sandbox"]);
    assert!(code == 2 && err.contains("no key to sign with"), "{code} {err}");
    // A rejection is answered with a new request or a cancel, not with a decision about a failed step.
    let (code, _, err) = said("ann.key", &["ack", &run, "--decide", "take-back", "--reason", "no"]);
    assert!(code == 3 && err.contains("approve.go was rejected, and no other step failed"), "{code} {err}");
    assert!(err.contains("To end the run, drctl runs cancel"), "{err}");
    // Whoever would approve after it reads it instead, and what makes the request again.
    let (code, _, err) = said("bob.key", &["approve", "--yes", &run, "approve.go"]);
    assert!(code == 3 && err.contains("step approve.go is failed: eve rejected it at 2026-"), "{code} {err}");
    assert!(
        err.contains(": not now; nothing was signed")
            && err.contains("To make the request again, an operator runs "),
        "{err}"
    );
    assert!(!err.contains("no more approvals are required"), "{err}");
    assert_eq!(said("ann.key", &["runs", "resume", &run]).0, 4, "it asks again");
    assert_eq!(at_gate(), ("blocked", 0));
    let (code, _, err) = said("bob.key", &["approve", "--yes", &run, "approve.go"]);
    assert!(code == 0 && err.contains("rejected  eve rejected it at 2026-"), "{code} {err}");
}

/// Another requester changes nothing about a role that nobody has. A failover can be declared an emergency.
#[test]
fn a_role_that_nobody_has_is_named_with_what_helps() {
    let folder = crate::planner::approval_policy::truststream();
    let start = ["truststream", "--sandbox", "--to", "us-east-1", "--yes"];
    let why = "approve.policy waits for change-manager, but nobody has that role\n";
    let fix = "fix: add an operator with that role to drctl.yaml";
    let urgent = ". If users are not served, add --severity P0, which requires dba and engineering-lead\n";
    for (key, more, then) in [
        ("ann.key", &["failover", "--severity", "P2"][..], urgent),
        ("ivy.key", &["failover", "--severity", "P2"][..], urgent),
        ("ann.key", &["switchover"][..], "\n"),
    ] {
        let (code, _, err) = as_operator(&folder, key, &[more, &start].concat());
        assert!(code == 3 && err.contains(why), "{key} {more:?}: {code} {err}");
        assert!(err.contains(&format!("{fix}{then}")), "{key} {more:?}: {err}");
    }
}

#[test]
fn who_alone_could_approve_does_not_ask() {
    let folder = folder();
    let start = ["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1", "--yes"];
    let (code, out, err) = as_operator(&folder, "eve.key", &start);
    assert_eq!(code, 3, "{out}\n{err}");
    assert!(
        err.contains(
            "approve.go waits for engineering-lead, but not enough people can approve: eve requests"
        ),
        "{err}"
    );
    assert!(folder.ok(&["runs", "list", "--sandbox"]).contains("no runs yet"), "nothing was fenced");
}

#[test]
fn keys_are_encrypted_never_written_over_and_may_stay_in_an_agent() {
    let folder = folder();
    let pass = folder.path().join("pass");
    std::fs::write(&pass, "correct horse\n").unwrap();
    let mode = |mode| {
        std::fs::set_permissions(&pass, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    for open in [0o644, 0o640, 0o604, 0o620, 0o700] {
        mode(open);
        let (code, _, err) = folder.run(&["key", "new", "dot", "--passphrase-file", pass.to_str().unwrap()]);
        assert!(
            code == 2 && err.contains("is open to others") && err.contains("chmod 600"),
            "{open:o}: {err}"
        );
        assert!(!folder.path().join("dot.key").exists());
    }
    mode(0o400);
    let pass = pass.to_str().unwrap();
    let line = folder.ok(&["key", "new", "dot", "--passphrase-file", pass]);
    assert!(line.contains("dot: {key: \"ssh-ed25519 "));
    assert!(PrivateKey::read_openssh_file(&folder.path().join("dot.key")).unwrap().is_encrypted());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.path().join("dot.key")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let (code, _, err) = folder.run(&["key", "new", "dot", "--no-passphrase"]);
    assert!(code == 2 && err.contains("never overwrites it"), "{err}");
    assert!(folder.ok(&["key", "show", "dot.key"]).contains("nobody under `operators:`"));
    assert!(folder.ok(&["key", "show", "eve.key.pub"]).contains("eve: dba, devops-lead, engineering-lead"));

    let start = ["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes"];
    let (code, _, err) = as_operator(&folder, "dot.key", &start);
    assert!(code == 2 && err.contains("DRCTL_KEY_PASSPHRASE_FILE"), "nobody can be asked: {err}");
    let settings = folder.path().join("plans/drctl.yaml");
    std::fs::write(&settings, std::fs::read_to_string(&settings).unwrap() + &line).unwrap();
    let with_pass =
        folder.command(&start).env("DRCTL_KEY", "dot.key").env("DRCTL_KEY_PASSPHRASE_FILE", pass).output();
    assert_eq!(finish(with_pass.unwrap()).0, 4, "it waits for its approvals");

    let run = waiting(&folder);
    let socket = folder.path().join("agent");
    let mut agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).spawn().unwrap();
    while !socket.exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let added = Command::new("ssh-add")
        .arg(folder.path().join("eve.key"))
        .env("SSH_AUTH_SOCK", &socket)
        .output()
        .unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    std::fs::rename(folder.path().join("eve.key"), folder.path().join("away")).unwrap();
    let by_agent = |socket: &Path| {
        let mut command = folder.command(&["approve", "--yes", &run, "approve.go", "--sandbox"]);
        command.env("DRCTL_KEY", "eve.key.pub").env("SSH_AUTH_SOCK", socket);
        finish(command.env("PATH", std::env::var("PATH").unwrap()).output().unwrap())
    };
    let (code, _, err) = by_agent(Path::new("/nowhere"));
    assert!(code == 2 && err.contains("ssh-keygen did not sign"), "{err}");
    assert_eq!(by_agent(&socket).0, 0);
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[test]
fn one_key_is_one_person_and_a_wrong_one_is_named() {
    let folder = folder();
    let settings = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let eve = text.lines().find(|l| l.trim_start().starts_with("eve:")).unwrap();
    std::fs::write(&settings, format!("{text}{}\n", eve.replace("eve:", "evelyn:"))).unwrap();
    let (code, _, err) = folder.run(&["status"]);
    assert!(code == 2 && err.contains("operators.evelyn and operators.eve have the same key"), "{err}");
    std::fs::write(&settings, format!("{text}  zoe: {{key: \"ssh-rsa AAAA\"}}\n")).unwrap();
    let (code, _, err) = folder.run(&["status"]);
    assert!(code == 2 && err.contains("operators.zoe.key"), "{err}");
}

#[test]
fn a_gate_that_nobody_can_open_is_an_error_of_the_plan() {
    let folder = folder();
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    let check = |by: &str| {
        std::fs::write(&plan, text.replace("[dba, engineering-lead]", by)).unwrap();
        folder.run(&["check", "plans/truststream.yaml"])
    };
    let (code, out, err) = check("[dba, cto]");
    assert!(code == 2 && (out + &err).contains("requires cto, but not enough people can approve"));
    let (code, out, err) = check("[engineering-lead, engineering-lead]");
    assert!(code == 2 && (out + &err).contains("requires engineering-lead, but not enough people"));
    assert_eq!(check("[dba, dba]").0, 0, "bob and eve");
    std::fs::remove_file(folder.path().join("plans/drctl.yaml")).unwrap();
    let (_, out, err) = check("[dba, cto]");
    assert!((out + &err).contains("drctl.yaml lists no operators"));
}
