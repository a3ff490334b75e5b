//! The job that makes a server a standby of another one.

use super::Failure;
use super::host::{Asked, head, time, way};
use crate::model::state::Diverged;
use crate::model::target::{DatabaseRef, Host};
use crate::model::wal::{Lsn, WalPoint};

/// Runs on the host.
const JOB: &str = concat!(include_str!("commits.sh"), include_str!("rejoin.sh"));

/// The name of the slot that a standby has on its primary.
fn slot(db: &DatabaseRef) -> String {
    let name = format!("drctl_{}_{}", db.component, db.place.name);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(plain).take(63).collect()
}

/// The job's text.
///
/// # Errors
/// If the endpoint is none.
pub(super) fn job(db: &DatabaseRef, host: &Host, source: &Asked<'_>, key: &str) -> Result<String, Failure> {
    let Asked { endpoint, login, tls, checkpointer } = *source;
    let way = way(endpoint, login, tls)?;
    // A standby keeps the password among its settings, where quotes and backslashes are doubled.
    let password = super::host::value(&login.password);
    let conninfo = format!("{way} password={password} application_name={}", slot(db));
    let fields = [
        ("SOURCE", format!("{way} dbname=postgres")),
        ("CONNINFO", conninfo.replace('\\', "\\\\").replace('\'', "''")),
        ("SLOT", slot(db)),
        ("CHECKPOINTER", checkpointer.map_or_else(String::new, |pid| pid.to_string())),
        ("PGPASSWORD", login.password.clone()),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(format!("{}{JOB}", head(host, key, &fields)))
}

/// What was only on that server, by the facts of its job.
pub(super) fn diverged(facts: &[Vec<String>]) -> Option<Diverged> {
    let found = facts.iter().find(|f| f.first().is_some_and(|name| name == "diverged"))?;
    let [_, counted, position, timeline, first, last, kept] = found.as_slice() else { return None };
    let point = Lsn::try_from(position.clone()).ok().zip(timeline.parse().ok());
    Some(Diverged {
        transactions: counted.parse().ok(),
        fork: point.map(|(position, timeline)| WalPoint { timeline, position }),
        first: time(first),
        last: time(last),
        kept: kept.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_only_there_is_read() {
        let line = |text: &str| vec![text.split('\t').map(str::to_owned).collect::<Vec<_>>()];
        let counted = diverged(&line(
            "diverged\t12\t0/3000148\t1\t2026-11-21 12:00:01.5\t2026-11-21 12:00:09\t/data.drctl/diverged-k",
        ))
        .unwrap();
        assert_eq!(
            (counted.transactions, counted.fork.map(|f| f.position)),
            (Some(12), Some(Lsn(0x300_0148)))
        );
        assert!(counted.first < counted.last && counted.first.is_some());
        let copied = diverged(&line("diverged\tuncounted\t\t\t\t\t/data.before-k")).unwrap();
        assert_eq!((copied.transactions, copied.fork, copied.kept.as_str()), (None, None, "/data.before-k"));
        assert!(diverged(&line("failed\twhy")).is_none());
    }
}
