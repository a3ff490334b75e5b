//! The encodings in which a secret may appear.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Each encoding by name, with the text to search for.
pub fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let json = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let escaped = |byte: u8, capital: bool| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte if capital => format!("%{byte:02X}"),
        byte => format!("%{byte:02x}"),
    };
    let percent = |capital: bool| secret.bytes().map(|byte| escaped(byte, capital)).collect::<String>();
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![
        ("itself", secret.to_owned()),
        ("JSON", json(secret)),
        ("JSON twice", json(&json(secret))),
        ("a URL", percent(true)),
        ("a URL in small letters", percent(false)),
        ("a form", percent(true).replace("%20", "+")),
        ("HTML", html),
        ("a shell's word", secret.replace('\'', "'\\''")),
        ("hexadecimal digits", hex.clone()),
        ("capital hexadecimal digits", hex.to_uppercase()),
    ];
    // Encodings that do not depend on the surrounding text. A go-bag is base64 of JSON.
    for text in [secret.to_owned(), json(secret)] {
        for before in 0..3 {
            let bytes = [&b"\0\0"[..before], text.as_bytes()].concat();
            let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
            all.push(("base64", STANDARD.encode(&bytes)[start..end].to_owned()));
            all.push(("base64 of URLs", URL_SAFE.encode(&bytes)[start..end].to_owned()));
        }
    }
    // Half of a secret is enough to guess the rest.
    let letters: Vec<char> = secret.chars().collect();
    if letters.len() >= 24 {
        all.push(("its first half", letters[..letters.len() / 2].iter().collect()));
        all.push(("its last half", letters[letters.len() / 2..].iter().collect()));
    }
    all
}

/// The encoding in which these bytes contain one of the secrets.
pub fn found(bytes: &[u8], secrets: &[&str]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let of = |secret: &&str| {
        let form = forms(secret).into_iter().find(|(_, form)| text.contains(form.as_str()))?;
        Some(format!("{secret} as {}: {}", form.0, form.1))
    };
    secrets.iter().find_map(of)
}

#[test]
fn each_form_is_found() {
    let secret = "it's \"all\" of\\that & more=100%";
    let all = forms(secret);
    for (name, form) in &all {
        assert!(found(format!("..{form}..").as_bytes(), &[secret]).is_some(), "{name}");
    }
    assert!(found(STANDARD.encode(format!("x{secret}y")).as_bytes(), &[secret]).is_some());
    assert!(found(b"nothing of it", &[secret]).is_none());
}
