//! TLS to real PostgreSQL servers with a CA of their own: right, wrong, expired, for another host, and none at all.

use std::path::{Path, PathBuf};
use std::process::Command;

use drctl::inventory::Observation;
use drctl::kinds::shared::database::DatabaseRef;
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::{Operation, Target};
use drctl::plan::settings::{SqlSettings, SqlTls};
use drctl::record::action::Action;
use drctl::run::outcome::CallOutcome;

use super::fences::Reached;
use super::postgres::Pair;
use super::{own_servers, until};

/// A CA that signs any request.
pub struct Authority {
    folder: tempfile::TempDir,
}

fn openssl(folder: &Path, args: &[&str], clock: Option<&str>) {
    let mut command = Command::new("openssl");
    command.args(args).current_dir(folder);
    if let Some(clock) = clock {
        command.env("LD_PRELOAD", super::postgres::faketime()).env("FAKETIME", clock);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Authority {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let named = ["-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-subj", "/CN=private CA"];
        openssl(folder.path(), &[&["req", "-x509"], &curve[..], &named].concat(), Some("-100d"));
        openssl(
            folder.path(),
            &[&["req"], &curve[..], &["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=db"]]
                .concat(),
            None,
        );
        Self { folder }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Key and certificate for names, as of another time.
    fn sign(&self, names: &str, clock: Option<&str>) -> [PathBuf; 2] {
        std::fs::write(self.folder.path().join("ext"), format!("subjectAltName={names}\n")).unwrap();
        let made = ["-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        let to = ["-days", "30", "-extfile", "ext", "-out", "server.pem"];
        openssl(self.folder.path(), &[&["x509", "-req"], &made[..], &to].concat(), clock);
        ["server.key", "server.pem"].map(|name| self.folder.path().join(name))
    }

    /// Both servers use it from here on.
    pub fn serve(&self, pair: &Pair, names: &str, clock: Option<&str>) {
        pair.speak_tls(&self.sign(names, clock));
    }
}

const RIGHT: &str = "IP:127.0.0.1,DNS:localhost";

fn checked(ca: Option<&Path>) -> SqlSettings {
    SqlSettings {
        tls: SqlTls::Verify,
        ca_file: ca.map(|f| f.display().to_string()),
        ca_path: ca.map(Path::to_path_buf),
    }
}

fn at(port: u16, sql: SqlSettings) -> Reached {
    let mut at = Reached::new(&format!("127.0.0.1:{port}/truststream"));
    at.settings.sql = sql;
    at
}

fn why(at: &Reached) -> String {
    match at.observe(Target::Database(at.db.clone())) {
        Observation::Unobservable { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn certificates_are_held_against_the_plan_s_ca_the_clock_and_the_host() {
    let (pair, ours, theirs) = (Pair::start(), Authority::new(), Authority::new());
    let trusting = at(pair.primary, checked(Some(&ours.file())));
    assert!(why(&trusting).contains("does not support TLS"), "{}", why(&trusting));
    // The right one: fenced, observed and promoted.
    ours.serve(&pair, RIGHT, None);
    pair.sql(pair.primary, "truststream", "GRANT EXECUTE ON FUNCTION pg_promote TO truststream");
    let fence = trusting.close();
    assert!(fence.proven, "{fence:#?}");
    assert!(!trusting.server().is_replica());
    // Another CA, and only the system's.
    let expected = "(UnknownIssuer). Set sql.ca_file to a file with the CA that signed it";
    for ca in [Some(theirs.file()), None] {
        let said = why(&at(pair.primary, checked(ca.as_deref())));
        assert!(said.contains(expected), "{said}");
    }
    let none = why(&at(pair.primary, checked(Some(Path::new("/nowhere/ca.pem")))));
    assert!(none.contains("sql.ca_file /nowhere/ca.pem"), "{none}");
    // Made two months ago with a validity of one.
    ours.serve(&pair, RIGHT, Some("-60d"));
    let said = why(&trusting);
    assert!(said.contains("has expired, or the clock of this machine is wrong"), "{said}");
    ours.serve(&pair, "DNS:other.example", None);
    let said = why(&trusting);
    assert!(said.contains("is for another host") && said.contains("other.example"), "{said}");
    ours.serve(&pair, RIGHT, None);
    let standby = at(pair.standby, checked(Some(&ours.file())));
    until("the standby has the grant", || standby.server().fence_token.is_some());
    let db = DatabaseRef { id: "db-east".to_owned(), ..standby.db.clone() };
    let promote = Action::Op(Operation::Promote(Promote { db, backup_days: None, takeover: None }));
    let done = standby.act(&promote);
    assert!(matches!(done, CallOutcome::Accepted { .. }), "{done:?}");
    until("it is promoted", || !standby.server().is_replica());
}

/// Jobs on hosts, and the standbys that they set up, check the certificate as well.
#[test]
fn a_standby_that_a_job_made_checks_the_certificate_of_its_primary() {
    let world = own_servers::World::new();
    let ca = Authority::new();
    ca.serve(&world.pair, RIGHT, None);
    std::fs::write(
        world.folder.path().join("drctl.yaml"),
        format!("sql: {{ca_file: \"{}\"}}\n", ca.file().display()),
    )
    .unwrap();
    let (moved, _) = world.under_load(|| world.run(&["switchover", "orders", "--to", "east", "--yes"]));
    let (code, report, words) = moved;
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["protection"]["state"], "protected", "{report:#}\n{words}");
    let (_, conninfo) = world.pair.psql(world.pair.primary, "postgres", "postgres", "SHOW primary_conninfo");
    assert!(
        conninfo.contains("sslmode=verify-full") && conninfo.contains(".drctl/ca.pem"),
        "the standby's way: {}",
        conninfo.replace("secret", "..")
    );
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)";
    assert_eq!(world.pair.query(world.pair.standby, encrypted), "t");
}
