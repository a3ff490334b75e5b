//! Evidence that can be verified on any machine: the content of a bundle, its integrity, and that every run has one.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drctl::journal::bundle;
use drctl::model::evidence::Manifest;
use drctl::model::time::Timestamp;
use drctl::policy::dsse;
use serde_json::Value;
use ssh_key::{Algorithm, PrivateKey, PublicKey};

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures;
use crate::planner::approval_policy;
use crate::run::cancel::stateless;

const FAILOVER: &[&str] =
    &["failover", "truststream", "--to", "us-east-1", "--yes", "--reason", "west is dark"];
const TYPE: &str = "application/vnd.drctl.evidence+json";

/// A run, its bundle and the store's public key.
fn sealed(folder: &Folder, args: &[&str]) -> (i32, PathBuf, PublicKey) {
    let (code, _, _) = folder.run(&[args, &["--sandbox"]].concat());
    let mut all = bundles(folder);
    let file = all.pop().expect("no bundle");
    (code, file, key(folder))
}

fn key(folder: &Folder) -> PublicKey {
    PublicKey::from_openssh(folder.ok(&["audit", "key", "--sandbox"]).lines().next().unwrap()).unwrap()
}

fn bundles(folder: &Folder) -> Vec<PathBuf> {
    let base = ["plans/.drctl", ".drctl"].map(|b| folder.path().join(b).join("sandbox.db.evidence"));
    let entries = base.iter().find_map(|b| std::fs::read_dir(b).ok()).into_iter().flatten();
    let mut all: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

type Files = Vec<(String, Vec<u8>)>;

fn unpacked(bytes: &[u8]) -> Files {
    let mut archive = tar::Archive::new(bytes);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    };
    archive.entries().unwrap().map(read).collect()
}

/// Packs a bundle like drctl, with the time in the manifest.
fn packed(files: &Files) -> Vec<u8> {
    let said = files.iter().find(|(path, _)| path == "manifest.json");
    let said = said.and_then(|(_, bytes)| serde_json::from_slice::<Value>(bytes).ok());
    let at = said.and_then(|said| serde_json::from_value::<Timestamp>(said["timestamp"].clone()).ok());
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(at.map_or(0, |at| u64::try_from(at.millis() / 1000).unwrap()));
        archive.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn faults(bytes: &[u8], key: &PublicKey) -> Vec<String> {
    let found = bundle::check(bytes, std::slice::from_ref(key));
    found.faults.iter().map(|f| format!("{}: {}", f.place, f.why)).collect()
}

fn file<'f>(files: &'f mut Files, name: &str) -> &'f mut Vec<u8> {
    &mut files.iter_mut().find(|(path, _)| path == name).unwrap().1
}

fn manifest(files: &Files) -> Value {
    serde_json::from_slice(&files.iter().find(|(path, _)| path == "manifest.json").unwrap().1).unwrap()
}

/// A changed manifest, with everything signed again with this key.
fn forged(files: &Files, key: &PrivateKey, change: impl Fn(&mut Value)) -> Vec<u8> {
    let mut files = files.clone();
    let mut said = manifest(&files);
    change(&mut said);
    let said: Manifest = serde_json::from_value(said).unwrap();
    let bytes = [serde_json::to_vec_pretty(&said).unwrap(), b"\n".to_vec()].concat();
    *file(&mut files, "manifest.dsse.json") =
        serde_json::to_vec(&dsse::seal(key, TYPE, &bytes).unwrap()).unwrap();
    *file(&mut files, "manifest.json") = bytes;
    packed(&files)
}

