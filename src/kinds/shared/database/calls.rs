//! The calls that observe databases, and SQL statements.

use crate::kinds::aws::aurora::calls as aurora;
use crate::kinds::aws::rds::calls as rds;
use crate::kinds::shared::database::server::{DatabaseRef, Engine};
use crate::model::call::{Call, asked, by_hand, call, quoted};

/// The call that reads a database's role and its last commit.
pub(crate) fn look(db: &DatabaseRef) -> Call {
    match db.engine {
        Engine::Rds => rds::describe(&db.place.region, &db.place.name, &db.id),
        Engine::Aurora => aurora::describe(db),
        Engine::Postgres => sql(
            db,
            false,
            "SELECT pg_is_in_recovery(), clock_timestamp() - pg_last_xact_replay_timestamp(), system_identifier FROM pg_control_system()",
        ),
    }
}

/// A statement that can be copied as it is.
pub(crate) fn sql(db: &DatabaseRef, mutates: bool, text: &str) -> Call {
    let server = match &db.endpoint {
        Some(endpoint) => quoted(&format!("postgresql://{endpoint}")),
        None => {
            format!("--host {}", asked(&format!("HOST of {}", db.id), &format!("the endpoint of {}", db.id)))
        }
    };
    call("sql", "statement", &db.place.name, mutates, format!("psql {server} -c {}", quoted(text)))
}

/// Statements that a person must complete with values that they read before.
pub(crate) fn sql_by_hand(at: &str, id: &str, mutates: bool, text: &str) -> Call {
    by_hand(("sql", "statement"), at, mutates, &format!("psql to {id}: {text}"))
}
