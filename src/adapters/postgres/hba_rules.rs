//! The rules of `pg_hba.conf` as a server reads them, and the rules that a fence adds.
//!
//! Sources: PostgreSQL documentation, «The pg_hba.conf File» and «pg_hba_file_rules». The keyword `all` does not match connections of
//! physical replication, so standbys continue.

use std::net::IpAddr;

use serde::Deserialize;

/// The answer to the query for the rules.
#[derive(Debug, Deserialize)]
pub(super) struct Read {
    /// The file.
    pub(super) file: String,
    /// When the server last loaded its settings, in microseconds.
    pub(super) loaded: i64,
    pub(super) own: String,
    /// Roles that drctl's own role is a member of.
    roles: Vec<String>,
    /// drctl's address as the server sees it.
    client: IpAddr,
    server: IpAddr,
    rules: Vec<Rule>,
}

/// A line of the file. A line with an error has no other fields.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rule {
    line_number: Option<u32>,
    #[serde(rename = "type")]
    kind: Option<String>,
    database: Option<Vec<String>>,
    user_name: Option<Vec<String>>,
    address: Option<String>,
    netmask: Option<String>,
    auth_method: Option<String>,
    options: Option<Vec<String>>,
    error: Option<String>,
    /// The file, from PostgreSQL 16 on, which can include other files.
    file_name: Option<String>,
}

/// Whether a rule applies to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Covers {
    Never,
    /// The server decides: the rule has a host name, or one of the keywords for its own networks.
    Perhaps,
    Always,
}

impl Read {
    /// Why the server would not load the file. If one line is wrong, the server keeps the previous rules.
    pub(super) fn broken(&self) -> Option<String> {
        let of = |rule: &Rule| {
            let error = rule.error.as_deref()?;
            let file = rule.file_name.as_deref().unwrap_or(&self.file);
            let line = rule.line_number.unwrap_or_default();
            Some(format!("line {line} of {file} is wrong, so the server ignores the new file: {error}"))
        };
        self.rules.iter().find_map(of)
    }

    /// Whether the first rules let in nobody but the role that asks.
    pub(super) fn shut(&self) -> bool {
        let (mut local, mut host) = (false, false);
        for rule in &self.rules {
            if rule.rejects_all() {
                local |= rule.kind.as_deref() == Some("local");
                host |= rule.kind.as_deref() == Some("host") && rule.address.as_deref() == Some("all");
            } else if rule.user_name.as_deref() != Some(std::slice::from_ref(&self.own)) {
                return false;
            }
            if local && host {
                return true;
            }
        }
        false
    }

    /// The lines that the fence adds: first every rule that lets drctl's own login in now, limited to its address and the
    /// server's own; then a rejection of everyone.
    ///
    /// # Errors
    /// If no rule lets drctl's login in.
    pub(super) fn lines(&self) -> Result<String, String> {
        let mut lines = self.kept(&[self.client], &net(self.client));
        if lines.is_empty() {
            let why = format!("no rule of {} lets {} in from {}", self.file, self.own, self.client);
            return Err(format!("{why}; the server runs with a different file than the one on the host"));
        }
        // Jobs on the server's host connect to it as well.
        let loopback = if self.server.is_ipv4() { "127.0.0.1" } else { "::1" };
        let here: Vec<_> = [self.server].into_iter().chain(loopback.parse()).collect();
        if !self.client.is_loopback() {
            lines.extend(self.kept(&here, "samehost"));
        }
        lines.extend(["local all all reject", "host all all all reject"].map(str::to_owned));
        Ok(lines.join("\n"))
    }

    /// Rules that may apply to one of these addresses, up to the first that always does.
    fn kept(&self, addresses: &[IpAddr], narrowed: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for rule in self.rules.iter().filter(|r| r.is_for(&self.own, &self.roles)) {
            let covers = addresses.iter().map(|a| rule.covers(*a)).find(|c| *c != Covers::Never);
            let address = match covers {
                None | Some(Covers::Never) => continue,
                Some(Covers::Always) => narrowed,
                Some(Covers::Perhaps) => rule.address.as_deref().unwrap_or_default(),
            };
            lines.extend(rule.line(&self.own, address));
            let any = rule.kind.as_deref() == Some("host") && rule.has_database("all");
            if any && covers == Some(Covers::Always) {
                break;
            }
        }
        lines
    }
}

impl Rule {
    fn has_database(&self, name: &str) -> bool {
        self.database.iter().flatten().any(|d| d == name)
    }

    fn rejects_all(&self) -> bool {
        let everybody = self.user_name.iter().flatten().any(|u| u == "all");
        everybody && self.has_database("all") && self.auth_method.as_deref() == Some("reject")
    }

    /// Whether the rule is for a role. Only the server can match a regular expression, so it counts as a match, and is written
    /// for this role alone.
    fn is_for(&self, own: &str, roles: &[String]) -> bool {
        let member = |name: &str| name.strip_prefix('+').is_some_and(|of| roles.iter().any(|r| r == of));
        self.error.is_none()
            && self.kind.as_deref() != Some("local")
            && self
                .user_name
                .iter()
                .flatten()
                .any(|u| u == "all" || u == own || u.starts_with('/') || member(u))
    }

    fn covers(&self, address: IpAddr) -> Covers {
        let Some(named) = self.address.as_deref() else { return Covers::Never };
        let mask = self.netmask.as_deref().and_then(|m| m.parse::<IpAddr>().ok());
        match (named, named.parse::<IpAddr>(), mask) {
            ("all", ..) => Covers::Always,
            (_, Ok(net), Some(mask)) if within(address, net, mask) => Covers::Always,
            (_, Ok(_), _) => Covers::Never,
            _ => Covers::Perhaps,
        }
    }