/// The same targets are observed before the first change and after the last one, while nobody else can change them.
#[test]
fn what_was_there_is_in_a_bundle_as_it_was_before_and_after() {
    let folder = Folder::with_plans();
    let (code, bundle, _) = sealed(&folder, &["switchover", "truststream", "--to", "us-east-1", "--yes"]);
    assert_eq!(code, 0);
    let mut files = unpacked(&std::fs::read(bundle).unwrap());
    let mut of = |name| serde_json::from_slice::<Value>(file(&mut files, name)).unwrap();
    let (before, after, report) =
        (of("observations/before.json"), of("observations/after.json"), of("report.json"));
    let last = after.as_array().unwrap().iter().find(|step| step["step"] == "evidence.after").unwrap();
    let writers = |facts: &Value| -> BTreeMap<String, bool> {
        let facts = facts.as_array().unwrap().iter();
        let role = |f: &Value| {
            let role = f["state"]["role"].clone();
            (!role.is_null()).then(|| (f["target"].to_string(), role == "writer"))
        };
        facts.filter_map(role).collect()
    };
    let (then, now) = (writers(&before), writers(&last["facts"]));
    assert!(then.len() == 2 && then.keys().eq(now.keys()), "{then:?} {now:?}");
    assert!(then.iter().all(|(target, writes)| now[target] != *writes), "{then:?} {now:?}");
    let steps: Vec<_> = report["steps"].as_array().unwrap().iter().map(|s| &s["id"]).collect();
    let at = |id: &str| steps.iter().position(|s| *s == id).unwrap_or_else(|| panic!("no {id}: {steps:?}"));
    assert!(at("watch") < at("evidence.after") && at("evidence.after") < at("release.db"), "{steps:?}");
}

