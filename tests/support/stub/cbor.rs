//! As much CBOR (RFC 8949) as CloudWatch's rpc-v2-cbor protocol needs.

/// A parsed value. Tags are dropped, because their meaning is known from the context.
#[derive(Debug, PartialEq)]
pub enum Value {
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Truth(bool),
    /// Byte strings and null, which the stub never uses.
    Other,
}

impl Value {
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        let Self::Text(text) = self.get(key)? else { return None };
        Some(text)
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        let Self::Number(number) = self.get(key)? else { return None };
        Some(*number)
    }

    pub fn list(&self, key: &str) -> &[Value] {
        match self.get(key) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }
}

/// Deeper than any real request; it keeps a hostile one from exhausting the stack.
const DEEPEST: usize = 32;
/// The initial byte that ends an item of unknown length.
const BREAK: u8 = 0xff;

/// Reads one item that fills the input; none if it is malformed.
pub fn read(input: &[u8]) -> Option<Value> {
    let mut reader = Reader { input, at: 0 };
    let value = reader.value(0)?;
    (reader.at == input.len()).then_some(value)
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.input.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn bits(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    /// The argument of an initial byte; none within for an unknown length.
    fn argument(&mut self, low: u8) -> Option<Option<u64>> {
        Some(match low {
            0..=23 => Some(u64::from(low)),
            24 => Some(self.bits(1)?),
            25 => Some(self.bits(2)?),
            26 => Some(self.bits(4)?),
            27 => Some(self.bits(8)?),
            31 => None,
            _ => return None,
        })
    }

    /// Skips the break that ends items of unknown length.
    fn at_break(&mut self) -> bool {
        let ended = self.input.get(self.at) == Some(&BREAK);
        self.at += usize::from(ended);
        ended
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        let initial = self.byte()?;
        let (major, low) = (initial >> 5, initial & 31);
        if major == 7 {
            return self.simple(low);
        }
        let argument = self.argument(low)?;
        match major {
            0 => Some(Value::Number(argument? as f64)),
            1 => Some(Value::Number(-1.0 - argument? as f64)),
            2 => self.bytes(argument, 2).map(|_| Value::Other),
            3 => String::from_utf8(self.bytes(argument, 3)?).ok().map(Value::Text),
            4 => self.list(argument, depth),
            5 => self.map(argument, depth),
            _ => self.value(depth + 1),
        }
    }

    fn simple(&mut self, low: u8) -> Option<Value> {
        Some(match low {
            26 => Value::Number(f64::from(f32::from_bits(u32::try_from(self.bits(4)?).ok()?))),
            27 => Value::Number(f64::from_bits(self.bits(8)?)),
            25 => {
                self.bits(2)?; // half precision: no SDK sends one where the stub looks
                Value::Other
            }
            20 => Value::Truth(false),
            21 => Value::Truth(true),
            22 | 23 => Value::Other,
            _ => return None,
        })
    }

    fn bytes(&mut self, length: Option<u64>, major: u8) -> Option<Vec<u8>> {
        if let Some(length) = length {
            return Some(self.take(usize::try_from(length).ok()?)?.to_vec());
        }
        let mut whole = Vec::new();
        while !self.at_break() {
            let initial = self.byte()?;
            let length = self.argument(initial & 31)?.filter(|_| initial >> 5 == major)?;
            whole.extend_from_slice(self.take(usize::try_from(length).ok()?)?);
        }
        Some(whole)
    }

    fn list(&mut self, length: Option<u64>, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        while self.goes_on(length, items.len()) {
            items.push(self.value(depth + 1)?);
        }
        Some(Value::List(items))
    }

    fn map(&mut self, length: Option<u64>, depth: usize) -> Option<Value> {
        let mut entries = Vec::new();
        while self.goes_on(length, entries.len()) {
            let Value::Text(key) = self.value(depth + 1)? else { return None };
            entries.push((key, self.value(depth + 1)?));
        }
        Some(Value::Map(entries))
    }

    fn goes_on(&mut self, length: Option<u64>, have: usize) -> bool {
        match length {
            Some(length) => (have as u64) < length,
            None => !self.at_break(),
        }
    }
}

/// A CBOR writer; every length is known in advance.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn map(&mut self, entries: usize) -> &mut Self {
        self.head(5, entries as u64)
    }

    pub fn list(&mut self, items: usize) -> &mut Self {
        self.head(4, items as u64)
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.head(3, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn double(&mut self, number: f64) -> &mut Self {
        self.0.push(0xfb);
        self.0.extend_from_slice(&number.to_bits().to_be_bytes());
        self
    }

    /// A moment in seconds since the Unix epoch, under the tag that says so.
    pub fn timestamp(&mut self, seconds: u64) -> &mut Self {
        self.head(6, 1).head(0, seconds)
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn head(&mut self, major: u8, argument: u64) -> &mut Self {
        let major = major << 5;
        let bytes = argument.to_be_bytes();
        match argument {
            0..=23 => self.0.push(major | bytes[7]),
            24..=0xff => self.0.extend_from_slice(&[major | 24, bytes[7]]),
            0x100..=0xffff => self.0.extend_from_slice(&[major | 25, bytes[6], bytes[7]]),
            0x1_0000..=0xffff_ffff => {
                self.0.push(major | 26);
                self.0.extend_from_slice(&bytes[4..]);
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend_from_slice(&bytes);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_known_and_unknown_lengths() {
        let mut writer = Writer::default();
        writer.map(2).text("at").timestamp(1_795_227_000).text("list").list(2).double(1.5).text("x");
        let value = read(&writer.into_bytes()).unwrap();
        assert_eq!(value.number("at"), Some(1_795_227_000.0));
        assert_eq!(value.list("list"), [Value::Number(1.5), Value::Text("x".into())]);
        let unknown = b"\xbf\x61a\x9f\x01\x20\xff\x61b\xf5\xff";
        let value = read(unknown).unwrap();
        assert_eq!(value.list("a"), [Value::Number(1.0), Value::Number(-1.0)]);
        assert_eq!(value.get("b"), Some(&Value::Truth(true)));
    }

    #[test]
    fn refuses_what_is_broken() {
        for input in [&b""[..], b"\xa1", b"\x9f", b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x00\x00"] {
            assert_eq!(read(input), None);
        }
        assert_eq!(read(&[0x81; 100]), None);
    }
}
