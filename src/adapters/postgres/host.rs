//! What only the machine of a server can do: stop it, rewind it, start it as a standby.
//!
//! The job is left behind on the host and goes on if drctl, or the way to the host, is gone; it is looked at by its key.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;

use super::{Failure, parts};
use crate::adapters::secrets::Login;
use crate::model::ids::Digest;
use crate::model::state::{Diverged, JobStage};
use crate::model::target::{DatabaseRef, Host};
use crate::model::time::Timestamp;
use crate::model::wal::{Lsn, WalPoint};
use crate::run::outcome::{Again, CallOutcome};

/// Runs on the host.
const JOB: &str = concat!(include_str!("commits.sh"), include_str!("rejoin.sh"));
/// How ssh says that it failed itself (OpenSSH, ssh(1), «EXIT STATUS»).
const NO_WAY: i32 = 255;
/// The script's own word for a job that still runs (`EX_TEMPFAIL` of sysexits).
const BUSY: i32 = 75;

/// The server that is followed.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// `host:port/database`.
    pub endpoint: &'a str,
    /// A login with the attribute REPLICATION.
    pub login: &'a Login,
    /// Whether it has to speak TLS.
    pub tls: bool,
    /// A process of the server that is rebuilt, as that server tells at its endpoint: it must be one of the host's.
    pub checkpointer: Option<i32>,
}

/// What a host said of a job.
#[derive(Debug)]
pub(super) struct Job {
    /// How far it is.
    pub(super) stage: JobStage,
    /// The last lines that it wrote.
    pub(super) tail: String,
    /// What was only on this server.
    pub(super) diverged: Option<Diverged>,
}

