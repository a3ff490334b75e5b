//! The fence by SQL on real PostgreSQL servers: whatever may write is ended with proof, or the fence stays unproven and names it. Also the
//! data that no standby has.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use drctl::adapters::Cloud as _;
use drctl::adapters::live::Live;
use drctl::inventory::Observation;
use drctl::kinds::shared::database::{DatabaseRef, DatabaseState, Engine, Harmless};
use drctl::kinds::shared::fence::{Fence, FenceMethod, FenceStage, FenceState, Unfence};
use drctl::kinds::shared::secret::ClientWay;
use drctl::kinds::{Operation, State, Target};
use drctl::model::ids::ComponentName;
use drctl::model::place::{CloudProvider, Place};
use drctl::plan::Settings;
use drctl::plan::settings::{SqlSettings, SqlTls};
use drctl::record::action::Action;
use drctl::run::outcome::CallOutcome;
use drctl::world::World;

use super::postgres::Pair;
use super::{own_servers, until};

/// Settings that subscriptions and prepared transactions need.
pub const MORE: &str = "wal_level=logical\nmax_prepared_transactions=10\n";

/// Methods that a census proves.
pub const CENSUS: [FenceMethod; 3] = [FenceMethod::Sql, FenceMethod::AllowConnections, FenceMethod::PgHba];

/// A server with a connection of drctl.
pub struct Reached {
    pub db: DatabaseRef,
    /// The fence method to set, lift and observe.
    pub rung: FenceMethod,
    pub settings: Settings,
    pub folder: tempfile::TempDir,
}

