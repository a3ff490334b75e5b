//! Values that Route 53 refuses for a type (Amazon Route 53 Developer Guide, «Supported DNS record types»).

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::kinds::lint::Lint;
use crate::kinds::shared::names::plan::Record;
use crate::kinds::shared::names::records::RecordAnswer;
use crate::model::syntax::DNS_NAME;

pub(super) fn lint(record: &Record, of: &mut Lint<'_>) {
    let all = record.at.values().filter_map(|at| match &at.answer {
        RecordAnswer::Values { values, .. } => Some(values),
        RecordAnswer::Alias { .. } => None,
    });
    for values in all {
        if record.rtype == "CNAME" && values.len() > 1 {
            bad_value(of, record, &values.join(", "), "one name");
        }
        for value in values {
            let wanted = match record.rtype.as_str() {
                "A" if value.parse::<Ipv4Addr>().is_err() => "an IPv4 address, as in 192.0.2.10",
                "AAAA" if value.parse::<Ipv6Addr>().is_err() => "an IPv6 address, as in 2001:db8::1",
                "CNAME" if ends_in_number(value) => {
                    "a name, as in www.shop.example; an address needs type A or AAAA"
                }
                "CNAME" if !DNS_NAME.fits(value) => "a name, as in www.shop.example",
                "TXT" if !is_quoted(value) => {
                    "text in double quotes, each part of up to 255 characters, as in '\"v=spf1 -all\"'"
                }
                _ => continue,
            };
            bad_value(of, record, value, wanted);
        }
    }
}

/// Whether it is an address or a mistyped one: no top-level domain is a number (RFC 3696, 2).
fn ends_in_number(value: &str) -> bool {
    let last = value.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()))
}

fn bad_value(of: &mut Lint<'_>, record: &Record, value: &str, wanted: &str) {
    of.error(
        "record-bad-value",
        record.span,
        format!("`{value}` is not a valid value for {} {}", record.name, record.rtype),
        "Route 53 would refuse the change after drctl promoted the database",
        &format!("write {wanted}"),
    );
}

/// One or more parts in double quotes, of up to 255 characters each (RFC 1035, 3.3.14).
fn is_quoted(value: &str) -> bool {
    let mut parts = 0;
    let mut rest = value.trim();
    while let Some(inner) = rest.strip_prefix('"') {
        let mut escaped = false;
        let Some(end) = inner.char_indices().find_map(|(i, c)| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends.then_some(i)
        }) else {
            return false;
        };
        if inner.get(..end).is_none_or(|part| part.chars().count() > 255) {
            return false;
        }
        parts += 1;
        rest = inner.get(end + 1..).unwrap_or_default().trim_start();
    }
    parts > 0 && rest.is_empty()
}
