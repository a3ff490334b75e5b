//! Finds secrets in plans and settings. drctl copies these files unchanged to journals, evidence and go-bags, comments included.
//!
//! A secret is found by its form: a password in a URL, in a flag or in a variable, a token in a query, a private key. References to a
//! variable or a file (`$PASSWORD`, `file:..`) are not secrets.

use std::collections::BTreeSet;

use crate::model::document::Node;
use crate::model::finding::{Finding, Span};

/// The finding about a secret.
const FOUND: &str = "secret-in-plan";
/// What is under a key such as `password`.
const KEYED: &str = "the value of a password or a token";
/// The last part of names whose value is a secret.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "mysql_pwd",
    "passphrase",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "access-key",
    "secret_key",
    "secret-key",
    "client_secret",
    "client-secret",
];
/// Prefixes of providers' tokens.
const MARKED: &[&str] =
    &["ghp_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk_live_", "hooks.slack.com/services/"];
/// The minimum length of a secret. A shorter value is a switch or a number.
const SHORTEST: usize = 6;

/// Adds the findings of a file. The found secret is not repeated.
pub fn find(file: &str, text: &str, tree: &Node, findings: &mut Vec<Finding>) {
    in_lines(file, text, findings, in_line);
    in_tree(tree, &mut |span, what| findings.push(finding(file, span, what)));
}

/// Adds the findings of a file that is not valid YAML, so that its lines with secrets are not shown either.
pub fn find_in_text(file: &str, text: &str, findings: &mut Vec<Finding>) {
    in_lines(file, text, findings, |line| in_line(line).or_else(|| under_key(line)));
}

fn in_lines(
    file: &str,
    text: &str,
    findings: &mut Vec<Finding>,
    of_line: impl Fn(&str) -> Option<(usize, &'static str)>,
) {
    let mut offset = 0;
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if let Some((at, what)) = of_line(line) {
            let column = line.get(..at).map_or(1, |before| before.chars().count() + 1);
            findings.push(finding(file, Span { offset: offset + at, len: 1, line: i + 1, column }, what));
        }
        offset += line.len();
    }
}

/// Removes values from the messages of other findings on a line that contains a secret. Cause and fix still say what is wrong.
/// Of several findings about one secret, the first remains.
pub fn hide(findings: &mut Vec<Finding>) {
    let mut places = BTreeSet::new();
    findings.retain(|f| f.id != FOUND || f.span.is_none() || places.insert((f.file.clone(), f.span)));
    let line = |f: &Finding| f.span.map(|span| (f.file.clone(), span.line));
    let secrets: BTreeSet<_> = findings.iter().filter(|f| f.id == FOUND).filter_map(line).collect();
    let others = findings.iter_mut().filter(|f| f.id != FOUND);
    for finding in others.filter(|f| line(f).is_some_and(|at| secrets.contains(&at))) {
        "a value here is not valid; drctl does not show it, because the line contains a secret"
            .clone_into(&mut finding.message);
    }
}

fn finding(file: &str, span: Span, what: &str) -> Finding {
    Finding::error(FOUND, file, Some(span), format!("the file contains {what}"))
        .because("drctl stores plans and settings unchanged in journals, evidence and go-bags, and many people can read them")
        .fix("move the secret out of the file: `env:NAME` or `file:PATH` for a channel, a file or a variable for a command, a secret store for logins. Then rotate the secret")
}

fn in_line(line: &str) -> Option<(usize, &'static str)> {
    if let Some(at) = private_key(line) {
        return Some((at, "a private key"));
    }
    let marked = MARKED.iter().filter_map(|mark| {
        let at = line.find(mark)?;
        let value = value(line.get(at + mark.len()..)?);
        (value.len() >= SHORTEST && is_literal(value)).then_some(at)
    });
    if let Some(at) = marked.min() {
        return Some((at, "a token"));
    }
    in_address(line).or_else(|| assigned(line)).or_else(|| bearer(line))
}

