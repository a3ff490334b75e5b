//! Removes secrets from text, whatever their encoding.
//!
//! Text and secrets are compared in one normal form, so there is no list of the ways to write a secret. The normal form decodes the escapes
//! of JSON, URLs (RFC 3986), HTML and shells, however deeply they are nested, and leaves out characters that quote or fold (quotes,
//! backslashes, `+`, white space). Base64 and hexadecimal digits are separate forms. A long secret is found by its parts, so that a
//! truncated or wrapped one is found, too.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// The replacement for a secret.
pub const HIDDEN: &str = "[a secret]";

/// The minimum length of a secret. A shorter text occurs in too many ordinary words.
pub const SHORTEST: usize = 6;
/// The length of a part that looks like no word, and so hardly occurs by chance.
const PART: usize = 8;
/// The length of any other part. The words of a passphrase may occur in a message, but rarely so many letters of it.
const LONG: usize = 12;
/// How many levels of escapes are decoded. Real text has fewer, and hostile text must not cost more.
const PASSES: usize = 8;

/// Parts of secrets in normal form, as numbers, by their length in bytes.
#[derive(Clone, Debug, Default)]
struct Parts {
    sorted: Vec<(u128, Spaced)>,
    /// A bit for each hash value. It rules out most positions of a text in one lookup.
    maybe: Vec<u64>,
}

/// Whether white space may stand between its characters. For a short part, that would match ordinary words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Spaced {
    No,
    Yes,
}

/// Finds secrets.
#[derive(Clone, Debug, Default)]
pub struct Scrubber {
    secrets: BTreeSet<String>,
    parts: BTreeMap<usize, Parts>,
    /// Addresses, and secrets whose normal form is too short.
    plain: Vec<String>,
}

impl Scrubber {
    /// Adds a secret. Returns whether it was new.
    pub fn learn(&mut self, secret: &str) -> bool {
        let secret = secret.trim();
        if secret.len() < SHORTEST || !self.secrets.insert(secret.to_owned()) {
            return false;
        }
        let mut found: BTreeMap<usize, BTreeSet<(u128, Spaced)>> = BTreeMap::new();
        let body = body(secret);
        if Normal::from_text(body.as_bytes()).bytes.len() < SHORTEST {
            self.plain.push(secret.to_owned());
        }
        let spaced = if body.contains(char::is_whitespace) { Spaced::Yes } else { Spaced::No };
        // Only the private parts of an address count. Its beginning and the words in its path occur elsewhere, too.
        let own = address(&body);
        let is_address = own.is_some();
        if is_address {
            self.plain.push(secret.to_owned());
        }
        for part in own.unwrap_or_else(|| vec![body.as_str()]) {
            let normal = Normal::from_text(part.as_bytes()).bytes;
            if !is_address || wordless(&normal) {
                whole(&normal, spaced, &mut found);
            }
            let takes = |part: &[u8]| !is_address || !part.iter().all(u8::is_ascii_alphabetic);
            windows(&normal, PART, &wordless, &mut found);
            windows(&normal, LONG, &takes, &mut found);
        }
        for encoded in [secret, body.as_str()].into_iter().flat_map(base64s) {
            let encoded = Normal::from_text(encoded.as_bytes()).bytes;
            whole(&encoded, Spaced::No, &mut found);
            windows(&encoded, PART, &wordless, &mut found);
            windows(&encoded, LONG, &|_| true, &mut found);
        }
        for digits in hexes(body.as_bytes()) {
            whole(digits.as_bytes(), Spaced::No, &mut found);
            windows(digits.as_bytes(), LONG, &|_| true, &mut found);
        }
        for (length, new) in found {
            self.parts.entry(length).or_default().add(new);
        }
        true
    }

    /// The text with all known secrets replaced.
    pub fn scrub(&self, text: String) -> String {
        let text = self.plain.iter().fold(text, |text, secret| text.replace(secret.as_str(), HIDDEN));
        if self.parts.is_empty() || text.len() < SHORTEST {
            return text;
        }
        let found = self.find(text.as_bytes());
        if found.is_empty() {
            return text;
        }
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for range in found {
            let start = (0..=range.start).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            let end = (range.end..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
            out.push_str(&text[at..start.max(at)]);
            out.push_str(HIDDEN);
            at = end;
        }
        out.push_str(&text[at..]);
        out
    }

    /// Whether these bytes contain a known secret.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        let plain = |secret: &String| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        self.plain.iter().any(plain) || !self.find(bytes).is_empty()
    }

