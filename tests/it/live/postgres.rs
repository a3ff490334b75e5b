//! Two real PostgreSQL servers, a primary and its streaming standby, behind LocalStack's RDS.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use drctl::kinds::shared::database::Host;
use drctl::model::ids::Digest;

use super::until;
use crate::support::ports;

/// A primary, its standby, and an application role.
pub struct Pair {
    folder: tempfile::TempDir,
    bin: PathBuf,
    pub primary: u16,
    pub standby: u16,
}

/// Debian does not put the servers on the path.
fn bin() -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(Result::ok).map(|v| v.path().join("bin")).collect())
        .unwrap_or_default();
    found.retain(|b: &PathBuf| b.join("initdb").exists());
    found.sort();
    found.pop().expect("no PostgreSQL server is installed; tests/run installs one")
}

impl Pair {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts both with additional settings. They are copies of one pair, which is created once for all tests.
    pub fn start_with(more: &str) -> Self {
        static CREATED: LazyLock<PathBuf> = LazyLock::new(created_once);
        let pair = Self::folder();
        let copy = |name: &str| {
            let to = pair.data(name);
            let done = Command::new("cp").arg("-a").arg(CREATED.join(name)).arg(&to).status().unwrap();
            assert!(done.success());
        };
        copy("p");
        copy("s");
        let source = pair.data("s/postgresql.auto.conf");
        let text = std::fs::read_to_string(&source).unwrap();
        std::fs::write(&source, text.replace(PORT_OF_SOURCE, &format!("port={}", pair.primary))).unwrap();
        pair.up_both(more);
        pair
    }

    /// Starts a pair with a system identifier of its own.
    pub fn start_unrelated() -> Self {
        let pair = Self::folder();
        pair.create();
        pair.configure("s", pair.standby, "");
        pair.up("s");
        pair.wait_for_standby();
        pair
    }