#[test]
fn a_bundle_verifies_on_another_machine_with_only_the_public_key() {
    let folder = Folder::with_plans();
    let (code, bundle, key) = sealed(&folder, FAILOVER);
    assert_eq!(code, 0);
    let elsewhere = Folder::empty();
    std::fs::copy(&bundle, elsewhere.path().join("b.tar")).unwrap();
    std::fs::write(elsewhere.path().join("store.pub"), key.to_openssh().unwrap()).unwrap();
    let said = elsewhere.ok(&["evidence", "verify", "b.tar", "--key", "store.pub"]);
    for words in [
        "whole: b.tar",
        "failover of truststream from us-west-2 to us-east-1, sandbox, recovered",
        "west is dark",
        "recovery time 5m 15s ± 5s (measured), objective 15m",
        "drctl recomputed all reports and figures from the events, and they are the same",
        "no operators were named in the settings of the run",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    // The other command gives the same answer, also for a damaged bundle.
    assert_eq!(elsewhere.ok(&["audit", "verify", "--file", "b.tar", "--key", "store.pub"]), said);
    let mut broken = std::fs::read(&bundle).unwrap();
    broken[3_000] ^= 1;
    std::fs::write(elsewhere.path().join("broken.tar"), broken).unwrap();
    let (code, out, _) = elsewhere.run(&["audit", "verify", "--file", "broken.tar", "--key", "store.pub"]);
    assert!(code == 1 && out.contains("NOT whole: broken.tar"), "{code} {out}");
    let checkpoint = ["audit", "verify", "--file", "b.tar", "--checkpoint", "store.pub"];
    assert_eq!(elsewhere.run(&checkpoint).0, 2);
    let checkpoint = ["evidence", "verify", "b.tar", "--key", "store.pub", "--checkpoint", "none.json"];
    let (code, _, err) = elsewhere.run(&checkpoint);
    assert!(code == 2 && err.contains("remove --checkpoint"), "{code} {err}");
    let (code, out, _) = elsewhere.run(&[
        "evidence",
        "verify",
        "b.tar",
        "--output",
        "json",
        "--key",
        &key.to_openssh().unwrap(),
    ]);
    let document = json(&out);
    assert_eq!((code, &document["whole"], &document["recomputed"]), (0, &true.into(), &true.into()));
    assert_eq!(document["manifest"]["drctl"]["rto"]["achieved_s"], 315.0, "{document:#}");
    // A bundle is not verified with a key that only the bundle itself names.
    let (code, _, err) = elsewhere.run(&["evidence", "verify", "b.tar"]);
    assert!(
        code == 2 && err.contains("--key FILE") && !elsewhere.path().join(".drctl").exists(),
        "{code} {err}"
    );
    let other = Folder::with_plans();
    let (_, _, others) = sealed(&other, FAILOVER);
    let (code, out, _) =
        elsewhere.run(&["evidence", "verify", "b.tar", "--key", &others.to_openssh().unwrap()]);
    assert!(code == 1 && out.contains("it is not signed with the given key (SHA256:"), "{code} {out}");
    // The machine of the run has the key, so the list verifies all.
    assert!(folder.ok(&["evidence", "verify", &bundle.display().to_string(), "--sandbox"]).contains("whole"));
    assert!(folder.ok(&["evidence", "list", "--sandbox"]).contains("whole"));
    let run = document["manifest"]["drctl"]["run_id"].as_str().unwrap();
    folder.ok(&["evidence", "export", run, "--out", "same.tar", "--sandbox"]);
    assert_eq!(std::fs::read(folder.path().join("same.tar")).unwrap(), std::fs::read(&bundle).unwrap());
}

/// Every change by somebody without the store's key is found and located.
#[test]
fn nothing_in_a_bundle_can_be_changed() {
    let folder = Folder::with_plans();
    let (_, bundle, key) = sealed(&folder, FAILOVER);
    let whole = std::fs::read(&bundle).unwrap();
    assert_eq!(faults(&whole, &key), Vec::<String>::new());
    for at in (0..whole.len()).step_by(997) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        assert!(!faults(&flipped, &key).is_empty(), "byte {at}");
    }
    for cut in [1, 511, 1024, whole.len() / 2, whole.len() - 1] {
        assert!(!faults(&whole[..whole.len() - cut], &key).is_empty(), "{cut} bytes less");
    }
    let files = unpacked(&whole);
    // The envelope has no unsigned content.
    let last = files[0].1.len() - 250;
    for at in (0..last).step_by(101).chain(last..files[0].1.len()) {
        let mut changed = files.clone();
        changed[0].1[at] ^= 1;
        assert!(!faults(&packed(&changed), &key).is_empty(), "byte {at} of the envelope");
    }
    let envelope: dsse::Envelope = serde_json::from_slice(&files[0].1).unwrap();
    let more = dsse::Signed { keyid: "SHA256:the CFO".to_owned(), sig: String::new() };
    for at in [0, 1] {
        let mut two = envelope.clone();
        two.signatures.insert(at, more.clone());
        let mut changed = files.clone();
        changed[0].1 = serde_json::to_vec(&two).unwrap();
        assert_eq!(
            faults(&packed(&changed), &key),
            ["manifest.dsse.json: it has 2 signatures, but must have one"]
        );
    }
    for (n, (name, _)) in files.iter().enumerate() {
        let mut fewer = files.clone();
        fewer.remove(n);
        let found = faults(&packed(&fewer), &key);
        assert!(found[0].contains(name) && found[0].contains("missing"), "{name}: {found:?}");
        let mut changed = files.clone();
        changed[n].1.extend(b" ");
        let found = faults(&packed(&changed), &key);
        assert!(found[0].contains(name), "{name}: {found:?}");
        let twice = [files.clone(), vec![files[n].clone()]].concat();
        assert_eq!(faults(&packed(&twice), &key), [format!("the file: {name} is in the archive twice")]);
    }
    let more = [files, vec![("note.txt".to_owned(), b"believe me".to_vec())]].concat();
    assert_eq!(faults(&packed(&more), &key), ["note.txt: it was added: the manifest does not list it"]);
}