/// `scheme://user:password@host`, and `user:password@host:port`.
fn in_address(line: &str) -> Option<(usize, &'static str)> {
    let with_scheme = line.match_indices("://").find_map(|(at, _)| {
        let rest = line.get(at + 3..)?;
        let authority = value(rest).split(['/', '?', '#']).next()?;
        let (login, _) = authority.rsplit_once('@')?;
        let (_, password) = login.split_once(':')?;
        says_itself(password).then_some((at, "a password in an address"))
    });
    with_scheme.or_else(|| without_scheme(line).map(|at| (at, "a password in an address")))
}

/// Only a host with a port makes it an address: images (`name:tag@sha256:..`) and mail addresses (`mailto:a@b`) look alike.
fn without_scheme(line: &str) -> Option<usize> {
    line.match_indices('@').find_map(|(at, _)| {
        let (before, after) = (line.get(..at)?, value(line.get(at + 1..)?));
        let (host, port) = after.split(['/', '?']).next()?.rsplit_once(':')?;
        let begins = before
            .rfind(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '[' | ',' | '(' | '`' | '='));
        let begins = begins.map_or(0, |i| i + 1);
        let (user, password) = before.get(begins..)?.split_once(':')?;
        let is_port = port.parse::<u16>().is_ok() && !host.is_empty();
        (is_port && !user.is_empty() && !password.starts_with('/') && says_itself(password)).then_some(begins)
    })
}

/// The key itself must follow. A command that searches files for keys contains only the first line.
fn private_key(line: &str) -> Option<usize> {
    let at = line.find("-----BEGIN ")?;
    let rest = line.get(at..)?.split_once("PRIVATE KEY-----").map(|(_, rest)| rest)?;
    (rest.trim().is_empty() || rest.starts_with("\\n")).then_some(at)
}

/// `PGPASSWORD=...`, `--token=...`, `?token=...`. The value of a variable, a flag or a query counts as the secret. In other text, such as
/// SQL, a plain word may be a name or an ordinary value.
fn assigned(line: &str) -> Option<(usize, &'static str)> {
    line.match_indices('=').find_map(|(at, _)| {
        let before = line.get(..at)?;
        let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let begins = before.char_indices().rev().take_while(|(_, c)| of_name(*c)).last().map(|(i, _)| i)?;
        let name = before.get(begins..)?;
        let lower = name.to_ascii_lowercase();
        let query = before.get(..begins)?.ends_with(['?', '&', ';']);
        let of_query = query && ["sig", "signature", "pwd"].contains(&lower.as_str());
        let named = of_query || NAMES.iter().any(|n| lower.ends_with(n));
        let variable = name.chars().all(|c| !c.is_ascii_lowercase());
        let value = value(line.get(at + 1..)?.trim_start_matches(['"', '\'']));
        let says = variable || query || name.starts_with("--") || is_random(value);
        (named && says && value.len() >= SHORTEST && is_literal(value))
            .then_some((begins, "the value of a password or a token"))
    })
}

/// `password: ...` in text that is not valid YAML.
fn under_key(line: &str) -> Option<(usize, &'static str)> {
    line.match_indices(": ").find_map(|(at, _)| {
        let before = line.get(..at)?.trim_end_matches(['"', '\'']);
        let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let begins = before.char_indices().rev().take_while(|(_, c)| of_name(*c)).last().map(|(i, _)| i)?;
        let value = value(line.get(at + 2..)?.trim_start().trim_start_matches(['"', '\'']));
        is_secret(before.get(begins..)?, value).then_some((begins, KEYED))
    })
}

/// Whether a key says that its value is a secret. A name such as `token` may also be one of an application.
fn is_secret(key: &str, value: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let named = NAMES.iter().any(|name| lower.ends_with(name));
    let says = lower.contains("pass") || is_random(value);
    let one = !value.contains(char::is_whitespace);
    named && says && one && value.len() >= SHORTEST && is_literal(value)
}

/// Whether it is more than a word.
fn is_random(value: &str) -> bool {
    value.contains(|c: char| c.is_ascii_digit())
}