    /// A folder and ports, without servers.
    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = Self { folder, bin: bin(), primary: ports::free(), standby: ports::free() };
        std::fs::create_dir(pair.data("")).ok();
        pair.give_away();
        pair
    }

    /// Appends the settings of a server; of two values, the last one counts.
    fn configure(&self, name: &str, port: u16, more: &str) {
        let settings = format!(
            "wal_level=replica\nhot_standby=on\nfsync=off\ntrack_commit_timestamp=on\nwal_log_hints=on\nunix_socket_directories='{}'\nlisten_addresses='127.0.0.1'\nport={port}\n{more}",
            self.data("")
        );
        let file = self.data(&format!("{name}/postgresql.conf"));
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, before + &settings).unwrap();
    }

    fn up_both(&self, more: &str) {
        for (name, port) in [("p", self.primary), ("s", self.standby)] {
            self.configure(name, port, more);
            self.up(name);
        }
        self.wait_for_standby();
    }

    /// Creates both. The primary runs.
    fn create(&self) {
        self.tool("initdb", &["-D", &self.data("p"), "-A", "trust", "-U", "postgres", "--no-sync"]);
        self.configure("p", self.primary, "");
        self.up("p");
        self.sql(
            self.primary,
            "postgres",
            "CREATE ROLE truststream LOGIN CREATEROLE CREATEDB PASSWORD 'not-a-secret-here';
             GRANT pg_signal_backend, pg_monitor TO truststream;
             CREATE ROLE app LOGIN PASSWORD 'app'; CREATE ROLE reporting LOGIN;
             CREATE ROLE repl LOGIN REPLICATION PASSWORD 'it''s \\ a secret'; GRANT pg_checkpoint TO repl;
             GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), pg_stat_file(text, boolean),
               pg_read_binary_file(text), pg_read_binary_file(text, bigint, bigint, boolean) TO repl;",
        );
        self.sql(self.primary, "postgres", "CREATE DATABASE truststream OWNER truststream");
        self.sql(
            self.primary,
            "truststream",
            "CREATE TABLE orders (at timestamptz DEFAULT clock_timestamp()); GRANT ALL ON orders TO app",
        );
        let (port, standby) = (self.primary.to_string(), self.data("s"));
        let args = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-D", &standby];
        self.tool(
            "pg_basebackup",
            &[&args[..], &["-R", "-X", "stream", "-c", "fast", "-C", "-S", "standby"]].concat(),
        );
    }

    fn wait_for_standby(&self) {
        let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        until("the standby streams", || self.query(self.primary, streams) == "1");
    }

    fn data(&self, name: &str) -> String {
        self.folder.path().join("pg").join(name).display().to_string()
    }

    /// PostgreSQL refuses to run as root.
    fn give_away(&self) {
        if is_root() {
            let paths = [self.folder.path().to_owned(), PathBuf::from(self.data(""))];
            for path in paths {
                let done = Command::new("chown").arg("postgres").arg(path).status().unwrap();
                assert!(done.success());
            }
        }
    }

    fn tool(&self, name: &str, args: &[&str]) {
        let program = self.bin.join(name);
        let mut command = as_postgres(&program);
        let output = command.args(args).current_dir("/").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn up(&self, name: &str) {
        self.up_with(name, &[]);
    }

    fn up_with(&self, name: &str, more: &[(&str, &str)]) {
        let (data, log) = (self.data(name), self.data(&format!("{name}.log")));
        // The server would inherit our file descriptors.
        let done = as_postgres(&self.bin.join("pg_ctl"))
            .args(["-D", &data, "-l", &log, "-w", "-t", "30", "start"])
            .envs(more.iter().copied())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success(), "{}", std::fs::read_to_string(log).unwrap_or_default());
    }

    pub fn sql(&self, port: u16, database: &str, text: &str) {
        let (ok, words) = self.psql(port, "postgres", database, text);
        assert!(ok, "{text}: {words}");
    }

    pub fn query(&self, port: u16, text: &str) -> String {
        self.psql(port, "postgres", "truststream", text).1
    }

    /// Runs SQL as a role. Returns whether it worked, and the answer.
    pub fn psql(&self, port: u16, role: &str, database: &str, text: &str) -> (bool, String) {
        let output = Command::new(self.bin.join("psql"))
            .args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port.to_string()])
            .args(["-U", role, "-d", database, "-c", text])
            .env("PGCONNECT_TIMEOUT", "5")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let words = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.success(), String::from_utf8_lossy(&words).trim().to_owned())
    }

    /// An open session of the application that keeps writing. Returns its process.
    pub fn session(&self, role: &str) -> std::process::Child {
        Command::new(self.bin.join("psql"))
            .args(["-X", "-h", "127.0.0.1", "-p", &self.primary.to_string(), "-U", role, "-d", "truststream"])
            .args(["-c", "SELECT pg_sleep(600)"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Writes to whichever server accepts it, like a client with both in its connection string.
    pub fn write_anywhere(&self, role: &str, text: &str) -> bool {
        // After a refused login, libpq does not try the next server (PostgreSQL documentation, «Specifying Multiple Hosts»).
        let way = format!(
            "host=127.0.0.1,127.0.0.1 port={},{} user={role} dbname=truststream target_session_attrs=read-write connect_timeout=2",
            self.standby, self.primary
        );
        let output = Command::new(self.bin.join("psql"))
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-d", &way, "-c", text])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        output.status.success()
    }

    /// Kills the primary and all its processes at once.
    pub fn kill_primary(&self) {
        let file = std::fs::read_to_string(self.data("p/postmaster.pid")).unwrap();
        let pid = file.lines().next().unwrap();
        let done = Command::new("kill").args(["-9", pid]).status().unwrap();
        assert!(done.success());
        until("nobody listens for the primary", || {
            std::net::TcpStream::connect(("127.0.0.1", self.primary)).is_err()
        });
    }

    pub fn start_primary(&self) {
        self.up("p");
    }

    /// Restarts the primary with a clock that is ahead.
    pub fn start_primary_ahead(&self, seconds: u32) {
        let library = faketime();
        let by = format!("+{seconds}s");
        let clock = [("LD_PRELOAD", &*library), ("FAKETIME", &by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        self.tool("pg_ctl", &["-D", &self.data("p"), "-m", "fast", "-w", "stop"]);
        self.up_with("p", &clock);
        self.wait_for_standby();
    }

    /// The same for a server whose configuration file is outside of its data folder, as on Debian.
    pub fn host_with_config(&self, name: &str) -> String {
        let config = self.data(&format!("{name}.conf"));
        std::fs::copy(self.data(&format!("{name}/postgresql.conf")), &config).unwrap();
        assert!(!is_root() || Command::new("chown").args(["postgres", &config]).status().unwrap().success());
        self.host(name).replacen('{', &format!("{{config: {config}, "), 1)
    }

    /// The same for a server that is started and stopped by its own commands.
    pub fn host_with_commands(&self, name: &str) -> String {
        let (pg_ctl, data, log) =
            (self.bin.join("pg_ctl"), self.data(name), self.data(&format!("{name}.log")));
        let pg_ctl = pg_ctl.display();
        let more = format!(
            "start: [{pg_ctl}, -D, {data}, -w, -l, {log}, start], stop: [{pg_ctl}, -D, {data}, -w, -m, fast, stop], "
        );
        self.host(name).replacen('{', &format!("{{{more}"), 1)
    }

    /// The number of folders beside the data with this prefix.
    pub fn kept(&self, begin: &str) -> usize {
        let all = std::fs::read_dir(self.data("")).unwrap();
        all.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(begin)).count()
    }

    /// The same as drctl's type.
    pub fn machine(&self, name: &str) -> Host {
        let run: &[&str] = if is_root() { &["runuser", "-u", "postgres", "--"] } else { &["env"] };
        Host {
            run: run.iter().map(|word| (*word).to_owned()).collect(),
            data: self.data(name),
            bin: Some(self.bin.display().to_string()),
            config: None,
            stop: Vec::new(),
            start: Vec::new(),
            replication_secret: String::new(),
        }
    }

    /// Whether the primary's data folder contains a file.
    pub fn has(&self, file: &str) -> bool {
        Path::new(&self.data("p")).join(file).exists()
    }

    /// The host of the primary (`p`) or the standby (`s`), as plans write it.
    pub fn host(&self, name: &str) -> String {
        let run = if is_root() { "runuser, -u, postgres, --" } else { "env" };
        let (data, bin) = (self.data(name), self.bin.display());
        format!("{{run: [{run}], data: {data}, bin: {bin}, replication: {{secret: \"file:repl.json\"}}}}")
    }

    /// A folder beside the data that the server may write to.
    pub fn beside(&self, name: &str) -> String {
        let folder = self.data(name);
        std::fs::create_dir_all(&folder).unwrap();
        assert!(!is_root() || Command::new("chown").args(["postgres", &folder]).status().unwrap().success());
        folder
    }

    /// From here on, clients need passwords.
    pub fn ask_for_passwords(&self) {
        let file = self.data("p/pg_hba.conf");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("host all app 127.0.0.1/32 scram-sha-256\n{before}")).unwrap();
        self.sql(self.primary, "postgres", "SELECT pg_reload_conf()");
    }

    /// The `pg_hba.conf` of the primary (`p`) or the standby (`s`).
    pub fn hba(&self, name: &str) -> PathBuf {
        self.folder.path().join("pg").join(name).join("pg_hba.conf")
    }

    /// Moves the primary's `pg_hba.conf` out of its data folder, as on Debian.
    pub fn move_hba_out(&self) -> PathBuf {
        let folder = self.beside("etc");
        let file = Path::new(&folder).join("pg_hba.conf");
        let done =
            as_postgres(Path::new("cp")).args([&self.hba("p"), &file]).current_dir("/").status().unwrap();
        assert!(done.success());
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        std::fs::remove_file(self.hba("p")).unwrap();
        self.sql(self.primary, "postgres", &format!("ALTER SYSTEM SET hba_file = '{}'", file.display()));
        self.restart_primary();
        file
    }

    /// Lets the administrator read these rules.
    pub fn show_rules(&self) {
        let text = "GRANT SELECT ON pg_hba_file_rules TO truststream; GRANT EXECUTE ON FUNCTION pg_hba_file_rules TO truststream";
        self.sql(self.primary, "truststream", text);
    }

    /// The server's programs, except that a reload of the settings is killed before it takes effect.
    pub fn programs_that_kill_a_reload(&self) -> String {
        let folder = self.beside("bin");
        let real = self.bin.join("pg_ctl");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *reload*) kill -9 $PPID; exit 1 ;; esac\nexec {} \"$@\"\n",
            real.display()
        );
        let file = Path::new(&folder).join("pg_ctl");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        folder
    }

    /// Both servers use this key and certificate from here on.
    pub fn speak_tls(&self, files: &[PathBuf; 2]) {
        let folder = self.beside("tls");
        for file in files {
            let to = Path::new(&folder).join(file.file_name().unwrap());
            std::fs::copy(file, &to).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&to, mode).unwrap();
            assert!(!is_root() || Command::new("chown").arg("postgres").arg(&to).status().unwrap().success());
        }
        for port in [self.primary, self.standby] {
            let set = |name: &str, value: &str| {
                self.sql(port, "postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"));
            };
            set("ssl_key_file", &format!("{folder}/server.key"));
            set("ssl_cert_file", &format!("{folder}/server.pem"));
            set("ssl", "on");
            self.sql(port, "postgres", "SELECT pg_reload_conf()");
            // The postmaster reads them a moment later.
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    }

    pub fn restart_primary(&self) {
        self.tool(
            "pg_ctl",
            &["-D", &self.data("p"), "-m", "fast", "-w", "-l", &self.data("p.log"), "restart"],
        );
    }

    /// Makes a plain base backup of the primary, as its plan lists it.
    pub fn back_up(&self) {
        let (port, folder) = (self.primary.to_string(), self.beside("backups"));
        let name = format!("{folder}/b1");
        self.tool(
            "pg_basebackup",
            &["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-D", &name, "-c", "fast"],
        );
        self.tool("pg_verifybackup", &["-n", &name]);
        let end = format!("{name}.end");
        assert!(as_postgres(Path::new("touch")).arg(end).current_dir("/").status().unwrap().success());
    }

    /// The same host with backups: every complete folder, and the archived WAL.
    pub fn host_with_backups(&self, name: &str, archive: &str) -> String {
        let (backups, archive) = (self.data("backups"), self.data(archive));
        let list = format!(
            "cd {backups} && for e in *.end; do b=${{e%.end}}; echo $b $(date -u -r $b/backup_label +%Y-%m-%dT%H:%M:%SZ) $(date -u -r $e +%Y-%m-%dT%H:%M:%S.%6NZ) $(du -s -b $b | cut -f1) $(sed -n \"s/.*file \\([0-9A-F]*\\)).*/\\1/p\" $b/backup_label); done"
        );
        let more = format!(
            "backups: {{list: '{list}', fetch: 'cp -a \"{backups}/$DRCTL_BACKUP/.\" \"$DRCTL_FOLDER/\"', archive_get: 'cp {archive}/%f %p', reserve_gib: 0}}, "
        );
        self.host(name).replacen('{', &format!("{{{more}"), 1)
    }

    /// Damages the newest archived segment.
    pub fn damage_archive(&self, archive: &str) {
        let segment = self.query(self.primary, "SELECT pg_walfile_name(pg_current_wal_lsn())");
        self.sql(self.primary, "postgres", "SELECT pg_switch_wal()");
        let archived = "SELECT last_archived_wal FROM pg_stat_archiver";
        super::until("the segment is archived", || self.query(self.primary, archived) >= segment);
        let folder = self.data(archive);
        let mut all: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        all.retain(|p| p.file_name().is_some_and(|n| n.len() == 24));
        all.sort();
        let file = all.pop().expect("a segment was archived");
        let mut bytes = std::fs::read(&file).unwrap();
        let text = b"kept";
        let at = bytes.windows(text.len()).position(|w| w == text).expect("the marked row is in it");
        bytes[at] ^= 0x20;
        std::fs::write(&file, bytes).unwrap();
    }

    /// Promotes the standby, as RDS does with a replica.
    pub fn promote(&self) {
        self.sql(self.standby, "postgres", "SELECT pg_promote(true, 30)");
    }
}