/// Another key does not help, and even the store's key cannot sign claims that contradict the events.
#[test]
fn a_forged_manifest_is_found_whoever_signs_it() {
    let folder = Folder::with_plans();
    let (_, bundle, key) = sealed(&folder, FAILOVER);
    let files = unpacked(&std::fs::read(&bundle).unwrap());
    let better = |said: &mut Value| said["drctl"]["rto"]["achieved_s"] = 1.0.into();
    let mallory = PrivateKey::random(&mut ssh_key::rand_core::OsRng, Algorithm::Ed25519).unwrap();
    let found = faults(&forged(&files, &mallory, better), &key);
    assert!(
        found[0].starts_with("manifest.dsse.json: it is not signed with the given key (SHA256:"),
        "{found:?}"
    );
    let own = PrivateKey::read_openssh_file(&bundle.parent().unwrap().with_extension("key")).unwrap();
    let found = |change: &dyn Fn(&mut Value)| faults(&forged(&files, &own, change), &key).join("; ");
    assert_eq!(found(&better), "manifest.json: it does not match the events");
    let other = |said: &mut Value| said["drctl"]["chain_head_before"]["entries"] = 7.into();
    assert!(found(&other).starts_with("ledger.jsonl, entry "), "{}", found(&other));
    let last = |said: &mut Value| said["drctl"]["chain_head_before"]["entries"] = u64::MAX.into();
    assert!(found(&last).starts_with("ledger.jsonl, entry "), "{}", found(&last));
    let of_another = |said: &mut Value| said["drctl"]["run_id"] = "another".into();
    assert!(found(&of_another).starts_with("events.jsonl, event 1: "), "{}", found(&of_another));
    // Nor can it change the time or the signer of the seal, which the ledger has.
    let backdated = |said: &mut Value| said["timestamp"] = "2019-05-05T00:00:00.000Z".into();
    assert!(found(&backdated).contains("at another time"), "{}", found(&backdated));
    // Parsers differ in which of two equal names they use.
    let mut twice = files.clone();
    let text = String::from_utf8(file(&mut twice, "manifest.json").clone()).unwrap();
    let text = text.replacen("\"rpo\": {", "\"rpo\": {\n      \"db\": {\"objective_s\": 300.0, \"achieved_s\": 0.0, \"measured_how\": \"measured\"},", 1);
    *file(&mut twice, "manifest.dsse.json") =
        serde_json::to_vec(&dsse::seal(&own, TYPE, text.as_bytes()).unwrap()).unwrap();
    *file(&mut twice, "manifest.json") = text.into_bytes();
    assert_eq!(
        faults(&packed(&twice), &key),
        ["manifest.json: drctl would write it differently, so it was changed"]
    );
    // An envelope of another type with the right key is not a manifest.
    let mut files = files;
    let payload = file(&mut files, "manifest.json").clone();
    *file(&mut files, "manifest.dsse.json") =
        serde_json::to_vec(&dsse::seal(&own, "text/plain", &payload).unwrap()).unwrap();
    assert_eq!(faults(&packed(&files), &key), [format!("manifest.dsse.json: its type is not `{TYPE}`")]);
}

/// A version with other wording says so, and must match everything that is not wording.
#[test]
fn a_bundle_of_another_version_must_match_everything_but_wording() {
    let folder = Folder::with_plans();
    let (_, bundle, key) = sealed(&folder, FAILOVER);
    let files = unpacked(&std::fs::read(&bundle).unwrap());
    let own = PrivateKey::read_openssh_file(&bundle.parent().unwrap().with_extension("key")).unwrap();
    let other = |more: &dyn Fn(&mut Value)| {
        forged(&files, &own, |said| {
            said["drctl"]["renders"] = 99.into();
            more(said);
        })
    };
    let judged = bundle::check(&other(&|_| ()), std::slice::from_ref(&key));
    assert!(judged.faults.is_empty() && !judged.recomputed, "{:?}", judged.faults);
    std::fs::write(folder.path().join("other.tar"), other(&|_| ())).unwrap();
    let (code, out, _) = folder.run(&["evidence", "verify", "other.tar", "--sandbox"]);
    assert!(code == 5 && out.contains("signed, but NOT recomputed"), "{code} {out}");
    let both = format!("renders them as 99; this drctl renders as {}", bundle::RENDERS);
    assert!(out.contains(&both), "{out}");
    let whole = other(&|_| ());
    let cut = bundle::check(&whole[..whole.len() - 512], std::slice::from_ref(&key));
    assert!(cut.faults.iter().any(|f| f.why.contains("its end was cut off")), "{:?}", cut.faults);
    for (place, lie) in [
        ("/drctl/world", Value::from("live")),
        ("/drctl/rto/achieved_s", 1.0.into()),
        ("/drctl/rto/objective_s", 1.0.into()),
        ("/drctl/outcome", "halted".into()),
        ("/drctl/requester/who", "ceo".into()),
        ("/drctl/plan_digest", "0".repeat(64).into()),
        ("/reason", "audited".into()),
    ] {
        for renders in [1, 99] {
            let lied = other(&|said| {
                said["drctl"]["renders"] = renders.into();
                *said.pointer_mut(place).unwrap() = lie.clone();
            });
            assert!(!faults(&lied, &key).is_empty(), "{place} in version {renders}");
        }
    }
}

