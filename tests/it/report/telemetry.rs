//! Traces of live runs arrive at a collector, whatever it answers, and no run waits for them.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drctl::executor::create;
use drctl::journal::Journal as _;
use drctl::journal::sqlite::SqliteJournal;
use drctl::model::ids::RunId;
use drctl::model::ledger::StoreWorld;
use drctl::model::time::{Dur, Timestamp};
use drctl::record::event::{Event, EventKind};
use drctl::report::trace;
use serde_json::Value;

use crate::cli::contract::{Folder, finish};
use crate::run::loss::{all_of, starts};
use crate::support::inboxes::Inbox;
use crate::support::rig::{Rig, truststream};
use crate::support::stored_rehearsals::{follow, lived};

const RUN: &str = "20261123-truststream-failover-7a3e";
const TOKEN: &str = "planted-token-51cc";

struct Estate {
    folder: Folder,
    collector: Inbox,
}

impl Estate {
    fn new() -> Self {
        let estate = Self { folder: Folder::with_plans(), collector: Inbox::new() };
        estate.says(&format!(
            "\ntelemetry:\n  traces:\n    url: \"{}\"\n    headers: {{authorization: \"env:COLLECTOR_TOKEN\"}}\n",
            estate.collector.url("/v1/traces")
        ));
        estate
    }

    fn says(&self, more: &str) {
        let path = self.folder.path().join("plans/drctl.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text + more).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.folder.command(args);
        command.env("COLLECTOR_TOKEN", TOKEN).stdin(Stdio::null());
        command
    }

    fn serve(&self) -> Server {
        let words = std::fs::File::options().create(true).append(true).open(self.folder.path().join("words"));
        let words = words.unwrap();
        let mut command = self.command(&["serve"]);
        Server(command.stdout(words.try_clone().unwrap()).stderr(words).spawn().unwrap())
    }

    fn words(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("words")).unwrap()
    }

    fn store(&self) -> SqliteJournal {
        // Each of these creates what it needs of the store.
        for args in [&["schedules"][..], &["runs", "list"]] {
            finish(self.command(args).output().unwrap());
        }
        let folders = [self.folder.path().join(".drctl"), self.folder.path().join("plans/.drctl")];
        let folder = folders.into_iter().find(|f| f.exists()).unwrap();
        SqliteJournal::open(&folder.join("drctl.db"), StoreWorld::Live).unwrap()
    }

    /// The first half of a live run, and the rest of it.
    fn half(&self) -> (SqliteJournal, Vec<Event>) {
        let store = self.store();
        let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
        let mut all =
            lived(&all_of(&Rig::new(truststream(), "region-lost", 1)), RUN, now - Dur::mins(1), |_| {});
        let middle = all.iter().position(|e| starts(&e.what, "promote.db")).unwrap();
        let rest = all.split_off(middle);
        let EventKind::RunCreated(created) = &all[0].what else { panic!("no run begins so") };
        let bytes: Vec<_> = all.iter().map(create::encode).collect();
        store.create(&RunId::new(RUN), &create::claims(created), &bytes, None).unwrap();
        (store, rest)
    }

    /// The received spans by ID; the last one counts.
    fn spans(&self) -> BTreeMap<String, Value> {
        let mut spans = BTreeMap::new();
        for request in self.collector.came() {
            let document = request.json();
            for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap() {
                spans.insert(span["spanId"].as_str().unwrap().to_owned(), span.clone());
            }
        }
        spans
    }
}

