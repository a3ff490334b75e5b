//! Runs jobs on the machine of a server, for work that only that machine can do. A job continues if drctl or the connection to
//! the host is lost. drctl finds it again by its key. Only one job at a time runs on a server.

use super::session::{Failure, parts};
use crate::adapters::host::{BUSY, HostFailure, run_script};
use crate::adapters::secrets::Login;
use crate::files::{self, Use};
use crate::kinds::shared::database::{DatabaseRef, Host};
use crate::kinds::shared::rebuild::JobStage;
use crate::model::again::Again;
use crate::model::ids::Digest;
use crate::model::time::Timestamp;
use crate::plan::settings::{SqlSettings, SqlTls};
use crate::run::outcome::CallOutcome;

/// The server that a job connects to: the one that is followed, or the live one.
#[derive(Clone, Copy, Debug)]
pub struct JobServer<'a> {
    /// `host:port/database`.
    pub endpoint: &'a str,
    /// A login of that server: one with the attribute REPLICATION, or the administrator's.
    pub login: &'a Login,
    /// How its certificate is checked.
    pub trust: &'a Trust,
    /// A process of the server, as reported by the endpoint. The job checks that it exists on the host.
    pub checkpointer: Option<i32>,
}

/// How jobs on a host check the certificate of a server: the same way as drctl itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Not checked: `sql.tls` is off.
    Nothing,
    /// Against the host's own CA store.
    System,
    /// Against the certificates of `sql.ca_file`, which are sent along with the job.
    These(String),
}

impl Trust {
    /// The setting of `sql.tls` and `sql.ca_file`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn from_settings(settings: &SqlSettings) -> Result<Self, Failure> {
        match (settings.tls, &settings.ca_path) {
            (SqlTls::Off, _) => Ok(Self::Nothing),
            (SqlTls::Verify, None) => Ok(Self::System),
            (SqlTls::Verify, Some(file)) => match files::read(file, Use::Certificates) {
                Ok(pem) => Ok(Self::These(String::from_utf8_lossy(&pem).into_owned())),
                Err(e) => Err(Failure::Unreachable(format!("sql.ca_file {e}"))),
            },
        }
    }

    /// Shell lines that put the certificates at the path in the connection string. A standby that a job sets up reads them there
    /// as well.
    fn kept(&self, host: &Host) -> String {
        let file = word(&ca_file(host));
        let folder = word(&format!("{}.drctl", host.data));
        match self {
            Self::Nothing => String::new(),
            // The paths of Debian, Fedora, SUSE and Alpine and their derivatives. libpq finds none of them by itself before
            // PostgreSQL 16.
            Self::System => format!(
                "mkdir -p {folder}\nfor ca in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do\n  [ ! -r \"$ca\" ] || {{ ln -sfn \"$ca\" {file}; break; }}\ndone\n"
            ),
            Self::These(text) => {
                let end = Digest::of_fields(&[text.as_bytes()]);
                format!(
                    "mkdir -p {folder}\nrm -f {file}\ncat >{file} <<'{end}'\n{}\n{end}\n",
                    text.trim_end()
                )
            }
        }
    }
}

fn ca_file(host: &Host) -> String {
    format!("{}.drctl/ca.pem", host.data)
}

/// What a host reported about a job.
#[derive(Debug)]
pub(super) struct Job {
    /// The stage of the job.
    pub(super) stage: JobStage,
    /// The last lines of its log.
    pub(super) tail: String,
    /// What it found: the name and values of each line.
    pub(super) facts: Vec<Vec<String>>,
}

