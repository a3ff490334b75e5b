//! Repeated text is stored without secrets, in any encoding. The tests implement the encodings independently of the product.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use drctl::model::scrub::Scrubber;

/// A password with everything that needs quoting, a token, a passphrase, one with another alphabet, and a multi-line key.
const SECRETS: [&str; 6] = [
    "p4s\"s/w0rd\\with+all=of&it's<kinds>%41",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "correct horse battery staple",
    "Übergrößenträger-Straße-№5",
    "{\"nested\": \"json\\nwith\\tescapes\"}",
    KEY,
];
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\nU29tZU1vcmVMaW5lc09mVGhlS2V5VGhhdElzTG9uZ2VyVGhhbk9uZUxpbmUh\n-----END PRIVATE KEY-----";

/// An encoding.
type Form = (&'static str, fn(&str) -> String);

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As JSON with only ASCII characters.
fn ascii_json(text: &str) -> String {
    let one = |unit: u16| match u8::try_from(unit).ok().filter(u8::is_ascii_alphanumeric) {
        Some(byte) => char::from(byte).to_string(),
        None => format!("\\u{unit:04x}"),
    };
    text.encode_utf16().map(one).collect()
}

fn percent(text: &str, keep: &str, capital: bool) -> String {
    let one = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || keep.contains(char::from(byte)) => {
            char::from(byte).to_string()
        }
        byte if capital => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    text.bytes().map(one).collect()
}

fn html(text: &str) -> String {
    let named = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    named.replace('"', "&quot;").replace('\'', "&#39;").replace('/', "&#x2F;")
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Lines of a fixed width, each with a prefix.
fn folded(text: &str, width: usize, begun: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(width).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join(begun)
}

const FORMS: [Form; 25] = [
    ("as it stands", str::to_owned),
    ("JSON", json),
    ("JSON twice", |t| json(&json(t))),
    ("JSON three times", |t| json(&json(&json(t)))),
    ("JSON in ASCII", ascii_json),
    ("JSON with escaped slashes", |t| json(t).replace('/', "\\/")),
    ("Debug", |t| format!("{t:?}").trim_matches('"').to_owned()),
    ("Debug twice", |t| format!("{:?}", format!("{t:?}"))),
    ("URL, capital digits", |t| percent(t, "-._~", true)),
    ("URL, small digits", |t| percent(t, "-._~", false)),
    ("URL, as a form", |t| percent(t, "-._* ", true).replace(' ', "+")),
    ("URL, what need not be is not", |t| percent(t, "-._~!*'();/?:@&=,#$", true)),
    ("URL twice", |t| percent(&percent(t, "-._~", true), "-._~", true)),
    ("URL in JSON in JSON", |t| json(&json(&percent(t, "-._~/", true)))),
    ("JSON in a URL", |t| percent(&json(t), "-._~", true)),
    ("HTML", html),
    ("HTML of JSON", |t| html(&json(t))),
    ("shell, quoted", |t| format!("'{}'", t.replace('\'', "'\\''"))),
    ("base64", |t| STANDARD.encode(t)),
    ("base64 of a login", |t| STANDARD.encode(format!("admin:{t}\n"))),
    ("base64 of something longer", |t| STANDARD.encode(format!("ab:{t} m"))),
    ("base64 for URLs", |t| URL_SAFE.encode(t)),
    ("base64 for URLs, without an end, percent", |t| {
        percent(&URL_SAFE_NO_PAD.encode(format!("a{t}")), "", true)
    }),
    ("base64 in lines, in JSON", |t| json(&folded(&STANDARD.encode(t), 19, "\r\n"))),
    ("hexadecimal", hex),
];

fn knows(secrets: &[&str]) -> Scrubber {
    let mut scrubber = Scrubber::default();
    for secret in secrets {
        assert!(scrubber.learn(secret));
    }
    scrubber
}

/// A part of this length that is still in the text.
fn left<'t>(said: &'t str, scrubbed: &str, length: usize) -> Option<&'t str> {
    let starts: Vec<usize> = said.char_indices().map(|(at, _)| at).collect();
    let part = |at: &usize| said.get(*at..*at + length).filter(|part| scrubbed.contains(part));
    // The lines around a key are the same in every key file.
    starts.iter().filter_map(part).find(|part| {
        !part.contains("---") && !"-----BEGIN PRIVATE KEY----- -----END PRIVATE KEY-----".contains(*part)
    })
}

