//! Reading paths that people and settings name: only regular files with a limited size, and nothing that blocks.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use drctl::files::{self, Use, Why};

use crate::cli::contract::{Folder, finish};

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Runs a command that must not block.
pub fn at_once(folder: &Folder, args: &[&str]) -> (i32, String, String) {
    ended(folder.start(args), &format!("{args:?}"))
}

fn ended(mut child: std::process::Child, what: &str) -> (i32, String, String) {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{what} hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    finish(child.wait_with_output().unwrap())
}

#[test]
fn of_every_use_a_regular_file_of_its_size_is_read_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fifo(&at("fifo"));
    let _socket = UnixListener::bind(at("socket")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    for (name, to) in [("zero", "/dev/zero"), ("null", "/dev/null"), ("to-fifo", "fifo"), ("gone", "nowhere")]
    {
        std::os::unix::fs::symlink(to, at(name)).unwrap();
    }
    std::fs::write(at("plain"), "text").unwrap();
    std::os::unix::fs::symlink("plain", at("link")).unwrap();
    for of in Use::ALL {
        for (name, what) in [
            ("fifo", "a FIFO"),
            ("to-fifo", "a FIFO"),
            ("socket", "a socket"),
            ("folder", "a folder"),
            ("zero", "a device"),
            ("null", "a device"),
        ] {
            let error = files::read(&at(name), of).unwrap_err();
            let words = format!("{}: it is {what}, but drctl reads only regular files", at(name).display());
            assert_eq!(error.to_string(), words, "{of:?}");
            assert_eq!(error.fix(), "name a regular file, or replace it with one");
        }
        assert!(files::read(&at("gone"), of).unwrap_err().is_missing());
        assert_eq!(files::text(&at("link"), of).unwrap(), "text");
        // One byte too long, with a sparse file.
        let long = std::fs::File::create(at("long")).unwrap();
        long.set_len(of.most()).unwrap();
        assert!(files::open(&at("long"), of).is_ok(), "{of:?}");
        long.set_len(of.most() + 1).unwrap();
        let error = files::read(&at("long"), of).unwrap_err();
        assert!(matches!(error.why, Why::Large(_)) && error.to_string().contains(of.word()), "{error}");
    }
    std::fs::write(at("bytes"), [0xff, 0xfe]).unwrap();
    assert!(matches!(files::text(&at("bytes"), Use::Secret).unwrap_err().why, Why::NoText));
}

/// A file that seems short but never ends is read up to its limit and no further.
#[test]
fn a_file_that_grows_while_it_is_read_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grows");
    std::fs::write(&path, "short").unwrap();
    let open = files::open(&path, Use::Secret).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
    assert!(matches!(open.bytes().unwrap_err().why, Why::Large(Use::Secret)));
}

#[test]
fn no_command_waits_for_a_fifo_or_reads_a_device() {
    let folder = Folder::with_plans();
    for (name, to) in
        [("zero.yaml", "/dev/zero"), ("zero.pub", "/dev/zero"), ("plans/endless.yaml", "/dev/zero")]
    {
        std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
    }
    fifo(&folder.path().join("fifo.yaml"));
    let good = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    let all: &[&[&str]] = &[
        &["check", "--config", "FILE"],
        &["serve", "--sandbox", "--config", "FILE"],
        &["status", "--kit", "FILE"],
        &["key", "show", "FILE"],
        &["runs", "import", "FILE"],
        &["evidence", "verify", "FILE", "--key", good],
        &["evidence", "verify", "plans/drctl.yaml", "--key", "FILE"],
        &["audit", "verify", "--file", "FILE"],
        &["audit", "verify", "--file", "plans/drctl.yaml", "--checkpoint", "FILE"],
    ];
    for args in all {
        for (file, what) in [("fifo.yaml", "a FIFO"), ("zero.yaml", "a device")] {
            let args: Vec<_> = args.iter().map(|arg| if *arg == "FILE" { file } else { arg }).collect();
            let (code, out, err) = at_once(&folder, &args);
            let words = format!("it is {what}, but drctl reads only regular files");
            assert!(code == 2 && err.contains(&words), "{args:?}: {code} {out}{err}");
        }
    }
    // The key that the environment names, and its passphrase.
    for variable in ["DRCTL_KEY", "DRCTL_KEY_PASSPHRASE_FILE"] {
        let mut command = folder.command(&["key", "show"]);
        let (code, _, err) =
            finish(command.env("DRCTL_KEY", "fifo.yaml").env(variable, "fifo.yaml").output().unwrap());
        assert!(code == 2 && err.contains("it is a FIFO"), "{variable}: {code} {err}");
    }
}