/// Quotes any text as one word for a shell.
pub(super) fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Quotes a value in a connection string (PostgreSQL documentation, «Connection Strings»).
pub(super) fn value(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A connection string without the password.
///
/// # Errors
/// If the endpoint is not valid.
pub(super) fn way(host: &Host, asked: &JobServer<'_>) -> Result<String, Failure> {
    let (name, port, _) = parts(asked.endpoint)?;
    let mode = match asked.trust {
        Trust::Nothing => "prefer".to_owned(),
        Trust::System | Trust::These(_) => format!("verify-full sslrootcert={}", value(&ca_file(host))),
    };
    Ok(format!("host={} port={port} user={} sslmode={mode}", value(name), value(&asked.login.username)))
}

fn command(words: &[String], otherwise: &str) -> String {
    match words {
        [] => otherwise.to_owned(),
        words => words.iter().map(|w| word(w)).collect::<Vec<_>>().join(" "),
    }
}

/// The lines at the start of every job: its input, quoted.
pub(super) fn head(host: &Host, key: &str, trust: &Trust, fields: &[(&str, &str)]) -> String {
    let config = host.config.as_deref().unwrap_or_default();
    let option = if config.is_empty() {
        String::new()
    } else {
        format!(" -o {}", word(&format!("-c config_file={config}")))
    };
    let pg_ctl = "pg_ctl -D \"$DATA\" -w -t 120";
    let own = [
        ("DATA", host.data.as_str()),
        ("BIN", host.bin.as_deref().unwrap_or_default()),
        ("CONFIG", config),
        ("KEY", key),
    ];
    let mut text: String =
        own.iter().chain(fields).map(|(name, value)| format!("{name}={}\n", word(value))).collect();
    text.push_str(&format!(
        "stop() {{ {}; }}\n",
        command(&host.stop, &format!("{pg_ctl} -m fast stop >/dev/null"))
    ));
    let start = format!("{pg_ctl} -l \"$work/server.log\"{option} start >/dev/null");
    text.push_str(&format!("start() {{ {}; }}\n", command(&host.start, &start)));
    text + "umask 077\n" + &trust.kept(host)
}

/// Copies the job to the host and starts it, once for each key. The job waits until nobody asks for its state. The file of an
/// earlier job is never overwritten, because it may be running.
fn launcher(host: &Host, key: &str, first: &str, job: &str) -> String {
    // The end mark of the here-document is the digest of the job, so the job cannot contain it.
    let end = Digest::of_fields(&[job.as_bytes()]);
    format!(
        "umask 077; work={data}.drctl; mkdir -p \"$work\" || exit 1\n\
         if [ -e \"$work/{key}.exit\" ]; then exit 0; fi\n\
         {first}\
         flock -w 2 \"$work/lock\" true || {{ echo 'another job on this server runs' >&2; exit {BUSY}; }}\n\
         cat >\"$work/{key}.sh.$$\" <<'{end}' || exit 1\n{job}\n{end}\n\
         mv \"$work/{key}.sh.$$\" \"$work/{key}.sh\" || exit 1\n\
         setsid flock -w 10 -o \"$work/lock\" sh \"$work/{key}.sh\" </dev/null >/dev/null 2>&1 &\n",
        data = word(&host.data),
    )
}

/// Asks for the state of a job. The shared lock blocks no other such request; a job that starts waits for it.
fn question(host: &Host, key: &str) -> String {
    format!(
        "work={data}.drctl\n\
         if [ -e \"$work/{key}.exit\" ]; then printf 'ended '; cat \"$work/{key}.exit\"; echo\n\
         elif [ ! -e \"$work/{key}.sh\" ]; then echo none\n\
         elif flock -s -n \"$work/lock\" true; then echo gone; else echo running; fi\n\
         if [ -e \"$work/{key}.facts\" ]; then sed 's/^/\\t/' \"$work/{key}.facts\"; fi\n\
         if [ -e \"$work/{key}.log\" ]; then tail -c 1500 \"$work/{key}.log\"; fi\n",
        data = word(&host.data),
    )
}

/// Runs a script on the host.
pub(super) async fn on(host: &Host, text: String) -> Result<String, Failure> {
    run_script(&host.run, &text).await.map_err(|failure| match failure {
        HostFailure::NoProgram => {
            Failure::Refused("Empty".to_owned(), "`host.run` names no program".to_owned())
        }
        HostFailure::NotStarted(why) => Failure::Refused("NotStarted".to_owned(), why),
        // Reported as a code of PostgreSQL's class «object not in prerequisite state», so that drctl tries again later.
        HostFailure::Busy(why) => Failure::Refused("55P03".to_owned(), why),
        HostFailure::InDoubt(why) => Failure::Unclear(why),
        HostFailure::Ended { code, why } => Failure::Refused(format!("exit {code}"), why),
    })
}

/// Starts a job. `first` runs before the job takes the lock.
pub(super) async fn start(host: &Host, key: &str, first: &str, job: &str) -> Result<(), Failure> {
    on(host, launcher(host, key, first, job)).await.map(|_| ())
}

/// The state of a job.
pub(super) async fn look(db: &DatabaseRef, key: &str) -> Result<Job, Failure> {
    let host = of_database(db)?;
    Ok(read(&on(host, question(host, key)).await?))
}

/// The machine of a server.
pub(super) fn of_database(db: &DatabaseRef) -> Result<&Host, Failure> {
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
    let rest: Vec<_> = lines.collect();
    let (facts, tail) = rest.split_at(rest.iter().take_while(|line| line.starts_with('\t')).count());
    Job { stage, facts: facts.iter().map(|line| fields(&line[1..])).collect(), tail: tail.join("\n") }
}

/// A line of a job: a name and its values, separated by tabs.
pub(super) fn fields(line: &str) -> Vec<String> {
    line.split('\t').map(str::to_owned).collect()
}

/// A time as a server or a list of backups writes it; UTC if it has no zone.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let zoned = text.ends_with('Z') || text.rfind(['+', '-']).is_some_and(|at| at > 10);
    let text = if zoned { text.to_owned() } else { format!("{text}Z") };
    Timestamp::parse(&text.replacen(' ', "T", 1)).ok()
}

