//! No dependency has a known advisory, according to the snapshot of the RustSec database beside the checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Advisories of packages that are in Cargo.lock but in no build, because no feature enables them. The test checks that as well.
///
/// `rsa` is an optional dependency of `ssh-key`: drctl accepts and creates only Ed25519 keys.
const NOT_BUILT: &[(&str, &str)] = &[("RUSTSEC-2023-0071", "rsa")];

fn snapshot() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("shared");
    let mut found: Vec<_> = std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path())).collect();
    found.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("advisory-db-")));
    found.sort();
    found.pop()
}

#[test]
fn no_dependency_has_a_known_advisory() {
    let archive = snapshot()
        .expect("a snapshot of the RustSec database, ../shared/advisory-db-DATE.tar.gz beside the checkout");
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
        .filter(|(id, _)| !NOT_BUILT.iter().any(|(known, _)| known == id))
        .collect();
    for (id, package) in NOT_BUILT {
        assert!(!is_built(package), "{package} is built, and {id} concerns it");
    }
    assert!(is_built("ssh-key"), "the check that something is not built sees what is");
    eprintln!(
        "advisories of {}: {} packages checked",
        archive.file_name().unwrap().to_string_lossy(),
        lock.packages.len()
    );
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether one of our features enables the package, including for tests and build scripts.
fn is_built(package: &str) -> bool {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--all-features",
            "--edges",
            "all",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    words.lines().any(|line| line.split(' ').next() == Some(package))
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