    /// The same rule for one role at one address.
    fn line(&self, own: &str, address: &str) -> Option<String> {
        let keywords = ["all", "sameuser", "samerole", "samegroup"];
        let databases = self.database.iter().flatten().filter(|d| *d != "replication");
        let databases: Vec<_> =
            databases.map(|d| if keywords.contains(&d.as_str()) { d.clone() } else { quoted(d) }).collect();
        let (kind, method) = (self.kind.as_deref()?, self.auth_method.as_deref()?);
        let options: String = self.options.iter().flatten().map(|o| format!(" {}", quoted(o))).collect();
        let databases = databases.join(",");
        (!databases.is_empty())
            .then(|| format!("{kind} {databases} {} {address} {method}{options}", quoted(own)))
    }
}

/// Quotes a word, so that it is not read as a keyword.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn net(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

fn within(address: IpAddr, net: IpAddr, mask: IpAddr) -> bool {
    match (address, net, mask) {
        (IpAddr::V4(a), IpAddr::V4(n), IpAddr::V4(m)) => {
            a.to_bits() & m.to_bits() == n.to_bits() & m.to_bits()
        }
        (IpAddr::V6(a), IpAddr::V6(n), IpAddr::V6(m)) => {
            a.to_bits() & m.to_bits() == n.to_bits() & m.to_bits()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(n: u32, of: [&str; 6]) -> Rule {
        let [kind, database, user, address, netmask, method] = of;
        let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        let list = |t: &str| (!t.is_empty()).then(|| t.split(',').map(str::to_owned).collect());
        Rule {
            line_number: Some(n),
            kind: text(kind),
            database: list(database),
            user_name: list(user),
            address: text(address),
            netmask: text(netmask),
            auth_method: text(method),
            options: None,
            error: None,
            file_name: None,
        }
    }

    fn read(rules: Vec<Rule>) -> Read {
        Read {
            file: "/etc/pg_hba.conf".to_owned(),
            loaded: 0,
            own: "drctl".to_owned(),
            roles: vec!["ops".to_owned()],
            client: "10.0.9.9".parse().unwrap(),
            server: "10.0.0.2".parse().unwrap(),
            rules,
        }
    }

    #[test]
    fn only_what_let_drctl_in_is_kept_for_its_address_and_login() {
        let mut certified =
            rule(5, ["hostssl", "orders,replication", "+ops", "10.0.0.0", "255.255.0.0", "cert"]);
        certified.options = Some(vec!["map=a \"b\"".to_owned()]);
        let of = read(vec![
            rule(1, ["local", "all", "all", "", "", "peer"]),
            rule(2, ["host", "all", "app", "10.0.9.0", "255.255.255.0", "md5"]),
            rule(3, ["host", "replication", "all", "10.0.0.0", "255.0.0.0", "md5"]),
            rule(4, ["hostnossl", "all", "all", "all", "", "reject"]),
            certified,
            rule(6, ["host", "all", "drctl", "vpn.example", "", "scram-sha-256"]),
            rule(7, ["host", "all", "all", "10.0.0.0", "255.0.0.0", "scram-sha-256"]),
            rule(8, ["host", "all", "all", "all", "", "trust"]),
        ]);
        let lines = of.lines().unwrap();
        assert_eq!(
            lines.lines().collect::<Vec<_>>(),
            [
                "hostnossl all \"drctl\" 10.0.9.9/32 reject",
                "hostssl \"orders\" \"drctl\" 10.0.9.9/32 cert \"map=a \"\"b\"\"\"",
                "host all \"drctl\" vpn.example scram-sha-256",
                "host all \"drctl\" 10.0.9.9/32 scram-sha-256",
                "hostnossl all \"drctl\" samehost reject",
                "hostssl \"orders\" \"drctl\" samehost cert \"map=a \"\"b\"\"\"",
                "host all \"drctl\" vpn.example scram-sha-256",
                "host all \"drctl\" samehost scram-sha-256",
                "local all all reject",
                "host all all all reject",
            ]
        );
        let nobody = read(vec![rule(1, ["host", "all", "app", "all", "", "trust"])]);
        assert!(nobody.lines().unwrap_err().contains("lets drctl in from 10.0.9.9"));
    }

    #[test]
    fn the_file_is_shut_only_if_nobody_else_comes_first() {
        let keep = rule(1, ["host", "all", "drctl", "10.0.9.9", "255.255.255.255", "trust"]);
        let local = rule(2, ["local", "all", "all", "", "", "reject"]);
        let host = rule(3, ["host", "all", "all", "all", "", "reject"]);
        let app = rule(4, ["host", "all", "app", "all", "", "trust"]);
        let shut = |rules: &[&Rule]| read(rules.iter().map(|r| (*r).clone()).collect()).shut();
        assert!(shut(&[&keep, &local, &host, &app]));
        assert!(!shut(&[&app, &keep, &local, &host]));
        assert!(!shut(&[&keep, &local, &app, &host]));
        assert!(!shut(&[&keep, &host, &app]) && !shut(&[&keep]) && !shut(&[]));
        let some = rule(3, ["host", "all", "all", "10.0.0.0", "255.0.0.0", "reject"]);
        assert!(!shut(&[&keep, &local, &some]));
        let broken = Rule { error: Some("end-of-line before database".to_owned()), ..rule(7, [""; 6]) };
        let why = read(vec![keep, broken]).broken().unwrap();
        assert!(why.starts_with("line 7 of /etc/pg_hba.conf is wrong"), "{why}");
    }
}
