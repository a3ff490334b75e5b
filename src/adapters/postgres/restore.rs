//! The jobs that restore a self-managed server to a point in time, and their output.

use super::host::{JobServer, head, time, way, word};
use super::session::{Failure, identifier};
use crate::kinds::shared::database::Host;
use crate::kinds::shared::restore::{
    Backup, BackupsState, Checked, Destroyed, Expect, Invariant, Loss, Restore, RestoreResults, Source,
};
use crate::kinds::shared::wal::{Lsn, WalPoint};
use crate::model::time::Dur;

/// Runs on the host; each job runs one part of it.
const JOB: &str = concat!(
    include_str!("commits.sh"),
    include_str!("restore/common.sh"),
    include_str!("restore/look.sh"),
    include_str!("restore/beside.sh"),
    include_str!("restore/foreign_keys.sh"),
    include_str!("restore/verify.sh"),
    include_str!("restore/swap.sh"),
    include_str!("restore/job.sh"),
);
/// Limit on each check of a copy.
const CHECK: Dur = Dur::mins(60);

/// The script of a job.
///
/// # Errors
/// If the endpoint is not valid.
pub(super) fn job(
    (part, of): (&str, &Restore),
    host: &Host,
    live: &JobServer<'_>,
    (key, inline): (&str, bool),
) -> Result<String, Failure> {
    let way = way(host, live)?;
    let Source::Own(backups) = &of.source else {
        return Err(Failure::Refused("NoBackups".to_owned(), format!("{} has no backups", of.db.id)));
    };
    let database = live.endpoint.split_once('/').map_or("postgres", |(_, database)| database);
    let text = |number: Option<String>| number.unwrap_or_default();
    let fields = [
        ("PART", part.to_owned()),
        ("RESTORE", of.name.clone()),
        ("TIME", of.to_time.to_string()),
        ("BACKUP", of.backup.as_ref().map_or_else(String::new, |b| b.name.clone())),
        ("TIMELINE", text(of.timeline.map(|t| t.to_string()))),
        ("BACKUP_LIST", backups.list.clone()),
        ("BACKUP_FETCH", backups.fetch.clone()),
        ("ARCHIVE_GET", backups.archive_get.clone()),
        ("RESERVE", backups.reserve_bytes.to_string()),
        ("PRELOAD", backups.preload.clone().unwrap_or_else(|| "live".to_owned())),
        ("SOURCE", format!("{way} dbname=postgres")),
        ("LOGIN", live.login.username.clone()),
        ("DATABASE", database.to_owned()),
        ("CANARY", of.canary.clone().unwrap_or_default()),
        ("CHECKPOINTER", text(live.checkpointer.map(|pid| pid.to_string()))),
        ("PGPASSWORD", live.login.password.expose().to_owned()),
        ("SECONDS_EACH", (CHECK.millis() / 1_000).to_string()),
        ("INLINE", if inline { "1" } else { "" }.to_owned()),
    ];
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let text = format!("{}{}{JOB}", head(host, key, live.trust, &fields), invariants(of, database));
    // Its output says why it failed; its exit code says less.
    Ok(if inline { format!("(\n{text}\n) || :\n") } else { text })
}

/// Shell lines that kill the remaining jobs of a restore, so that a restore can be cancelled during a fetch of several hours.
/// They kill a process only if it is still the one whose PID was recorded.
pub(super) fn end_of_others(of: &Restore) -> String {
    format!(
        "for one in group fetcher; do\n\
           pid=$(cat \"$work/{name}.$one\" 2>/dev/null); case \"$pid\" in '' | *[!0-9]*) continue ;; esac\n\
           if tr '\\0' '\\n' <\"/proc/$pid/cmdline\" 2>/dev/null | grep -q -x -F \"$work/lock\" ||\n\
             tr '\\0' '\\n' <\"/proc/$pid/environ\" 2>/dev/null | grep -q -E '^DRCTL_FOLDER=.*[.]restored-{name}$'; then\n\
             kill -s KILL -- \"-$pid\" 2>/dev/null\n\
           fi\n\
         done\n",
        name = of.name
    )
}