/// OpenSSL alone verifies that the envelope matches the DSSE specification.
#[test]
fn openssl_verifies_the_envelope() {
    let folder = Folder::with_plans();
    let (_, bundle, key) = sealed(&folder, FAILOVER);
    let mut files = unpacked(&std::fs::read(&bundle).unwrap());
    let envelope: Value = serde_json::from_slice(file(&mut files, "manifest.dsse.json")).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    assert_eq!(&payload, file(&mut files, "manifest.json"));
    let message = [format!("DSSEv1 {} {TYPE} {} ", TYPE.len(), payload.len()).as_bytes(), &payload].concat();
    // SubjectPublicKeyInfo of an Ed25519 key (RFC 8410, section 4).
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let der = [&prefix[..], &key.key_data().ed25519().unwrap().0].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
    let signature = STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
    for (changed, holds) in [(message.clone(), true), ([&message[..], b" "].concat(), false)] {
        for (name, bytes) in [("key.pem", pem.as_bytes()), ("message", &changed), ("signature", &signature)] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let args = "pkeyutl -verify -pubin -inkey key.pem -rawin -in message -sigfile signature";
        let openssl = Command::new("openssl").args(args.split(' ')).current_dir(folder.path()).output();
        assert_eq!(openssl.unwrap().status.success(), holds);
    }
}

/// The fields that rollback manifests have always had, as JSON Schema 2020-12, for one of four kinds.
const SCHEMA: &str = r#"{"type":"object","required":["rollback_id","timestamp","component","reason","approver"],
"properties":{"rollback_id":{"type":"string"},"timestamp":{"type":"string","format":"date-time"},
"component":{"type":"string"},"reason":{"type":"string","minLength":1},"approver":{"type":"string"},"incident_id":{"type":"string"},
"from_version":{"type":"string"},"to_version":{"type":"string"},
"verification":{"type":"object","required":["health_check","smoke_tests","user_validation"],"additionalProperties":{"enum":["passed","failed","pending","not_run"]}},
"migration_reverted":{"type":"string"},"backup_location":{"type":"string"},"data_loss":{"type":"string"},"downtime":{"type":"string"},"dba_approval":{"type":"string"}},
"oneOf":[
 {"title":"deployment","required":["from_version","to_version","incident_id","verification"]},
 {"title":"config","required":["config_type","changed_keys"]},
 {"title":"database","required":["migration_reverted","backup_location","data_loss","downtime","dba_approval"]},
 {"title":"policy","required":["policy_name","from_version","to_version","security_review","affected_users"]}]}"#;

#[test]
fn manifests_have_the_fields_that_auditors_know() {
    let schema = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let folder = Folder::with_plans();
    let stateless = stateless().text.replace("plan: truststream", "plan: stateless");
    std::fs::write(folder.path().join("plans/stateless.yaml"), stateless).unwrap();
    for (plan, kind) in [("truststream", "database"), ("stateless", "deployment")] {
        folder.ok(&[&["failover", plan], &FAILOVER[2..], &["--sandbox"]].concat());
        let file = bundles(&folder).into_iter().find(|b| b.display().to_string().contains(plan)).unwrap();
        let said = manifest(&unpacked(&std::fs::read(file).unwrap()));
        assert_eq!((&said["component"], &said["drctl"]["plan"]), (&kind.into(), &plan.into()));
        let wrong: Vec<_> = schema.iter_errors(&said).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:?} {said:#}");
        assert_eq!(said["reason"], "west is dark");
        let smoke = if kind == "database" { "passed" } else { "not_run" };
        assert_eq!(said["verification"]["smoke_tests"], smoke, "{said:#}");
        assert_eq!(said["verification"]["health_check"], "passed", "{said:#}");
        assert_eq!(said["verification"]["user_validation"], "not_run", "nobody asks people: {said:#}");
        for file in said["drctl"]["files"].as_array().unwrap() {
            assert!(file["captured_at"].as_str().unwrap() <= said["timestamp"].as_str().unwrap(), "{file}");
        }
    }
    let own = jsonschema::validator_for(&json(&folder.ok(&["schema", "evidence"]))).unwrap();
    let all = bundles(&folder);
    assert_eq!(all.len(), 2);
    for bundle in all {
        assert!(own.is_valid(&manifest(&unpacked(&std::fs::read(bundle).unwrap()))));
    }
}

