//! The other rungs of a fence over real PostgreSQL servers, each with its own proof and its own way back.

use std::time::Instant;

use drctl::model::action::{Action, ClientWay, FenceMethod};
use drctl::model::state::FenceStage;
use drctl::run::outcome::CallOutcome;

use super::fences::{MORE, Reached, prepare, publish, subscribed};
use super::own_servers::World;
use super::postgres::Pair;
use super::until;

const SHUT: &str = "database \"truststream\" is not currently accepting connections";

impl Reached {
    fn by(pair: &Pair, rung: FenceMethod) -> Self {
        Self { rung, ..Self::of(pair) }
    }

    /// A login of clients, which the fence has to refuse.
    fn client(&mut self, user: &str, password: &str) {
        let login = Some(self.login(user, password));
        let endpoint = Some("nobody-looks-here:1/truststream".to_owned());
        self.db.clients = vec![ClientWay { secret: None, endpoint, login }];
    }
}

/// Databases that take no connections keep out whom the fence of logins cannot: superusers, subscriptions of others, and whoever may commit
/// what is prepared. A worker that runs and may not be ended is named.
#[test]
fn databases_that_take_no_connections_keep_everybody_out() {
    let pair = Pair::start_with(MORE);
    let publisher = subscribed(&pair);
    let at = Reached::by(&pair, FenceMethod::AllowConnections);
    prepare(&pair, "postgres", "g-postgres");
    pair.sql(pair.primary, "postgres", "CREATE ROLE dba LOGIN SUPERUSER");
    pair.sql(pair.primary, "postgres", "CREATE DATABASE theirs");
    let before = at.look();
    assert_eq!(before.stage, FenceStage::Open);
    let theirs = "database theirs takes connections, and only its owner or a superuser may change that, which truststream is not";
    let worker = "the workers of subscription feed of database truststream, which truststream may not end";
    for writer in [theirs, worker] {
        assert!(before.obstacles.iter().any(|o| o.contains(writer)), "{writer}: {:#?}", before.obstacles);
    }
    // What is granted in the application's database counts there only.
    let promotes = "truststream could not promote the standby, whose databases will be shut, too";
    assert!(before.obstacles.iter().any(|o| o.contains(promotes)), "{:#?}", before.obstacles);
    pair.sql(pair.primary, "postgres", "GRANT EXECUTE ON FUNCTION pg_promote TO truststream");
    assert_eq!(at.look().obstacles.len(), 2, "{:#?}", at.look().obstacles);
    let session = pair.session("app");
    let fence = at.close();
    assert!(!fence.proven && fence.stage == FenceStage::Vain, "{fence:#?}");
    assert!(
        fence.proof.contains(theirs) && fence.proof.contains("which truststream may not end"),
        "{fence:#?}"
    );
    // And it was right not to call that proven.
    publish(&publisher, 2);
    let rows = "SELECT n_tup_ins FROM pg_stat_xact_all_tables";
    assert!(!pair.psql(pair.primary, "postgres", "truststream", rows).0, "a superuser is let in");
    drop(session);
    // Its login may do the rest once somebody lets it.
    pair.sql(pair.primary, "postgres", "ALTER ROLE truststream SUPERUSER");
    let fence = at.close();
    assert!(fence.proven, "{fence:#?}");
    assert!(fence.proof.starts_with("nobody may connect to theirs, truststream, and nothing"), "{fence:#?}");
    assert!(fence.wal.is_some() && fence.word.is_some(), "{fence:#?}");
    for role in ["app", "dba", "postgres"] {
        let (ok, why) = pair.psql(pair.primary, role, "truststream", "SELECT 1");
        assert!(!ok && why.contains(SHUT), "{role}: {why}");
    }
    publish(&publisher, 3);
    // The catalog leads the standby to the same, and it is observed, promoted and opened all the same.
    let new = Reached { rung: at.rung, ..Reached::new(&format!("127.0.0.1:{}/truststream", pair.standby)) };
    until("the fence came over", || {
        new.server().fence_word.is_some() && new.server().fence_word == fence.word
    });
    assert!(new.server().is_replica());
    assert!(!pair.psql(pair.standby, "app", "truststream", "SELECT 1").0);
    let promoted = new.act(&Action::Promote { db: new.db.clone(), backup_days: None, takeover: None });
    assert!(matches!(promoted, CallOutcome::Accepted { .. }), "{promoted:?}");
    until("it is promoted", || !new.server().is_replica());
    assert!(new.look().proven, "{:#?}", new.look());
    new.open();
    assert_eq!(new.look().stage, FenceStage::Open);
    assert!(pair.psql(pair.standby, "app", "truststream", "INSERT INTO orders DEFAULT VALUES").0);
    assert!(pair.psql(pair.standby, "postgres", "theirs", "SELECT 1").0);
    until("the new primary gets what is published", || {
        pair.query(pair.standby, "SELECT count(*) FROM feed") == "3"
    });
    // What was prepared waits there, and nobody wrote to the old one meanwhile.
    assert_eq!(pair.query(pair.standby, "SELECT count(*) FROM pg_prepared_xacts"), "1");
    at.open();
    assert_eq!(pair.query(pair.primary, "SELECT count(*) FROM feed WHERE n = 3"), "0");
}