impl Reached {
    pub fn new(endpoint: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"username": "truststream", "password": "not-a-secret-here"}"#;
        std::fs::write(folder.path().join("login.json"), text).unwrap();
        let place = Place {
            name: "west".to_owned(),
            cloud: CloudProvider::None,
            region: "west".to_owned(),
            account: None,
            role: None,
            external_id: None,
        };
        let db = DatabaseRef {
            component: ComponentName::new("db"),
            place,
            id: "db-west".to_owned(),
            engine: Engine::Postgres,
            endpoint: Some(endpoint.to_owned()),
            fence_group: None,
            admin_secret: Some(format!("file:{}", folder.path().join("login.json").display())),
            host: None,
            global: None,
            harmless: vec![Harmless::Role { name: "postgres".to_owned(), application: None }],
            expendable: Vec::new(),
            clients: Vec::new(),
        };
        let sql = SqlSettings { tls: SqlTls::Off, ..SqlSettings::default() };
        let settings = Settings { sql, ..Settings::default() };
        Self { db, rung: FenceMethod::Sql, settings, folder }
    }

    pub fn of(pair: &Pair) -> Self {
        Self::new(&format!("127.0.0.1:{}/truststream", pair.primary))
    }

    /// Another login, as a file.
    pub fn login(&self, user: &str, password: &str) -> String {
        let file = self.folder.path().join(format!("{user}-{password}.json"));
        std::fs::write(&file, format!(r#"{{"username": "{user}", "password": "{password}"}}"#)).unwrap();
        format!("file:{}", file.display())
    }

    pub fn act(&self, action: &Action) -> CallOutcome {
        let world = World::live().unwrap();
        let live = Live::new(&world, &self.settings, None);
        world.block_on(live.perform(action, "k"))
    }

    pub fn observe(&self, target: Target) -> Observation {
        let world = World::live().unwrap();
        let live = Live::new(&world, &self.settings, None);
        world.block_on(live.observe(&[target])).remove(0)
    }

    pub fn fence(&self) -> Fence {
        Fence { db: self.db.clone(), method: self.rung, groups_before: Vec::new() }
    }

    pub fn close(&self) -> FenceState {
        let world = World::live().unwrap();
        let live = Live::new(&world, &self.settings, None);
        let done = world.block_on(live.perform(&Action::Op(Operation::Fence(self.fence())), "k"));
        assert!(matches!(done, CallOutcome::Accepted { .. }), "{done:?}");
        fence_of(world.block_on(live.observe(&[Target::fence(&self.db, self.rung)])).remove(0))
    }

    pub fn open(&self) {
        let done = self.act(&Action::Op(Operation::Unfence(Unfence(self.fence()))));
        assert!(matches!(done, CallOutcome::Accepted { .. }), "{done:?}");
    }

    pub fn look(&self) -> FenceState {
        fence_of(self.observe(Target::fence(&self.db, self.rung)))
    }

    pub fn server(&self) -> DatabaseState {
        match self.observe(Target::Database(self.db.clone())) {
            Observation::Value { state: State::Database(state), .. } => state,
            other => panic!("{other:?}"),
        }
    }
}

fn fence_of(seen: Observation) -> FenceState {
    match seen {
        Observation::Value { state: State::Fence(state), .. } => state,
        other => panic!("{other:?}"),
    }
}

/// A publisher of rows, and a subscription of the pair to it.
pub fn subscribed(pair: &Pair) -> Pair {
    let publisher = Pair::start_with(MORE);
    publisher.sql(publisher.primary, "truststream", "CREATE TABLE feed (n int PRIMARY KEY)");
    publisher.sql(publisher.primary, "truststream", "CREATE PUBLICATION feed FOR TABLE feed");
    pair.sql(pair.primary, "truststream", "CREATE TABLE feed (n int PRIMARY KEY)");
    let text = format!(
        "CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port={} user=postgres dbname=truststream' PUBLICATION feed",
        publisher.primary
    );
    pair.sql(pair.primary, "truststream", &text);
    publish(&publisher, 1);
    until("the subscription writes", || pair.query(pair.primary, "SELECT count(*) FROM feed") == "1");
    publisher
}

pub fn publish(publisher: &Pair, n: u32) {
    publisher.sql(publisher.primary, "truststream", &format!("INSERT INTO feed VALUES ({n})"));
}

pub fn prepare(pair: &Pair, role: &str, gid: &str) {
    let text = format!("BEGIN; INSERT INTO orders DEFAULT VALUES; PREPARE TRANSACTION '{gid}'");
    let (ok, why) = pair.psql(pair.primary, role, "truststream", &text);
    assert!(ok, "{why}");
}

/// An apply worker, a prepared transaction and a superuser: whatever the fence may not end is named.
#[test]
fn what_a_fence_cannot_end_keeps_it_unproven_and_is_named() {
    let pair = Pair::start_with(MORE);
    let publisher = subscribed(&pair);
    let at = Reached::of(&pair);
    prepare(&pair, "postgres", "g-postgres");
    pair.sql(pair.primary, "postgres", "CREATE ROLE dba LOGIN SUPERUSER");
    let writers = [
        "superuser dba can log in, and only a superuser can change that; truststream is not one",
        "subscription feed of database truststream is enabled and writes what its publisher sends; only its owner postgres or a superuser can disable it",
        "prepared transaction 'g-postgres' of postgres in truststream can be committed by dba, postgres",
    ];
    // The obstacles are known before anything is done.
    let before = at.look();
    assert_eq!(before.stage, FenceStage::Open);
    for writer in writers {
        assert!(before.obstacles.iter().any(|o| o.contains(writer)), "{writer}: {:#?}", before.obstacles);
    }
    let fence = at.close();
    assert!(!fence.proven && fence.stage == FenceStage::Ineffective, "{fence:#?}");
    for writer in writers {
        assert!(fence.proof.contains(writer), "{writer}: {}", fence.proof);
    }
    // The worker really continued to write.
    publish(&publisher, 2);
    until("it goes on writing", || pair.query(pair.primary, "SELECT count(*) FROM feed") == "2");
    // An unknown background process is a writer too; a superuser's login can end all of them.
    pair.sql(pair.primary, "postgres", "ALTER ROLE truststream SUPERUSER");
    pair.sql(pair.primary, "truststream", "ROLLBACK PREPARED 'g-postgres'");
    let dba = pair.session("dba");
    let fence = at.close();
    drop(dba);
    until("all of them are ended", || at.look().proven);
    assert!(fence.proven || fence.stage == FenceStage::Partial, "{fence:#?}");
    let proof = at.look().proof;
    assert!(proof.contains("subscriptions disabled: feed"), "{proof}");
    publish(&publisher, 3);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(pair.query(pair.primary, "SELECT count(*) FROM feed"), "2");
    let (ok, why) = pair.psql(pair.primary, "dba", "truststream", "SELECT 1");
    assert!(!ok && why.contains("not permitted to log in"), "{why}");
    // The standby replays the catalog changes: lifting the fence there also restores the rest, and the waiting row arrives.
    pair.promote();
    let new = Reached::new(&format!("127.0.0.1:{}/truststream", pair.standby));
    until("the fence came over", || new.look().proven);
    new.open();
    assert_eq!(new.look().stage, FenceStage::Open);
    until("the new primary gets what is published", || {
        pair.query(pair.standby, "SELECT count(*) FROM feed") == "3"
    });
    assert!(pair.psql(pair.standby, "dba", "truststream", "SELECT 1").0);
    assert_eq!(pair.query(pair.primary, "SELECT count(*) FROM feed"), "2");
}

/// A prepared transaction whose owner is fenced is not a writer; and data that no standby has is named.
#[test]
fn what_a_standby_never_has_is_named_with_the_proof() {
    let pair = Pair::start_with(MORE);
    pair.sql(
        pair.primary,
        "truststream",
        "CREATE UNLOGGED TABLE cache AS SELECT generate_series(1, 500) n; CREATE UNLOGGED TABLE empty (n int)",
    );
    pair.sql(pair.primary, "postgres", "CREATE UNLOGGED TABLE sessions AS SELECT 1 n");
    pair.sql(pair.primary, "truststream", "SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')");
    // A slot waits for open transactions, including prepared ones.
    prepare(&pair, "app", "g-app");
    let mut at = Reached::of(&pair);
    at.db.expendable = vec!["sessions".to_owned()];
    let words: Vec<_> = at.server().unreplicated.iter().map(|u| u.words()).collect();
    let told = |of: &[String], begin: &str| of.iter().any(|w| w.starts_with(begin));
    let expected = [
        "unlogged table truststream.public.cache has rows (",
        "unlogged table postgres.public.sessions has rows (",
        "logical slot cdc (of truststream) does not exist on a standby",
        "prepared transaction 'g-app' (of app in truststream) stays open with its locks",
    ];
    for begin in expected {
        assert!(told(&words, begin), "{begin}: {words:#?}");
    }
    assert_eq!(words.len(), 4, "{words:#?}");
    let fence = at.close();
    assert!(fence.proven, "{fence:#?}");
    let words: Vec<_> = fence.unreplicated.iter().map(|u| u.words()).collect();
    for begin in expected {
        assert!(told(&words, begin), "{begin}: {words:#?}");
    }
    assert_eq!(fence.unreplicated.iter().filter(|u| u.loses_rows()).count(), 1, "{words:#?}");
}

/// A client's login is refused for the fence's own reason; a wrong password proves nothing.
#[test]
fn the_login_of_clients_is_refused_for_the_reason_of_the_fence() {
    let pair = Pair::start();
    pair.ask_for_passwords();
    let mut at = Reached::of(&pair);
    let by = |login: String| ClientWay {
        secret: None,
        endpoint: Some("nobody-looks-here:1/truststream".to_owned()),
        login: Some(login),
    };
    at.db.clients = vec![by(at.login("app", "app"))];
    let fence = at.close();
    assert!(fence.proven, "{fence:#?}");
    let refused = "the server refused a login as app (28000: role \"app\" is not permitted to log in)";
    assert!(fence.proof.contains(refused), "{}", fence.proof);
    at.db.clients = vec![by(at.login("app", "wrong"))];
    let fence = at.look();
    assert!(!fence.proven && fence.stage == FenceStage::Ineffective, "{fence:#?}");
    assert!(fence.proof.contains("28P01: password authentication failed"), "{}", fence.proof);
}

/// A client login that is there and cannot be read proves nothing. One whose place does not answer is only not tried.
#[test]
fn a_client_login_that_cannot_be_read_leaves_the_fence_unproven() {
    let pair = Pair::start();
    pair.show_rules();
    for rung in CENSUS {
        let mut at = Reached { rung, ..Reached::of(&pair) };
        at.db.host = Some(pair.machine("p"));
        let by = |login: String| {
            let endpoint = Some("nobody-looks-here:1/truststream".to_owned());
            vec![ClientWay { secret: None, endpoint, login: Some(login) }]
        };
        let garbage = at.folder.path().join("garbage.json");
        std::fs::write(&garbage, "not JSON").unwrap();
        for login in ["file:/nowhere/login.json".to_owned(), format!("file:{}", garbage.display())] {
            at.db.clients = by(login);
            let fence = at.close();
            assert!(!fence.proven && fence.stage == FenceStage::Partial, "{rung:?}: {fence:#?}");
            assert!(
                fence.proof.contains("not proven: one client login was not tried: secret file"),
                "{fence:#?}"
            );
        }
        at.db.clients = by("aws-sm:in-a-place-that-does-not-answer".to_owned());
        let fence = at.look();
        assert!(
            fence.proven && fence.proof.contains("; one client login was not tried"),
            "{rung:?}: {fence:#?}"
        );
        at.open();
    }
}

/// A writer that appears after the first census is found by the second.
#[test]
fn a_writer_that_comes_between_two_censuses_is_found() {
    let pair = Pair::start();
    let at = Reached::of(&pair);
    assert!(at.close().proven);
    let between = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'drctl' AND query = 'SELECT pg_sleep(1)' AND state = 'active'";
    let fence = std::thread::scope(|scope| {
        let looks = scope.spawn(|| at.look());
        until("the first census is taken", || pair.query(pair.primary, between) == "1");
        pair.sql(pair.primary, "postgres", "CREATE ROLE late LOGIN");
        looks.join().unwrap()
    });
    assert!(!fence.proven && fence.proof.contains("role late can log in"), "{fence:#?}");
}

/// Something that the plan calls harmless commits all the time: the writers are kept out, and nobody can tell which commit was the last.
#[test]
fn a_commit_that_nobody_explains_makes_the_loss_a_bound() {
    let world = own_servers::World::new();
    let commits =
        "DO $$ BEGIN LOOP INSERT INTO orders DEFAULT VALUES; COMMIT; PERFORM pg_sleep(0.2); END LOOP; END $$";
    let ((code, report, words), _) = world.under_load(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| world.pair.psql(world.pair.primary, "postgres", "truststream", commits));
            let now = own_servers::World::now();
            let waive = ["--waive", "healthy-source", "--reason", "its disk is about to fail"];
            let args = ["failover", "orders", "--to", "east", "--yes", "--outage-began", &now];
            let done = world.run(&[&args[..], &waive].concat());
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'";
            assert_eq!(world.pair.query(world.pair.primary, end), "t", "it did not commit until the end");
            done
        })
    });
    assert_eq!(report["outcome"], "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(
        (&report["fence"]["state"], &report["rpo"]["basis"]),
        (&"proven".into(), &"upper_bound".into())
    );
    let notes = report["notes"].to_string();
    assert!(notes.contains("and no known session explains them"), "{report:#}");
}

