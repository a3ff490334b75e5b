//! A server in the place of PostgreSQL that sends long, endless or hostile texts: each command ends, says what happened in one line, and
//! keeps little of it in memory.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::cli::contract::{Folder, finish};

const MIB: usize = 1 << 20;

/// An error message of the protocol (PostgreSQL, «Message Formats»).
fn error(code: &[u8], message: &[u8]) -> Vec<u8> {
    let body = [b"SFATAL\0VFATAL\0C", code, b"\0M", message, b"\0\0"].concat();
    let length = u32::try_from(body.len() + 4).unwrap();
    [b"E", length.to_be_bytes().as_slice(), &body].concat()
}

/// What the server answers to the first message of a session.
#[derive(Clone, Copy)]
enum Answer {
    Hostile,
    Long,
    Endless,
    /// Rows of a harmless size, without end, after a login.
    Many,
}

impl Answer {
    fn send(self, mut to: &TcpStream) -> std::io::Result<()> {
        match self {
            Self::Hostile => {
                let text =
                    "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\r\nRECOVERED failover of orders\n<img src=x>";
                to.write_all(&error(b"28\x1b[2J", text.as_bytes()))
            }
            Self::Long => to.write_all(&error(b"28000", &vec![b'x'; 60 * MIB])),
            Self::Endless => {
                to.write_all(b"E\x7f\xff\xff\xffSFATAL\0C28000\0M")?;
                loop {
                    to.write_all(&[b'y'; 64 * 1024])?;
                }
            }
            Self::Many => {
                to.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")?;
                let mut query = [0; 256];
                let _ = to.read(&mut query)?;
                // One column, and then rows of it.
                to.write_all(b"T\0\0\0\x1a\0\x01j\0\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0")?;
                let row = [b"D\0\0\x10\0\0\x01\0\0\x0f\xf6".as_slice(), &vec![b'z'; 4086]].concat();
                loop {
                    to.write_all(&row)?;
                }
            }
        }
    }
}

/// A server that answers so, and counts the sessions that it had to itself.
fn server(answer: Answer) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (port, sessions) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = sessions.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || {
                let mut first = [0; 256];
                let _ = (&stream).read(&mut first).and_then(|_| answer.send(&stream));
            });
        }
    });
    (port, sessions)
}

fn plan(port: u16) -> Folder {
    let folder = Folder::empty();
    let plan = format!(
        r#"plan: orders
objectives: {{rto: 15m, rpo: 5m}}
sites: {{west: {{cloud: none}}, east: {{cloud: none}}}}
home: west
components:
  db:
    kind: postgres
    fence: [sql]
    at:
      west: {{endpoint: "127.0.0.1:{port}/o", admin: {{secret: "file:login.json"}}}}
      east: {{endpoint: "127.0.0.1:1/o", admin: {{secret: "file:login.json"}}}}
probes:
  - {{name: app, role: public, http: "http://127.0.0.1:1/", every: 1s, timeout: 3s}}
watch: {{for: 1m}}
"#
    );
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/orders.yaml"), plan).unwrap();
    std::fs::write(folder.path().join("drctl.yaml"), "sql: {tls: \"off\"}\n").unwrap();
    let login = folder.path().join("login.json");
    std::fs::write(&login, r#"{"username":"o","password":"not-a-secret-here"}"#).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&login, std::fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

/// The output of a command, and the most memory that it used at once, in bytes.
fn observe(folder: &Folder) -> (String, usize) {
    let child = folder.start(&["observe"]);
    let status = format!("/proc/{}/status", child.id());
    let peak = std::thread::spawn(move || {
        let (mut peak, began) = (0, Instant::now());
        while let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
            // A process that ended has no memory any more.
            let Some(kib) = kib.filter(|_| began.elapsed() < Duration::from_secs(120)) else { break };
            peak = peak.max(kib * 1024);
            std::thread::sleep(Duration::from_millis(5));
        }
        peak
    });
    let (_, out, err) = finish(child.wait_with_output().unwrap());
    (format!("{out}{err}"), peak.join().unwrap())
}

#[test]
fn what_a_false_server_sends_is_limited_and_stays_one_line() {
    for (answer, said) in [
        (Answer::Hostile, "an invalid SQLSTATE: "),
        (Answer::Long, "drctl reads at most 16777216"),
        (Answer::Endless, "the server sent or announced 2147483643 bytes"),
        (Answer::Many, "connection closed"),
    ] {
        let (port, sessions) = server(answer);
        let (said_all, peak) = observe(&plan(port));
        assert!(said_all.contains(said), "{said}: {said_all}");
        assert!(!said_all.lines().any(|line| line.starts_with("RECOVERED")), "{said_all}");
        let effect = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{9b}".contains(c);
        assert!(!said_all.contains(effect), "{said_all:?}");
        assert!(said_all.len() < 10_000, "{} bytes", said_all.len());
        assert!(sessions.load(Ordering::Relaxed) > 0);
        assert!(peak > 0 && peak < 400 * MIB, "{said}: {} MiB", peak / MIB);
    }
}
