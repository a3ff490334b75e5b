//! The calls that lead clients elsewhere, and the write that proves it.

use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::secret::{ClientWay, UpdateClientSecret};
use crate::record::calls::{Call, asked, by_hand, call, quoted, sql_by_hand};

/// A new version that is not current yet, and then the label, away from exactly the version that was read.
pub(super) fn point(p: &UpdateClientSecret) -> Vec<Call> {
    let (region, id, at) = (quoted(&p.secret.place.region), quoted(&p.secret.id), &p.secret.place.name);
    let fields: Vec<_> =
        p.to.iter().map(|(field, value)| format!("{field}={value}").replace(['\n', '\r'], " ")).collect();
    let of = |operation: &'static str, mutates: bool, rest: String| {
        call("secretsmanager", operation, at, mutates, format!("aws secretsmanager {rest}"))
    };
    vec![
        of(
            "PutSecretValue",
            true,
            format!(
                "put-secret-value --region {region} --secret-id {id} --version-stages drctl --client-request-token {} --secret-string file://secret.json   # in it what get-secret-value shows, with {}",
                asked("TOKEN", "any UUID that was not used before"),
                fields.join(", ")
            ),
        ),
        of(
            "UpdateSecretVersionStage",
            true,
            format!(
                "update-secret-version-stage --region {region} --secret-id {id} --version-stage AWSCURRENT --move-to-version-id {} --remove-from-version-id {}",
                asked("TOKEN", "that of put-secret-value"),
                asked("READ_VERSION", "the VersionId of get-secret-value")
            ),
        ),
        of("DescribeSecret", false, format!("describe-secret --region {region} --secret-id {id}")),
        of(
            "GetSecretValue",
            false,
            format!(
                "get-secret-value --region {region} --secret-id {id}   # until it names {}",
                fields.join(", ")
            ),
        ),
    ]
}

pub(super) fn through(db: &DatabaseRef, table: &str, way: &ClientWay) -> Vec<Call> {
    let at = &db.place.name;
    let grant = format!(
        "CREATE TABLE IF NOT EXISTS {table} (key text PRIMARY KEY, written_at timestamptz); GRANT INSERT ON {table} TO <the clients' login>   -- only where it may not insert"
    );
    let write =
        format!("psql to {}, as the clients' login: INSERT INTO {table} (key) VALUES ('<key>')", way.words());
    let find =
        format!("SELECT count(*) FROM {table} WHERE key = '<key>' AND NOT pg_is_in_recovery() -- must be 1");
    vec![
        sql_by_hand(at, &db.id, true, &grant),
        by_hand(("sql", "statement"), at, true, &write),
        sql_by_hand(at, &db.id, false, &find),
    ]
}
