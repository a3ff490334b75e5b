//! Notifications to servers that accept, refuse, hang, or repeat what they received.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use drctl::journal::sqlite::SqliteJournal;
use drctl::model::duty::Duties;
use drctl::model::ledger::StoreWorld;
use drctl::model::time::{Dur, Timestamp};
use drctl::record::event::Event;
use serde_json::Value;

use crate::cli::contract::{Folder, finish, json};
use crate::run::loss::{all_of, starts};
use crate::support::inboxes::Inbox;
use crate::support::rig::{Rig, truststream};
use crate::support::stored_rehearsals::{follow, keep, lived};

const RUN: &str = "20261123-truststream-failover-1c2d";
/// A secret that must not appear anywhere.
const SLACK: &str = "/services/T0/B0/planted-slack-3f8a";
const PAGER: &str = "planted0pager0key0a91c";
const HOOK: &str = "planted-hook-secret-77e0";
const PLANTED: [&str; 3] = ["planted-slack-3f8a", PAGER, HOOK];

struct Told {
    folder: Folder,
    chat: Inbox,
    pager: Inbox,
    hooks: Inbox,
    page: Inbox,
}

impl Told {
    fn new(more: &str) -> Self {
        let folder = Folder::with_plans();
        let told =
            Self { folder, chat: Inbox::new(), pager: Inbox::new(), hooks: Inbox::new(), page: Inbox::new() };
        let path = told.folder.path().join("plans/drctl.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let channels = format!(
            r#"
notify:
  channels:
    chat: {{slack: {{url: "env:CHAT_URL"}}}}
    pager: {{pagerduty: {{key: "file:pager.key", url: "{}"}}, otherwise: hooks}}
    hooks: {{webhook: {{url: "env:HOOK_URL", secret: "env:HOOK_SECRET"}}, gets: [alert, resolved]}}
    page: {{status_page: {{url: "env:PAGE_URL", secret: "env:HOOK_SECRET"}}}}
{more}
"#,
            told.pager.url("/v2/enqueue")
        );
        std::fs::write(path, text + &channels).unwrap();
        std::fs::write(told.folder.path().join("plans/pager.key"), format!("{PAGER}\n")).unwrap();
        std::fs::write(told.folder.path().join("pager.key"), format!("{PAGER}\n")).unwrap();
        told
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.folder.command(args);
        command
            .env("CHAT_URL", self.chat.url(SLACK))
            .env("HOOK_URL", self.hooks.url("/hook"))
            .env("PAGE_URL", self.page.url("/page"))
            .env("HOOK_SECRET", HOOK);
        command
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        finish(self.command(args).output().unwrap())
    }

    fn words(&self) -> PathBuf {
        self.folder.path().join("words")
    }

    fn serve(&self) -> Server {
        let words = std::fs::OpenOptions::new().create(true).append(true).open(self.words()).unwrap();
        let mut command = self.command(&["serve"]);
        command.stdout(words.try_clone().unwrap()).stderr(words).stdin(Stdio::null());
        Server(command.spawn().unwrap())
    }

    fn store(&self) -> SqliteJournal {
        let folders = [self.folder.path().join(".drctl"), self.folder.path().join("plans/.drctl")];
        let folder = folders.into_iter().find(|f| f.exists()).unwrap();
        SqliteJournal::open(&folder.join("drctl.db"), StoreWorld::Live).unwrap()
    }

    /// A real failover as a killed process left it, started this long ago, and the events that would have followed.
    fn incident(&self, ago: Dur) -> Vec<Event> {
        // This creates the store.
        self.run(&["schedules"]);
        self.run(&["runs", "list"]);
        let all = all_of(&Rig::new(truststream(), "region-lost", 1));
        let now = Timestamp::from_millis(jiff::Timestamp::now().as_millisecond());
        let mut all = lived(&all, RUN, now - ago, |created| {
            created.severity = Some("P0".to_owned());
            created.incident = Some("INC-412 <!channel>".to_owned());
            created.duties = Some(Duties::default());
        });
        let middle = all.iter().position(|e| starts(&e.what, "db.promote")).unwrap_or(all.len() / 2);
        let rest = all.split_off(middle);
        keep(&self.store(), RUN, &all);
        rest
    }

