//! The fence by `pg_hba.conf`: rules at the top reject every client except drctl's own login. A job on the server's host writes
//! them and removes them ([`super::hba_rules`] has their text).
//!
//! The proof is the behavior of the server: its rules begin with these, none of them has an error, and it loaded them after they
//! were written; it rejects an unknown login because of them; and two censuses ([`super::census`]) find no writer.
//! `pg_hba_file_rules` alone shows the content of the file, not what the server loaded.

use tokio_postgres::Client;

use super::census::{self, Census, KnownClients};
use super::fence::{self, open_state};
use super::hba_rules::Read;
use super::host::{self, Trust, fields, head};
use super::session::{CommitAge, Failure, json, parts};
use super::way::DatabaseAccess;
use super::{Postgres, server};
use crate::adapters::secrets::{Knock, Login};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::{FenceMethod, FenceStage, FenceState};
use crate::model::time::Dur;
use crate::run::outcome::CallOutcome;

/// Runs on the host.
const JOB: &str =
    concat!(include_str!("this_server.sh"), include_str!("hba_marks.sh"), include_str!("hba.sh"));
/// Limit on setting or lifting it.
const MOST: Dur = Dur::secs(45);
/// Limit on the time until the server has loaded the file.
const READS: Dur = Dur::secs(5);
const AGAIN: Dur = Dur(100);
const METHOD: FenceMethod = FenceMethod::PgHba;

/// Rights that the login needs in the database it is connected to.
const MAY: &str = "SELECT (pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') AND has_table_privilege('pg_hba_file_rules', 'SELECT') \
     AND has_function_privilege('pg_hba_file_rules()', 'EXECUTE'))::text";
const RULES: &str = "SELECT jsonb_build_object('file', current_setting('hba_file'), 'own', current_user, \
     'loaded', (extract(epoch FROM pg_conf_load_time()) * 1000000)::bigint, \
     'roles', (SELECT coalesce(jsonb_agg(rolname), '[]') FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')), \
     'client', host(inet_client_addr()), 'server', host(inet_server_addr()), \
     'rules', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM pg_hba_file_rules r))::text";

/// What the host reports.
#[derive(Debug, Default)]
struct HbaReport {
    /// `whole`, `none` or `broken`.
    mark: String,
    /// When the file was renamed into place, in microseconds.
    changed: Option<i64>,
    obstacles: Vec<String>,
}

/// A request to the host.
struct HbaRequest<'a> {
    what: &'static str,
    key: &'a str,
    file: &'a str,
    lines: &'a str,
    pids: &'a str,
}

fn read(text: &str) -> HbaReport {
    let mut seen = HbaReport::default();
    for line in text.lines().map(fields) {
        match line.as_slice() {
            [name, value] if name == "mark" => seen.mark.clone_from(value),
            [name, value] if name == "changed" => seen.changed = micros(value),
            [name, value] if name == "obstacle" => seen.obstacles.push(value.clone()),
            _ => {}
        }
    }
    seen
}

/// Parses seconds, with or without a fraction, into microseconds.
fn micros(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(whole.parse::<i64>().ok()? * 1_000_000 + fraction)
}

async fn rules(client: &Client) -> Result<Result<Read, String>, Failure> {
    if !json::<bool>(client, MAY).await? {
        let row = client.query_one("SELECT current_user::text, current_database()::text", &[]).await;
        let (own, here): (String, String) =
            row.map(|r| (r.get(0), r.get(1))).map_err(|e| Failure::from_error(&e))?;
        return Ok(Err(format!(
            "{own} cannot read the rules of pg_hba.conf (in database {here}: GRANT SELECT ON pg_hba_file_rules TO {own}; GRANT EXECUTE ON FUNCTION pg_hba_file_rules TO {own}; GRANT pg_read_all_settings TO {own})"
        )));
    }
    json(client, RULES).await.map(Ok)
}

/// Why the fence is not proven yet, as far as the server's own view of its rules shows; `None` if it is.
fn ajar(seen: &HbaReport, rules: &Read) -> Option<String> {
    let loaded = seen.changed.is_some_and(|changed| rules.loaded > changed);
    match (seen.mark.as_str(), rules.shut(), rules.broken()) {
        ("whole", true, None) if loaded => None,
        ("whole", true, None) => Some("the server has not read them yet".to_owned()),
        ("whole", _, Some(why)) => Some(why),
        ("whole", false, None) => Some("other rules come before them".to_owned()),
        _ => Some("they are incomplete".to_owned()),
    }
}