/// The ended spans in the journal so far.
fn expected(store: &SqliteJournal) -> BTreeMap<String, Value> {
    let run = RunId::new(RUN);
    let events = create::decode(&run, &store.read(&run).unwrap()).unwrap();
    let mut tracer = trace::Tracer::new(run);
    let spans = events.iter().flat_map(|event| tracer.take(event));
    spans.map(|span| (span["spanId"].as_str().unwrap().to_owned(), span)).collect()
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not come: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A process that is killed at the end of the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// How long it takes to end after a request.
fn stop(mut server: Server) -> Duration {
    let began = Instant::now();
    let pid = server.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    server.0.wait().unwrap();
    began.elapsed()
}

#[test]
fn spans_of_a_run_arrive_while_it_goes_on_and_again_from_the_process_that_follows() {
    let estate = Estate::new();
    let (store, rest) = estate.half();
    let first = estate.serve();
    let half = expected(&store);
    assert!(half.len() > 5, "{half:?}");
    until("the first half", || estate.spans() == half);
    drop(first);
    let before = estate.collector.came().len();
    let second = estate.serve();
    until("the first half, again", || estate.collector.came().len() > before);
    assert_eq!(estate.spans(), half, "the same spans, under the same ids");
    follow(&store, RUN, &rest);
    let whole = expected(&store);
    assert!(whole.len() > half.len());
    until("the rest", || estate.spans() == whole);
    stop(second);
    let roots: Vec<_> = whole.values().filter(|span| span.get("parentSpanId").is_none()).collect();
    assert_eq!(roots.len(), 1, "{roots:#?}");
    for request in estate.collector.came() {
        assert_eq!((request.path.as_str(), request.header("authorization")), ("/v1/traces", TOKEN));
        assert_eq!(request.header("content-type"), "application/json");
        assert!(!request.body.contains(TOKEN));
    }
}

#[test]
fn a_collector_that_fails_gets_the_spans_later_and_one_that_hangs_holds_nobody_up() {
    let estate = Estate::new();
    let (store, rest) = estate.half();
    estate.collector.answers(503, &format!(r#"{{"status":"{TOKEN}"}}"#));
    let server = estate.serve();
    until("a try", || !estate.collector.came().is_empty());
    estate.collector.answers(200, r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"<b>no</b>"}}"#);
    until("another try", || estate.words().contains("telemetry: the collector refused 2 spans"));
    assert_eq!(estate.spans(), expected(&store));
    estate.collector.hangs();
    follow(&store, RUN, &rest);
    let before = estate.collector.came().len();
    until("a request that is not answered", || estate.collector.came().len() > before);
    let took = stop(server);
    assert!(took < Duration::from_secs(8), "a process waited for its collector: {took:?}");
    let words = estate.words();
    assert!(words.contains("refused spans: HTTP 503"), "{words}");
    assert!(!words.contains(TOKEN) && !words.contains("<b>"), "{words}");
}

#[test]
fn a_rehearsal_sends_nothing() {
    let estate = Estate::new();
    let args = ["failover", "truststream", "--sandbox", "--to", "us-east-1", "--yes"];
    let (code, out, err) = finish(estate.command(&args).output().unwrap());
    assert_eq!(code, 0, "{out}{err}");
    assert!(estate.collector.came().is_empty());
}

#[test]
fn a_header_in_the_clear_or_in_the_file_is_refused() {
    for (settings, why) in [
        (
            "{url: \"http://collector.example.com:4318/v1/traces\", headers: {authorization: \"env:T\"}}",
            "need an https endpoint",
        ),
        (
            "{url: \"https://c.example.com/v1/traces\", headers: {authorization: \"Bearer abcdef\"}}",
            "env:NAME or file:PATH",
        ),
        ("{url: \"https://c.example.com/v1/traces\", headers: {\"a b\": \"env:T\"}}", "letters, digits"),
        ("{url: \"https://user:pw@c.example.com/v1/traces\"}", "without a user or a query"),
        ("{url: \"grpc://c.example.com\"}", "http(s)://host/path"),
    ] {
        let estate = Estate { folder: Folder::with_plans(), collector: Inbox::new() };
        estate.says(&format!("\ntelemetry: {{traces: {settings}}}\n"));
        let (code, out, err) = finish(estate.command(&["check"]).output().unwrap());
        assert_eq!(code, 2, "{settings}: {out}{err}");
        assert!(format!("{out}{err}").contains(why), "{settings}: {out}{err}");
        assert!(!format!("{out}{err}").contains("abcdef"), "{out}{err}");
    }
}
