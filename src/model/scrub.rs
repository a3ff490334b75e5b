//! Text without the secrets in it, in whatever clothes they come.
//!
//! What is escaped, quoted or encoded as text is compared in one normal form: escapes of JSON, of addresses (RFC 3986), of HTML and of shells are
//! undone, however often they were made, and what quotes or folds (quotes, backslashes, `+`, white space) is left out. Secrets are brought into it,
//! too, so that nobody has to list in which ways a secret can be written. Base64 and hexadecimal digits are forms of their own. A long secret is
//! found by its parts, so that one that was cut, or wrapped in lines, is found as well.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// What stands in the place of a secret.
pub const HIDDEN: &str = "[a secret]";

/// A shorter one stands in too many words that are none.
pub const SHORTEST: usize = 6;
/// A part that looks like no word: it is not the secret by chance.
const PART: usize = 8;
/// Any other part: words of a phrase may stand in a message, too, but hardly so many letters of it.
const LONG: usize = 12;
/// How often text is freed of escapes: nobody escapes more often, and hostile text is not followed for ever.
const PASSES: usize = 8;

/// Parts of secrets in their normal form, by their length in bytes: each as a number.
#[derive(Clone, Debug, Default)]
struct Parts {
    sorted: Vec<(u128, Spaced)>,
    /// A bit for each value of a hash: most positions of a text are passed over by one look.
    maybe: Vec<u64>,
}

/// Whether white space may stand between its letters. In a short one that would make words of it that nobody wrote.
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
    /// Those that have no letters to speak of in their normal form, and addresses.
    plain: Vec<String>,
}

impl Scrubber {
    /// Learns a secret. Answers whether it was new.
    pub fn learn(&mut self, secret: &str) -> bool {
        let secret = secret.trim();
        if secret.len() < SHORTEST || !self.secrets.insert(secret.to_owned()) {
            return false;
        }
        let mut found: BTreeMap<usize, BTreeSet<(u128, Spaced)>> = BTreeMap::new();
        let body = body(secret);
        if Normal::of(body.as_bytes()).bytes.len() < SHORTEST {
            self.plain.push(secret.to_owned());
        }
        let spaced = if body.contains(char::is_whitespace) { Spaced::Yes } else { Spaced::No };
        // Of an address only what is its own: its beginning stands in many, and so do words of its path.
        let own = address(&body);
        let is_address = own.is_some();
        if is_address {
            self.plain.push(secret.to_owned());
        }
        for part in own.unwrap_or_else(|| vec![body.as_str()]) {
            let normal = Normal::of(part.as_bytes()).bytes;
            if !is_address || wordless(&normal) {
                whole(&normal, spaced, &mut found);
            }
            let takes = |part: &[u8]| !is_address || !part.iter().all(u8::is_ascii_alphabetic);
            windows(&normal, PART, &wordless, &mut found);
            windows(&normal, LONG, &takes, &mut found);
        }
        for encoded in [secret, body.as_str()].into_iter().flat_map(base64s) {
            let encoded = Normal::of(encoded.as_bytes()).bytes;
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

    /// The same text without what it knows.
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

    /// Whether it knows something that stands in these bytes.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        let plain = |secret: &String| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        self.plain.iter().any(plain) || !self.find(bytes).is_empty()
    }

    /// Where secrets stand, in order and apart from each other.
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let normal = Normal::of(text);
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
    /// Bits of the filter, as a power of two.
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
        // Of two that differ in that only, the one that may be spaced finds more: it comes last.
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

type Found = BTreeMap<usize, BTreeSet<(u128, Spaced)>>;

/// One that is too short for parts.
fn whole(normal: &[u8], spaced: Spaced, found: &mut Found) {
    if (SHORTEST..=LONG).contains(&normal.len()) {
        found.entry(normal.len()).or_default().insert((number(normal), spaced));
    }
}

fn windows(normal: &[u8], length: usize, takes: &dyn Fn(&[u8]) -> bool, found: &mut Found) {
    let parts = normal.windows(length).filter(|part| takes(part));
    let parts: Vec<_> = parts.map(|part| (number(part), Spaced::Yes)).collect();
    if !parts.is_empty() {
        found.entry(length).or_default().extend(parts);
    }
}

/// Digits among letters, or capitals among small ones: no word of a language, and no number.
fn wordless(part: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| part.iter().filter(|b| is(b)).count();
    let (digits, upper, lower) =
        (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    digits > 0 && upper + lower > 0 || upper > 1 && lower > 1
}

/// A secret without what stands around it in every file of its kind (RFC 7468, «-----BEGIN ..-----»).
fn body(secret: &str) -> String {
    let lines: Vec<&str> = secret.lines().filter(|line| !line.trim_start().starts_with("-----")).collect();
    let body = lines.join("\n");
    if body.trim().len() < SHORTEST { secret.to_owned() } else { body.trim().to_owned() }
}

/// The login of an address, and what comes after its host, if it is one.
fn address(secret: &str) -> Option<Vec<&str>> {
    let (scheme, rest) = secret.split_once("://")?;
    let plain = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let login = host.rsplit_once('@').and_then(|(login, _)| login.split_once(':')).map(|(_, word)| word);
    plain.then(|| login.into_iter().chain([path.get(1..).unwrap_or_default()]).collect())
}

/// In base64 a byte stands in one of three ways, by what is before it; what depends on its neighbours is left out (RFC 4648).
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

/// Text in its normal form, and where each byte of it comes from.
struct Normal {
    bytes: Vec<u8>,
    spans: Vec<(u32, u32)>,
}

impl Normal {
    fn of(text: &[u8]) -> Self {
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let spans = (0..end).map(|i| (i, i + 1)).collect();
        let mut normal = Self { bytes: text[..end as usize].to_vec(), spans };
        // What joins or quotes is left out in the end only: between an escape and what follows it, it keeps them apart.
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

    /// Where a part of it stands in the text.
    fn source(&self, range: Range<usize>) -> Range<usize> {
        let (first, last) = (self.spans[range.start], self.spans[range.end - 1]);
        first.0 as usize..last.1 as usize
    }

    /// Undoes each escape once, in place. Says whether there was one: what it meant may be a part of another.
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

/// What quotes, joins or folds text.
const fn folds(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"' | b'`' | b'+' | 0x7f) || byte <= b' '
}

/// At most four bytes: a character.
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

/// How long the escape is that stands at the beginning, and what it means. What is none means itself, and never more bytes than it has.
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

/// Of JSON (RFC 8259), of programs, and of shells, where it stands before anything.
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

/// The five of XML, and by number (HTML Living Standard, «Character references»).
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