/// A shell function that checks the invariants in the plan.
fn invariants(of: &Restore, database: &str) -> String {
    let line = |i: &Invariant| {
        let (how, value) = match &i.expect {
            Expect::Is(value) => ("is", value),
            Expect::AtLeast(value) => ("at_least", value),
            Expect::Nothing => ("nothing", &String::new()),
        };
        let database = i.database.as_deref().unwrap_or(database);
        let words = [&*i.name, database, how, value, &*i.sql].map(word).join(" ");
        format!("  invariant {words}\n")
    };
    let rows = |table: &String| format!("  rows {} {}\n", word(database), word(&identifier(table)));
    let lines: String = of.invariants.iter().map(line).chain(of.rows.iter().map(rows)).collect();
    format!("invariants() {{\n  :\n{lines}}}\n")
}

fn backup(name: &str, ended: &str, bytes: &str) -> Option<Backup> {
    Some(Backup { name: name.to_owned(), ended: time(ended)?, bytes: bytes.parse().ok()? })
}

/// What a host reports about its backups.
pub(super) fn backups(facts: &[Vec<String>]) -> BackupsState {
    let mut state = BackupsState::default();
    for fact in facts {
        let words: Vec<_> = fact.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["failed", why] => state.failed = Some((*why).to_owned()),
            ["backup", name, _, ended, bytes, ..] => state.all.extend(backup(name, ended, bytes)),
            ["chosen", name, ended, bytes] => state.chosen = backup(name, ended, bytes),
            ["replay", bytes] => state.replay_bytes = bytes.parse().ok(),
            ["free", bytes] => state.free_bytes = bytes.parse().unwrap_or(0),
            ["swappable", "no", why] => state.not_swappable = Some((*why).to_owned()),
            ["copy", folder] => state.copies.push((*folder).to_owned()),
            ["timeline", chosen, live] => state.timelines = chosen.parse().ok().zip(live.parse().ok()),
            _ => {}
        }
    }
    state
}

/// What a job found.
pub(super) fn found(facts: &[Vec<String>]) -> RestoreResults {
    let mut found = RestoreResults::default();
    for fact in facts {
        let words: Vec<_> = fact.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["failed", why] => found.failed = Some((*why).to_owned()),
            ["backup", name] => found.backup = Some((*name).to_owned()),
            ["fetched", _, bytes, seconds] => {
                found.fetched = bytes.parse().ok().zip(seconds.parse().ok().map(Dur::secs));
            }
            ["position", position, timeline] => {
                let position = Lsn::try_from((*position).to_owned()).ok();
                found.position = position
                    .zip(timeline.parse().ok())
                    .map(|(position, timeline)| WalPoint { timeline, position });
            }
            ["last_commit", at] => found.last_commit = time(at),
            ["next_commit", at] => found.next_commit = time(at),
            ["late", many] => found.late = many.parse().unwrap_or(0),
            ["loss", basis, many, first, last] => {
                found.loss = many.parse().ok().map(|transactions| Loss {
                    basis: (*basis).to_owned(),
                    transactions,
                    first: time(first.trim()),
                    last: time(last.trim()),
                });
            }
            ["swapped", kept, ..] => found.kept = Some((*kept).to_owned()),
            ["destroyed", folder, files, bytes, "0", "0"] => {
                found.destroyed = Some(Destroyed {
                    folder: (*folder).to_owned(),
                    files: files.parse().unwrap_or(0),
                    bytes: bytes.parse().unwrap_or(0),
                });
            }
            words => match checked(words) {
                Some(check) => found.checks.push(check),
                None => found.remarks.extend(remark(words)),
            },
        }
    }
    found
}

fn checked(fact: &[&str]) -> Option<Checked> {
    let check =
        |what: String, result: &str, found: String| Some(Checked { what, result: result.to_owned(), found });
    match fact {
        ["manifest", result] => check("manifest of the backup".to_owned(), result, String::new()),
        ["invariant", name, result, expected, got] => {
            check(format!("{name} ({expected})"), result, (*got).to_owned())
        }
        ["rows", table, "error", why] => check(format!("rows of {table}"), "error", (*why).to_owned()),
        ["rows", table, many] => check(format!("rows of {table}"), "pass", (*many).to_owned()),
        ["foreign_keys", database, good, broken, unchecked] => check(
            format!("foreign keys of {database}"),
            if *broken == "0" { "pass" } else { "fail" },
            format!("{good} hold, {broken} are broken, {unchecked} were never validated on the live server"),
        ),
        ["foreign_keys", database, "error", why] => {
            check(format!("foreign keys of {database}"), "error", (*why).to_owned())
        }
        ["foreign_key", name, result, got] => check((*name).to_owned(), result, (*got).to_owned()),
        ["checksums", result, rest @ ..] => {
            check("checksums of all pages".to_owned(), result, format!("{} blocks", rest.join(" ")))
        }
        ["amcheck", database, result, rest @ ..] => {
            check(format!("amcheck of {database}"), result, rest.join(" "))
        }
        ["readable", database, result, rest @ ..] => {
            check(format!("every row of {database} read"), result, rest.join(" "))
        }
        _ => None,
    }
}

