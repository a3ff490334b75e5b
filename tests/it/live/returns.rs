//! Old primaries that return while a process with their pending fence is running: how long they are reachable before the fence is proven,
//! and what they acknowledge until then. `DRCTL_TEST_RETURNS` sets the number of returns; the default is two.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use drctl::model::time::Timestamp;
use serde_json::Value;

use super::world::{WAIVE, World, now};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A direct session with one server that was open before the failure. It writes a row as soon as the previous one was acknowledged.
struct Session {
    process: Child,
    acknowledged: Receiver<Timestamp>,
}

impl Session {
    fn new(world: &World, region: &str) -> Self {
        let way = format!("host={} dbname=shop user=app", world.of(region, "db"));
        let mut process = Command::new(super::world::script("in"))
            .arg(world.path(""))
            .args([region, "psql", "-X", "-d", &way])
            .env("PGPASSWORD", world.password("app"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut asks, says) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (tell, acknowledged) = channel();
        std::thread::spawn(move || {
            let mut says = BufReader::new(says).lines();
            for n in 5_000_001.. {
                let row = format!("INSERT INTO ledger (n, via) VALUES ({n}, 'session');\n");
                if asks.write_all(row.as_bytes()).is_err() {
                    return;
                }
                match says.next() {
                    Some(Ok(line)) if line == "INSERT 0 1" => {}
                    _ => return,
                }
                if tell.send(at(&now())).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { process, acknowledged }
    }

    /// Every row from then on, after the session has ended.
    fn since(&mut self, from: Timestamp) -> Vec<Timestamp> {
        let mut rows = Vec::new();
        while let Ok(row) = self.acknowledged.recv_timeout(Duration::from_secs(20)) {
            rows.push(row);
        }
        rows.into_iter().filter(|row| *row >= from).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A run in progress, and its events.
struct Run<'w> {
    world: &'w World,
    process: Child,
}

impl<'w> Run<'w> {
    fn new(world: &'w World, args: &[&str]) -> Self {
        let (events, words) = (File::create(world.path("events")), File::create(world.path("words")));
        let mut command = world.for_people(args);
        command.args(["--output", "jsonl"]).stdout(events.unwrap()).stderr(words.unwrap());
        Self { world, process: command.spawn().unwrap() }
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.world.path("events")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn words(&self) -> String {
        std::fs::read_to_string(self.world.path("words")).unwrap_or_default()
    }

    /// The first event of that kind.
    fn wait_for(&mut self, what: &str, seconds: u64, test: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(found) = self.events().into_iter().find(&test) {
                return found;
            }
            let ended = self.process.try_wait().unwrap();
            let late = Instant::now() >= end;
            assert!(
                ended.is_none() && !late,
                "{what}: {ended:?}: {:#?}\n{}",
                self.events().last(),
                self.words()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn proof(event: &Value) -> Option<&str> {
    let facts = event["facts"].as_array()?;
    facts.iter().find(|fact| fact["fact"] == "fenced")?["at"].as_str()
}

/// One return: the seconds from its earliest reachability to the proof, the number of rows acknowledged in that time, and whether a check
/// for an answer triggered the fence.
fn returned(break_it: &str, mend_it: &str) -> (f64, usize, bool) {
    let world = World::new();
    let plan = std::fs::read_to_string(world.path("plans/shop.yaml")).unwrap();
    std::fs::write(world.path("plans/shop.yaml"), plan.replace("watch: {for: 1s}", "watch: {for: 10m}"))
        .unwrap();
    let client = world.client("fresh", 1);
    client.writes_to("west");
    let (code, _, words) = world.drctl(&["observe"]);
    assert_eq!(code, 0, "{words}");
    let mut session = Session::new(&world, "west");
    session.acknowledged.recv_timeout(Duration::from_secs(20)).unwrap();
    let began = now();
    world.run("fault", &[break_it, "west"]);
    let mut run = Run::new(&world, &[WAIVE, &["--outage-began", &began]].concat());
    run.wait_for("it is promoted", 90, |event| event["kind"] == "fence_pending");
    client.writes_to("east");
    run.wait_for("it watches", 90, |event| event["kind"] == "step_started" && event["step"] == "watch");
    // More than one check found no answer.
    std::thread::sleep(Duration::from_secs(3));
    let reachable = at(&now());
    world.run("fault", &[mend_it, "west"]);
    let fenced = run.wait_for("it is fenced", 60, |event| proof(event).is_some());
    let proven = at(proof(&fenced).unwrap());
    let rows = session.since(reachable);
    let late = rows.iter().filter(|row| **row > proven).count();
    assert_eq!(late, 0, "it acknowledged rows after it was called fenced, at {proven}: {rows:?}");
    let (took, why) = world.writes("west", 9_000_001);
    assert!(!took, "{why}");
    let first_of = |test: &dyn Fn(&Value) -> bool| run.events().iter().position(test);
    let sign = first_of(&|e| e["kind"] == "place_answered");
    let call = first_of(&|e| {
        e["kind"] == "call_intended" && e["step"].as_str().is_some_and(|s| s.starts_with("fence."))
    });
    // An observation of the fence itself may be the first to be answered.
    let by_sign = sign.is_some() && sign < call;
    let by = if by_sign { "the sign of life" } else { "the fence's own look" };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of seconds")]
    let seconds = proven.since(reachable).millis() as f64 / 1_000.0;
    eprintln!(
        "{mend_it}: {seconds:.2} s from reachable to proven, called for by {by}, {} rows acknowledged meanwhile",
        rows.len()
    );
    (seconds, rows.len(), by_sign)
}

#[test]
fn an_old_primary_that_comes_back_is_fenced_at_its_first_sign_of_life() {
    let returns = std::env::var("DRCTL_TEST_RETURNS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let ways = [("freeze", "wake"), ("black-hole", "heal")];
    let mut seen: Vec<(f64, usize, bool)> =
        (0..returns).map(|n: usize| ways[n % 2]).map(|(a, b)| returned(a, b)).collect();
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rows: usize = seen.iter().map(|(_, rows, _)| rows).sum();
    // For an even number, the larger of the two middle values.
    let (median, most) = (seen[seen.len() / 2].0, seen.last().unwrap().0);
    eprintln!(
        "{} returns: a median of {median:.2} s from reachable to proven, {most:.2} s at most; {rows} rows acknowledged in all of them",
        seen.len(),
    );
    // A check that meets the black hole may last 2.2 s, and the proof waits a second between two censuses. The rest is room for a slow
    // machine.
    assert!(most < 6.0, "{most} s from reachable to proven");
    assert!(returns < 8 || median < 1.5, "a median of {median} s from reachable to proven");
    // The fence's own observation would have to be first every time.
    assert!(returns < 8 || seen.iter().any(|(_, _, by_sign)| *by_sign), "no sign of life called for a fence");
}
