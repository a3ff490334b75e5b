//! Go-bags act on the machine where they are used, so nothing in one is read before its signature is trusted.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use drctl::journal::kit::{self, Closed, Contents, Unsigned};
use drctl::model::time::Timestamp;
use drctl::policy::dsse;
use drctl::record::event::WorldKind;
use ssh_key::{HashAlg, PrivateKey, PublicKey};

use crate::cli::contract::{Folder, json};

/// A hook that leaves a file on the machine where it runs.
const HOOK: &str = "hooks:\n  - {at: before.evidence, name: mark, step: {command: [/usr/bin/touch, ran], idempotent: true}}\n";

/// Plans with a hook, and their go-bag with the fingerprint of the signing key.
fn packed(more: &[&str]) -> (Folder, String, String) {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/starter.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    assert!(!text.contains("\nhooks:"));
    std::fs::write(&plan, text + HOOK).unwrap();
    let out = folder.ok(&[&["kit", "export", "--out", "kit.json", "--output", "json"], more].concat());
    let key = json(&out)["signed_by"].as_str().unwrap_or_default().to_owned();
    let bag = std::fs::read_to_string(folder.path().join("kit.json")).unwrap();
    (folder, bag, key)
}

/// Another machine that has only the file.
fn elsewhere(bag: &str) -> (Folder, String) {
    let folder = Folder::empty();
    let path = folder.path().join("kit.json");
    std::fs::write(&path, bag).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

/// The content of a folder, including anything from an unpacking.
fn things(folder: &Path) -> Vec<String> {
    let all =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    all.collect()
}

/// Refused with these words, and nothing in it was read: no file exists, and nothing ran.
fn refused(bag: &str, args: &[&str], words: &[&str]) {
    let (folder, path) = elsewhere(bag);
    for command in [&["check"][..], &["failover", "starter", "--to", "us-east-1", "--yes"]] {
        let (code, out, err) = folder.run(&[command, &["--kit", &path], args].concat());
        assert_eq!(code, 3, "{out}{err}");
        assert!(words.iter().all(|word| err.contains(word)), "{words:?}: {err}");
        let left: Vec<_> = things(&folder.path()).into_iter().filter(|name| name != ".drctl").collect();
        assert_eq!(left, ["kit.json"], "something of it was unpacked, or ran");
    }
}

#[test]
fn a_kit_with_one_byte_changed_is_refused_before_anything_of_it_is_read() {
    let (_kept, bag, key) = packed(&[]);
    let key = ["--kit-key", &key];
    let changed = |after: &str, by: usize| {
        let at = bag.find(after).unwrap_or_else(|| panic!("{after}: {bag}")) + after.len() + by;
        let mut bytes = bag.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    refused(
        &changed("\"payload\":\"", 900),
        &key,
        &["was changed", "does not match these bytes", "drctl used nothing from it"],
    );
    refused(&changed("\"sig\":\"", 9), &key, &["was changed", "does not match these bytes"]);
    refused(
        &changed("\"keyid\":\"SHA256:", 3),
        &key,
        &["was changed", "its signature names a different key"],
    );
    refused(&changed("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", 7), &key, &["is refused"]);
    refused(&changed("\"payloadType\":\"application/vnd.", 1), &key, &["was changed", "type is not"]);
    refused(&changed("\"drctl", 2), &key, &["not a file from drctl kit export"]);
    refused(&bag.replacen(':', ": ", 1), &key, &["was changed", "differs from what drctl wrote"]);
    refused(&bag[..bag.len() - 1], &key, &["not a file from drctl kit export"]);
    // Unchanged it is accepted, so the refusals were caused by the changes.
    let (folder, path) = elsewhere(&bag);
    assert!(folder.ok(&["check", "--kit", &path, key[0], key[1]]).contains("0 errors"));
    assert_eq!(things(&folder.path()).len(), 2);
}

#[test]
fn an_unsigned_kit_needs_a_named_person_and_that_is_on_record() {
    let (_kept, bag, _) = packed(&["--unsigned"]);
    refused(&bag, &[], &["it is not signed", "--accept-unsigned-kit NAME:REASON"]);
    let (folder, path) = elsewhere(&bag);
    for text in ["alice", "alice:", ": because", ""] {
        let (code, _, err) = folder.run(&["check", "--kit", &path, "--accept-unsigned-kit", text]);
        assert!(code == 2 && err.contains("the name of a person and a reason"), "{err}");
    }
    let word = "alice: the laptop with the key is lost";
    let (code, out, err) = folder.run(&["check", "--kit", &path, "--accept-unsigned-kit", word]);
    assert!(code == 0 && err.contains("NOT SIGNED"), "{out}{err}");
    // It is part of the store, and so of every export.
    let (_, unpacked) =
        (folder.ok(&["check", "--kit", &path, "--accept-unsigned-kit", word]), unpacked(&folder));
    let ledger = folder.ok(&["audit", "export", "-C", unpacked.to_str().unwrap()]);
    let entry = ledger
        .lines()
        .find(|line| line.contains("\\\"ledger\\\":\\\"kit\\\"") || line.contains("\"ledger\":\"kit\""));
    let entry = entry.unwrap_or_else(|| panic!("{ledger}"));
    assert!(entry.contains("alice (") && entry.contains("the laptop with the key is lost"), "{entry}");
    assert_eq!(
        ledger.matches("the laptop with the key is lost").count(),
        1,
        "once, however often it is used"
    );
    folder.ok(&["audit", "verify", "-C", unpacked.to_str().unwrap()]);
    // That option is for unsigned bags, not for those with a wrong signature.
    let (_kept, bag, key) = packed(&[]);
    refused(&bag, &["--accept-unsigned-kit", word], &["is refused", &key]);
}

#[test]
fn a_kit_of_an_unknown_key_is_refused_with_its_fingerprint() {
    let (theirs, bag, key) = packed(&[]);
    let (_ours, _, other) = packed(&[]);
    assert!(key.starts_with("SHA256:") && key != other);
    let fix = format!("--kit-key {key}");
    refused(&bag, &[], &["which is not a known key here", &key, &fix]);
    refused(&bag, &["--kit-key", &other], &["which is not a known key here", &key]);
    // Its key is known where it was made, by the public key, and by that in a file.
    theirs.ok(&["check", "--kit", "kit.json"]);
    let public = json(&theirs.ok(&["audit", "key", "--output", "json"]));
    let public = public["public"].as_str().unwrap_or_else(|| panic!("{public}")).to_owned();
    let (folder, path) = elsewhere(&bag);
    std::fs::write(folder.path().join("store.pub"), &public).unwrap();
    for key in [public.as_str(), "store.pub"] {
        folder.ok(&["check", "--kit", &path, "--kit-key", key]);
    }
    let (code, _, err) = folder.run(&["check", "--kit-key", "store.pub"]);
    assert!(code == 2 && err.contains("need --kit FILE"), "{err}");
}

fn unpacked(folder: &Folder) -> PathBuf {
    let name = things(&folder.path()).into_iter().find(|name| name.ends_with(".d")).unwrap();
    folder.path().join(name)
}

/// Existing files are not trusted, whoever created them.
#[test]
fn an_earlier_unpacking_is_held_against_the_kit() {
    let (_kept, bag, key) = packed(&[]);
    let (folder, path) = elsewhere(&bag);
    let check = || folder.run(&["check", "--kit", &path, "--kit-key", &key]);
    assert_eq!(check().0, 0);
    assert_eq!(check().0, 0, "the second time, too");
    let there = unpacked(&folder);
    let plan = there.join("plans/starter.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    let says = |words: &str| {
        let (code, out, err) = check();
        assert!(code == 2 && err.contains(words) && err.contains("without --kit"), "{code} {out}{err}");
    };
    std::fs::write(&plan, text.replace("[/usr/bin/touch, ran]", "[/usr/bin/touch, own]")).unwrap();
    says("starter.yaml differs from the go-bag");
    std::fs::write(&plan, &text).unwrap();
    let more = there.join("plans/more.yaml");
    std::fs::write(&more, &text).unwrap();
    says("more.yaml is not part of the go-bag");
    std::fs::remove_file(&more).unwrap();
    let settings = there.join("drctl.yaml");
    let kept = std::fs::read(&settings).unwrap();
    std::fs::write(&settings, "tiers: {}\n").unwrap();
    says("drctl.yaml differs from the go-bag");
    std::fs::write(&settings, kept).unwrap();
    assert_eq!(check().0, 0);
    // An interrupted unpacking is completed.
    std::fs::remove_file(&plan).unwrap();
    assert_eq!(check().0, 0);
    assert_eq!(std::fs::read_to_string(&plan).unwrap(), text);
}

#[test]
fn what_is_unpacked_is_its_owners_alone() {
    let (_kept, bag, key) = packed(&[]);
    let (folder, path) = elsewhere(&bag);
    // The person's umask does not matter.
    let line =
        format!("umask 000; exec '{}' check --kit '{path}' --kit-key {key}", env!("CARGO_BIN_EXE_drctl"));
    let output =
        std::process::Command::new("/bin/sh").args(["-c", &line]).current_dir(folder.path()).output();
    assert!(output.unwrap().status.success());
    let (mut folders, mut files) = (vec![unpacked(&folder)], 0);
    while let Some(here) = folders.pop() {
        assert_eq!(std::fs::metadata(&here).unwrap().permissions().mode() & 0o777, 0o700, "{here:?}");
        for path in std::fs::read_dir(&here).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{path:?}");
                files += 1;
            }
        }
    }
    assert!(files >= 4, "plans, settings and the store: {files}");
    // A folder that others can write to, or a link, is refused.
    let there = unpacked(&folder);
    std::fs::set_permissions(&there, std::fs::Permissions::from_mode(0o777)).unwrap();
    let (code, _, err) = folder.run(&["check", "--kit", &path, "--kit-key", &key]);
    assert!(code == 2 && err.contains("is open to others, so drctl does not trust its contents"), "{err}");
    std::fs::rename(&there, folder.path().join("moved")).unwrap();
    std::os::unix::fs::symlink("moved", &there).unwrap();
    let (code, _, err) = folder.run(&["check", "--kit", &path, "--kit-key", &key]);
    assert!(code == 2 && err.contains("is not a folder"), "{err}");
}