    fn breaks_a_run(&self) {
        let all = all_of(&Rig::new(truststream(), "region-lost", 1));
        let began = all[0].at;
        keep(&self.store(), "broken", &lived(&all, "broken", began, |_| {}));
        let path = self.store().path().to_owned();
        let connection = rusqlite::Connection::open(path).unwrap();
        let script =
            "DROP TRIGGER events_stay; UPDATE events SET bytes = x'7b7d' WHERE run_id = 'broken' AND seq = 5";
        connection.execute_batch(script).unwrap();
    }

    fn follows(&self, events: &[Event]) {
        follow(&self.store(), RUN, events);
    }

    /// Checks that no printed or stored text contains a secret.
    fn keeps_secrets(&self, more: &[&str]) {
        let mut folders = vec![self.folder.path()];
        let mut looked = 0;
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_none_or(|e| e != "key") {
                    looked += 1;
                    holds_none(&std::fs::read(&path).unwrap(), &path.display().to_string());
                }
            }
        }
        assert!(looked > 3);
        more.iter().for_each(|text| holds_none(text.as_bytes(), text));
    }
}

fn holds_none(bytes: &[u8], what: &str) {
    for planted in PLANTED {
        let there = bytes.windows(planted.len()).any(|w| w == planted.as_bytes());
        assert!(!there, "{planted} in {what}");
    }
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    for _ in 0..600 {
        if there() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it did not come: {what}");
}

fn kinds(inbox: &Inbox) -> Vec<String> {
    inbox.came().iter().map(|came| came.json()["notice"]["kind"].as_str().unwrap().to_owned()).collect()
}

/// A process that is killed at the end of the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The HMAC, computed by another program.
fn hmac(secret: &str, text: &str) -> String {
    let script = "printf %s \"$2\" | openssl dgst -sha256 -hmac \"$1\" -binary | base64 -w0";
    let output = Command::new("sh").args(["-c", script, "-", secret, text]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn everybody_is_told_once_by_servers_that_die_and_nobody_reads_a_secret() {
    let told = Told::new("");
    let rest = told.incident(Dur::mins(1));
    let first = told.serve();
    until("the alert", || {
        [&told.chat, &told.pager, &told.hooks, &told.page].iter().all(|i| !i.came().is_empty())
    });
    // Users have been affected for a while, and nobody acknowledged it; but the alert comes first.
    let chat = told.chat.came()[0].json();
    assert_eq!(chat["blocks"][1]["text"]["type"], "plain_text");
    assert_eq!(chat["text"], "[URGENT] truststream Service Incident - P0");
    let text = chat["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(text.contains("INCIDENT ID: INC-412 <!channel>") && text.contains("ETA: "), "{text}");
    assert!(text.contains("UPDATES: every 15m") && text.contains("IMPACT: "), "{text}");
    assert_eq!(told.chat.came()[0].path, SLACK);
    let page = told.pager.came()[0].json();
    assert_eq!(page["routing_key"], PAGER);
    assert_eq!(
        (&page["event_action"], &page["payload"]["severity"]),
        (&Value::from("trigger"), &Value::from("critical"))
    );
    assert_eq!(page["dedup_key"], format!("drctl/{RUN}"));
    let hook = &told.hooks.came()[0];
    let signed = format!("{}.{}.{}", hook.header("webhook-id"), hook.header("webhook-timestamp"), hook.body);
    assert_eq!(hook.header("webhook-signature"), format!("v1,{}", hmac(HOOK, &signed)));
    assert_eq!(hook.header("webhook-id"), format!("{RUN}/alert"));
    let public = &told.page.came()[0];
    assert_eq!(public.json()["incident"]["status"], "identified");
    assert!(!public.body.contains("INC-412"), "{}", public.body);
    let entries = || told.run(&["notify", "show", RUN, "--output", "json"]).1;
    until("the ledger has it", || entries().matches("\"delivered\": true").count() >= 4);
    drop(first);
    told.follows(&rest);
    let second = told.serve();
    until("the end", || kinds(&told.hooks).contains(&"resolved".to_owned()));
    until("it is resolved in the pager", || {
        told.pager.came().iter().any(|c| c.json()["event_action"] == "resolve")
    });
    until("the public knows", || {
        told.page.came().iter().any(|c| c.json()["incident"]["status"] == "monitoring")
    });
    until("the ledger has that, too", || {
        let shown = json(&entries());
        let ended =
            shown["news"].as_array().unwrap().iter().find(|n| n["notice"]["kind"] == "resolved").cloned();
        ended.is_some_and(|n| n["told"].as_array().unwrap().len() == 4)
    });
    drop(second);
    assert_eq!(kinds(&told.hooks), ["alert", "resolved"]);
    let subjects: Vec<Value> = told.chat.came().iter().map(|c| c.json()["text"].clone()).collect();
    let alerts = subjects.iter().filter(|s| s.as_str().unwrap().starts_with("[URGENT]")).count();
    assert_eq!(alerts, 1, "{subjects:?}");
    let (code, out, err) = told.run(&["audit", "verify"]);
    assert_eq!(code, 0, "{out}{err}");
    told.keeps_secrets(&[&out, &err]);
}

#[test]
fn whoever_cannot_be_reached_keeps_nobody_else_from_being_told() {
    let told = Told::new("");
    told.pager.answers(500, &format!(r#"{{"status":"error","you sent":"{PAGER}"}}"#));
    told.chat.hangs();
    told.page.answers(404, SLACK);
    told.incident(Dur::mins(12));
    let server = told.serve();
    // The alternative channel gets the messages that the pager did not accept, in addition to its own.
    until("the alert", || kinds(&told.hooks).contains(&"alert".to_owned()));
    until("three tries", || told.pager.came().len() >= 3);
    let of = |channel: &str| {
        let shown = json(&told.run(&["notify", "show", RUN, "--output", "json"]).1);
        let alert = shown["news"]
            .as_array()
            .unwrap()
            .iter()
            .find(|n| n["notice"]["kind"] == "alert")
            .cloned()
            .unwrap();
        let entries = alert["told"].as_array().unwrap().clone();
        entries.into_iter().find(|e| e["channel"] == channel).unwrap_or_default()
    };
    until("each failure is in the ledger", || {
        ["pager", "chat", "page"].iter().all(|c| of(c)["delivered"] == false)
    });
    assert_eq!(of("pager")["said"], "HTTP 500, error");
    assert_eq!(of("chat")["said"], "no answer within 10s");
    // A message that will never be accepted is not repeated.
    assert_eq!((of("page")["said"].as_str(), told.page.came().len()), (Some("HTTP 404"), 1));
    // Hooks do not subscribe to escalations; they get this one instead of the pager.
    until("the escalation", || kinds(&told.hooks).contains(&"escalation".to_owned()));
    // Once the channel works again, it gets the missed messages, unless an alternative got them.
    told.chat.answers(200, "ok");
    until("the chat is told", || of_chat(&told, RUN));
    drop(server);
    let (code, out, err) = told.run(&["notify", "test", "--output", "json"]);
    assert_eq!(code, 1, "{out}{err}");
    let taken: Vec<_> =
        json(&out)["channels"].as_array().unwrap().iter().map(|c| c["taken"].clone()).collect();
    assert_eq!(taken, [true, true, false, false].map(Value::from), "{out}");
    let (code, out, err) = told.run(&["notify", "test", "chat", "hooks"]);
    assert_eq!(code, 0, "{out}{err}");
    told.keeps_secrets(&[&out, &err]);
}

/// After an acknowledgement in drctl, the pager stops alerting.
#[test]
fn an_acknowledgement_reaches_the_pager() {
    let told = Told::new("");
    told.incident(Dur::mins(12));
    let server = told.serve();
    let pager = |action: &str| -> Vec<String> {
        let came = told.pager.came().into_iter().map(|c| c.json()).filter(|c| c["event_action"] == action);
        came.map(|c| c["dedup_key"].as_str().unwrap().to_owned()).collect()
    };
    let alarm = format!("drctl/{RUN}/incident");
    until("somebody is called", || pager("trigger").contains(&alarm));
    let (code, out, err) = told.run(&["ack", RUN, "--reason", "on it"]);
    assert_eq!(code, 0, "{out}{err}");
    until("the pager knows", || pager("acknowledge").len() == 2);
    assert_eq!(pager("acknowledge"), [alarm, format!("drctl/{RUN}")]);
    drop(server);
    told.keeps_secrets(&[&out, &err]);
}

/// And a broken run does not hide the others.
#[test]
fn an_end_is_never_told_before_its_beginning() {
    let told = Told::new("");
    told.pager.answers(503, "");
    let rest = told.incident(Dur::mins(1));
    told.follows(&rest);
    told.breaks_a_run();
    let server = told.serve();
    until("the first try", || !told.pager.came().is_empty());
    told.pager.answers(202, r#"{"status":"success"}"#);
    let actions = || -> Vec<String> {
        told.pager.came().iter().map(|c| c.json()["event_action"].as_str().unwrap().to_owned()).collect()
    };
    until("the end", || actions().contains(&"resolve".to_owned()));
    // Anything else would be sent within the next checks.
    until("the hooks know the end", || kinds(&told.hooks) == ["alert", "resolved"]);
    until("two more looks", {
        let began = std::time::Instant::now();
        move || began.elapsed() > Duration::from_secs(5)
    });
    let first = actions().iter().position(|a| a == "resolve").unwrap();
    assert!(first > 0 && actions()[first..].iter().all(|a| a == "resolve"), "{:?}", actions());
    until("it is said", || {
        std::fs::read_to_string(told.words()).unwrap().contains("no notifications are sent for run broken")
    });
    drop(server);
}

fn of_chat(told: &Told, run: &str) -> bool {
    told.chat.came().len() > 1 && told.chat.came().iter().any(|c| c.body.contains(run))
}

#[test]
fn a_mail_server_gets_it_encrypted_and_from_somebody_who_signed_in() {
    let folder = Folder::with_plans();
    let home = folder.path();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp");
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("smtp");
    let found = Command::new(tests.join("need")).arg(state).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let python = String::from_utf8(found.stdout).unwrap();
    let script = r#"set -e
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem"#;
    let made = Command::new("sh").args(["-c", script]).current_dir(&home).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mails = home.join("mails");
    std::fs::create_dir(&mails).unwrap();
    let port = crate::support::ports::free().to_string();
    let mut server = Command::new(python.trim());
    server
        .arg(tests.join("server.py"))
        .args([&port, mails.to_str().unwrap(), "server.pem", "server.key", "drctl", HOOK])
        .current_dir(&home)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Server(server.spawn().unwrap());
    until("the mail server", || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    let path = home.join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let channel = |ca: &str| {
        let more = format!(
            "\nnotify:\n  channels:\n    mail: {{smtp: {{host: localhost, port: {port}, from: \"drctl <drctl@example.com>\", to: [sre@example.com, lead@example.com], user: drctl, password: \"env:MAIL_PASSWORD\"{ca}}}}}\n"
        );
        std::fs::write(&path, text.clone() + &more).unwrap();
    };
    let ask = |password: &str| {
        let mut command = folder.command(&["notify", "test", "--output", "json"]);
        finish(command.env("MAIL_PASSWORD", password).output().unwrap())
    };
    let ca = format!(", ca_file: \"{}\"", home.join("ca.pem").display());
    channel(&ca);
    let (code, out, err) = ask(HOOK);
    assert_eq!(code, 0, "{out}{err}");
    let mail = std::fs::read_to_string(mails.join("0.mail")).unwrap();
    assert!(mail.starts_with("TO sre@example.com,lead@example.com TLS True\n"), "{mail}");
    assert!(
        mail.contains("Subject: [TEST] drctl can reach you here") && mail.contains("nothing is wrong"),
        "{mail}"
    );
    // A wrong password, and an untrusted certificate.
    let (code, out, err) = ask("planted-wrong");
    assert!(code == 1 && out.contains("SMTP 535"), "{out}{err}");
    channel("");
    let (code, out, err) = ask(HOOK);
    assert!(code == 1 && !mails.join("1.mail").exists(), "{out}{err}");
    assert!(!format!("{out}{err}").contains(HOOK), "{out}{err}");
    drop(server);
}

#[test]
fn settings_that_would_leave_somebody_unreached_or_a_secret_in_a_file_are_refused() {
    for (channels, said) in [
        (
            "a: {slack: {url: \"https://hooks.slack.com/services/planted-slack-3f8a\"}}",
            "do not write a secret here",
        ),
        ("a: {slack: {url: \"env:A\"}, pagerduty: {key: \"env:B\"}}", "set exactly one of slack"),
        ("a: {slack: {url: \"env:A\"}, otherwise: b}", "there is no channel `b`"),
        (
            "a: {slack: {url: \"env:A\"}, otherwise: b}, b: {slack: {url: \"env:A\"}, otherwise: a}",
            "notify.channels.a.otherwise forms a loop through a, b",
        ),
        (
            "a: {slack: {url: \"env:A\"}, otherwise: b}, b: {status_page: {url: \"env:A\", secret: \"env:B\"}}",
            "b is a public channel",
        ),
        ("a: {status_page: {url: \"env:A\", secret: \"env:B\"}, gets: [escalation]}", "because it is public"),
        (
            "a: {smtp: {host: mail.example.com, tls: \"off\", from: a@b.c, to: [a@b.c]}}",
            "only a relay on this machine",
        ),
        (
            "a: {smtp: {host: mail.example.com, from: a@b.c, to: [a@b.c], user: x}}",
            "set both user and password, or neither",
        ),
    ] {
        let folder = Folder::with_plans();
        let path = folder.path().join("plans/drctl.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}\nnotify: {{channels: {{{channels}}}}}\n")).unwrap();
        let (code, out, err) = folder.run(&["status"]);
        assert!(code == 2 && flat(&out, &err).contains(said), "{channels}\n{out}{err}");
        assert!(!format!("{out}{err}").contains("planted"), "{out}{err}");
    }
    let folder = Folder::with_plans();
    let mut command = folder.command(&["status"]);
    let (code, out, err) = finish(command.env("DRCTL_NOTIFY__INVITE", "1h").output().unwrap());
    assert!(code == 2 && flat(&out, &err).contains("drctl reads only from the file"), "{out}{err}");
    let path = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    for (ladder, said) in [
        ("[{after: 5m, role: a}, {after: 5m, role: b}]", "each entry must be later"),
        ("[{after: 5m, role: a, tell: [nobody]}]", "notify.channels has no `nobody`"),
    ] {
        std::fs::write(&path, format!("{text}\npolicy: {{escalation: {ladder}}}\n")).unwrap();
        let (code, out, err) = folder.run(&["status"]);
        assert!(code == 2 && flat(&out, &err).contains(said), "{out}{err}");
    }
}

/// The text without line breaks, however wide the terminal is.
fn flat(out: &str, err: &str) -> String {
    format!("{out}{err}").split_whitespace().collect::<Vec<_>>().join(" ")
}