/// `Authorization: Bearer ...`.
fn bearer(line: &str) -> Option<(usize, &'static str)> {
    ["Bearer ", "Basic "].iter().find_map(|scheme| {
        let at = line.find(scheme).filter(|_| line.to_ascii_lowercase().contains("authorization"))?;
        let value = value(line.get(at + scheme.len()..)?);
        (value.len() >= SHORTEST && is_literal(value)).then_some((at, "a token"))
    })
}

/// The text up to the end of a value.
fn value(text: &str) -> &str {
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '&' | ',' | ';' | ')' | ']' | '}' | '`' | '|')
    };
    text.find(ends).and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Whether it is neither a variable nor a placeholder.
fn says_itself(value: &str) -> bool {
    !value.is_empty() && !value.starts_with(['$', '%', '<', '{', '('])
}

/// Whether it is the secret itself, and not its place or a command that reads it.
fn is_literal(value: &str) -> bool {
    let elsewhere = ["file:", "env:", "aws-sm:", "arn:"];
    let begins = value.starts_with(['%', '@', '/', '*', '.', '~', '=', '!', '-']);
    let computed = value.contains(['$', '(', '[', '{', '<', '\\']);
    // `t.token`, `backup.sig`, `var.db_password`.
    let path = value.contains('.') && !is_random(value);
    !value.is_empty()
        && !begins
        && !computed
        && !path
        && !elsewhere.iter().any(|place| value.starts_with(place))
}

