//! A row that is written the way clients write, which proves that they reach the new primary.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::effects::writes_only_a_row;
use crate::kinds::judged::Called;
use crate::kinds::op::Op;
use crate::kinds::shared::canary::proven_by_its_row;
use crate::kinds::shared::database::calls::sql_by_hand;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::secret::login::ClientWay;
use crate::kinds::target::Target;
use crate::model::call::{Call, by_hand};
use crate::model::properties::{Properties, QUIET};

/// Writes a row with the login and the connection of clients. It must arrive on the promoted server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientWrite {
    /// The database on which it must arrive.
    pub db: DatabaseRef,
    /// The table.
    pub table: String,
    /// The connection of the clients.
    pub way: Box<ClientWay>,
}

writes_only_a_row!(ClientWrite);

impl Op for ClientWrite {
    /// An earlier step has proven that the database takes writes. This one may fail only because of the clients' login.
    fn properties(&self) -> Properties {
        QUIET
    }

    fn left_out(&self) -> Option<String> {
        Some("continues without proof that clients reach the new server".to_owned())
    }

    fn watch(&self, called: &Called<'_>) -> Target {
        let (db, table, way) = (self.db.clone(), self.table.clone(), Some(self.way.clone()));
        Target::Wrote { db, table, key: called.key.to_owned(), way }
    }

    proven_by_its_row!();

    fn calls(&self) -> Vec<Call> {
        let (db, table, way) = (&self.db, &self.table, self.way.words());
        let at = &db.place.name;
        let grant = format!(
            "CREATE TABLE IF NOT EXISTS {table} (key text PRIMARY KEY, written_at timestamptz); GRANT INSERT ON {table} TO <the clients' login>   -- only where it may not insert"
        );
        let write =
            format!("psql to {way}, as the clients' login: INSERT INTO {table} (key) VALUES ('<key>')");
        let find = format!(
            "SELECT count(*) FROM {table} WHERE key = '<key>' AND NOT pg_is_in_recovery() -- must be 1"
        );
        vec![
            sql_by_hand(at, &db.id, true, &grant),
            by_hand(("sql", "statement"), at, true, &write),
            sql_by_hand(at, &db.id, false, &find),
        ]
    }
}

impl fmt::Display for ClientWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write a row like a client, by {}, and find it on {}", self.way.words(), self.db.id)
    }
}