/// A word of a shell, whatever is in it.
fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A value of a connection string (PostgreSQL documentation, «Connection Strings»).
fn value(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The name of the slot that a standby has on its primary.
fn slot(db: &DatabaseRef) -> String {
    let name = format!("drctl_{}_{}", db.component, db.place.name);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(plain).take(63).collect()
}

fn command(words: &[String], otherwise: &str) -> String {
    match words {
        [] => otherwise.to_owned(),
        words => words.iter().map(|w| word(w)).collect::<Vec<_>>().join(" "),
    }
}

/// What stands in front of the job: everything in it is quoted.
fn head(db: &DatabaseRef, host: &Host, source: &Source<'_>, key: &str) -> Result<String, Failure> {
    let Source { endpoint, login, tls, checkpointer } = *source;
    let (name, port, _) = parts(endpoint)?;
    let mode = if tls { "require" } else { "prefer" };
    let way = format!("host={} port={port} user={} sslmode={mode}", value(name), value(&login.username));
    // A standby keeps the password among its settings, where quotes and backslashes are doubled.
    let conninfo = format!("{way} password={} application_name={}", value(&login.password), slot(db));
    let config = host.config.as_deref().unwrap_or_default();
    let option = if config.is_empty() {
        String::new()
    } else {
        format!(" -o {}", word(&format!("-c config_file={config}")))
    };
    let pg_ctl = "pg_ctl -D \"$DATA\" -w -t 120";
    let fields = [
        ("DATA", host.data.as_str()),
        ("BIN", host.bin.as_deref().unwrap_or_default()),
        ("CONFIG", config),
        ("SOURCE", &format!("{way} dbname=postgres")),
        ("CONNINFO", &conninfo.replace('\\', "\\\\").replace('\'', "''")),
        ("SLOT", &slot(db)),
        ("KEY", key),
        ("CHECKPOINTER", &checkpointer.map_or_else(String::new, |pid| pid.to_string())),
        ("PGPASSWORD", &login.password),
    ];
    let mut text: String = fields.iter().map(|(name, value)| format!("{name}={}\n", word(value))).collect();
    text.push_str(&format!(
        "stop() {{ {}; }}\n",
        command(&host.stop, &format!("{pg_ctl} -m fast stop >/dev/null"))
    ));
    let start = format!("{pg_ctl} -l \"$work/server.log\"{option} start >/dev/null");
    text.push_str(&format!("start() {{ {}; }}\n", command(&host.start, &start)));
    Ok(text)
}

/// Leaves the job on the host and starts it, once for each key.
fn launcher(host: &Host, key: &str, head: &str) -> String {
    // Nothing in the job can be this word: it is a digest of it.
    let end = Digest::of_fields(&[head.as_bytes(), JOB.as_bytes()]);
    format!(
        "umask 077; work={data}.drctl; mkdir -p \"$work\" || exit 1\n\
         if [ -e \"$work/{key}.exit\" ]; then exit 0; fi\n\
         flock -n \"$work/lock\" true || {{ echo 'another rebuild of this server runs' >&2; exit {BUSY}; }}\n\
         cat >\"$work/{key}.sh\" <<'{end}' || exit 1\n{head}{JOB}\n{end}\n\
         setsid flock -n -o \"$work/lock\" sh \"$work/{key}.sh\" </dev/null >/dev/null 2>&1 &\n",
        data = word(&host.data),
    )
}

fn question(host: &Host, key: &str) -> String {
    format!(
        "work={data}.drctl\n\
         if [ -e \"$work/{key}.exit\" ]; then printf 'ended '; cat \"$work/{key}.exit\"; echo\n\
         elif [ ! -e \"$work/{key}.sh\" ]; then echo none\n\
         elif flock -n \"$work/lock\" true; then echo gone; else echo running; fi\n\
         if [ -e \"$work/{key}.diverged\" ]; then cat \"$work/{key}.diverged\"; else printf '\\n\\n\\n\\n'; fi\n\
         if [ -e \"$work/{key}.log\" ]; then tail -c 1500 \"$work/{key}.log\"; fi\n",
        data = word(&host.data),
    )
}

/// Runs a text on the host by `sh`, which reads it: nothing of it is in any list of processes.
async fn on(host: &Host, text: String) -> Result<String, Failure> {
    let Some((program, arguments)) = host.run.split_first() else {
        return Err(Failure::Refused("Empty".to_owned(), "`host.run` names no program".to_owned()));
    };
    let mut process = tokio::process::Command::new(program);
    process.args(arguments).arg("sh").kill_on_drop(true).process_group(0);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        process.spawn().map_err(|e| Failure::Refused("NotStarted".to_owned(), format!("{program}: {e}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A host that hangs up early says why with its exit code.
        let _ = stdin.write_all(text.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(|e| Failure::Unclear(format!("{program}: {e}")))?;
    let why = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect::<String>();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(NO_WAY) => Err(Failure::Unclear(format!("{program}: {why}"))),
        // As a code of PostgreSQL's class «object not in prerequisite state»: later is another time.
        Some(BUSY) => Err(Failure::Refused("55P03".to_owned(), why)),
        code => Err(Failure::Refused(format!("exit {}", code.unwrap_or(-1)), why)),
    }
}

/// Starts the job.
pub(super) async fn start(db: &DatabaseRef, source: &Source<'_>, key: &str) -> Result<(), Failure> {
    let host = of(db)?;
    on(host, launcher(host, key, &head(db, host, source, key)?)).await.map(|_| ())
}

/// Looks at the job.
pub(super) async fn look(db: &DatabaseRef, key: &str) -> Result<Job, Failure> {
    let host = of(db)?;
    Ok(read(&on(host, question(host, key)).await?))
}

fn of(db: &DatabaseRef) -> Result<&Host, Failure> {
    db.host.as_ref().ok_or_else(|| {
        Failure::Refused("NoHost".to_owned(), format!("the plan gives no `host` for {}", db.id))
    })
}

fn read(text: &str) -> Job {
    let mut lines = text.lines();
    let stage = match lines.next().unwrap_or_default() {
        "running" => JobStage::Running,
        "gone" => JobStage::Gone,
        line => match line.strip_prefix("ended ").map(|code| code.trim().parse().unwrap_or(-1)) {
            Some(exit) => JobStage::Ended { exit },
            None => JobStage::None,
        },
    };
    let found: Vec<_> = lines.by_ref().take(4).collect();
    Job { stage, diverged: diverged(&found), tail: lines.collect::<Vec<_>>().join("\n") }
}

fn diverged(lines: &[&str]) -> Option<Diverged> {
    let [counted, first, last, kept] = lines else { return None };
    let mut words = counted.split_whitespace();
    let transactions = words.next()?.parse().ok();
    let position = words.next().and_then(|p| Lsn::try_from(p.to_owned()).ok());
    let timeline = words.next().and_then(|t| t.parse().ok());
    let fork = position.zip(timeline).map(|(position, timeline)| WalPoint { timeline, position });
    let time = |text: &str| Timestamp::parse(&format!("{}Z", text.replace(' ', "T"))).ok();
    Some(Diverged { transactions, fork, first: time(first), last: time(last), kept: (*kept).to_owned() })
}

/// A job that could not be left behind.
pub(super) fn refused(failure: Failure) -> CallOutcome {
    match failure {
        Failure::Refused(code, why) if code == "NoHost" || code == "Empty" => {
            CallOutcome::Refused { code, why, again: Again::Never }
        }
        other => other.outcome(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_is_read() {
        let job = read(
            "ended 1\n12 0/3000148 1\n2026-11-21 12:00:01.5\n2026-11-21 12:00:09\n/data.drctl/diverged-k\n12:00:10Z FAILED: x\n",
        );
        assert_eq!(job.stage, JobStage::Ended { exit: 1 });
        let diverged = job.diverged.unwrap();
        assert_eq!(
            (diverged.transactions, diverged.fork.map(|f| f.position)),
            (Some(12), Some(Lsn(0x300_0148)))
        );
        assert!(diverged.first < diverged.last && diverged.first.is_some());
        assert_eq!(job.tail, "12:00:10Z FAILED: x");
        assert!(read("none\n\n\n\n\n").diverged.is_none());
        let copied = read("ended 0\nuncounted\n\n\n/data.before-k\nok\n").diverged.unwrap();
        assert_eq!((copied.transactions, copied.fork, copied.kept.as_str()), (None, None, "/data.before-k"));
    }

    #[test]
    fn hostile_values_stay_values() {
        assert_eq!(word("a'; rm -rf /"), "'a'\\''; rm -rf /'");
        assert_eq!(value("it's \\ x"), "'it\\'s \\\\ x'");
    }
}
