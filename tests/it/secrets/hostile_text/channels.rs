//! What the receivers of notifications get, byte by byte.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use drctl::model::notice::{Channel, Kind, Mail, MailTls, SecretAt, Transport};
use drctl::model::secret::Secret;
use drctl::notify::{self, Message};
use drctl::world::World;

use super::{Sinks, acts, journals, news, wrong};
use crate::support::inboxes::{Came, Inbox};

/// The data of mails that came.
type Letters = Arc<Mutex<Vec<String>>>;

/// A mail server that accepts everything: its port, and what came.
fn mail_server() -> (u16, Letters) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let letters = Letters::default();
    let kept = letters.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let kept = kept.clone();
            std::thread::spawn(move || take_mail(stream, &kept));
        }
    });
    (port, letters)
}

/// A session of SMTP (RFC 5321).
fn take_mail(stream: TcpStream, kept: &Mutex<Vec<String>>) {
    let mut out = stream.try_clone().unwrap();
    // The client may have disconnected.
    let mut say = |text: &str| drop(out.write_all(format!("{text}\r\n").as_bytes()));
    let mut letter: Option<String> = None;
    say("220 here");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        match (letter.as_mut(), line.as_str()) {
            (Some(_), ".") => {
                kept.lock().unwrap().extend(letter.take());
                say("250 taken");
            }
            (Some(letter), line) => {
                letter.push_str(line);
                letter.push('\n');
            }
            (None, "DATA") => {
                letter = Some(String::new());
                say("354 go on");
            }
            (None, _) => say("250 ok"),
        }
    }
}

#[test]
fn no_channel_gets_more_than_words() {
    let inbox = Inbox::new();
    let (port, letters) = mail_server();
    let at = |path: &str| SecretAt::Env(inbox.url(path));
    let key = || SecretAt::Env("key".to_owned());
    let mail = Mail {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::Off,
        from: "drctl@example.com".to_owned(),
        to: vec!["sre@example.com".to_owned()],
        login: None,
        ca_file: None,
    };
    let ways = [
        Transport::Slack { url: at("/slack") },
        Transport::PagerDuty { key: key(), url: Some(inbox.url("/pager")) },
        Transport::Webhook { url: at("/hook"), secret: key() },
        Transport::StatusPage { url: at("/page"), secret: key() },
        Transport::Smtp(mail),
    ];
    let world = World::live().unwrap();
    let reveal = |at: &SecretAt| match at {
        SecretAt::Env(is) => Ok(Secret::new(is.as_str())),
        SecretAt::File(file) => Err(file.clone()),
    };
    let (mut kinds, mut public) = (BTreeSet::new(), 0);
    for notice in journals().0.iter().flat_map(|events| news(events)) {
        let labels: Vec<String> = notice.fields.iter().map(|(label, _)| label.clone()).collect();
        if !kinds.insert((notice.kind, labels)) {
            continue;
        }
        for way in
            ways.iter().filter(|way| !matches!(way, Transport::StatusPage { .. }) || notice.public.is_some())
        {
            public += usize::from(matches!(way, Transport::StatusPage { .. }));
            let channel =
                Channel { name: "a".to_owned(), way: way.clone(), gets: Kind::ALL.into(), otherwise: None };
            let message = Message { notice: &notice, closes: &[], at: notice.due };
            world.block_on(notify::send(&world, &channel, message, &reveal)).unwrap();
        }
    }
    let mut sinks = Sinks::default();
    let came = inbox.came();
    assert!(public > 0 && came.len() >= kinds.len() * 3 + public, "{} of {kinds:?}", came.len());
    came.iter().for_each(|came| posted(&mut sinks, came));
    let letters = letters.lock().unwrap();
    assert_eq!(letters.len(), kinds.len());
    letters.iter().for_each(|letter| mailed(&mut sinks, letter));
    sinks.nothing_acts();
}

fn posted(sinks: &mut Sinks, came: &Came) {
    sinks.0.extend(wrong(&came.path, &came.body));
    sinks.strings(&came.path, &came.json());
    came.headers.iter().for_each(|(key, value)| sinks.0.extend(wrong(key, value)));
    if came.path == "/slack" {
        // The other texts are of the type that Slack does not format.
        let document = came.json();
        assert!(!document["text"].as_str().unwrap().contains(['<', '>']), "{document:#}");
        let blocks = document["blocks"].as_array().unwrap();
        assert!(blocks.iter().all(|block| block["text"]["type"] == "plain_text"), "{document:#}");
    }
}

fn mailed(sinks: &mut Sinks, letter: &str) {
    sinks.0.extend(acts(letter).map(|c| format!("mail: {c:?}")));
    let (headers, _) = letter.split_once("\n\n").unwrap();
    for header in headers.lines().filter(|line| !line.starts_with([' ', '\t'])) {
        let name = header.split(':').next().unwrap();
        let known = ["From", "To", "Subject", "Message-ID", "References", "In-Reply-To", "Content-Type"];
        let known = [&known[..], &["Date", "MIME-Version", "Content-Transfer-Encoding"]].concat();
        assert!(known.contains(&name), "{header}\n{headers}");
    }
    assert!(headers.contains("text/plain"), "{headers}");
}
