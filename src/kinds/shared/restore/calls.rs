//! The calls of a restore: a job on a host, or calls to the service that creates another instance.

use crate::kinds::aws::rds::calls::{about, describe, options, tags};
use crate::kinds::shared::database::calls::sql_by_hand;
use crate::kinds::shared::restore::copy::{Backups, COPY_TAG, NewInstance, Restore, RestoreJob, Source};
use crate::model::call::{Call, by_hand, quoted};

/// The calls of a part.
pub(super) fn calls(part: RestoreJob, of: &Restore) -> Vec<Call> {
    match (&of.source, of.instance()) {
        (Source::Own(backups), _) => vec![own(part, of, backups)],
        (Source::Managed(_), Some(new)) => managed(part, of, new),
        (Source::Managed(_), None) => Vec::new(),
    }
}

fn own(part: RestoreJob, of: &Restore, backups: &Backups) -> Call {
    let host = of.db.host.as_ref();
    let run =
        host.map_or_else(String::new, |h| h.run.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "));
    let data = host.map_or("<data>", |h| h.data.as_str());
    let (copy, before) = (format!("{data}.restored-{}", of.name), format!("{data}.before-{}", of.name));
    let text = match part {
        RestoreJob::CreateCopy => format!(
            "DRCTL_BACKUP={} DRCTL_FOLDER={copy}; {}; recovery_target_time = '{}', restore_command = '{}', recovery_target_action = 'pause'; pg_ctl -D {copy} start",
            quoted(of.backup.as_ref().map_or("", |b| b.name.as_str())),
            backups.fetch,
            of.to_time,
            backups.archive_get
        ),
        RestoreJob::Verify => format!(
            "the invariants of the plan and its foreign keys, read from {copy}; pg_ctl stop; pg_checksums --check -D {copy}"
        ),
        RestoreJob::Loss => "pg_waldump from the position of the copy to the end of the live log".to_owned(),
        RestoreJob::Swap => format!("promote {copy}; stop; mv {data} {before}; mv {copy} {data}; start"),
        RestoreJob::Revert => {
            format!("only if nothing was written since: stop; mv {data} {copy}; mv {before} {data}; start")
        }
        RestoreJob::Destroy => format!("pg_ctl -D {copy} stop; rm -rf {copy}"),
    };
    let mutates = !matches!(part, RestoreJob::Verify | RestoreJob::Loss);
    by_hand(("host", "restore"), &of.db.place.name, mutates, &format!("on its host ({run} sh): {text}"))
}

fn managed(part: RestoreJob, of: &Restore, new: &NewInstance) -> Vec<Call> {
    let (db, at) = (&of.db, &of.db.place.name);
    let region = quoted(&db.place.region);
    let (id, copy) = (quoted(&db.id), quoted(&new.id));
    let modify = |operation, text| {
        vec![about(db, "rds", operation, true, text), describe(&db.place.region, at, &new.id)]
    };
    match part {
        RestoreJob::CreateCopy => {
            let like = &new.like;
            let groups: Vec<_> = new.security_groups.iter().map(|g| quoted(g)).collect();
            let mut bears = like.tags.clone();
            bears.insert(COPY_TAG.to_owned(), new.id.clone());
            let parameters = [("--db-parameter-group-name", like.parameter_group.clone())];
            let rest = format!(
                " --db-instance-class {} --vpc-security-group-ids {}{}{}",
                quoted(&like.class),
                groups.join(" "),
                options(like, parameters),
                tags(&bears)
            );
            match &of.snapshot {
                Some(snapshot) => modify(
                    "RestoreDBInstanceFromDBSnapshot",
                    format!(
                        "aws rds restore-db-instance-from-db-snapshot --region {region} --db-instance-identifier {copy} --db-snapshot-identifier {}{rest}",
                        quoted(snapshot)
                    ),
                ),
                None => modify(
                    "RestoreDBInstanceToPointInTime",
                    format!(
                        "aws rds restore-db-instance-to-point-in-time --region {region} --source-db-instance-identifier {id} --target-db-instance-identifier {copy} --restore-time {}{rest}",
                        of.to_time
                    ),
                ),
            }
        }
        RestoreJob::Verify => vec![sql_by_hand(
            at,
            &new.id,
            false,
            "the invariants of the plan, the rows that each foreign key lacks, bt_index_check of each index where amcheck is, and every row of every table",
        )],
        RestoreJob::Loss => vec![sql_by_hand(
            at,
            &db.id,
            false,
            "SELECT count(*) of each table under verify.rows, here and in the copy",
        )],
        RestoreJob::Swap => {
            let protected = if new.like.protected { " --deletion-protection" } else { "" };
            let text = format!(
                "aws rds modify-db-instance --region {region} --db-instance-identifier {copy} --new-db-instance-identifier {id}{protected} --apply-immediately"
            );
            vec![about(db, "rds", "ModifyDBInstance", true, text), describe(&db.place.region, at, &db.id)]
        }
        // drctl takes the name from no copy that users reach, so it only observes who has it.
        RestoreJob::Revert => vec![describe(&db.place.region, at, &db.id)],
        RestoreJob::Destroy => modify(
            "DeleteDBInstance",
            format!(
                "aws rds delete-db-instance --region {region} --db-instance-identifier {copy} --skip-final-snapshot --delete-automated-backups"
            ),
        ),
    }
}