/// The outcome if a job could not be started.
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
            "ended 1\n\tdiverged\t12\n\tposition\t0/3000148\t1\n12:00:09Z stopping\n12:00:10Z FAILED: x\n",
        );
        assert_eq!(job.stage, JobStage::Ended { exit: 1 });
        assert_eq!(job.facts, [vec!["diverged", "12"], vec!["position", "0/3000148", "1"]]);
        assert_eq!(job.tail, "12:00:09Z stopping\n12:00:10Z FAILED: x");
        assert!(matches!(read("none\n").stage, JobStage::None));
        assert!(matches!(read("").stage, JobStage::None));
    }

    #[test]
    fn jobs_check_the_certificate_as_drctl_does() {
        let host = Host {
            run: vec!["sh".to_owned()],
            data: "/srv/it's".to_owned(),
            bin: None,
            config: None,
            stop: Vec::new(),
            start: Vec::new(),
            replication_secret: "file:r".to_owned(),
        };
        let login = Login::parse(r#"{"username": "repl", "password": "p"}"#).unwrap();
        let of = |trust: Trust| {
            let asked =
                JobServer { endpoint: "db-west:5433/app", login: &login, trust: &trust, checkpointer: None };
            (way(&host, &asked).unwrap(), head(&host, "k", &trust, &[]))
        };
        let (plain, text) = of(Trust::Nothing);
        assert!(plain.ends_with("sslmode=prefer") && !text.contains("ca.pem"), "{plain}\n{text}");
        for trust in [Trust::System, Trust::These("PEM\n".to_owned())] {
            let (way, text) = of(trust);
            let checked = "host='db-west' port=5433 user='repl' sslmode=verify-full sslrootcert='/srv/it\\'s.drctl/ca.pem'";
            assert_eq!(way, checked);
            assert!(text.contains("'/srv/it'\\''s.drctl/ca.pem'"), "{text}");
        }
        assert!(of(Trust::These("PEM\n".to_owned())).1.contains("\nPEM\n"));
    }

    #[test]
    fn hostile_values_stay_values() {
        assert_eq!(word("a'; rm -rf /"), "'a'\\''; rm -rf /'");
        assert_eq!(value("it's \\ x"), "'it\\'s \\\\ x'");
    }
}
