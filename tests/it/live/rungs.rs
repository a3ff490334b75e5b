//! The other fence methods on real PostgreSQL servers, each with its own proof and its own undo.

use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use drctl::adapters::postgres::Postgres;
use drctl::adapters::secrets::{Knock, Login};
use drctl::kinds::shared::fence::{FenceMethod, FenceStage, FenceState, Unfence};
use drctl::kinds::shared::promotion::Promote;
use drctl::kinds::shared::secret::ClientWay;
use drctl::record::action::Action;
use drctl::run::outcome::CallOutcome;
use drctl::world::World as Clock;

use super::fences::{CENSUS, MORE, Reached, prepare, publish, subscribed};
use super::own_servers::World;
use super::postgres::Pair;
use super::until;

const SHUT: &str = "database \"truststream\" is not currently accepting connections";

impl Reached {
    fn by(pair: &Pair, rung: FenceMethod) -> Self {
        Self { rung, ..Self::of(pair) }
    }

    /// A client login, which the fence must refuse.
    fn client(&mut self, user: &str, password: &str) {
        let login = Some(self.login(user, password));
        let endpoint = Some("nobody-looks-here:1/truststream".to_owned());
        self.db.clients = vec![ClientWay { secret: None, endpoint, login }];
    }
}

/// Databases that accept no connections keep out those whom the fence by logins cannot: superusers, subscriptions of others, and everybody
/// who may commit prepared transactions. A running worker that may not be ended is named.
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
    let theirs = "database theirs accepts connections, and only its owner or a superuser can change that; truststream is neither";
    let worker = "the workers of subscription feed of database truststream, which truststream cannot end";
    for writer in [theirs, worker] {
        assert!(before.obstacles.iter().any(|o| o.contains(writer)), "{writer}: {:#?}", before.obstacles);
    }
    // A right in the application's database counts only there.
    let promotes = "truststream cannot promote the standby, because its databases will be closed too";
    assert!(before.obstacles.iter().any(|o| o.contains(promotes)), "{:#?}", before.obstacles);
    pair.sql(pair.primary, "postgres", "GRANT EXECUTE ON FUNCTION pg_promote TO truststream");
    assert_eq!(at.look().obstacles.len(), 2, "{:#?}", at.look().obstacles);
    let session = pair.session("app");
    let fence = at.close();
    assert!(!fence.proven && fence.stage == FenceStage::Ineffective, "{fence:#?}");
    assert!(
        fence.proof.contains(theirs) && fence.proof.contains("which truststream cannot end"),
        "{fence:#?}"
    );
    // The worker really continued to write.
    publish(&publisher, 2);
    let rows = "SELECT n_tup_ins FROM pg_stat_xact_all_tables";
    assert!(!pair.psql(pair.primary, "postgres", "truststream", rows).0, "a superuser is let in");
    drop(session);
    // Its login can do the rest once it has the rights.
    pair.sql(pair.primary, "postgres", "ALTER ROLE truststream SUPERUSER");
    let fence = at.close();
    assert!(fence.proven, "{fence:#?}");
    assert!(
        fence.proof.starts_with("nobody can connect to theirs, truststream, and two checks"),
        "{fence:#?}"
    );
    assert!(fence.wal.is_some() && fence.word.is_some(), "{fence:#?}");
    for role in ["app", "dba", "postgres"] {
        let (ok, why) = pair.psql(pair.primary, role, "truststream", "SELECT 1");
        assert!(!ok && why.contains(SHUT), "{role}: {why}");
    }
    publish(&publisher, 3);
    // The standby replays the catalog changes, and can still be observed, promoted and opened.
    let new = Reached { rung: at.rung, ..Reached::new(&format!("127.0.0.1:{}/truststream", pair.standby)) };
    until("the fence came over", || {
        new.server().fence_token.is_some() && new.server().fence_token == fence.word
    });
    assert!(new.server().is_replica());
    assert!(!pair.psql(pair.standby, "app", "truststream", "SELECT 1").0);
    let promoted = new.act(&Action::from(Promote { db: new.db.clone(), backup_days: None, takeover: None }));
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
    // The prepared transaction waits there, and nobody wrote to the old server in the meantime.
    assert_eq!(pair.query(pair.standby, "SELECT count(*) FROM pg_prepared_xacts"), "1");
    at.open();
    assert_eq!(pair.query(pair.primary, "SELECT count(*) FROM feed WHERE n = 3"), "0");
}

