//! An audit without drctl, with the commands in the book and the real tools.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::cli::contract::Folder;

/// The commands of the page as one script.
fn lines() -> String {
    let page = include_str!("../../../docs/src/audit/without-drctl.md");
    let (mut script, mut inside) = (String::new(), false);
    for line in page.lines() {
        match (line, inside) {
            ("```bash", false) => inside = true,
            ("```", true) => inside = false,
            (line, true) => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    assert!(script.lines().count() > 20 && !inside, "{script}");
    script
}

/// What an auditor gets: the bundle, the key and a checkpoint.
fn given(folder: &Folder) {
    let of = |args: &[&str]| folder.ok(&[args, &["--sandbox"]].concat());
    of(&["failover", "truststream", "--to", "us-east-1", "--yes"]);
    let key = of(&["audit", "key"]);
    std::fs::write(folder.path().join("store.pub"), key.lines().next().unwrap()).unwrap();
    of(&["evidence", "export", "sandbox-truststream-failover-s1-1", "--out", "shop.tar"]);
    of(&["audit", "checkpoint", "--out", "checkpoint.json"]);
}

/// The commands of the page, after a change of the unpacked or received files.
fn script(folder: &Folder, change: &str) -> String {
    let at = folder.path();
    for left in ["bundle", "store.der", "store.pem", "signed", "signature", "allowed", "payload"] {
        let path = at.join(left);
        let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    }
    let script = lines().replacen(
        "tar -xf shop.tar -C bundle\n",
        &format!("tar -xf shop.tar -C bundle\n{change}\n"),
        1,
    );
    assert!(change.is_empty() || script.contains(change));
    script
}

/// Whether every command succeeds, and the output.
fn holds(folder: &Folder, change: &str) -> (bool, String) {
    let script = script(folder, change);
    let mut bash = Command::new("bash");
    let out = bash.args(["-euo", "pipefail", "-c", &script]).current_dir(folder.path()).output().unwrap();
    (out.status.success(), said(&out))
}

fn said(out: &Output) -> String {
    [&out.stdout, &out.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// The output for a person who pastes the commands one by one, so that no exit code stops them.
fn pasted(folder: &Folder, change: &str) -> String {
    let script = script(folder, change);
    let (mut bash, pipe) = (Command::new("bash"), Stdio::piped);
    let mut bash =
        bash.current_dir(folder.path()).stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    said(&bash.wait_with_output().unwrap())
}

/// Words in the page's output for a bad bundle.
const BAD: [&str; 4] = ["NOT OK", "FAILED", "Failure", "Could not verify"];

/// The number of lines that report success.
fn good(said: &str) -> usize {
    let good = |line: &&str| {
        line.starts_with("OK: ")
            || line.ends_with(": OK")
            || line.contains("Good ")
            || line.contains("Successfully")
    };
    said.lines().filter(good).count()
}

#[test]
fn the_lines_of_the_book_verify_a_bundle_and_a_checkpoint() {
    for tool in ["openssl", "ssh-keygen", "jq", "sha256sum", "tar"] {
        let there = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .any(|p| Path::new(&p).join(tool).exists());
        assert!(there, "tests/world/need installs {tool}");
    }
    let folder = Folder::with_plans();
    given(&folder);
    let (whole, said) = holds(&folder, "");
    assert!(whole, "{said}");
    for word in
        ["Signature Verified Successfully", "bundle/events.jsonl: OK", "Good \"drctl-checkpoint\" signature"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    let whole = pasted(&folder, "");
    let files = whole.lines().filter(|line| line.ends_with(": OK")).count();
    assert!(
        files > 5 && good(&whole) == files + 7,
        "four of check, one of openssl, two of ssh-keygen: {whole}"
    );
    assert!(!BAD.iter().any(|bad| whole.contains(bad)), "{whole}");
    let more = pasted(&folder, "touch bundle/more");
    assert!(more.contains("NOT OK: there is no other file"), "{more}");
    for change in [
        "sed -i s/recovered/rehearsed/ bundle/report.md",
        "sed -i s/measured/achieved/ bundle/manifest.json",
        "touch bundle/more",
        "ln -s /etc/hostname bundle/more",
        "jq -c '.payloadType = \"other\"' bundle/manifest.dsse.json > m; mv m bundle/manifest.dsse.json",
        "rm bundle/probes.json",
        "sed -i 's/us-west-2/us-west-1/' checkpoint.json; sed -i 's/asked/other/' checkpoint.json",
        "ssh-keygen -q -t ed25519 -N '' -f other; mv other.pub store.pub",
    ] {
        let (whole, said) = holds(&folder, change);
        assert!(!whole, "{change}: {said}");
        given_again(&folder);
        let said = pasted(&folder, change);
        assert!(BAD.iter().any(|bad| said.contains(bad)), "nobody sees it: {change}: {said}");
        given_again(&folder);
    }
}

/// The same again after a change of the received files.
fn given_again(folder: &Folder) {
    let key = folder.ok(&["audit", "key", "--sandbox"]);
    std::fs::write(folder.path().join("store.pub"), key.lines().next().unwrap()).unwrap();
    for left in ["checkpoint.json", "other", "other.pub"] {
        let _ = std::fs::remove_file(folder.path().join(left));
    }
    folder.ok(&["audit", "checkpoint", "--out", "checkpoint.json", "--sandbox"]);
}