fn key(seed: u8) -> PrivateKey {
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(pair.into(), "drctl store").unwrap()
}

fn contents() -> Contents {
    Contents {
        tool: "1".to_owned(),
        made_at: Timestamp::from_millis(0),
        made_by: "ann".to_owned(),
        world: WorldKind::Live,
        settings: None,
        plans: vec![("a.yaml".to_owned(), "plan: a".to_owned())],
        observations: Vec::new(),
        runs: Vec::new(),
    }
}

fn knows(key: &PrivateKey) -> BTreeSet<String> {
    BTreeSet::from([key.fingerprint(HashAlg::Sha256).to_string()])
}

/// Changed bits that give another letter, the other case, or another character, in signature, payload, key and all text between them.
#[test]
fn no_byte_of_a_signed_bag_can_be_changed() {
    let (key, mut refused) = (key(7), 0);
    let bag = kit::seal(&contents(), Some(&key)).unwrap();
    let opened = kit::open(&bag, &knows(&key), Unsigned::Refuse).map(|o| o.contents);
    assert_eq!(opened, Ok(contents()));
    for at in 0..bag.len() {
        for bit in [0x01, 0x20] {
            let mut changed = bag.clone();
            changed[at] ^= bit;
            // Accepting unsigned bags does not accept wrong signatures.
            let found = kit::open(&changed, &knows(&key), Unsigned::Accept);
            assert!(
                matches!(found, Err(Closed::Other | Closed::Changed(_) | Closed::Unknown(_))),
                "byte {at} of {}: {found:?}",
                String::from_utf8_lossy(&changed)
            );
            refused += 1;
        }
    }
    assert_eq!(refused, bag.len() * 2);
    for more in [&bag[..bag.len() - 1], &[&bag[..], b"\n"].concat(), &[b" ", &bag[..]].concat(), b""] {
        assert!(kit::open(more, &knows(&key), Unsigned::Accept).is_err());
    }
}