/// A remark on it for the operator.
fn remark(fact: &[&str]) -> Option<String> {
    match fact {
        ["prepared", many] if *many != "0" => {
            Some(format!("prepared transactions from that time that are still open in it: {many}"))
        }
        ["subscriptions", database, many] => Some(format!(
            "subscriptions of {database} that start with it, although their publishers are ahead: {many}. Rows may be missing"
        )),
        ["standbys", names] if !names.is_empty() => {
            Some(format!("these standbys have the old history: {names}"))
        }
        ["login", "refused"] => Some(
            "it refuses the administrator login, because roles and passwords are those of the restored time"
                .to_owned(),
        ),
        ["archiving", "no", why] => Some(format!("its WAL is not archived: {why}")),
        ["archiving", "off"] => {
            Some("archive_mode is off, so no backup can be restored to a later time".to_owned())
        }
        ["unarchived", many] if *many != "0" => {
            Some(format!("WAL segments of the old history that exist only in the old folder: {many}"))
        }
        ["wal_folder", _, was] => Some(format!("its WAL is now in its data folder; it was in {was}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn facts(text: &str) -> Vec<Vec<String>> {
        text.lines().map(super::super::host::fields).collect()
    }

    #[test]
    fn times_are_read_as_servers_write_them() {
        let t = Timestamp::parse("2026-11-21T12:00:01.500Z").ok();
        assert_eq!(time("2026-11-21 12:00:01.500000"), t);
        assert_eq!(time("2026-11-21T12:00:01.500Z"), t);
        assert_eq!(time("2026-11-21 12:00:01.5+00"), None, "a zone of two digits is not RFC 3339");
        assert_eq!(time(""), None);
    }

    #[test]
    fn what_the_jobs_say_is_read() {
        let look = backups(&facts(
            "backup\tb1\t2026-11-21T10:00:00Z\t2026-11-21T10:05:00Z\t1000\t000000010000000000000002\nbackup\tb2\t2026-11-21T11:00:00Z\t2026-11-21T11:05:00Z\t2000\t\nchosen\tb1\t2026-11-21 10:05:00.000000\t1000\nreplay\t33554432\nfree\t999\nswappable\tno\ta mount point\nchecksums\t1\ntimeline\t1\t2",
        ));
        assert_eq!((look.all.len(), look.chosen.as_ref().map(|b| b.name.as_str())), (2, Some("b1")));
        assert_eq!((look.replay_bytes, look.free_bytes), (Some(33_554_432), 999));
        assert!(look.not_swappable.is_some() && look.failed.is_none());
        assert_eq!(look.timelines, Some((1, 2)));
        let done = found(&facts(
            "position\t0/5000028\t1\nlast_commit\t2026-11-21T12:00:00.1Z\nnext_commit\t2026-11-21 12:00:00.200000\ninvariant\ttotal\tfail\tis 5\t4\nforeign_keys\tapp\t3\t0\t1\nchecksums\tpass\t100\nloss\tat_least\t7\t2026-11-21 12:00:00.200000\t2026-11-21 12:00:09.000000\ndestroyed\t/d\t3\t4\t0\t0",
        ));
        assert!(done.last_commit < done.next_commit);
        let results: Vec<_> = done.checks.iter().map(|c| c.result.as_str()).collect();
        assert_eq!(results, ["fail", "pass", "pass"]);
        assert_eq!(done.loss.as_ref().map(|l| (l.transactions, l.basis.as_str())), Some((7, "at_least")));
        assert!(done.destroyed.is_some());
        // Files are left, so nothing is proven.
        assert!(found(&facts("destroyed\t/d\t3\t4\t1\t0")).destroyed.is_none());
    }
}