/// `[mysql, -psecret]`, `[tool, --password, secret]`, `password: secret`.
fn in_tree(node: &Node, found: &mut impl FnMut(Span, &'static str)) {
    let items = node.items();
    let clients = ["mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "mariadb-admin"];
    let program = |text: &str| text.rsplit('/').next().is_some_and(|name| clients.contains(&name));
    for (i, item) in items.iter().enumerate() {
        let Some(text) = item.text() else { continue };
        let next = items.get(i + 1).and_then(Node::text).unwrap_or_default();
        let flag = text.strip_prefix("--").is_some_and(|flag| NAMES.contains(&flag));
        if flag && next.len() >= SHORTEST && is_literal(next) {
            found(items[i + 1].span, "a password or a token after a flag");
        }
        let client = items.iter().take(i).filter_map(Node::text).any(program);
        if client && text.strip_prefix("-p").is_some_and(|p| p.len() >= SHORTEST && is_literal(p)) {
            found(item.span, "the password of a command");
        }
    }
    for (key, value) in node.entries() {
        if value.text().is_some_and(|text| is_secret(&key.text, text)) {
            found(value.span, KEYED);
        }
    }
    items.iter().chain(node.entries().iter().map(|(_, value)| value)).for_each(|below| in_tree(below, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, usize)> {
        let tree = crate::model::document::parse("x.yaml", text.as_bytes()).unwrap();
        let mut findings = Vec::new();
        find("x.yaml", text, &tree, &mut findings);
        assert!(findings.iter().all(|f| !format!("{f:?}").contains("hunter2")), "{findings:?}");
        findings.iter().filter_map(|f| f.span).map(|s| (s.line, s.column)).collect()
    }

    #[test]
    fn what_is_a_secret_by_its_form_is_found_wherever_it_stands() {
        for text in [
            "a: postgres://app:hunter2@db/x",
            "a: 1\n# was: postgres://app:hunter2@db/x",
            "a: [psql, \"postgres://app:hunter2@db/x\"]",
            "a: \"https://x.example/health?token=hunter2-planted\"",
            "a: \"PGPASSWORD=hunter2 pg_dump\"",
            "a: \"tool --api-key='hunter2'\"",
            "a: [mysql, -phunter2]",
            "a: [/usr/bin/mysqldump, -u, root, \"-phunter2\"]",
            "a: [tool, --password, hunter2]",
            "a:\n  - tool\n  - --password\n  - hunter2",
            "a: \"Authorization: Bearer hunter2hunter2\"",
            "a: ghp_hunter2hunter2",
            "a: |\n  -----BEGIN OPENSSH PRIVATE KEY-----\n  b3BlbnNzaC1rZXktdjEAAAAA\n",
            "a: \"-----BEGIN RSA PRIVATE KEY-----\\nMIIEow\"",
            "a: \"x=\u{201c}y\u{201d} token=hunter2hunter2\"",
            "a: \"SELECT 1 WHERE token='hunter2hunter2'\"",
            "a: \"postgres://u:Tr0ub$dor3@h\"",
            "a: \"postgres://u:correct.horse@h\"",
            "a: \"postgres://u:p%40ss@h\"",
            "a: [sudo, mysql, -phunter2]",
            "a: \"https://x.example/c?sv=1&sig=AbCdEf1234\"",
            "a: \"Uid=app;Pwd=hunter22\"",
            "a: \"app:hunter2@10.0.0.5:5432/db\"",
            "a: {username: admin, password: hunter2}",
            "a:\n  DB_PASSWORD: \"hunter2\"",
            "a: {api_key: hunter2hunter2}",
        ] {
            assert_eq!(found(text).len(), 1, "{text}");
        }
        assert_eq!(found("a: 1\nb: x://u:hunter2@h"), [(2, 5)]);
    }

    #[test]
    fn text_that_is_not_yaml_is_read_by_its_lines() {
        let found = |text: &str| {
            let mut findings = Vec::new();
            find_in_text("x.yaml", text, &mut findings);
            findings.iter().filter_map(|f| f.span).map(|s| (s.line, s.column)).collect::<Vec<_>>()
        };
        assert_eq!(found("a: {username: admin, password: hunter2\nb: 1"), [(1, 22)]);
        assert_eq!(found("a: {\n  \"password\": 'hunter2'"), [(2, 4)]);
        assert_eq!(found("a: {password: \"env:SMTP_PASSWORD\""), []);
    }

    #[test]
    fn where_a_secret_is_is_none() {
        for text in [
            "a: {secret: \"aws-sm:ts/db/admin\"}",
            "a: \"PGPASSWORD=$(cat /run/secret) pg_dump\"",
            "a: \"PGPASSWORD=\\\"$PW\\\" pg_dump\"",
            "a: \"https://x.example:8443/health?page=token\"",
            "a: \"https://user@x.example/health\"",
            "a: [mysql, -p, x]",
            "a: \"registry.example:5000/shop:1.4@sha256:4f5e\"",
            "a: \"mailto:oncall@example.com\"",
            "a: \"postgres://$USER:$PW@db.example:5432/x\"",
            "a: \"app:$PW@db.example:5432\"",
            "a: [ssh, -p, \"22222222\", -poolsize]",
            "a: [tool, --password, \"$PASSWORD\", --token, --verbose]",
            "a: [tool, --password-file, /run/secret, --token=@/run/token]",
            "a: \"arn:aws:iam::111111111111:role/token\"",
            "a: token=1",
            "# curl https://hooks.slack.com/services/$SLACK_PATH\na: 1",
            "a: \"https://hooks.slack.com/services/${PATH_OF_IT}\"",
            "a: \"SELECT 1 FROM s JOIN t ON s.token=t.token AND a.access_token=b.access_token\"",
            "a: \"SELECT 1 WHERE reset_token='pending'\"",
            "a: [tool, \"--password=aws-sm:ts/db/admin\", \"--token=arn:aws:secretsmanager:x\"]",
            "a: \"cosign verify --signature=backup.sig\"",
            "a: \"python -c 'token=os.environ[1]'\"",
            "a: \"db_password=var.db_password\"",
            "a: 'set PWD=C:\\restore\\tmp'",
            "a: \"test $token==abcdef\"",
            "a: \"grep -- '-----BEGIN RSA PRIVATE KEY-----' file\"",
            "a: [docker, run, \"-p3306:3306\", mysql]",
            "a: ssh://git@host:22/x",
            "a: {password: \"env:SMTP_PASSWORD\"}",
            "a: {password: \"$PASSWORD\", token: {b: c}}",
            "a: {auth-token: authservice}",
            "a: {passwords: \"SELECT count(*) FROM password WHERE old\"}",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