/// It is lifted exactly: what others had closed stays closed, and what the fence by logins took stays taken.
#[test]
fn a_fence_of_databases_is_lifted_exactly() {
    let pair = Pair::start();
    pair.sql(pair.primary, "postgres", "CREATE DATABASE asleep OWNER truststream ALLOW_CONNECTIONS false");
    let mut at = Reached::by(&pair, FenceMethod::AllowConnections);
    let logins = Reached::of(&pair);
    assert!(logins.close().proven);
    let fence = at.close();
    assert!(fence.proven, "{fence:#?}");
    // A second call has no further effect.
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
    // A client's login is refused for this reason, and a wrong password proves nothing.
    pair.ask_for_passwords();
    at.client("app", "app");
    let fence = at.close();
    let refused = format!("the server refused a login as app (55000: {SHUT})");
    assert!(fence.proven && fence.proof.contains(&refused), "{fence:#?}");
    at.client("app", "wrong");
    let fence = at.look();
    assert!(!fence.proven && fence.proof.contains("28P01: password authentication failed"), "{fence:#?}");
}

/// There and back with only this method, under load: no row is lost, and the new primary serves clients.
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

/// A stopped server is gone with all its writers, and starts only as a standby, which takes no writes.
#[test]
fn a_server_that_is_stopped_comes_back_as_a_standby_only() {
    let pair = Pair::start_with(MORE);
    let publisher = subscribed(&pair);
    prepare(&pair, "postgres", "g-postgres");
    let mut at = Reached::by(&pair, FenceMethod::Stop);
    at.db.host = Some(pair.machine("s"));
    // The plan names another machine: that is reported first, and nothing is stopped.
    let refused = at.act(&Action::from(at.fence()));
    let another = "is not the server that answers at the endpoint. The plan names a different host";
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
    // Its service manager restarts it: as a standby, where nobody can write.
    pair.start_primary();
    let again = at.look();
    assert!(again.proven && again.proof.contains("made it a standby"), "{again:#?}");
    publish(&publisher, 2);
    let (ok, why) = pair.psql(pair.primary, "postgres", "truststream", "INSERT INTO orders DEFAULT VALUES");
    assert!(!ok && why.contains("read-only transaction"), "{why}");
    // A second call stops it again, and after the fence is lifted it takes writes.
    let fence = at.close();
    assert!(fence.proven && fence.proof.contains("its port refuses"), "{fence:#?}");
    at.open();
    assert_eq!(at.look().stage, FenceStage::Open);
    assert!(pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES").0);
    assert!(!pair.has("standby.signal"));
    // Lifting it twice has no further effect.
    at.open();
    assert!(pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES").0);
}

/// A server that was killed, or stopped by somebody, is not fenced, because it would start as a writer. Only the mark changes that.
#[test]
fn a_dead_server_is_fenced_by_the_mark() {
    let pair = Pair::start();
    let mut at = Reached::by(&pair, FenceMethod::Stop);
    at.db.host = Some(pair.machine("p"));
    pair.kill_primary();
    until("nothing of it is left", || at.look().proof.contains("it starts as a writer"));
    assert!(!at.look().proven);
    let fence = at.close();
    assert!(fence.proven && fence.proof.contains("postmaster.pid is gone"), "{fence:#?}");
    pair.start_primary();
    let (ok, why) = pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES");
    assert!(!ok && why.contains("read-only transaction"), "{why}");
}

/// A failover with only this method: the old primary is stopped, and the way back makes it a standby.
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

const REJECTED: &str = "pg_hba.conf rejects connection for host";
const MARK: &str = "# drctl fence: begin";

/// Rules at the top keep out superusers and existing sessions, but not standbys; whatever they do not keep out is named. After they are
/// removed, the file is unchanged.
#[test]
fn rules_that_reject_keep_everybody_out_but_standbys() {
    let pair = Pair::start_with(MORE);
    let publisher = subscribed(&pair);
    let mut at = Reached::by(&pair, FenceMethod::PgHba);
    at.db.host = Some(pair.machine("p"));
    pair.sql(pair.primary, "postgres", "CREATE ROLE dba LOGIN SUPERUSER");
    prepare(&pair, "postgres", "g-postgres");
    let before = at.look();
    assert_eq!((before.stage, before.obstacles.len()), (FenceStage::Open, 1), "{before:#?}");
    assert!(before.obstacles[0].contains("GRANT SELECT ON pg_hba_file_rules TO truststream"), "{before:#?}");
    pair.show_rules();
    let worker = "subscription feed of database truststream is enabled, and no rule in pg_hba.conf keeps its workers out";
    let before = at.look();
    assert!(before.obstacles.len() == 1 && before.obstacles[0].starts_with(worker), "{before:#?}");
    at.db.host = Some(pair.machine("s"));
    assert!(at.look().obstacles.iter().any(|o| o.contains("The plan names a different host")));
    at.db.host = Some(pair.machine("p"));
    let file = pair.hba("p");
    let (text, meta) = (std::fs::read(&file).unwrap(), std::fs::metadata(&file).unwrap());
    let mut sessions = ["app", "dba"].map(|role| pair.session(role));
    let fence = at.close();
    assert!(
        !fence.proven && fence.stage == FenceStage::Ineffective && fence.proof.contains(worker),
        "{fence:#?}"
    );
    for session in &mut sessions {
        assert!(!session.wait().unwrap().success());
    }
    // The worker really continued to write.
    publish(&publisher, 2);
    let rows = || {
        pair.psql(
            pair.primary,
            "truststream",
            "truststream",
            "SELECT n_tup_ins FROM pg_stat_all_tables WHERE relname = 'feed'",
        )
        .1
    };
    until("the subscription still writes", || rows() == "2");
    at.open();
    assert!(std::fs::read(&file).unwrap() == text && at.look().stage == FenceStage::Open);
    pair.sql(pair.primary, "truststream", "ALTER SUBSCRIPTION feed DISABLE");
    at.client("app", "whatever");
    let fence = at.close();
    assert!(fence.proven && fence.wal.is_some() && fence.word.is_some(), "{fence:#?}");
    let refused = "28000: pg_hba.conf rejects";
    let told = [
        format!("reject every client except drctl ({refused}"),
        format!("the server refused a login as app ({refused}"),
        "two checks 1 s apart".to_owned(),
    ];
    for words in told {
        assert!(fence.proof.contains(&words), "{words}: {}", fence.proof);
    }
    let now = std::fs::metadata(&file).unwrap();
    assert_eq!((now.uid(), now.gid(), now.mode()), (meta.uid(), meta.gid(), meta.mode()));
    for role in ["app", "dba", "postgres"] {
        let (ok, why) = pair.psql(pair.primary, role, "truststream", "SELECT 1");
        assert!(!ok && why.contains(REJECTED), "{role}: {why}");
    }
    // A second call has no further effect.
    let again = at.close();
    assert!(again.proven, "{again:#?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap().matches(MARK).count(), 1);
    goes_on_at_the_standby(&pair, &at, again.word);
    at.open();
    assert!(std::fs::read(&file).unwrap() == text && at.look().stage == FenceStage::Open);
    assert!(pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES").0);
}

/// It streams, and has the word about the end of the WAL until the fence is lifted there.
fn goes_on_at_the_standby(pair: &Pair, at: &Reached, word: Option<String>) {
    let mut new = Reached::new(&format!("127.0.0.1:{}/truststream", pair.standby));
    (new.rung, new.db.host) = (at.rung, Some(pair.machine("s")));
    until("the word of the fence came over", || new.server().fence_token == word);
    pair.promote();
    assert_eq!(new.look().stage, FenceStage::Partial, "{:#?}", new.look());
    new.open();
    assert_eq!((new.look().stage, new.server().fence_token), (FenceStage::Open, None));
}

/// The file may be anywhere, and its owner may keep editing it: their changes stay. A file that the server would reject is reported first,
/// and not changed.
#[test]
fn a_file_of_rules_is_opened_exactly() {
    let pair = Pair::start();
    pair.show_rules();
    let file = pair.move_hba_out();
    let mut at = Reached::by(&pair, FenceMethod::PgHba);
    at.db.host = Some(pair.machine("p"));
    let text = std::fs::read_to_string(&file).unwrap();
    // Without a final newline, and with an invalid line.
    let broken = format!("{text}host all all nonsense");
    std::fs::write(&file, &broken).unwrap();
    let before = at.look();
    assert!(
        before.obstacles.iter().any(|o| o.contains("is wrong, so the server ignores the new file")),
        "{before:#?}"
    );
    let refused = at.act(&Action::from(at.fence()));
    let told = format!("{refused:?}");
    assert!(told.contains("F0000") && told.contains(&format!("of {} is wrong", file.display())), "{told}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), broken);
    let whole = format!("{text}# the last line");
    std::fs::write(&file, &whole).unwrap();
    let fence = at.close();
    assert!(fence.proven && fence.proof.contains(&file.display().to_string()), "{fence:#?}");
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
    // Somebody adds a rule above that admits them: that is noticed, whether or not the server has loaded it.
    let set = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("host all app 127.0.0.1/32 trust\n{set}\nhost all later 10.0.0.0/8 md5\n"))
        .unwrap();
    let fence = at.look();
    assert!(!fence.proven && fence.proof.contains("other rules come before them"), "{fence:#?}");
    let fence = at.close();
    assert!(fence.proven, "{fence:#?}");
    at.open();
    let edited = format!("host all app 127.0.0.1/32 trust\n{whole}\nhost all later 10.0.0.0/8 md5\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
    // Lifting it twice has no further effect. Damaged marks are not guessed.
    at.open();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
    std::fs::write(&file, format!("{MARK} k\n{edited}")).unwrap();
    let refused = format!("{:?}", at.act(&Action::from(Unfence(at.fence()))));
    assert!(refused.contains("are incomplete. Remove them by hand"), "{refused}");
}

/// Killed between writing and reloading: nobody is kept out yet, which is noticed, and the next call completes it.
#[test]
fn rules_that_the_server_has_not_read_prove_nothing() {
    let pair = Pair::start();
    pair.show_rules();
    let mut at = Reached::by(&pair, FenceMethod::PgHba);
    let whole = pair.machine("p");
    let mut killed = whole.clone();
    killed.bin = Some(format!("{}:{}", pair.programs_that_kill_a_reload(), whole.bin.as_deref().unwrap()));
    at.db.host = Some(killed);
    let done = at.act(&Action::from(at.fence()));
    assert!(!matches!(done, CallOutcome::Accepted { .. }), "{done:?}");
    assert!(std::fs::read_to_string(pair.hba("p")).unwrap().contains(MARK));
    at.db.host = Some(whole);
    let fence = at.look();
    assert!(!fence.proven && fence.proof.contains("the server has not read them yet"), "{fence:#?}");
    assert!(pair.psql(pair.primary, "app", "truststream", "INSERT INTO orders DEFAULT VALUES").0);
    assert!(at.close().proven);
    assert!(!pair.psql(pair.primary, "app", "truststream", "SELECT 1").0);
}

/// A login attempt proves a fence only with the server's own message for it.
#[test]
fn only_the_words_of_the_fence_prove_it() {
    let pair = Pair::start();
    pair.sql(pair.primary, "postgres", "CREATE ROLE asleep NOLOGIN");
    pair.ask_for_passwords();
    let at = Reached::of(&pair);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let to = |method: FenceMethod, port: u16, user: &str, password: &str| {
        let clock = Clock::live().unwrap();
        let server = Postgres::new(clock.clone(), at.settings.sql.clone());
        let login = Login::parse(&format!(r#"{{"username": "{user}", "password": "{password}"}}"#)).unwrap();
        let endpoint = format!("127.0.0.1:{port}/truststream");
        clock.block_on(server.knock(&endpoint, &login, method))
    };
    let no_proof = |knock: Knock, words: &str| {
        assert!(matches!(&knock, Knock::NoProof(why) if why.contains(words)), "{words}: {knock:?}");
    };
    std::thread::scope(|scope| {
        for method in CENSUS {
            // It accepts the connection and never answers, which takes a while to tell.
            let port = silent.local_addr().unwrap().port();
            scope.spawn(move || no_proof(to(method, port, "app", "app"), "no answer within"));
            no_proof(to(method, closed, "app", "app"), "refused");
            no_proof(to(method, pair.primary, "app", "wrong"), "28P01");
            assert!(matches!(to(method, pair.primary, "app", "app"), Knock::Open), "{method:?}");
        }
    });
    let asleep = |method| to(method, pair.primary, "asleep", "-");
    no_proof(asleep(FenceMethod::PgHba), "is not permitted to log in");
    assert!(matches!(asleep(FenceMethod::Sql), Knock::Shut(_)));
}

/// There and back with only this method, under load: no row is lost. The old primary admits its readers when it is a standby, and so does a
/// new one whose files were copied from a fenced server.
#[test]
fn a_move_by_rules_loses_no_row_and_leaves_none_behind() {
    let world = World::new();
    world.fences_by("pg_hba");
    world.pair.show_rules();
    let rules = |name: &str| std::fs::read_to_string(world.pair.hba(name)).unwrap();
    let copied = format!(
        "{MARK} k\nhost all truststream 127.0.0.1/32 trust\nlocal all all reject\nhost all all all reject\n# drctl fence: end\n"
    );
    std::fs::write(world.pair.hba("s"), copied + &rules("s")).unwrap();
    assert!(world.pair.psql(world.pair.standby, "postgres", "postgres", "SELECT pg_reload_conf()").0);
    let ((there, back), truth) = world.under_load(|| {
        let there = world.run(&["switchover", "orders", "--to", "east", "--yes"]);
        assert!(!rules("s").contains(MARK) && !rules("p").contains(MARK), "{}", there.2);
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
    assert!(!rules("s").contains(MARK) && !rules("p").contains(MARK));
    assert_eq!(world.missing(&truth, world.pair.primary), Vec::<Instant>::new());
    assert!(truth.acknowledged.len() > 20, "{} rows", truth.acknowledged.len());
}

/// A process that is killed right after a method took effect, before that is in the journal. The next one continues the run.
fn killed_after_it_was_set(rungs: &str, is_set: impl Fn(&World) -> bool) {
    let world = World::new();
    world.fences_by(rungs);
    world.pair.show_rules();
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

#[test]
fn a_run_that_is_killed_while_it_writes_rules_is_carried_on() {
    killed_after_it_was_set("pg_hba", |world| {
        std::fs::read_to_string(world.pair.hba("p")).is_ok_and(|text| text.contains(MARK))
    });
}

/// Rows that came after the plan was made are read after writes have ended. A process that did not close the databases cannot read them.
#[test]
fn each_census_reads_what_no_standby_has_once_writes_have_ended() {
    let pair = Pair::start();
    pair.show_rules();
    pair.sql(pair.primary, "truststream", "CREATE UNLOGGED TABLE cache (n int)");
    for rung in CENSUS {
        let mut at = Reached::by(&pair, rung);
        at.db.host = Some(pair.machine("p"));
        assert_eq!(at.server().unreplicated, Vec::new(), "{rung:?}");
        pair.sql(pair.primary, "truststream", "INSERT INTO cache SELECT generate_series(1, 9)");
        let rows = "unlogged table truststream.public.cache has rows";
        let told = |fence: &FenceState| {
            assert!(fence.proven && fence.unreplicated.len() == 1, "{rung:?}: {fence:#?}");
            fence.unreplicated[0].words()
        };
        let words = told(&at.close());
        assert!(words.starts_with(rows), "{rung:?}: {words}");
        let words = told(&at.look());
        let other = match rung {
            FenceMethod::AllowConnections => "database truststream was not read (it accepts no connections)",
            _ => rows,
        };
        assert!(words.starts_with(other), "{rung:?}: {words}");
        at.open();
        pair.sql(pair.primary, "truststream", "TRUNCATE cache");
    }
}