#[test]
fn a_bag_of_nobody_or_of_somebody_unknown_stays_closed() {
    let (ours, theirs) = (key(7), key(8));
    let bag = kit::seal(&contents(), Some(&theirs)).unwrap();
    let by = theirs.fingerprint(HashAlg::Sha256).to_string();
    assert_eq!(kit::open(&bag, &knows(&ours), Unsigned::Accept), Err(Closed::Unknown(by.clone())));
    let opened = kit::open(&bag, &knows(&theirs), Unsigned::Refuse).map(|o| o.signed_by);
    assert_eq!(opened, Ok(Some(by)));
    let bag = kit::seal(&contents(), None).unwrap();
    assert_eq!(kit::open(&bag, &knows(&ours), Unsigned::Refuse), Err(Closed::Unsigned));
    let opened = kit::open(&bag, &knows(&ours), Unsigned::Accept).map(|o| (o.contents, o.signed_by));
    assert_eq!(opened, Ok((contents(), None)));
}

/// The signature of another kind of content is not valid for a bag.
#[test]
fn what_was_signed_as_something_else_is_no_bag() {
    let key = key(7);
    let payload = serde_json::to_vec(&contents()).unwrap();
    let envelope = dsse::seal(&key, "application/vnd.other+json", &payload);
    let mut envelope = envelope.unwrap();
    envelope.payload_type = "application/vnd.drctl.kit+json".to_owned();
    // The key in a bag has no comment.
    let public = PublicKey::from(key.public_key().key_data().clone()).to_openssh().unwrap();
    let envelope = serde_json::to_string(&envelope).unwrap();
    let bytes = format!("{{\"drctl_kit\":2,\"key\":{},\"envelope\":{envelope}}}", serde_json::json!(public))
        .into_bytes();
    assert_eq!(kit::seal(&contents(), Some(&key)).unwrap().len(), bytes.len(), "it is written as a bag is");
    assert!(matches!(kit::open(&bytes, &knows(&key), Unsigned::Accept), Err(Closed::Changed(_))));
}

