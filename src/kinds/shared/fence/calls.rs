//! The calls that set and lift each fence method.

use crate::kinds::aws::aurora::calls as aurora;
use crate::kinds::aws::rds::calls as rds;
use crate::kinds::shared::database::calls::{look, sql_by_hand};
use crate::kinds::shared::database::server::Engine;
use crate::kinds::shared::fence::method::{Fence, FenceMethod};
use crate::model::call::{Call, asked, by_hand, call, quoted};

/// The calls that set and prove it.
pub(super) fn set(f: &Fence) -> Vec<Call> {
    match f.method {
        FenceMethod::Sql => statements(
            f,
            "CREATE ROLE drctl_fenced; for each role of a client: ALTER ROLE <role> NOLOGIN; GRANT drctl_fenced TO <role>; ALTER SUBSCRIPTION <name> DISABLE for each that is enabled; then pg_terminate_backend of every session that is not listed under harmless",
        ),
        FenceMethod::AllowConnections => statements(
            f,
            "in database postgres: CREATE ROLE drctl_fenced; for each database except this one and templates: ALTER DATABASE <name> WITH ALLOW_CONNECTIONS false; then pg_terminate_backend of every session and apply worker that is not listed under harmless",
        ),
        FenceMethod::PgHba => {
            let text = "put in front of hba_file, between marks: the rules for the login of drctl, from its address; local all all reject; host all all all reject; by rename(2), then pg_ctl -D DATA reload";
            let census = "pg_terminate_backend of every session that is not listed under harmless; COMMENT ON ROLE drctl_fenced IS <mark>";
            let mut calls = vec![on_host(f, "rules", true, text)];
            calls.extend(statements(f, census));
            calls.push(sql_by_hand(&f.db.place.name, &f.db.id, false, "SELECT .. FROM pg_hba_file_rules, pg_conf_load_time() -- the first rules, without an error, and read; and a stranger is refused with `pg_hba.conf rejects`"));
            calls
        }
        FenceMethod::Stop => {
            let text = "touch DATA/standby.signal: if anything starts it, it starts as a standby; then `stop` of `host:`, else pg_ctl -m fast stop";
            let proof = "ls /proc/*/cwd, DATA/postmaster.pid: no process works in DATA; and the endpoint refuses a connection";
            vec![on_host(f, "stop", true, text), on_host(f, "look", false, proof)]
        }
        FenceMethod::SecurityGroup => {
            let calls = match f.db.engine {
                Engine::Aurora => aurora::isolate(f),
                Engine::Rds | Engine::Postgres => by_group(f),
            };
            calls.into_iter().chain([rules(f)]).collect()
        }
    }
}

/// The calls that lift it, and those that show that it is lifted.
pub(super) fn lift(f: &Fence) -> Vec<Call> {
    let (at, id) = (&f.db.place.name, &f.db.id);
    let census =
        "SELECT ... FROM pg_roles, pg_database, pg_subscription -- nothing that the fence set is left";
    let statement = |text: &str| vec![sql_by_hand(at, id, true, text), sql_by_hand(at, id, false, census)];
    match f.method {
        FenceMethod::Sql => statement(
            "ALTER SUBSCRIPTION <name> ENABLE for each that the fence disabled; for each member of drctl_fenced: ALTER ROLE <role> LOGIN; REVOKE drctl_fenced FROM <role>",
        ),
        FenceMethod::AllowConnections => statement(
            "in database postgres: ALTER DATABASE <name> WITH ALLOW_CONNECTIONS true for each database in the comment of drctl_fenced",
        ),
        FenceMethod::PgHba => {
            let text = "remove the lines between the marks of drctl from hba_file, and nothing else; then pg_ctl -D DATA reload";
            let mut calls = vec![on_host(f, "rules", true, text)];
            calls.extend(statement("COMMENT ON ROLE drctl_fenced IS <without that mark>"));
            calls.push(sql_by_hand(at, id, false, "SELECT .. FROM pg_hba_file_rules, pg_conf_load_time() -- no rule of drctl, without an error, and read"));
            calls
        }
        FenceMethod::Stop => {
            let text = "rm DATA/standby.signal, only drctl's own; then `start` of `host:`, else pg_ctl start";
            let proof =
                "DATA/postmaster.pid: the server works in DATA; and the endpoint accepts a connection";
            vec![on_host(f, "start", true, text), on_host(f, "look", false, proof)]
        }
        FenceMethod::SecurityGroup => vec![modify_groups(f, &words(&f.groups_before)), look(&f.db)],
    }
}

/// A call to the machine of the server.
fn on_host(f: &Fence, operation: &'static str, mutates: bool, text: &str) -> Call {
    let (run, data) = f.db.host.as_ref().map_or_else(
        || (String::from("<host>"), String::from("<data>")),
        |h| (h.run.iter().map(|a| quoted(a)).collect::<Vec<_>>().join(" "), quoted(&h.data)),
    );
    let text = format!("on its host ({run} sh): {}", text.replace("DATA", &data));
    by_hand(("host", operation), &f.db.place.name, mutates, &text)
}

/// A statement, and the census that proves the fence.
fn statements(f: &Fence, text: &str) -> Vec<Call> {
    let census = "SELECT ... FROM pg_roles, pg_database, pg_stat_activity, pg_subscription, pg_prepared_xacts -- twice, 1 s apart: nothing that can write";
    let (at, id) = (&f.db.place.name, &f.db.id);
    vec![sql_by_hand(at, id, true, text), sql_by_hand(at, id, false, census)]
}

/// The security group of the fence, as a word of a shell.
fn group(f: &Fence) -> String {
    quoted(f.db.fence_group.as_deref().unwrap_or("<fence_group>"))
}

/// The rules of that group: a rule would let somebody through.
fn rules(f: &Fence) -> Call {
    let text = format!(
        "aws ec2 describe-security-groups --region {} --group-ids {}   # IpPermissions and IpPermissionsEgress must be empty",
        quoted(&f.db.place.region),
        group(f)
    );
    call("ec2", "DescribeSecurityGroups", &f.db.place.name, false, text)
}

fn by_group(f: &Fence) -> Vec<Call> {
    let (at, id) = (&f.db.place.name, &f.db.id);
    let region = quoted(&f.db.place.region);
    let reboot = format!(
        "aws rds reboot-db-instance --region {region} --db-instance-identifier {}   # once only that group is active: it ends the sessions that are still open",
        quoted(id)
    );
    let events = format!(
        "aws rds describe-events --region {region} --source-type db-instance --source-identifier {}   # until it restarted",
        quoted(id)
    );
    vec![
        modify_groups(f, &group(f)),
        rds::about(&f.db, "rds", "RebootDBInstance", true, reboot),
        rds::describe(&f.db.place.region, at, id),
        rds::about(&f.db, "rds", "DescribeEvents", false, events),
    ]
}

/// Security groups as words of a shell. If nobody saw them before the fence, the reader is asked for them.
fn words(groups: &[String]) -> String {
    match groups {
        [] => asked("GROUPS", "the security groups from before the fence"),
        groups => groups.iter().map(|g| quoted(g)).collect::<Vec<_>>().join(" "),
    }
}

fn modify_groups(f: &Fence, groups: &str) -> Call {
    if f.db.engine == Engine::Aurora {
        return aurora::modify_groups(f, groups);
    }
    rds::about(
        &f.db,
        "rds",
        "ModifyDBInstance",
        true,
        format!(
            "aws rds modify-db-instance --region {} --db-instance-identifier {} --vpc-security-group-ids {groups}",
            quoted(&f.db.place.region),
            quoted(&f.db.id)
        ),
    )
}