impl Postgres {
    /// Whether the fence holds, and how old the last commit before it is. Uses a new session, because a session sees the rules as
    /// the server last loaded them.
    pub(super) async fn hba_state(
        &self,
        client: &Client,
        way: &DatabaseAccess<'_>,
        db: &DatabaseRef,
    ) -> Result<(FenceState, Option<CommitAge>), Failure> {
        let known = KnownClients::for_database(db, METHOD);
        let census = census::take(client).await?;
        if census.replica {
            return fence::look(client, db, METHOD).await;
        }
        let rules = match rules(client).await? {
            Ok(rules) => rules,
            Err(may_not) => {
                let obstacles = vec![may_not];
                return Ok((
                    FenceState { obstacles, ..open_state("drctl cannot read the rules of pg_hba.conf") },
                    None,
                ));
            }
        };
        let asked = HbaRequest { what: "look", key: "look", file: &rules.file, lines: "", pids: "" };
        let seen = read(&self.on_its_host(db, client, way.endpoint, asked).await?);
        let noted = fence::begun(&census, METHOD);
        if seen.mark == "none" && !noted {
            return Ok((untouched(&census, known, seen, &rules), None));
        }
        let stage = |stage, proof: String| Ok((FenceState { stage, ..open_state(&proof) }, None));
        let file = &rules.file;
        if seen.mark == "none" {
            let what = "the catalog has the mark of the fence, but the lines of drctl are missing in";
            return stage(FenceStage::Partial, format!("not proven: {what} {file}"));
        }
        if let Some(why) = ajar(&seen, &rules) {
            return stage(
                FenceStage::Partial,
                format!("not proven: the lines of drctl are in {file}, but {why}"),
            );
        }
        if !noted {
            let what = "lets nobody in, but the fence did not record where the WAL ended";
            return stage(FenceStage::Partial, format!("not proven: {file} {what}"));
        }
        let refused = match self.stranger(way).await {
            Ok(refused) => refused,
            Err(why) => return stage(FenceStage::Partial, format!("not proven by {file}: {why}")),
        };
        let (found, commit) = fence::look(client, db, METHOD).await?;
        let proof = match found.proven {
            true => format!(
                "the server has read {file}, whose first rules reject every client except drctl ({refused}); {}",
                found.proof
            ),
            false => found.proof,
        };
        Ok((FenceState { proof, ..found }, commit))
    }