/// It is lifted exactly: what others had shut stays shut, and what the fence of logins took stays taken.
#[test]
fn a_fence_of_databases_is_lifted_exactly() {
    let pair = Pair::start();
    pair.sql(pair.primary, "postgres", "CREATE DATABASE asleep OWNER truststream ALLOW_CONNECTIONS false");
    let mut at = Reached::by(&pair, FenceMethod::AllowConnections);
    let logins = Reached::of(&pair);
    assert!(logins.close().proven);
    let fence = at.close();
    assert!(fence.proven, "{fence:#?}");
    // Asked for twice it is what it is once.
    let again = at.close();
    assert!(again.proven && again.proof == fence.proof, "{again:#?}");
    assert!(logins.look().proven, "{:#?}", logins.look());
    at.open();
    assert_eq!(at.look().stage, FenceStage::Open);
    let open = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datallowconn";
    assert_eq!(pair.query(pair.primary, open), "postgres template1 truststream");
    assert!(logins.look().proven, "{:#?}", logins.look());
    logins.open();
    assert!(pair.psql(pair.primary, "app", "truststream", "SELECT 1").0);
    // The login of clients is refused for this reason, and a wrong password proves nothing.
    pair.ask_for_passwords();
    at.client("app", "app");
    let fence = at.close();
    let refused = format!("a login as app was refused (55000: {SHUT})");
    assert!(fence.proven && fence.proof.contains(&refused), "{fence:#?}");
    at.client("app", "wrong");
    let fence = at.look();
    assert!(!fence.proven && fence.proof.contains("28P01: password authentication failed"), "{fence:#?}");
}

/// There and back with this rung alone, under load: no row is lost, and clients are served by the new primary.
#[test]
fn a_move_by_databases_that_take_no_connections_loses_no_row() {
    let world = World::new();
    world.fences_by("allow_connections");
    let ((there, back), truth) = world.under_load(|| {
        let there = world.run(&["switchover", "orders", "--to", "east", "--yes"]);
        (there, world.run(&["failback", "orders", "--to", "west", "--yes"]))
    });
    for (code, report, words) in [there, back] {
        assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
        assert_eq!(report["fence"]["state"], "proven", "{report:#}");
        assert_eq!(
            (&report["rpo"]["basis"], &report["rpo"]["achieved_s"]),
            (&"measured".into(), &0.0.into()),
            "{report:#}"
        );
    }
    assert_eq!(world.missing(&truth, world.pair.primary), Vec::<Instant>::new());
    assert!(truth.acknowledged.len() > 20, "{} rows", truth.acknowledged.len());
}

