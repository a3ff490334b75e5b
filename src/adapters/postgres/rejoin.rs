//! The job that makes a server a standby of another one.

use super::host::{JobServer, head, time, way};
use super::session::Failure;
use crate::kinds::shared::database::{DatabaseRef, Host};
use crate::kinds::shared::rebuild::{Diverged, DivergedTable};
use crate::kinds::shared::wal::{Lsn, WalPoint};
use crate::model::place::endpoint_parts;

/// Runs on the host.
const JOB: &str =
    concat!(include_str!("commits.sh"), include_str!("hba_marks.sh"), include_str!("rejoin.sh"));

/// The name of the slot that a standby has on its primary.
fn slot(db: &DatabaseRef) -> String {
    let name = format!("drctl_{}_{}", db.component, db.place.name);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(plain).take(63).collect()
}

/// The script of the job.
///
/// # Errors
/// If the endpoint is not valid.
pub(super) fn job(
    db: &DatabaseRef,
    host: &Host,
    source: &JobServer<'_>,
    reconcile: &[String],
    key: &str,
) -> Result<String, Failure> {
    let JobServer { login, trust, checkpointer, .. } = *source;
    let way = way(host, source)?;
    // A standby keeps the password in its settings, where quotes and backslashes are doubled.
    let password = super::host::value(login.password.expose());
    let conninfo = format!("{way} password={password} application_name={}", slot(db));
    let fields = [
        ("SOURCE", format!("{way} dbname=postgres")),
        ("CONNINFO", conninfo.replace('\\', "\\\\").replace('\'', "''")),
        ("SLOT", slot(db)),
        ("CHECKPOINTER", checkpointer.map_or_else(String::new, |pid| pid.to_string())),
        (
            "DATABASE",
            db.endpoint
                .as_deref()
                .and_then(endpoint_parts)
                .and_then(|p| p.2)
                .unwrap_or("postgres")
                .to_owned(),
        ),
        ("RECONCILE", reconcile.join("\n")),
        ("PGPASSWORD", login.password.expose().to_owned()),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(format!("{}{JOB}", head(host, key, trust, &fields)))
}

/// What existed only on that server, from the output of its job.
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
        tables: tables(facts),
        more: facts.iter().find_map(|f| match f.as_slice() {
            [name, many, file] if name == "more" => Some(format!("{many} more tables: {file}")),
            _ => None,
        }),
    })
}

/// The rows changed in each table. The output has schema and name; the plan may have the name alone.
fn tables(facts: &[Vec<String>]) -> Vec<DivergedTable> {
    let mut all: Vec<DivergedTable> = Vec::new();
    let number = |text: &String| text.parse().unwrap_or(0);
    for fact in facts {
        if let [name, table, inserted, updated, deleted] = fact.as_slice()
            && name == "touched"
        {
            let (inserted, updated, deleted) = (number(inserted), number(updated), number(deleted));
            all.push(DivergedTable {
                table: table.clone(),
                inserted,
                updated,
                deleted,
                ..DivergedTable::default()
            });
        }
    }
    for fact in facts {
        let [name, table, rows, file] = fact.as_slice() else { continue };
        if name != "rows" {
            continue;
        }
        let same = |t: &DivergedTable| t.table == *table || t.table == format!("public.{table}");
        let at = all.iter().position(same).unwrap_or_else(|| {
            all.push(DivergedTable { table: table.clone(), ..DivergedTable::default() });
            all.len() - 1
        });
        (all[at].exported, all[at].file) = (rows.parse().ok(), Some(file.clone()));
    }
    all.sort_by_key(|t| t.exported.is_none());
    all
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
        let mut facts = line("diverged\t1\t0/3000148\t1\t\t\t/k");
        facts.extend(
            [
                "touched\tpublic.log\t3\t0\t0",
                "touched\tpublic.orders\t1\t2\t1",
                "rows\torders\t3\t/k/orders.csv",
                "rows\tother.t\t0\t/k/t.csv",
            ]
            .map(|l| line(l).remove(0)),
        );
        let words: Vec<_> = diverged(&facts).unwrap().tables.iter().map(DivergedTable::words).collect();
        assert_eq!(
            words,
            [
                "public.orders: 1 rows inserted, 2 updated, 1 deleted; 3 exported to /k/orders.csv",
                "other.t: changed as a whole (emptied or rewritten), or before the histories diverged; 0 exported to /k/t.csv",
                "public.log: 3 rows inserted, 0 updated, 0 deleted; not compared: it is not under `reconcile:`",
            ]
        );
        let copied = diverged(&line("diverged\tuncounted\t\t\t\t\t/data.before-k")).unwrap();
        assert_eq!((copied.transactions, copied.fork, copied.kept.as_str()), (None, None, "/data.before-k"));
        assert!(diverged(&line("failed\twhy")).is_none());
    }
}
