//! The calls that lead clients elsewhere, and the write that proves it.

use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::database::calls::sql_by_hand;
use crate::kinds::shared::secret::ClientWay;
use crate::model::call::{Call, by_hand};

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