/// Libraries read these files with calls that block: drctl looks at them before.
#[test]
fn no_command_waits_for_a_file_that_the_environment_names() {
    let folder = Folder::with_plans();
    fifo(&folder.path().join("fifo"));
    for variable in
        ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "SSL_CERT_FILE"]
    {
        let mut command = folder.command(&["observe"]);
        command.env(variable, "fifo").env("AWS_EC2_METADATA_DISABLED", "true");
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let (_, out, err) = ended(command.spawn().unwrap(), variable);
        assert!(format!("{out}{err}").contains("it is a FIFO"), "{variable}: {out}{err}");
    }
}

#[test]
fn a_fifo_in_the_place_of_a_lock_stops_no_server() {
    let folder = Folder::with_plans();
    let (code, _, err) = folder.run(&["status", "--sandbox"]);
    assert_eq!(code, 0, "{err}");
    fifo(&folder.path().join(".drctl/serve.lock"));
    let (code, out, err) = at_once(&folder, &["serve", "--sandbox", "--until", "2026-01-01T06:00:00Z"]);
    assert!(code != 0 && err.contains("serve.lock"), "{code} {out}{err}");
}

/// Something unreadable in the plans' folder does not affect the plans beside it.
#[test]
fn a_fifo_among_the_plans_is_a_finding() {
    let folder = Folder::with_plans();
    fifo(&folder.path().join("plans/aaa.yaml"));
    let (code, out, err) = at_once(&folder, &["check"]);
    let all = format!("{out}{err}");
    assert!(
        code == 2 && all.contains("drctl cannot read the plan") && all.contains("it is a FIFO"),
        "{code} {all}"
    );
    let failover = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox"];
    let (code, out, err) = at_once(&folder, &failover);
    assert_eq!(code, 0, "{out}{err}");
}

/// A job that names the settings finds the same plans, certificates and journal as a person who does not.
#[test]
fn settings_mean_the_same_whether_a_command_names_them_or_not() {
    let folder = Folder::with_plans();
    let whole = folder.path().join("plans/drctl.yaml").display().to_string();
    let usual = folder.run(&["check"]);
    assert_eq!(usual.0, 0, "{usual:?}");
    let ca = folder.path().canonicalize().unwrap().join("global-bundle.pem").display().to_string();
    for config in ["plans/drctl.yaml", "./plans/drctl.yaml", &whole] {
        let (code, out, err) = folder.run(&["--config", config, "check"]);
        assert_eq!((code, &out), (0, &usual.1), "{config}: {err}");
        let said = err.split_whitespace().collect::<String>();
        // The message about the missing certificates names the whole path, whatever the command.
        assert!(said.contains(&ca) || !cfg!(feature = "postgres"), "{config}: {ca}: {err}");
        folder.ok(&["--config", config, "status", "--sandbox"]);
    }
    assert!(!folder.path().join("plans/.drctl").exists(), "one journal");
    // Settings in another folder start there.
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::rename(folder.path().join("plans"), own.join("plans")).unwrap();
    std::fs::rename(own.join("plans/drctl.yaml"), own.join("drctl.yaml")).unwrap();
    assert_eq!(folder.run(&["--config", "own/drctl.yaml", "check"]).1, usual.1);
    // A fix that names a folder says which.
    std::fs::rename(own.join("plans"), own.join("others")).unwrap();
    let (code, _, err) = folder.run(&["--config", "own/drctl.yaml", "check"]);
    let (plans, said) =
        (own.canonicalize().unwrap().join("plans"), err.split_whitespace().collect::<String>());
    let named = said.contains(&format!("therearenoplansin{}", plans.display()));
    assert!(code == 2 && named && said.contains("without--config"), "{code} {err}");
}