#[test]
fn secrets_are_found_in_all_their_forms() {
    let scrubber = knows(&SECRETS);
    for secret in SECRETS {
        for (form, write) in FORMS {
            let said = write(secret);
            let text = format!("error 17: bad value ({said}), see the manual");
            let scrubbed = scrubber.scrub(text.clone());
            assert!(
                scrubbed.starts_with("error 17: bad value (") && scrubbed.ends_with(" manual"),
                "{form}: {scrubbed}"
            );
            assert!(scrubbed.contains("[a secret]"), "{form} of {secret}: {scrubbed}");
            let found = left(&said, &scrubbed, 9);
            let lines = secret == KEY
                && (form.contains("base64")
                    || form == "hexadecimal"
                    || form.contains("URL")
                    || form.contains("HTML")
                    || form == "JSON in ASCII");
            assert!(
                found.is_none() || lines && scrubbed.len() < said.len() / 2 + 120,
                "{form} of {secret}: `{}` is left in {scrubbed}",
                found.unwrap()
            );
        }
    }
}

/// Truncation may leave half of a secret, or a line.
#[test]
fn parts_of_secrets_are_found() {
    let token = SECRETS[1];
    let scrubber = knows(&[token, KEY, "planted-hook-secret-0f6e"]);
    for cut in 8..token.len() {
        for part in [&token[cut..], &token[..cut], &token[cut - 8..cut]] {
            let scrubbed = scrubber.scrub(format!("..{part} and so on"));
            let wordless = |p: &str| {
                p.bytes().any(|b| b.is_ascii_digit()) || p.bytes().filter(u8::is_ascii_lowercase).count() > 1
            };
            if part.len() >= 12 || part.len() >= 8 && wordless(part) {
                assert!(left(part, &scrubbed, 8).is_none(), "{part}: {scrubbed}");
            }
        }
    }
    for line in KEY.lines().filter(|line| !line.starts_with("---")) {
        assert_eq!(scrubber.scrub(format!("line: {line}")), "line: [a secret]");
        assert_eq!(scrubber.scrub(format!("line: {}", &line[9..40])), "line: [a secret]");
    }
    // For a passphrase the part must be longer, because its words may be in any message.
    assert_eq!(scrubber.scrub("x planted-hook-s".to_owned()), "x [a secret]");
    assert_eq!(scrubber.scrub("x planted-hook".to_owned()), "x [a secret]");
    assert_eq!(scrubber.scrub("x planted-ho".to_owned()), "x planted-ho");
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let scrubber = knows(&[
        SECRETS[0],
        SECRETS[1],
        SECRETS[2],
        "https://hooks.example.com/services/T0/B1/xyz987654321",
        KEY,
        "hunter",
    ]);
    for text in [
        "the correct value; a horse; battery low; staple it",
        "GET https://hooks.example.com/ answered 200 OK\n\tat line 3",
        "-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----",
        "100% \\ of & the \"quotes\" 'stay' %zz &unknown; \\u12 \\",
        "the hunt erased everything",
        "us-east-1 2026-01-02T03:04:05Z arn:aws:rds:us-east-1:111111111111:db:x",
        "",
        "\\",
        "ä€😀",
    ] {
        assert_eq!(scrubber.scrub(text.to_owned()), text);
    }
    assert_eq!(scrubber.scrub("ä hunter €".to_owned()), "ä [a secret] €");
    assert_eq!(
        scrubber.scrub("at https://hooks.example.com/services/T0/B1/xyz987654321.".to_owned()),
        "at [a secret]."
    );
    assert_eq!(
        scrubber
            .scrub("to https://hooks.example.com/services/T0/B1/xyz987654321?a".to_owned())
            .matches("xyz")
            .count(),
        0
    );
    // Scrubbing twice has no further effect.
    let once = scrubber.scrub(format!("{0} {0}", SECRETS[1]));
    assert_eq!(scrubber.scrub(once.clone()), once);
    let mut short = Scrubber::default();
    assert!(!short.learn("short") && !short.learn("  short \n"));
}

/// Measured in processor time, because other processes may run as well.
#[test]
fn a_long_text_is_looked_through_quickly() {
    let cpu = || -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let secrets: Vec<String> = (0..50u64)
        .map(|n| {
            let seed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            STANDARD.encode(
                [seed.to_le_bytes(), seed.rotate_left(23).to_be_bytes(), (!seed).to_le_bytes()].concat(),
            )
        })
        .collect();
    let scrubber = knows(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
    let line = "2026-01-02T03:04:05Z INFO \"a line\" of a log, with 100%25 of what\\n stands in one; nothing of it is secret\n";
    let mut text = line.repeat((1 << 20) / line.len());
    text.push_str(&secrets[49]);
    let before = cpu();
    let scrubbed = scrubber.scrub(text);
    let took = (cpu() - before) / 1_000_000;
    assert!(scrubbed.ends_with("\n[a secret]"));
    assert!(took < 1_000, "{took} ms");
}
