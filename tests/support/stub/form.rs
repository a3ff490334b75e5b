//! `application/x-www-form-urlencoded`, for bodies of the query protocol and for query strings.

use std::borrow::Cow;

/// The fields in the order they came.
pub struct Form<'a> {
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    pub fn parse(text: &'a str) -> Self {
        let fields = text
            .split('&')
            .filter(|field| !field.is_empty())
            .map(|field| {
                let (key, value) = field.split_once('=').unwrap_or((field, ""));
                (decode(key), decode(value))
            })
            .collect();
        Self { fields }
    }

    /// An existing field, even if empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_ref())
    }

    /// An existing field that is not empty.
    pub fn filled(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    /// The values of `prefix` and a number, such as `AutoScalingGroupNames.member.1`. SDKs send them in order.
    pub fn list<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = &'f str> + 'f {
        self.fields.iter().filter_map(move |(name, value)| {
            let number = name.strip_prefix(prefix)?;
            number.bytes().all(|byte| byte.is_ascii_digit()).then_some(value.as_ref())
        })
    }
}

/// Decodes `+` and `%xx`; an incomplete escape is unchanged.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    unescape(&text.replace('+', " ")).into_owned().into()
}

/// Decodes `%xx` only, as in the path of an address.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_lists() {
        let form = Form::parse("Action=Do&Names.member.1=a%2Fb&Names.member.2=c+d&Empty=&Bad=%zz%");
        assert_eq!(form.get("Action"), Some("Do"));
        assert_eq!(form.list("Names.member.").collect::<Vec<_>>(), ["a/b", "c d"]);
        assert_eq!((form.get("Empty"), form.filled("Empty")), (Some(""), None));
        assert_eq!(form.get("Bad"), Some("%zz%"));
    }
}