    /// The positions of secrets, in order and without overlaps.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let normal = Normal::from_text(text);
        let mut covered: Vec<Range<usize>> = Vec::new();
        let mut last: u128 = 0;
        for (i, byte) in normal.bytes.iter().enumerate() {
            last = (last << 8) | u128::from(*byte);
            for (length, parts) in self.parts.iter().filter(|(length, _)| i + 1 >= **length) {
                let Some(spaced) = parts.has(last & mask(*length)) else { continue };
                let range = normal.source(i + 1 - length..i + 1);
                if spaced == Spaced::No && text[range].iter().any(u8::is_ascii_whitespace) {
                    continue;
                }
                let mut start = i + 1 - length;
                while let Some(before) = covered.pop_if(|before| before.end > start) {
                    start = start.min(before.start);
                }
                covered.push(start..i + 1);
            }
        }
        covered.into_iter().map(|range| normal.source(range)).collect()
    }
}

impl Parts {
    /// The size of the filter in bits, as a power of two.
    const BITS: u32 = 16;

    fn hash(part: u128) -> usize {
        let folded = (part >> 64) as u64 ^ part as u64;
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Self::BITS)) as usize
    }

    fn add(&mut self, new: BTreeSet<(u128, Spaced)>) {
        self.maybe.resize(1 << (Self::BITS - 6), 0);
        for (part, _) in &new {
            let bit = Self::hash(*part);
            self.maybe[bit >> 6] |= 1 << (bit & 63);
        }
        self.sorted.extend(new);
        self.sorted.sort_unstable();
        // If a part occurs in both forms, keep the one that allows white space, because it finds more.
        self.sorted.reverse();
        self.sorted.dedup_by_key(|(part, _)| *part);
        self.sorted.reverse();
    }

    fn has(&self, part: u128) -> Option<Spaced> {
        let bit = Self::hash(part);
        if self.maybe[bit >> 6] & (1 << (bit & 63)) == 0 {
            return None;
        }
        self.sorted.binary_search_by_key(&part, |(part, _)| *part).ok().map(|at| self.sorted[at].1)
    }
}

const fn mask(length: usize) -> u128 {
    (1 << (8 * length)) - 1
}

