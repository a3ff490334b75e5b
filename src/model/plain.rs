//! Makes text from others safe for each place where it is shown.
//!
//! Reasons, hooks, providers, guard objects and imported files are not trusted. Their text must not move a cursor, ring a bell, hide or
//! reverse other text, load an image, or look like output of drctl. All output for people goes through this module:
//!
//! | place | by |
//! |---|---|
//! | the journal, messages, mail headers, PDF | [`line`] |
//! | the terminal | [`terminal`] |
//! | Markdown | [`markdown`], [`code`] |
//! | HTML and SVG | [`html`] |
//! | JSON on a terminal | [`json`] |
//! | a SIEM (CEF) | [`siem`] |
//! | a spreadsheet | [`cell`] |

use std::borrow::Cow;
use std::fmt::Write as _;

/// A count with its noun: `1 file`, `2 files`. For other plurals, give both forms as `entry
/// entries`.
pub fn count(n: impl TryInto<u64>, of: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    let (one, many) =
        of.split_once('|').map_or_else(|| (of, format!("{of}s")), |(one, many)| (one, many.to_owned()));
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// The first few items of a list, and the number of the others.
pub fn some(all: &[String]) -> String {
    const NAMED: usize = 3;
    let named = all[..all.len().min(NAMED)].join(", ");
    match all.len().checked_sub(NAMED).filter(|more| *more > 0) {
        Some(more) => format!("{named} and {more} more"),
        None => named,
    }
}

/// Replaces a character that must not be shown.
const REPLACED: char = '\u{fffd}';

/// Whether a character has an effect besides being read: control characters, characters that change the text direction, and invisible ones
/// (Unicode Technical Report 36, «Unicode Security Considerations»; Default_Ignorable_Code_Point of Unicode 16).
pub const fn acts(c: char) -> bool {
    matches!(
        c,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn each(text: &str, of: impl Fn(char) -> Option<Cow<'static, str>>) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match of(c) {
            Some(instead) => out.push_str(&instead),
            None => out.push(c),
        }
    }
    out
}

/// The replacement of such a character: white space stays white space.
const fn instead(c: char) -> char {
    match c {
        '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        _ => REPLACED,
    }
}

/// Text of others without its full stop, so that a sentence can go on after it, or end.
pub fn clause(text: &str) -> &str {
    text.trim_end().trim_end_matches('.')
}

/// Text as one line of harmless characters.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if acts(c) { instead(c) } else { c }).collect()
}

/// The same for every text of a document, before it is rendered.
pub fn tree(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = line(text),
        serde_json::Value::Array(all) => all.iter_mut().for_each(tree),
        serde_json::Value::Object(all) => all.values_mut().for_each(tree),
        _ => {}
    }
}

/// Which escape sequences a terminal gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Only those that set colours.
    Shown,
    /// None.
    None,
}

/// Lines for a terminal. No escape sequences are kept except for colours, if they are used.
pub fn terminal(text: &str, colours: Colours) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let (Colours::Shown, Some(length)) = (colours, colour(rest)) {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        out.push(match c {
            '\n' | '\t' => c,
            c if acts(c) => instead(c),
            c => c,
        });
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// The length of a colour sequence at this place, if there is one: `ESC [ numbers m`. A sequence that hides text does not count.
fn colour(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let sets = numbers[end..].starts_with('m') && end <= 16;
    (sets && !numbers[..end].split(';').any(|n| n.trim_start_matches('0') == "8")).then_some(end + 3)
}

/// Text within Markdown, without formatting, links or images. An arrow stays one, because nothing before it can open a tag.
pub fn markdown(text: &str) -> String {
    let text = each(&line(text), |c| {
        Some(match c {
            '<' => "&lt;".into(),
            '>' => "&gt;".into(),
            '&' => "&amp;".into(),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' => format!("\\{c}").into(),
            _ => return None,
        })
    });
    text.replace("-&gt;", "->")
}

/// Text within the backticks of Markdown. Only a backtick has a meaning there, and a bar in a table.
pub fn code(text: &str) -> String {
    line(text).replace('`', "'").replace('|', "\u{a6}")
}

/// The time at the start of a text: an instant, or the shorter form to the second.
fn time_at_start(text: &str) -> Option<&str> {
    const SHAPE: &str = "0000-00-00T00:00:00";
    let head = text.get(..SHAPE.len())?;
    let fits = head.chars().zip(SHAPE.chars()).all(|(c, shape)| match shape {
        '0' => c.is_ascii_digit(),
        'T' => matches!(c, 'T' | ' '),
        same => c == same,
    });
    let after = &text[SHAPE.len()..];
    let zone = match after.get(..5) {
        Some(more) if more.starts_with('.') && more.ends_with('Z') => more.len(),
        _ => usize::from(after.starts_with('Z')),
    };
    fits.then(|| &text[..SHAPE.len() + zone])
}

/// A text in which each time is replaced.
pub fn each_time(text: &str, with: impl Fn(&str) -> String) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(c) = rest.chars().next() {
        let length = match time_at_start(rest) {
            Some(time) => {
                out.push_str(&with(time));
                time.len()
            }
            None => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

/// Text within HTML in which no time is broken into two lines. A page has the class `at` for that.
pub fn html_with_times(text: &str) -> String {
    each_time(&html(text), |time| format!("<span class=\"at\">{time}</span>"))
}

/// The same, and what is between backticks is code.
pub fn html_with_code(text: &str) -> String {
    let text = html_with_times(text);
    if text.matches('`').count() % 2 == 1 {
        return text;
    }
    let part = |(i, part): (usize, &str)| match i % 2 {
        0 => part.to_owned(),
        _ => format!("<code>{part}</code>"),
    };
    text.split('`').enumerate().map(part).collect()
}

/// Text within HTML or SVG, attributes included.
pub fn html(text: &str) -> String {
    each(&line(text), |c| {
        Some(Cow::Borrowed(match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ => return None,
        }))
    })
}

/// The same JSON with escapes for characters that have effects. They can only occur in strings.
pub fn json(text: &str) -> String {
    each(text, |c| match c {
        '\n' => None,
        c if acts(c) => {
            let mut out = String::new();
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
            Some(out.into())
        }
        _ => None,
    })
}

/// A value of a CEF extension, where `=` ends a key. Line breaks are escaped; other control characters are removed.
pub fn siem(text: &str) -> String {
    each(text, |c| match c {
        '\\' => Some("\\\\".into()),
        '=' => Some("\\=".into()),
        '\n' => Some("\\n".into()),
        '\r' => Some("\\r".into()),
        c if acts(c) => Some("".into()),
        _ => None,
    })
}

/// A spreadsheet cell (RFC 4180) that is not a formula (OWASP, «CSV injection»).
pub fn cell(text: &str) -> String {
    let text = line(text);
    let formula = text.trim_start().starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\'']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::clause;

    #[test]
    fn a_sentence_has_one_full_stop() {
        assert_eq!(format!("{}. Then", clause("Try another zone. ")), "Try another zone. Then");
        assert_eq!(clause("sg-1 is attached"), "sg-1 is attached");
    }
}
