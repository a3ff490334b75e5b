//! Servers whose answers never end. drctl reads a few KB of an answer, and for no longer than its time limit.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cli::contract::{Folder, finish, json};

/// The size of an answer whose length the server announces.
const LARGE: u64 = 60_000_000;
/// When a server gives up on an answer without an end.
const MOST: u64 = 256_000_000;
/// What the kernel takes of an answer that nobody reads: the buffers of both ends.
const BUFFERED: u64 = 32_000_000;

/// How a server answers.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// A body without an end.
    Endless,
    /// A body of this length, with this status.
    Large(u16),
    /// Headers without an end.
    Headers,
    /// One byte of the body every tenth of a second.
    Dripping,
}

impl Answer {
    fn begins(self) -> String {
        match self {
            Self::Endless | Self::Dripping => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
            Self::Large(status) => format!("HTTP/1.1 {status} x\r\ncontent-length: {LARGE}\r\n\r\n"),
            Self::Headers => "HTTP/1.1 200 OK\r\n".to_owned(),
        }
    }

    fn goes_on(self) -> Vec<u8> {
        match self {
            Self::Endless | Self::Large(_) => vec![b'x'; 65_536],
            Self::Headers => format!("x-more: {}\r\n", "a".repeat(1_000)).into_bytes(),
            Self::Dripping => vec![b'x'],
        }
    }

    /// Answers until the client is gone.
    fn send(self, mut stream: TcpStream, sent: &AtomicU64) {
        let mut request = vec![0; 65_536];
        let asked = stream.read(&mut request).is_ok_and(|n| n > 0);
        if !asked || stream.write_all(self.begins().as_bytes()).is_err() {
            return;
        }
        let more = self.goes_on();
        let most = if matches!(self, Self::Large(_)) { LARGE } else { MOST };
        while sent.load(Ordering::Relaxed) < most && stream.write_all(&more).is_ok() {
            sent.fetch_add(more.len() as u64, Ordering::Relaxed);
            if matches!(self, Self::Dripping) {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// A server that answers like this. Returns its address, and how many bytes of its answer it got rid of.
fn server(answer: Answer) -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || answer.send(stream, &counted));
        }
    });
    (address, sent)
}

#[test]
fn of_an_answer_without_an_end_a_few_kilobytes_are_read() {
    let folder = Folder::with_plans();
    // The name of the channel, its server's answer, and what drctl says about it.
    let cases = [
        ("dripping", Answer::Dripping, (false, "no answer within 10s")),
        ("endless", Answer::Endless, (true, "200")),
        ("failing", Answer::Large(500), (false, "HTTP 500")),
        ("headers", Answer::Headers, (false, "message head is too large")),
        ("large", Answer::Large(200), (true, "200")),
    ];
    let servers = cases.map(|(_, answer, _)| server(answer));
    let path = folder.path().join("plans/drctl.yaml");
    let mut text = std::fs::read_to_string(&path).unwrap() + "notify:\n  channels:\n";
    for (name, _, _) in cases {
        text += &format!(
            "    {name}: {{webhook: {{url: \"env:URL_{}\", secret: \"env:HOOK\"}}}}\n",
            name.to_uppercase()
        );
    }
    std::fs::write(&path, text).unwrap();
    let mut command = folder.command(&["notify", "test", "--output", "json"]);
    command.env("HOOK", "planted-hook-secret-77e0");
    for ((name, _, _), (address, _)) in cases.iter().zip(&servers) {
        command.env(format!("URL_{}", name.to_uppercase()), address);
    }
    let began = Instant::now();
    let (code, out, err) = finish(command.output().unwrap());
    let took = began.elapsed();
    assert_eq!(code, 1, "{out}{err}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    let channels = json(&out)["channels"].as_array().unwrap().clone();
    for ((name, answer, (taken, said)), (_, sent)) in cases.iter().zip(&servers) {
        let of = channels.iter().find(|c| c["channel"] == *name).unwrap_or_else(|| panic!("{name}: {out}"));
        assert_eq!((of["taken"].as_bool(), of["said"].as_str()), (Some(*taken), Some(*said)), "{name}: {of}");
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < BUFFERED, "{name}: {sent} bytes of {answer:?}");
        assert!(sent > 0, "{name}: it was not asked");
    }
}