    /// Checks that these rules reject a login that was never allowed, before the server asks for a password.
    async fn stranger(&self, way: &DatabaseAccess<'_>) -> Result<String, String> {
        let nobody =
            Login::parse(r#"{"username": "drctl_fenced", "password": "-"}"#).map_err(|e| e.to_string())?;
        match self.knock(way.endpoint, &nobody, METHOD).await {
            Knock::Shut(why) => Ok(why),
            Knock::Open => Err("the server accepted an unknown login".to_owned()),
            Knock::NoProof(why) => {
                Err(format!("the server refused an unknown login, but not because of this file: {why}"))
            }
        }
    }

    /// Adds the rules, makes the server load them, and terminates the sessions.
    pub(super) async fn hba_set(
        &self,
        db: &DatabaseRef,
        endpoint: &str,
        login: &Login,
        key: &str,
    ) -> CallOutcome {
        let work = async {
            let way = self.way(endpoint, login);
            let client = self.connect(endpoint, login).await?;
            let census = census::take(&client).await?;
            let refuse = |code: &str, why: String| Err(Failure::Refused(code.to_owned(), why));
            if census.replica {
                return refuse("replica", "it is a replica; the writer is another".to_owned());
            }
            if let Some(why) = census.may_not_note() {
                return refuse("42501", why);
            }
            let rules = match rules(&client).await? {
                Ok(rules) => rules,
                Err(may_not) => return refuse("42501", may_not),
            };
            if let Some(why) = rules.broken() {
                return refuse("F0000", why);
            }
            let lines = match rules.lines() {
                Ok(lines) => lines,
                Err(why) => return refuse("F0000", why),
            };
            let file = &rules.file;
            let asked = HbaRequest { what: "set", key, file, lines: &lines, pids: "" };
            self.on_its_host(db, &client, endpoint, asked).await?;
            let client = match self.read_by_now(&way).await {
                Err(Failure::Login(why)) => {
                    // A server that drctl itself cannot reach helps nobody, so undo it.
                    let asked = HbaRequest { what: "lift", key, file, lines: "", pids: "" };
                    self.on_its_host(db, &client, endpoint, asked).await?;
                    return refuse(
                        "F0000",
                        format!("the server refused the login of drctl, so drctl undid the change: {why}"),
                    );
                }
                client => client?,
            };
            self.end_sessions(db, &client, endpoint, (key, file)).await?;
            fence::note(&client).await
        };
        match self.within_or(work, MOST).await {
            Ok(()) => CallOutcome::Accepted { token: None },
            Err(failure) => host::refused(failure),
        }
    }

    /// A session that started after the server loaded the file. After `READS`, returns the latest session all the same; the proof
    /// decides.
    async fn read_by_now(&self, way: &DatabaseAccess<'_>) -> Result<Client, Failure> {
        let until = self.world.now() + READS;
        loop {
            let client = self.connect(way.endpoint, way.login).await?;
            if matches!(rules(&client).await?, Ok(rules) if rules.shut()) && self.stranger(way).await.is_ok()
                || self.world.now() >= until
            {
                return Ok(client);
            }
            self.world.sleep_until(self.world.now() + AGAIN).await;
        }
    }

    /// Terminates sessions by SQL; then, through the host, those of superusers and others that the login may not terminate.
    async fn end_sessions(
        &self,
        db: &DatabaseRef,
        client: &Client,
        endpoint: &str,
        (key, file): (&str, &str),
    ) -> Result<(), Failure> {
        let known = KnownClients::for_database(db, METHOD);
        fence::end(client, known).await?;
        let left = census::take(client).await?.to_end(known);
        if !left.is_empty() {
            let pids = left.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let asked = HbaRequest { what: "end", key, file, lines: "", pids: &pids };
            self.on_its_host(db, client, endpoint, asked).await?;
        }
        Ok(())
    }

    /// Removes the rules from the file, and the word from the catalog.
    pub(super) async fn hba_lift(
        &self,
        db: &DatabaseRef,
        endpoint: &str,
        login: &Login,
        key: &str,
    ) -> CallOutcome {
        let work = async {
            // The rules may keep drctl out if it comes from another address. The host knows its file without the server.
            let client = self.connect(endpoint, login).await.ok();
            let file = match &client {
                Some(client) => rules(client).await?.map_or_else(|_| String::new(), |r| r.file),
                None => String::new(),
            };
            let asked = HbaRequest { what: "lift", key, file: &file, lines: "", pids: "" };
            match &client {
                Some(client) => self.on_its_host(db, client, endpoint, asked).await?,
                None => self.on_host_of(db, None, endpoint, asked).await?,
            };
            let until = self.world.now() + READS;
            let client = loop {
                match self.connect(endpoint, login).await {
                    Err(Failure::Login(_)) if self.world.now() < until => {
                        self.world.sleep_until(self.world.now() + AGAIN).await;
                    }
                    client => break client?,
                }
            };
            fence::open(&client, &self.way(endpoint, login), METHOD).await
        };
        match self.within_or(work, MOST).await {
            Ok(()) => CallOutcome::Accepted { token: None },
            Err(failure) => host::refused(failure),
        }
    }

    async fn on_its_host(
        &self,
        db: &DatabaseRef,
        client: &Client,
        endpoint: &str,
        asked: HbaRequest<'_>,
    ) -> Result<String, Failure> {
        self.on_host_of(db, server::checkpointer(client).await?, endpoint, asked).await
    }

    async fn on_host_of(
        &self,
        db: &DatabaseRef,
        checkpointer: Option<i32>,
        endpoint: &str,
        asked: HbaRequest<'_>,
    ) -> Result<String, Failure> {
        let host = host::of_database(db)?;
        let (_, port, _) = parts(endpoint)?;
        let checkpointer = checkpointer.map_or_else(String::new, |pid| pid.to_string());
        let port = port.to_string();
        let own = [
            ("CHECKPOINTER", checkpointer.as_str()),
            ("PORT", &port),
            ("DO", asked.what),
            ("HBA", asked.file),
            ("LINES", asked.lines),
            ("PIDS", asked.pids),
        ];
        host::on(host, format!("{}{JOB}", head(host, asked.key, &Trust::Nothing, &own))).await
    }
}

/// The state of a fence that was never set, with what would prevent its proof.
fn untouched(census: &Census, known: KnownClients<'_>, seen: HbaReport, rules: &Read) -> FenceState {
    let mut obstacles = census.obstacles(known);
    obstacles.extend(seen.obstacles);
    obstacles.extend(rules.broken());
    obstacles.extend(rules.lines().err());
    FenceState { obstacles, ..open_state("pg_hba.conf accepts clients") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_of_the_file_is_read() {
        let seen = read("mark\twhole\nchanged\t1700000000.25\nobstacle\tflock is not in the path\n");
        assert_eq!((seen.mark.as_str(), seen.changed), ("whole", Some(1_700_000_000_250_000)));
        assert_eq!(seen.obstacles, ["flock is not in the path"]);
        assert_eq!((micros("17"), micros("-")), (Some(17_000_000), None));
    }
}