/// A stopped server is gone with all that wrote there; whatever starts it again starts a standby, which takes no writes.
#[test]
fn a_server_that_is_stopped_comes_back_as_a_standby_only() {
    let pair = Pair::start_with(MORE);
    let publisher = subscribed(&pair);
    prepare(&pair, "postgres", "g-postgres");
    let mut at = Reached::by(&pair, FenceMethod::Stop);
    at.db.host = Some(pair.machine("s"));
    // The plan names another machine: that is told before, and nothing is stopped.
    let refused = at.act(&Action::Fence(at.fence()));
    let another = "is not the one that answers at the endpoint: the plan's host is another one";
    assert!(format!("{refused:?}").contains(another), "{refused:?}");
    assert!(pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES").0);
    at.db.host = Some(pair.machine("p"));
    let before = at.look();
    assert!(before.stage == FenceStage::Open && before.obstacles.is_empty(), "{before:#?}");
    let session = pair.session("postgres");
    let fence = at.close();
    drop(session);
    assert!(fence.proven, "{fence:#?}");
    let words =
        ["no process works in", "postmaster.pid is gone", "its port refuses", "standby.signal keeps it"];
    for word in words {
        assert!(fence.proof.contains(word), "{word}: {}", fence.proof);
    }
    // Its supervisor starts it again: a standby, with which nobody can write.
    pair.start_primary();
    let again = at.look();
    assert!(again.proven && again.proof.contains("made it a standby"), "{again:#?}");
    publish(&publisher, 2);
    let (ok, why) = pair.psql(pair.primary, "postgres", "truststream", "INSERT INTO orders DEFAULT VALUES");
    assert!(!ok && why.contains("read-only transaction"), "{why}");
    // Asked for again it is stopped again, and given back it takes writes.
    let fence = at.close();
    assert!(fence.proven && fence.proof.contains("its port refuses"), "{fence:#?}");
    at.open();
    assert_eq!(at.look().stage, FenceStage::Open);
    assert!(pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES").0);
    assert!(!pair.has("standby.signal"));
    // Lifted twice it is what it is.
    at.open();
    assert!(pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES").0);
}

/// A server that was killed, or stopped by somebody, is not fenced: whatever starts it starts a writer. The mark alone changes that.
#[test]
fn a_dead_server_is_fenced_by_the_mark() {
    let pair = Pair::start();
    let mut at = Reached::by(&pair, FenceMethod::Stop);
    at.db.host = Some(pair.machine("p"));
    pair.kill_primary();
    until("nothing of it is left", || at.look().proof.contains("whatever starts it starts a writer"));
    assert!(!at.look().proven);
    let fence = at.close();
    assert!(fence.proven && fence.proof.contains("postmaster.pid is gone"), "{fence:#?}");
    pair.start_primary();
    let (ok, why) = pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES");
    assert!(!ok && why.contains("read-only transaction"), "{why}");
}

/// A failover by this rung alone: the old primary is stopped, and made a standby by the way back.
#[test]
fn a_failover_stops_the_old_primary_and_the_way_back_makes_it_a_standby() {
    let world = World::new();
    world.fences_by("stop, sql");
    let (there, back) = world
        .under_load(|| {
            let now = World::now();
            let waive = ["--waive", "healthy-source", "--reason", "its disk is about to fail"];
            let args = ["failover", "orders", "--to", "east", "--yes", "--outage-began", &now];
            let there = world.run(&[&args[..], &waive].concat());
            assert!(world.pair.has("standby.signal"), "{:#}", there.1);
            (there, world.run(&["failback", "orders", "--to", "west", "--yes"]))
        })
        .0;
    let (code, report, words) = there;
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["fence"]["state"], "proven", "{report:#}");
    assert!(report["fence"]["components"]["db"].to_string().contains("the server is stopped"), "{report:#}");
    let (code, report, words) = back;
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
}

/// A process that is killed right after a rung had its effect, and before that is in the journal: the next one carries the run on.
fn killed_after_it_was_set(rungs: &str, is_set: impl Fn(&World) -> bool) {
    let world = World::new();
    world.fences_by(rungs);
    let ((code, report, words), truth) = world.under_load(|| {
        let now = World::now();
        let waive = ["--waive", "healthy-source", "--reason", "its disk is about to fail"];
        let args = ["failover", "orders", "--to", "east", "--yes", "--outage-began", &now];
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_drctl"))
            .args([&args[..], &waive].concat())
            .current_dir(world.folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        until("the fence is set", || is_set(&world));
        child.kill().unwrap();
        child.wait().unwrap();
        let (_, runs, words) = world.run(&["runs", "list"]);
        let run = runs["runs"][0]["run_id"].as_str().unwrap_or_else(|| panic!("{runs:#}{words}")).to_owned();
        world.run(&["runs", "resume", &run])
    });
    assert!([0, 5].contains(&code) && report["outcome"] == "recovered", "{code}: {report:#}\n{words}");
    assert_eq!(report["fence"]["state"], "proven", "{report:#}");
    assert!(world.pair.psql(world.pair.standby, "app", "truststream", "INSERT INTO ledger VALUES (0)").0);
    assert!(!world.pair.psql(world.pair.primary, "app", "truststream", "INSERT INTO ledger VALUES (0)").0);
    assert_eq!(world.missing(&truth, world.pair.standby), Vec::<Instant>::new());
    assert_eq!(world.run(&["audit", "verify"]).0, 0);
}

#[test]
fn a_run_that_is_killed_while_it_shuts_databases_is_carried_on() {
    let open = "SELECT datallowconn FROM pg_database WHERE datname = 'truststream'";
    killed_after_it_was_set("allow_connections", |world| {
        world.pair.psql(world.pair.primary, "postgres", "postgres", open).1 == "f"
    });
}

#[test]
fn a_run_that_is_killed_while_it_stops_a_server_is_carried_on() {
    killed_after_it_was_set("stop", |world| world.pair.has("standby.signal"));
}