fn number(part: &[u8]) -> u128 {
    part.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

type SecretParts = BTreeMap<usize, BTreeSet<(u128, Spaced)>>;

/// A secret that is too short for parts.
fn whole(normal: &[u8], spaced: Spaced, found: &mut SecretParts) {
    if (SHORTEST..=LONG).contains(&normal.len()) {
        found.entry(normal.len()).or_default().insert((number(normal), spaced));
    }
}

fn windows(normal: &[u8], length: usize, takes: &dyn Fn(&[u8]) -> bool, found: &mut SecretParts) {
    let parts = normal.windows(length).filter(|part| takes(part));
    let parts: Vec<_> = parts.map(|part| (number(part), Spaced::Yes)).collect();
    if !parts.is_empty() {
        found.entry(length).or_default().extend(parts);
    }
}

/// Letters with digits, or several capitals with several small letters: neither a word nor a number.
fn wordless(part: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| part.iter().filter(|b| is(b)).count();
    let (digits, upper, lower) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    digits > 0 && upper + lower > 0 || upper > 1 && lower > 1
}

/// A secret without the lines that enclose it in every file of its kind (RFC 7468, «-----BEGIN ..-----»).
fn body(secret: &str) -> String {
    let lines: Vec<&str> = secret.lines().filter(|line| !line.trim_start().starts_with("-----")).collect();
    let body = lines.join("\n");
    if body.trim().len() < SHORTEST { secret.to_owned() } else { body.trim().to_owned() }
}

/// The password of an address, and the part after its host, if it is an address.
fn address(secret: &str) -> Option<Vec<&str>> {
    let (scheme, rest) = secret.split_once("://")?;
    let plain = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let login = host.rsplit_once('@').and_then(|(login, _)| login.split_once(':')).map(|(_, word)| word);
    plain.then(|| login.into_iter().chain([path.get(1..).unwrap_or_default()]).collect())
}

/// The three base64 forms of a text, by its offset. Digits that depend on neighbouring bytes are left out (RFC 4648).
fn base64s(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    for before in 0..3 {
        let bytes = [&b"\0\0"[..before], secret.as_bytes()].concat();
        let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        all.push(STANDARD.encode(&bytes)[start..end].to_owned());
        all.push(URL_SAFE.encode(&bytes)[start..end].to_owned());
    }
    all
}

fn hexes(bytes: &[u8]) -> [String; 2] {
    let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let upper = lower.to_uppercase();
    [lower, upper]
}

/// Text in normal form, with the position of each byte in the original.
struct Normal {
    bytes: Vec<u8>,
    spans: Vec<(u32, u32)>,
}

impl Normal {
    fn from_text(text: &[u8]) -> Self {
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let spans = (0..end).map(|i| (i, i + 1)).collect();
        let mut normal = Self { bytes: text[..end as usize].to_vec(), spans };
        // Characters that quote or join are left out last, because until then they separate an escape from what follows.
        for _ in 0..PASSES {
            if !normal.pass() {
                break;
            }
        }
        normal.fold();
        normal
    }

    fn fold(&mut self) {
        let mut to = 0;
        for from in 0..self.bytes.len() {
            if !folds(self.bytes[from]) {
                (self.bytes[to], self.spans[to]) = (self.bytes[from], self.spans[from]);
                to += 1;
            }
        }
        self.bytes.truncate(to);
        self.spans.truncate(to);
    }

    /// The position of a part in the original text.
    fn source(&self, range: Range<usize>) -> Range<usize> {
        let (first, last) = (self.spans[range.start], self.spans[range.end - 1]);
        first.0 as usize..last.1 as usize
    }

    /// Decodes each escape once, in place. Returns whether there was one, because the result may be part of another escape.
    fn pass(&mut self) -> bool {
        let (mut from, mut to, mut again) = (0, 0, false);
        while from < self.bytes.len() {
            let start = self.spans[from].0;
            let (length, meant) = escape(&self.bytes[from..]);
            again |= length > 1;
            let end = self.spans[from + length - 1].1;
            for byte in meant.bytes() {
                self.bytes[to] = byte;
                self.spans[to] = (start, end);
                to += 1;
            }
            from += length;
        }
        self.bytes.truncate(to);
        self.spans.truncate(to);
        again
    }
}

/// Whether a character quotes, joins or folds text.
const fn folds(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"' | b'`' | b'+' | 0x7f) || byte <= b' '
}

/// The decoded character: at most four bytes.
struct Meant([u8; 4], usize);

impl Meant {
    const NOTHING: Self = Self([0; 4], 0);

    const fn byte(byte: u8) -> Self {
        Self([byte, 0, 0, 0], 1)
    }

    fn char(code: u32) -> Self {
        let mut bytes = [0; 4];
        let length = char::from_u32(code).map_or(0, |c| c.encode_utf8(&mut bytes).len());
        Self(bytes, length)
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.into_iter().take(self.1)
    }
}

/// The length of the escape at the beginning, and its meaning. Other bytes stand for themselves. The meaning is never longer than the
/// escape.
fn escape(rest: &[u8]) -> (usize, Meant) {
    let itself = (1, Meant::byte(rest[0]));
    match rest[0] {
        b'\\' => backslash(rest),
        b'%' => digits(rest.get(1..3)).map_or(itself, |code| (3, Meant::byte(code as u8))),
        b'&' => entity(rest).unwrap_or(itself),
        _ => itself,
    }
}

fn digits(text: Option<&[u8]>) -> Option<u32> {
    let text = text.filter(|t| !t.is_empty() && t.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

/// Escapes of JSON (RFC 8259), programming languages and shells, where a backslash may precede any character.
fn backslash(rest: &[u8]) -> (usize, Meant) {
    match rest.get(1) {
        None => (1, Meant::NOTHING),
        Some(b'n' | b'r' | b't' | b'b' | b'f') => (2, Meant::byte(b' ')),
        Some(b'x') if digits(rest.get(2..4)).is_some() => {
            (4, Meant::byte(digits(rest.get(2..4)).unwrap_or_default() as u8))
        }
        Some(b'u') if rest.get(2) == Some(&b'{') => match rest.iter().take(10).position(|b| *b == b'}') {
            Some(end) if digits(rest.get(3..end)).is_some() => {
                (end + 1, Meant::char(digits(rest.get(3..end)).unwrap_or_default()))
            }
            _ => (2, Meant::byte(b'u')),
        },
        Some(b'u') => match digits(rest.get(2..6)) {
            Some(high @ 0xd800..=0xdbff) if rest.get(6..8) == Some(b"\\u") => match digits(rest.get(8..12)) {
                Some(low @ 0xdc00..=0xdfff) => {
                    (12, Meant::char(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)))
                }
                _ => (6, Meant::NOTHING),
            },
            Some(code) => (6, Meant::char(code)),
            None => (2, Meant::byte(b'u')),
        },
        Some(other) => (2, Meant::byte(*other)),
    }
}

/// The five entities of XML, and numeric ones (HTML Living Standard, «Character references»).
fn entity(rest: &[u8]) -> Option<(usize, Meant)> {
    let end = rest.iter().take(12).position(|b| *b == b';')?;
    let name = &rest[1..end];
    let meant = match name {
        b"amp" => Meant::byte(b'&'),
        b"lt" => Meant::byte(b'<'),
        b"gt" => Meant::byte(b'>'),
        b"quot" | b"apos" | b"nbsp" => Meant::byte(b' '),
        [b'#', b'x' | b'X', code @ ..] => Meant::char(digits(Some(code))?),
        [b'#', code @ ..] if !code.is_empty() && code.iter().all(u8::is_ascii_digit) => {
            Meant::char(std::str::from_utf8(code).ok()?.parse().ok()?)
        }
        _ => return None,
    };
    Some((end + 1, meant))
}
