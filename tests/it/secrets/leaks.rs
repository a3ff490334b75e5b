//! Secrets that people write into plans and settings are refused before anything is stored, and are not displayed.

use std::path::Path;

use crate::cli::contract::Folder;

const PLANTED: &str = "planted-9d1f-hunter2";

/// A plan, or settings, with a secret.
fn planted(name: &str) -> (Folder, &'static str) {
    let folder = Folder::with_plans();
    let (plan, settings) = ("plans/truststream.yaml", "plans/drctl.yaml");
    let hook = |argv: &str| {
        format!("hooks: [{{at: before.promote, name: tell, step: {{command: {argv}, idempotent: true}}}}]\n")
    };
    let (file, from, to) = match name {
        "comment" => (plan, "owner:", format!("# was: postgres://app:{PLANTED}@db/x\nowner:")),
        "command" => (plan, "gates:", hook(&format!("[mysql, \"-p{PLANTED}\"]")) + "gates:"),
        "address of a command" => {
            (plan, "gates:", hook(&format!("[psql, \"postgres://app:{PLANTED}@db/x\"]")) + "gates:")
        }
        "flag" => (plan, "gates:", hook(&format!("[tool, --password, {PLANTED}]")) + "gates:"),
        "token of a probe" => (plan, "example/health\"", format!("example/health?token={PLANTED}\"")),
        "address with another fault" => (
            plan,
            "https://www.truststream.example/health",
            format!("https://u:{PLANTED}@www.example/hea lth"),
        ),
        "address without a scheme" => {
            (plan, "https://west.truststream.example/health", format!("api:{PLANTED}@10.0.0.5:5432/db"))
        }
        "login" => (plan, "admin: {secret: \"aws-sm:ts/db/admin\"}", format!("admin: \"{PLANTED}\"")),
        "what the environment holds" => (plan, "owner: ", format!("owner: {PLANTED}-")),
        "settings" => (settings, "tiers:", format!("# https://drctl:{PLANTED}@store.example/\ntiers:")),
        _ => panic!("{name}"),
    };
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let text =
        if text.contains(from) { text.replacen(from, &to, 1) } else { text + &to.replace("gates:", "") };
    assert!(text.contains(PLANTED), "{name}: {text}");
    std::fs::write(&path, text).unwrap();
    (folder, file)
}

/// The content of every file except the one with the secret.
fn kept(folder: &Path, but: &str) -> Vec<String> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            let bytes = if path.is_dir() { Vec::new() } else { std::fs::read(&path).unwrap() };
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(but) && bytes.windows(PLANTED.len()).any(|w| w == PLANTED.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn a_secret_in_a_file_is_refused_and_neither_shown_nor_kept() {
    let commands: [&[&str]; 11] = [
        &["check"],
        &["check", "--output", "json"],
        &["plan", "show", "truststream", "--to", "us-east-1", "--sandbox"],
        &["plan", "show", "truststream", "--to", "us-east-1", "--sandbox", "--as-commands"],
        &["failover", "truststream", "--to", "us-east-1", "--sandbox", "--yes"],
        &["failover", "truststream", "--to", "us-east-1", "--yes"],
        &["drill", "truststream", "--mode", "isolated", "--yes", "--sandbox"],
        &["report", "compliance"],
        &["kit", "export", "--out", "kit.json"],
        &["ready", "truststream"],
        &["serve", "--sandbox", "--until", "2026-01-02T00:00:00Z"],
    ];
    for name in [
        "comment",
        "command",
        "address of a command",
        "flag",
        "token of a probe",
        "address with another fault",
        "address without a scheme",
        "login",
        "what the environment holds",
        "settings",
    ] {
        let (folder, file) = planted(name);
        for args in commands {
            let mut command = folder.command(args);
            if name == "what the environment holds" {
                command.env("AWS_SECRET_ACCESS_KEY", PLANTED);
            }
            let output = command.output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!said.contains(PLANTED), "{name}: {args:?}: {said}");
            // Secrets in the settings do not prevent a cancel.
            let refused = match name {
                "settings" => matches!(args[0], "check" | "kit"),
                _ => !matches!(args[0], "serve" | "report"),
            };
            assert!(
                !refused || output.status.code() == Some(2),
                "{name}: {args:?}: {:?} {said}",
                output.status
            );
            let shows = matches!(args[0], "check" | "kit");
            assert!(
                !shows
                    || said.contains("the file contains")
                    || said.contains("the plan contains the credentials"),
                "{name}: {args:?}: {said}"
            );
        }
        assert_eq!(kept(&folder.path(), file), Vec::<String>::new(), "{name}");
    }
}

/// Only the owner can read a go-bag.
#[test]
fn nobody_else_reads_a_kit() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::with_plans();
    let kit = folder.path().join("kit.json");
    std::fs::write(&kit, "an older one").unwrap();
    std::fs::set_permissions(&kit, std::fs::Permissions::from_mode(0o644)).unwrap();
    folder.ok(&["kit", "export", "--out", "kit.json"]);
    assert_eq!(std::fs::metadata(&kit).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&kit).unwrap().contains("an older one"));
}

/// Memory holds logins and keys, so neither drctl nor what it starts leaves a core file.
#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_memory_behind() {
    let folder = Folder::with_plans();
    let mut served = folder.start(&["serve", "--sandbox", "--until", "2027-01-01T00:00:00Z", "--pace", "60"]);
    let limits = format!("/proc/{}/limits", served.id());
    let began = std::time::Instant::now();
    let core = loop {
        let text = std::fs::read_to_string(&limits).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
        let words: Vec<_> = line.split_whitespace().skip(4).take(2).map(str::to_owned).collect();
        // The limit of this process, until drctl lowers it.
        if words == ["0", "0"] || began.elapsed() > std::time::Duration::from_secs(30) {
            break words;
        }
    };
    served.kill().unwrap();
    served.wait().unwrap();
    assert_eq!(core, ["0", "0"]);
}
