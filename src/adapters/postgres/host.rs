//! What only the machine of a server can do runs there as a job, which continues if drctl or the connection to it is gone. drctl finds the
//! job by its key. Only one job at a time runs on a server.

use super::{Failure, parts};
use crate::adapters::process::{self, Given, Program};
use crate::adapters::secrets::{Login, scrubbed};
use crate::files::{self, Use};
use crate::kinds::shared::database::{DatabaseRef, Host};
use crate::kinds::shared::rebuild::JobStage;
use crate::model::ids::Digest;
use crate::model::time::Timestamp;
use crate::plan::settings::{SqlSettings, SqlTls};
use crate::run::outcome::{Again, CallOutcome};

/// More than any job has to say.
const MOST_BYTES: usize = 4 << 20;
/// How ssh says that it failed itself (OpenSSH, ssh(1), «EXIT STATUS»).
const NO_WAY: i32 = 255;
/// The script's own word for a job that still runs (`EX_TEMPFAIL` of sysexits).
const BUSY: i32 = 75;

/// The server that a job asks: the one that is followed, or the live one.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `host:port/database`.
    pub endpoint: &'a str,
    /// A login there: one with the attribute REPLICATION, or the administrator's.
    pub login: &'a Login,
    /// What its certificate is checked with.
    pub trust: &'a Trust,
    /// A process of the server on the host, as that server tells at its endpoint: it must be one of the host's.
    pub checkpointer: Option<i32>,
}

/// What jobs on a host check the certificate of a server with: the same as drctl itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: `sql.tls` is off.
    Nothing,
    /// The host's own store of CAs.
    System,
    /// The certificates of `sql.ca_file`, which come with the job.
    These(String),
}

impl Trust {
    /// As the settings have it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn of(settings: &SqlSettings) -> Result<Self, Failure> {
        match (settings.tls, &settings.ca_file) {
            (SqlTls::Off, _) => Ok(Self::Nothing),
            (SqlTls::Verify, None) => Ok(Self::System),
            (SqlTls::Verify, Some(file)) => match files::read(file.as_ref(), Use::Certificates) {
                Ok(pem) => Ok(Self::These(String::from_utf8_lossy(&pem).into_owned())),
                Err(e) => Err(Failure::Unreachable(format!("sql.ca_file {e}"))),
            },
        }
    }

    /// Puts the certificates where a connection string names them; the standby that a job leaves behind reads them there, too.
    fn kept(&self, host: &Host) -> String {
        let file = word(&ca_file(host));
        let folder = word(&format!("{}.drctl", host.data));
        match self {
            Self::Nothing => String::new(),
            // Debian and its like, Fedora and its like, SUSE, Alpine. libpq itself finds none before PostgreSQL 16.
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
    /// How far it is.
    pub(super) stage: JobStage,
    /// The last lines that it wrote.
    pub(super) tail: String,
    /// What it found: of each line the name and the values.
    pub(super) facts: Vec<Vec<String>>,
}

/// A word of a shell, whatever is in it.
pub(super) fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A value of a connection string (PostgreSQL documentation, «Connection Strings»).
pub(super) fn value(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A connection string without the password.
///
/// # Errors
/// If the endpoint is none.
pub(super) fn way(host: &Host, asked: &Asked<'_>) -> Result<String, Failure> {
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

/// What stands in front of every job: everything in it is quoted.
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

/// Leaves the job on the host and starts it, once for each key. The job waits for whoever asks about it at that moment; the file of
/// one that was asked for before is never written over, because it may run.
fn launcher(host: &Host, key: &str, first: &str, job: &str) -> String {
    // Nothing in the job can be this word: it is a digest of it.
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

/// A shared lock keeps no other question waiting, and a job that begins waits for it.
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

/// Runs a text on the host by `sh`, which reads it: nothing of it is in any list of processes.
pub(super) async fn on(host: &Host, text: String) -> Result<String, Failure> {
    let Some((program, arguments)) = host.run.split_first() else {
        return Err(Failure::Refused("Empty".to_owned(), "`host.run` names no program".to_owned()));
    };
    let run = Program {
        argv: (program, arguments),
        last: Some("sh"),
        input: Some(&text),
        given: Given::All,
        keep: MOST_BYTES,
    };
    let ended = process::run(run, std::future::pending()).await;
    let ended = ended.map_err(|e| Failure::Refused("NotStarted".to_owned(), format!("{program}: {e}")))?;
    // Cut after it was scrubbed: half of a secret would be none that anybody knows.
    let why = scrubbed(ended.err.text()).trim().chars().take(300).collect::<String>();
    match ended.code {
        Some(0) if ended.out.cut => {
            Err(Failure::Unclear(format!("{program} printed more than {} MiB", MOST_BYTES >> 20)))
        }
        Some(0) => Ok(ended.out.text()),
        Some(NO_WAY) => Err(Failure::Unclear(format!("{program}: {why}"))),
        // As a code of PostgreSQL's class «object not in prerequisite state»: later is another time.
        Some(BUSY) => Err(Failure::Refused("55P03".to_owned(), why)),
        code => Err(Failure::Refused(format!("exit {}", code.unwrap_or(-1)), why)),
    }
}

/// Starts a job. `first` is done before it takes the lock.
pub(super) async fn start(host: &Host, key: &str, first: &str, job: &str) -> Result<(), Failure> {
    on(host, launcher(host, key, first, job)).await.map(|_| ())
}

/// Looks at a job.
pub(super) async fn look(db: &DatabaseRef, key: &str) -> Result<Job, Failure> {
    let host = of(db)?;
    Ok(read(&on(host, question(host, key)).await?))
}

/// The machine of a server.
pub(super) fn of(db: &DatabaseRef) -> Result<&Host, Failure> {
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

/// A fact of a job: its name and its values, with tabs between.
pub(super) fn fields(line: &str) -> Vec<String> {
    line.split('\t').map(str::to_owned).collect()
}

/// A time as a server or a backup's list writes it; without a zone it is UTC.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let zoned = text.ends_with('Z') || text.rfind(['+', '-']).is_some_and(|at| at > 10);
    let text = if zoned { text.to_owned() } else { format!("{text}Z") };
    Timestamp::parse(&text.replacen(' ', "T", 1)).ok()
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
                Asked { endpoint: "db-west:5433/app", login: &login, trust: &trust, checkpointer: None };
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
