//! HTTP servers that accept what is posted to them, or refuse it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A received request: the path, the headers in lower case, and the body.
#[derive(Clone, Debug)]
pub struct Came {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Came {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The answer: a status and a body, or none.
type Answer = Option<(u16, String)>;

/// A server on this machine.
#[derive(Clone)]
pub struct Inbox {
    pub address: String,
    came: Arc<Mutex<Vec<Came>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Inbox {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inbox = Self {
            address: listener.local_addr().unwrap().to_string(),
            came: Arc::default(),
            answer: Arc::new(Mutex::new(Some((200, "ok".to_owned())))),
        };
        let server = inbox.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        inbox
    }

    /// The answer to every request from here on.
    pub fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// Accepts requests and never answers.
    pub fn hangs(&self) {
        *self.answer.lock().unwrap() = None;
    }

    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let line = |reader: &mut BufReader<TcpStream>| {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap_or(0);
            line.trim_end().to_owned()
        };
        let path = line(&mut reader).split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let header = line(&mut reader);
            let Some((key, value)) = header.split_once(':') else { break };
            headers.push((key.to_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(key, _)| key == "content-length");
        let length: usize = length.and_then(|(_, n)| n.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = String::from_utf8(body).unwrap();
        self.came.lock().unwrap().push(Came { path, headers, body });
        let answer = self.answer.lock().unwrap().clone();
        let Some((status, body)) = answer else {
            std::thread::sleep(std::time::Duration::from_secs(60));
            return;
        };
        let mut stream = reader.into_inner();
        let length = body.len();
        // The client may have disconnected.
        let _ = write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
    }
}