/// What stands for the port of the primary in the standby of the pair that is copied.
const PORT_OF_SOURCE: &str = "port=1";

/// Creates the pair that others are copies of, in a folder that later runs of the tests use, too. Returns the folder.
fn created_once() -> PathBuf {
    let key = Digest::of_bytes(format!("{}{}", bin().display(), include_str!("postgres.rs")).as_bytes())
        .to_string();
    let tests = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kept = tests.join(format!("pair-{}", key.trim_start_matches("sha256:")));
    if kept.exists() {
        return kept;
    }
    let pair = Pair::folder();
    pair.create();
    pair.tool("pg_ctl", &["-D", &pair.data("p"), "-m", "fast", "-w", "stop"]);
    let source = pair.data("s/postgresql.auto.conf");
    let text = std::fs::read_to_string(&source).unwrap();
    let own = format!("port={}", pair.primary);
    assert_eq!(text.matches(&own).count(), 1, "{text}");
    std::fs::write(&source, text.replace(&own, PORT_OF_SOURCE)).unwrap();
    // Another process may create it at the same time; the first one to finish wins.
    let new = tempfile::tempdir_in(tests).unwrap();
    let done = Command::new("cp").arg("-a").arg(pair.data("")).arg(new.path()).status().unwrap();
    assert!(done.success());
    let renamed = std::fs::rename(new.path().join("pg"), &kept);
    assert!(renamed.is_ok() || kept.exists(), "{renamed:?}");
    kept
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in ["s", "p"] {
            let _ = as_postgres(&self.bin.join("pg_ctl"))
                .args(["-D", &self.data(name), "-m", "immediate", "stop"])
                .current_dir("/")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

fn as_postgres(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// The library that gives a process another time.
pub fn faketime() -> String {
    glob("/usr/lib", "faketime/libfaketimeMT.so.1").expect("tests/world/need installs libfaketime")
}

/// Finds a file in a folder that exists for every architecture.
fn glob(folder: &str, file: &str) -> Option<String> {
    let found = std::fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path().join(file));
    found.into_iter().find(|path| path.exists()).map(|path| path.display().to_string())
}