/// Failed, stopped and cancelled runs have a bundle that says so.
#[test]
fn every_run_has_its_evidence_however_it_ended() {
    let folder = Folder::with_plans();
    let outcome = |file: &PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        assert_eq!(faults(&bytes, &key(&folder)), Vec::<String>::new());
        manifest(&unpacked(&bytes))["drctl"]["outcome"].as_str().unwrap().to_owned()
    };
    let restore = "restore truststream --component db --to-time 15m_ago --sandbox archive-corrupt --waive exposure-above-rpo:db --accept-data-loss 60m --reason drill --yes --output json";
    let restore: Vec<String> = restore.split(' ').map(|word| word.replace('_', " ")).collect();
    let (code, out, _) = folder.run(&restore.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 1, "{out}");
    let run = json(&out)["run_id"].as_str().unwrap().to_owned();
    let stopped = bundles(&folder);
    assert_eq!(stopped.iter().map(outcome).collect::<Vec<_>>(), ["halted"]);
    // Later events get a bundle of their own, and the first one is unchanged.
    let before = std::fs::read(&stopped[0]).unwrap();
    let (code, _, _) = folder.run(&["runs", "resume", &run, "--sandbox"]);
    let after = bundles(&folder);
    let outcomes: Vec<_> = after.iter().map(outcome).collect();
    assert!(after.len() == 2 && outcomes.contains(&"halted".to_owned()), "{code} {outcomes:?}");
    assert_eq!(std::fs::read(&stopped[0]).unwrap(), before);
}

