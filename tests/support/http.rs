//! As much of HTTP/1.1 as the SDK and LocalStack use. Messages are read as a whole and keep their bytes, so that the signed bytes are
//! forwarded.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// Bytes of a head, or of the lines between chunks, after which the peer counts as broken.
const LINES_MAX: usize = 256 * 1024;

/// A request or an answer.
#[derive(Clone, Debug)]
pub struct Message {
    /// The first line, without its end.
    start: String,
    headers: Vec<(String, String)>,
    /// First line, headers and the empty line, as they came.
    head: Vec<u8>,
    /// The content, without chunk framing.
    body: Vec<u8>,
    /// The body with its chunk framing, if it has one.
    chunks: Option<Vec<u8>>,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Empty,
    Length(u64),
    Chunked,
    /// The body of an answer that ends when its connection does.
    UntilClose,
}

impl Message {
    /// An answer of the proxy's own, with a content-length.
    pub fn answer(status: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Self {
        let mut headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        headers.push(("content-length".to_owned(), body.len().to_string()));
        let start = format!("HTTP/1.1 {status}");
        let head = head_of(&start, &headers);
        let framing = Framing::Length(body.len() as u64);
        Self { start, headers, head, body, chunks: None, framing }
    }

    /// The same answer with another header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self.head = head_of(&self.start, &self.headers);
        self
    }

    /// The first value of a header, ignoring the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The content, without chunk framing.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Of a request: `GET`, `POST`.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// Of a request: the path without the query, still percent-encoded.
    pub fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or_default()
    }

    /// Of a request: what follows the `?`, or nothing.
    pub fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, q)| q)
    }

    fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// Of an answer: its status code, 0 if it has none.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// Whether the sender keeps the connection open after this message.
    pub fn keeps_alive(&self) -> bool {
        let says = |word: &str| self.has_token("connection", word);
        let old = self.start.contains("HTTP/1.0");
        self.framing != Framing::UntilClose && !says("close") && (!old || says("keep-alive"))
    }

    /// The answer to a HEAD: the headers of the body, without the body.
    pub fn without_body(mut self) -> Self {
        self.body.clear();
        self.chunks = None;
        self.framing = Framing::Empty;
        self
    }

    /// Writes the message unchanged.
    pub fn write_to(&self, mut stream: &TcpStream) -> io::Result<()> {
        // One write, so that no part of it waits for an acknowledgement of the other.
        stream.write_all(&[&self.head, self.wire()].concat())
    }

    /// Writes the headers, which promise the whole body, and half of the body. For a message without a body: half of its head, because
    /// nothing less would be noticed.
    pub fn write_half_to(&self, mut stream: &TcpStream) -> io::Result<()> {
        let wire = self.wire();
        if wire.is_empty() {
            return stream.write_all(&self.head[..self.head.len() / 2]);
        }
        let mut head = self.head.clone();
        if self.framing == Framing::UntilClose {
            // Without a promised length half a body would look complete.
            let mut headers = self.headers.clone();
            headers.push(("content-length".to_owned(), wire.len().to_string()));
            head = head_of(&self.start, &headers);
        }
        stream.write_all(&[&head, &wire[..wire.len() / 2]].concat())
    }

    fn wire(&self) -> &[u8] {
        self.chunks.as_ref().unwrap_or(&self.body)
    }

    fn has_token(&self, header: &str, word: &str) -> bool {
        let values = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(header));
        values.flat_map(|(_, v)| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(word))
    }

    /// The framing of the body according to the headers; `otherwise` if they do not say. `aws-chunked` is a content encoding, wherever it
    /// is written, and stays in the body.
    fn framing(&self, otherwise: Framing) -> io::Result<Framing> {
        if self.has_token("transfer-encoding", "chunked") {
            return Ok(Framing::Chunked);
        }
        match self.header("content-length") {
            None => Ok(otherwise),
            Some(length) => {
                length.parse().map(Framing::Length).map_err(|_| bad("content-length is no number"))
            }
        }
    }

    fn read_body(&mut self, reader: &mut BufReader<TcpStream>) -> io::Result<()> {
        match self.framing {
            Framing::Empty => {}
            Framing::Length(length) => read_exactly(reader, length, &mut self.body)?,
            Framing::Chunked => self.chunks = Some(read_chunks(reader, &mut self.body)?),
            Framing::UntilClose => {
                reader.read_to_end(&mut self.body)?;
            }
        }
        Ok(())
    }
}

/// Reads a request and its body, with a `100 Continue` in between if the client waits for one. None if the client closed the connection
/// instead.
pub fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let Some(mut request) = read_head(reader)? else { return Ok(None) };
    request.framing = request.framing(Framing::Empty)?;
    if request.has_token("expect", "100-continue") && reader.buffer().is_empty() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.read_body(reader)?;
    Ok(Some(request))
}

/// Reads the final answer to a request with this method; 1xx answers are skipped.
pub fn read_answer(reader: &mut BufReader<TcpStream>, method: &str) -> io::Result<Message> {
    loop {
        let mut answer = read_head(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = answer.status();
        if (100..200).contains(&status) {
            continue;
        }
        let bodiless = method == "HEAD" || status == 204 || status == 304;
        answer.framing = if bodiless { Framing::Empty } else { answer.framing(Framing::UntilClose)? };
        answer.read_body(reader)?;
        return Ok(answer);
    }
}

fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let mut head = Vec::new();
    let mut start = String::new();
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader, &mut head)?;
        if head.is_empty() {
            return Ok(None);
        }
        match (start.is_empty(), line.is_empty()) {
            // Empty lines before a message are allowed, and not part of it.
            (true, true) => head.clear(),
            (true, false) => start = line,
            (false, true) => break,
            (false, false) => {
                let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
    Ok(Some(Message { start, headers, head, body: Vec::new(), chunks: None, framing: Framing::Empty }))
}

/// Reads a line, adds its bytes to `seen`, and returns it without its end. At the end of the stream it is empty and `seen` is unchanged,
/// which is an error unless nothing was read before.
fn read_line(reader: &mut impl BufRead, seen: &mut Vec<u8>) -> io::Result<String> {
    let before = seen.len();
    let room = LINES_MAX.saturating_sub(before) as u64;
    reader.take(room).read_until(b'\n', seen)?;
    if seen.is_empty() {
        return Ok(String::new());
    }
    if seen.last() != Some(&b'\n') || seen.len() == before {
        return Err(if room == 0 { bad("too many headers") } else { io::ErrorKind::UnexpectedEof.into() });
    }
    Ok(String::from_utf8_lossy(&seen[before..]).trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads chunks and trailers. Returns their bytes unchanged, and adds the content to `body`.
fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut wire = Vec::new();
    loop {
        let mut line = Vec::new();
        let text = read_line(reader, &mut line)?;
        wire.extend(line);
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad("a chunk without a size"))?;
        if size == 0 {
            break;
        }
        let began = body.len();
        read_exactly(reader, size, body)?;
        wire.extend_from_slice(&body[began..]);
        read_exactly(reader, 2, &mut wire)?;
    }
    loop {
        let mut line = Vec::new();
        let text = read_line(reader, &mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        wire.extend(line);
        if text.is_empty() {
            return Ok(wire);
        }
    }
}

fn read_exactly(reader: &mut impl BufRead, length: u64, into: &mut Vec<u8>) -> io::Result<()> {
    // Not by allocating `length` first: a wrong value must cost no memory.
    let read = reader.take(length).read_to_end(into)?;
    if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn head_of(start: &str, headers: &[(String, String)]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    format!("{start}\r\n{headers}\r\n").into_bytes()
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