/// A proxy that delays all data by this time, in each direction.
fn far_away(port: u16, later: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let near = near.unwrap();
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            carry(near.try_clone().unwrap(), far.try_clone().unwrap(), later);
            carry(far, near, later);
        }
    });
    own
}

fn carry(mut from: TcpStream, mut to: TcpStream, later: Duration) {
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut bytes = [0; 16_384];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            let _ = send.send((Instant::now() + later, bytes[..n].to_vec()));
        }
    });
    std::thread::spawn(move || {
        for (due, bytes) in receive {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

/// A region with a latency of 200 ms each way: every observation and call completes in time.
#[test]
fn a_server_that_is_far_away_is_fenced_and_lifted() {
    let pair = Pair::start();
    let port = far_away(pair.primary, Duration::from_millis(200));
    let at = Reached::new(&format!("127.0.0.1:{port}/truststream"));
    let fence = at.close();
    assert!(fence.proven && fence.wal.is_some(), "{fence:#?}");
    assert!(!at.server().is_replica());
    at.open();
    assert_eq!(at.look().stage, FenceStage::Open);
}

/// A promotion that loses rows outside the WAL is not reported as lossless.
#[test]
fn rows_of_unlogged_tables_make_no_measured_zero() {
    let world = own_servers::World::new();
    world.pair.sql(
        world.pair.primary,
        "truststream",
        "CREATE UNLOGGED TABLE cache AS SELECT generate_series(1, 500) n",
    );
    let file = world.folder.path().join("plans/orders.yaml");
    let named = "unlogged table truststream.public.cache has rows";
    let (code, ready, words) = world.run(&["ready", "orders"]);
    assert!(ready.to_string().contains(named), "{code}: {ready:#}\n{words}");
    let ((there, back), _) = world.under_load(|| {
        let (_, shown, _) = world.run(&["switchover", "orders", "--to", "east", "--dry-run"]);
        assert!(shown.to_string().contains(named), "{shown:#}");
        let there = world.run(&["switchover", "orders", "--to", "east", "--yes"]);
        assert_eq!(world.pair.query(world.pair.standby, "SELECT count(*) FROM cache"), "0");
        // The way back, with rows that the plan declares expendable.
        world.pair.sql(world.pair.standby, "truststream", "INSERT INTO cache SELECT generate_series(1, 9)");
        expend(&file);
        (there, world.run(&["failback", "orders", "--to", "west", "--yes"]))
    });
    let (code, report, words) = there;
    assert_eq!(report["outcome"], "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(
        (&report["rpo"]["basis"], &report["rpo"]["achieved_s"]),
        (&"lower_bound".into(), &0.0.into()),
        "{report:#}"
    );
    assert_eq!(code, 5, "{report:#}");
    assert!(report["notes"].to_string().contains(named), "{report:#}");
    let (code, report, words) = back;
    assert_eq!(report["outcome"], "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["rpo"]["basis"], "measured", "{report:#}");
    assert!(report["notes"].to_string().contains("which the plan allows (`expendable`)"), "{report:#}");
}

fn expend(plan: &Path) {
    let text = std::fs::read_to_string(plan).unwrap();
    std::fs::write(plan, text.replace("    at:\n", "    expendable: [cache]\n    at:\n")).unwrap();
}
