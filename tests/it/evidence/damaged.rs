//! What commands say about a bundle that somebody changed.

use std::path::PathBuf;

use crate::cli::contract::{Folder, json};

const REHEARSE: &[&str] = &["failover", "starter", "--to", "us-east-1", "--yes", "--sandbox"];

/// A folder with one rehearsal, and its only bundle.
fn rehearsed() -> (Folder, PathBuf) {
    let folder = Folder::with_plans();
    folder.ok(REHEARSE);
    let files = std::fs::read_dir(folder.path().join(".drctl/sandbox.db.evidence")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    (folder, files.remove(0))
}

/// The position of a byte in the signed manifest, and in the last file of a bundle.
fn places(bytes: &[u8]) -> [usize; 2] {
    let manifest = bytes.windows(11).position(|window| window == b"rollback_id").unwrap();
    [manifest, bytes.iter().rposition(|byte| *byte != 0).unwrap()]
}

#[test]
fn a_changed_bundle_is_no_fault_of_the_journal() {
    let (folder, file) = rehearsed();
    let whole = std::fs::read(&file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    for at in places(&whole) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let (code, out, err) = folder.run(&["status", "--sandbox"]);
        let told = out.lines().any(|line| line.starts_with("EVIDENCE BROKEN  ") && line.contains(name));
        assert!(code == 1 && told && !out.contains("JOURNAL BROKEN"), "{code}: {out}{err}");
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox"]);
        assert!(code == 1 && out.contains("EVIDENCE BROKEN: 1 sandbox run, "), "{code}: {out}{err}");
        assert!(out.contains(", 0 faults in ") && out.contains("; 1 damaged file beside it"), "{out}");
        let (code, out, err) = folder.run(&["audit", "verify", "--sandbox", "--output", "json"]);
        let found = json(&out);
        assert!(code == 1 && found["faults"].as_array().unwrap().is_empty(), "{found:#}{err}");
        assert!(found["damaged"][0]["file"].as_str().unwrap().ends_with(name), "{found:#}");
    }
    std::fs::write(&file, whole).unwrap();
    assert!(!folder.run(&["status", "--sandbox"]).1.contains("BROKEN"));
    folder.ok(&["audit", "verify", "--sandbox"]);
}
