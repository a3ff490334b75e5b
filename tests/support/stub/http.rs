//! HTTP/1.1 as far as SDKs use it: keep-alive, pipelining, bodies with a length or in chunks.

use std::borrow::Cow;

/// A longer head is rejected. Bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// A longer body is rejected; the largest real one is a batch of 1,000 record sets. Bytes.
const LONGEST_BODY: usize = 16 * 1024 * 1024;

/// A complete request; it borrows from the connection's buffer.
pub struct Request<'a> {
    pub method: &'a str,
    /// Still percent-encoded.
    pub path: &'a str,
    /// What follows `?`, still encoded; empty if there is none.
    pub query: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    pub body: Cow<'a, [u8]>,
}

impl<'a> Request<'a> {
    /// A header by its name in any case; empty if it is not there.
    pub fn header(&self, name: &str) -> &'a str {
        header(&self.headers, name).unwrap_or("")
    }

    pub fn wants_close(&self) -> bool {
        self.header("connection").eq_ignore_ascii_case("close")
    }
}

/// What the buffer holds so far.
pub enum Parsed<'a> {
    /// More must arrive.
    Partial,
    /// More must arrive, and the client sends it only after `100 Continue`.
    Awaits100,
    /// A request and its length in bytes.
    Whole(Request<'a>, usize),
    /// The rest cannot be parsed, so the connection must be closed.
    Broken,
}

/// Reads the first request of the buffer.
pub fn parse(input: &[u8]) -> Parsed<'_> {
    let Some((head, length)) = head(input) else {
        return if input.len() > LONGEST_HEAD { Parsed::Broken } else { Parsed::Partial };
    };
    let Some(mut request) = head else { return Parsed::Broken };
    let rest = input.get(length..).unwrap_or(&[]);
    let awaits = request.header("expect").eq_ignore_ascii_case("100-continue") && rest.is_empty();
    let more = if awaits { Parsed::Awaits100 } else { Parsed::Partial };
    if request.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        return match dechunk(rest) {
            Chunks::Whole(body, used) => {
                request.body = Cow::Owned(body);
                Parsed::Whole(request, length + used)
            }
            Chunks::Partial if rest.len() <= LONGEST_BODY => more,
            _ => Parsed::Broken,
        };
    }
    let expected = match request.header("content-length") {
        "" => 0,
        number => match number.parse::<usize>() {
            Ok(number) if number <= LONGEST_BODY => number,
            _ => return Parsed::Broken,
        },
    };
    match rest.get(..expected) {
        Some(body) => {
            request.body = Cow::Borrowed(body);
            Parsed::Whole(request, length + expected)
        }
        None => more,
    }
}

/// The head and its length; none if it is incomplete, a request of none if it is malformed.
fn head(input: &[u8]) -> Option<(Option<Request<'_>>, usize)> {
    let mut lines = Vec::with_capacity(24);
    let mut at = 0;
    loop {
        let rest = input.get(at..)?;
        let end = rest.iter().take(LONGEST_HEAD).position(|&byte| byte == b'\n')?;
        let line = rest.get(..end)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        at += end + 1;
        // Empty lines before a request are ignored (RFC 9112, 2.2).
        match (line.is_empty(), lines.is_empty()) {
            (true, true) => {}
            (true, false) => return Some((understand(&lines), at)),
            (false, _) => lines.push(line),
        }
    }
}

fn understand<'a>(lines: &[&'a [u8]]) -> Option<Request<'a>> {
    let (first, rest) = lines.split_first()?;
    let mut words = std::str::from_utf8(first).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if version != "HTTP/1.1" || words.next().is_some() {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = Vec::with_capacity(rest.len());
    for line in rest {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        headers.push((name, value.trim()));
    }
    Some(Request { method, path, query, headers, body: Cow::Borrowed(&[]) })
}

fn header<'a>(headers: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// A body in chunks: HTTP's own, or S3's `aws-chunked`, which has the same grammar.
pub enum Chunks {
    Partial,
    /// The data, and the length in bytes including the framing.
    Whole(Vec<u8>, usize),
    Broken,
}

/// Removes the framing of a chunked body; extensions (signatures) and trailers (checksums) are ignored.
pub fn dechunk(input: &[u8]) -> Chunks {
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        let Some((line, next)) = line(input, at) else { return Chunks::Partial };
        let digits = line.split(|&byte| byte == b';').next().unwrap_or(line);
        let size =
            std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size) = size.filter(|&size| size <= LONGEST_BODY) else { return Chunks::Broken };
        if size == 0 {
            return trailers(input, next, data);
        }
        let Some(chunk) = input.get(next..next + size) else { return Chunks::Partial };
        data.extend_from_slice(chunk);
        match line_end(input, next + size) {
            Some(end) => at = end,
            None => return Chunks::Partial,
        }
    }
}

fn trailers(input: &[u8], from: usize, data: Vec<u8>) -> Chunks {
    let mut at = from;
    loop {
        let Some((line, next)) = line(input, at) else { return Chunks::Partial };
        if line.is_empty() {
            return Chunks::Whole(data, next);
        }
        at = next;
    }
}

fn line(input: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = input.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((rest.get(..end)?, at + end + 2))
}

fn line_end(input: &[u8], at: usize) -> Option<usize> {
    input.get(at..at + 2).map(|_| at + 2)
}

/// The reason phrase of the statuses that the stub gives.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        412 => "Precondition Failed",
        429 => "Too Many Requests",
        501 => "Not Implemented",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_requests_in_one_read() {
        let input = b"POST /a?b=c HTTP/1.1\r\nContent-Length: 2\r\nX: y\r\n\r\nhiGET / HTTP/1.1\r\n\r\n";
        let Parsed::Whole(first, used) = parse(input) else { panic!("first") };
        assert_eq!((first.method, first.path, first.query, first.header("x")), ("POST", "/a", "b=c", "y"));
        assert_eq!(first.body.as_ref(), b"hi");
        let Parsed::Whole(second, rest) = parse(&input[used..]) else { panic!("second") };
        assert_eq!((second.method, used + rest), ("GET", input.len()));
        for end in 0..used {
            assert!(matches!(parse(&input[..end]), Parsed::Partial), "{end}");
        }
    }

    #[test]
    fn chunks_with_trailers() {
        let input = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\nG";
        let Parsed::Whole(request, used) = parse(input) else { panic!("whole") };
        assert_eq!((request.body.as_ref(), used), (b"abcde".as_slice(), input.len() - 1));
    }

    #[test]
    fn waits_for_100_and_refuses_nonsense() {
        let waiting = b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        assert!(matches!(parse(waiting), Parsed::Awaits100));
        assert!(matches!(parse(b"nonsense\r\n\r\n"), Parsed::Broken));
        assert!(matches!(parse(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), Parsed::Broken));
    }
}