/// The name of a run becomes a part of paths.
#[test]
fn a_kit_with_a_run_of_a_hostile_name_is_refused() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"]);
    let listed = json(&folder.ok(&["runs", "list", "--sandbox", "--output", "json"]));
    let run = listed["runs"][0]["run_id"].as_str().unwrap();
    let export = folder.ok(&["runs", "export", run, "--sandbox"]);
    folder.ok(&["kit", "export", "--to", "kit.json", "--sandbox", "--unsigned"]);
    let bytes = std::fs::read(folder.path().join("kit.json")).unwrap();
    let packed = kit::open(&bytes, &BTreeSet::new(), Unsigned::Accept).unwrap().contents;
    let unpacks = |name: &str| {
        let quoted = serde_json::to_string(name).unwrap();
        let lines = export.replace(&format!("\"{run}\""), &quoted).lines().map(str::to_owned).collect();
        let bag = kit::seal(&Contents { runs: vec![lines], ..packed.clone() }, None).unwrap();
        let (folder, path) = elsewhere(&String::from_utf8(bag).unwrap());
        let word = "alice: the laptop with the key is lost";
        folder.run(&["check", "--kit", &path, "--accept-unsigned-kit", word])
    };
    assert_eq!(unpacks(run).0, 0, "{:?}", unpacks(run));
    for name in ["../../outside", "/etc/x", "..", ".hidden", "a b", ""] {
        let (code, out, err) = unpacks(name);
        assert!(code != 0 && err.contains("cannot read it: a run in it"), "{name:?}: {code} {out}{err}");
    }
}
