//! No dependency has a known advisory, by the snapshot of the RustSec database beside the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Advisories that do not concern what is shipped, each with the reason.
const ACCEPTED: &[(&str, &str)] = &[];

fn snapshot() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("shared");
    let mut found: Vec<_> = std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).collect();
    found.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("advisory-db-")));
    found.sort();
    found.pop()
}

#[test]
fn no_dependency_has_a_known_advisory() {
    let Some(archive) = snapshot() else {
        // Without the snapshot there is nothing to check against; CI has it.
        assert!(std::env::var("CI").is_err(), "CI has no advisory database beside the checkout");
        eprintln!("no advisory database beside the checkout: not checked");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let unpacked =
        Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(unpacked.success());
    let root = find_crates(folder.path()).expect("the archive holds a folder `crates`");
    let database = rustsec::Database::open(&root).unwrap();
    let lock = rustsec::Lockfile::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let found: Vec<_> = database
        .vulnerabilities(&lock)
        .into_iter()
        .map(|v| {
            (
                v.advisory.id.to_string(),
                format!("{} {}: {}", v.package.name, v.package.version, v.advisory.title),
            )
        })
        .filter(|(id, _)| !ACCEPTED.iter().any(|(accepted, _)| accepted == id))
        .collect();
    eprintln!(
        "advisories of {}: {} packages checked",
        archive.file_name().unwrap().to_string_lossy(),
        lock.packages.len()
    );
    assert!(found.is_empty(), "{found:#?}");
}

fn find_crates(folder: &Path) -> Option<PathBuf> {
    if folder.join("crates").is_dir() {
        return Some(folder.to_owned());
    }
    std::fs::read_dir(folder)
        .ok()?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.is_dir())
        .find_map(|p| find_crates(&p))
}