/// An incomplete approval does not look complete, and a rejection does not look like silence.
#[test]
fn a_missing_approval_and_a_rejection_are_in_evidence() {
    let folder = signatures::folder();
    let run = signatures::waiting(&folder);
    let said = |key: &str, args: &[&str]| {
        let (code, _, err) = signatures::as_operator(&folder, key, &[args, &["--sandbox"]].concat());
        assert_eq!(code, 0, "{args:?}: {err}");
    };
    let bundle = |name: &str| {
        folder.ok(&["evidence", "export", &run, "--out", name, "--sandbox"]);
        let told = folder.ok(&["evidence", "verify", name, "--sandbox"]);
        (told, unpacked(&std::fs::read(folder.path().join(name)).unwrap()))
    };
    said("eve.key", &["approve", "--yes", &run, "approve.go"]);
    let (told, _) = bundle("one.tar");
    let words = "in all: eve, approve.go requires dba or engineering-lead, who has not approved";
    assert!(told.contains(words) && told.contains("Z: eve (dba, "), "{told}");
    said("bob.key", &["reject", &run, "approve.go", "--reason", "not now"]);
    let (told, mut files) = bundle("two.tar");
    assert!(told.contains("approve.go is rejected: bob rejected it at 2026-"), "{told}");
    assert!(told.contains("Z: bob (dba") && told.contains(") rejected approve.go: not now"), "{told}");
    assert!(!told.contains("who has not approved"), "{told}");
    let approvals: Value = serde_json::from_slice(file(&mut files, "approvals.json")).unwrap();
    let texts: Vec<&str> =
        approvals["statements"].as_array().unwrap().iter().map(|s| s["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["approved approve.go", "rejected approve.go: not now"]);
}

/// Two servers may take writes, so no list calls such a run just recovered.
#[test]
fn a_pending_fence_is_in_evidence() {
    let folder = Folder::with_plans();
    let waived = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--sandbox", "region-dark"];
    folder.run(&[FAILOVER, &waived].concat());
    let file = bundles(&folder).pop().unwrap();
    for args in [&["evidence", "verify", file.to_str().unwrap()][..], &["evidence", "list"]] {
        let (_, out, err) = folder.run(&[args, &["--sandbox"]].concat());
        assert!(out.contains("recovered, FENCE PENDING"), "{args:?}: {out}{err}");
    }
}

/// Approvals after the end are in a bundle as well.
#[test]
fn an_override_and_the_approval_afterwards_are_in_evidence() {
    let folder = approval_policy::truststream();
    let run = approval_policy::overridden(&folder);
    let before = bundles(&folder).len();
    for who in ["bob.key", "eve.key"] {
        let approved = approval_policy::by(&folder, who, &["approve", "--yes", &run, approval_policy::GATE]);
        assert_eq!(approved.0, 0);
    }
    let all: BTreeMap<u64, Value> = bundles(&folder)
        .iter()
        .map(|file| {
            let bytes = std::fs::read(file).unwrap();
            assert_eq!(faults(&bytes, &key(&folder)), Vec::<String>::new());
            let said = manifest(&unpacked(&bytes));
            (said["drctl"]["chain"]["entries"].as_u64().unwrap(), said)
        })
        .collect();
    assert_eq!(all.len(), before + 2);
    // The manifest reports the consent at that time: nobody asked yet, pending, or given afterwards.
    let consent =
        |said: &Value| ["approver", "dba_approval"].map(|field| said[field].as_str().unwrap().to_owned());
    let (first, before) = (all.values().next().unwrap(), all.values().nth(all.len() - 3).unwrap());
    assert_eq!(first["component"], "database", "by what it was to do: {first:#}");
    let [approver, dba] = consent(first);
    assert_eq!(dba, "approve.policy requires dba, who has not approved");
    assert!(approver.contains("requires engineering-lead, who has not approved"), "{approver}");
    let [approver, dba] = consent(before);
    assert_eq!(dba, "overridden by ivy; the approval of dba is still due");
    assert!(approver.starts_with("kim, overridden by ivy; the approval of dba is still due"), "{approver}");
    let last = all.values().next_back().unwrap();
    let [approver, dba] = consent(last);
    assert!(
        approver.starts_with("kim, ")
            && approver.contains("bob afterwards")
            && approver.contains("eve afterwards"),
        "{approver}"
    );
    assert!(dba.contains("bob afterwards") && !dba.contains("owed"), "{dba}");
    let over = &last["drctl"]["overridden"][0];
    assert_eq!((&over["by"], &over["state"]), (&"ivy".into(), &"approved".into()), "{over:#}");
    assert_eq!(over["approved_by"], serde_json::json!(["bob", "eve"]));
    let over = last["drctl"]["overrides"][0].as_str().unwrap();
    assert!(over.contains("overridden by ivy") && over.contains("approved afterwards"), "{over}");
    assert!(last["drctl"]["requester"]["signed"].as_bool().unwrap(), "{last:#}");
    // Nobody has to sort what people decided.
    let decided = last["drctl"]["decisions"].as_array().unwrap().iter().map(|said| said.as_str().unwrap());
    let decided: Vec<_> = decided.collect();
    let of = |words: &str| decided.iter().position(|said| said.contains(words));
    let (kim, over, after) = (of("Z: kim ("), of("Z: Override: "), of("Z: bob ("));
    let times: Vec<_> = decided.iter().map(|said| said.split_once(": ").unwrap().0).collect();
    assert!(times.is_sorted() && kim.is_some() && over.is_some(), "{decided:#?}");
    assert!(kim < after && over < after, "{decided:#?}");
}

/// A disk that cannot store evidence does not delay a run.
#[test]
fn a_run_ends_well_where_no_evidence_can_be_kept() {
    let folder = Folder::with_plans();
    sealed(&folder, FAILOVER);
    let sealed = bundles(&folder).pop().unwrap().parent().unwrap().to_owned();
    std::fs::remove_dir_all(&sealed).unwrap();
    std::fs::File::create(&sealed).unwrap().write_all(b"in the way").unwrap();
    let (code, _, err) = folder.run(&[FAILOVER, &["--sandbox"]].concat());
    assert!(code == 0 && err.contains("no evidence of run "), "{code} {err}");
}

/// The list names bundles that are missing, misnamed or in the way, and none of these is exported.
#[test]
fn a_bundle_that_is_missing_or_another_is_named() {
    let folder = Folder::with_plans();
    let (_, bundle, key) = sealed(&folder, FAILOVER);
    let whole = std::fs::read(&bundle).unwrap();
    let run = manifest(&unpacked(&whole))["rollback_id"].as_str().unwrap().to_owned();
    let list = || folder.run(&["evidence", "list", "--sandbox"]);
    assert_eq!(list().0, 0);
    // As after a kill -9 before the seal.
    std::fs::remove_file(&bundle).unwrap();
    let (code, out, _) = list();
    assert!(
        code == 1 && out.contains(&format!("missing; drctl --sandbox evidence export {run}")),
        "{code} {out}"
    );
    let other = bundle.with_file_name(bundle.file_name().unwrap().to_str().unwrap().replace("s1-1", "s1-9"));
    std::fs::write(&other, &whole).unwrap();
    std::fs::create_dir(bundle.with_file_name("folder.tar")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", bundle.with_file_name("zero.tar")).unwrap();
    std::fs::write(&bundle, "in the way").unwrap();
    let (code, out, _) = list();
    assert_eq!((code, out.matches("NOT whole").count()), (1, 4), "{out}");
    assert!(out.contains("it is the bundle ") && out.contains("drctl reads only regular files"), "{out}");
    let (code, _, err) = folder.run(&["evidence", "export", &run, "--out", "new.tar", "--sandbox"]);
    assert!(code == 0 && err.contains("is refused: ") && err.contains("sealed now"), "{code} {err}");
    assert_eq!(faults(&std::fs::read(folder.path().join("new.tar")).unwrap(), &key), Vec::<String>::new());
}

/// The file may come from anybody, and may contain any text.
#[test]
fn a_hostile_file_neither_hangs_nor_speaks_for_drctl() {
    let folder = Folder::with_plans();
    let (_, bundle, key) = sealed(&folder, FAILOVER);
    let own = PrivateKey::read_openssh_file(&bundle.parent().unwrap().with_extension("key")).unwrap();
    let files = unpacked(&std::fs::read(&bundle).unwrap());
    let escape = "\r\u{1b}[1A\u{1b}[2Kwhole: b.tar\n\u{1b}[8m\u{202e}";
    let tool = forged(&files, &own, |said| {
        said["drctl"]["renders"] = 99.into();
        said["drctl"]["tool"] = escape.into();
    });
    let added =
        [files.clone(), vec![(escape.replace('/', "").chars().take(60).collect(), Vec::new())]].concat();
    std::fs::write(folder.path().join("tool.tar"), tool).unwrap();
    std::fs::write(folder.path().join("added.tar"), packed(&added)).unwrap();
    std::fs::write(folder.path().join("noise.tar"), escape.repeat(100)).unwrap();
    std::fs::write(folder.path().join("empty.tar"), [0; 1024]).unwrap();
    let status = Command::new("mkfifo").arg(folder.path().join("fifo.tar")).status();
    assert!(status.unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero.tar")).unwrap();
    let key = key.to_openssh().unwrap();
    for (name, expected, words) in [
        ("tool.tar", 5, "NOT recomputed"),
        ("added.tar", 1, "it was added"),
        ("noise.tar", 1, "it is not a tar archive"),
        ("empty.tar", 1, "it is empty"),
        ("fifo.tar", 2, "it is a FIFO, but drctl reads only regular files"),
        ("zero.tar", 2, "it is a device, but drctl reads only regular files"),
    ] {
        let (code, out, err) = folder.run(&["evidence", "verify", name, "--key", &key]);
        assert!(
            code == expected && (out.contains(words) || err.contains(words)),
            "{name}: {code} {out} {err}"
        );
        let moves = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!out.chars().chain(err.chars()).any(moves), "{name}: {out:?} {err:?}");
        let first_word = |line: &str| line.starts_with("whole");
        assert!(!out.lines().any(first_word), "{name}: {out}");
    }
}
