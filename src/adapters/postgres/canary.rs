//! Real writes of canary rows: by drctl itself, and with the login of a client.

use super::session::{Failure, STATEMENT_MS, connect, connect_with, identifier};
use super::{Postgres, fence};
use crate::adapters::secrets::Login;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::WroteState;
use crate::run::outcome::CallOutcome;

impl Postgres {
    /// Commits a canary row. The same key always writes the same row.
    pub async fn write(&self, endpoint: &str, login: &Login, table: &str, key: &str) -> CallOutcome {
        self.act(async {
            let mut client = connect(&self.settings, endpoint, login).await?;
            let table = identifier(table);
            let transaction = client.transaction().await.map_err(|e| Failure::from_error(&e))?;
            transaction.batch_execute(&made(&table)).await.map_err(|e| Failure::from_error(&e))?;
            let text = format!("INSERT INTO {table} (key) VALUES ($1) ON CONFLICT (key) DO NOTHING");
            transaction.execute(&text, &[&key]).await.map_err(|e| Failure::from_error(&e))?;
            transaction.commit().await.map_err(|e| Failure::from_error(&e))
        })
        .await
    }

    /// Writes a canary row with the login of a client. If the administrator can, they first prepare the table on the server on
    /// which the row must arrive. Whether the client may write is decided by the server that the client reaches.
    pub async fn write_as(
        &self,
        (admin_at, admin): (&str, &Login),
        (client_at, client): (&str, &Login),
        table: &str,
        key: &str,
    ) -> CallOutcome {
        self.act(async {
            let room = self.make_room((admin_at, admin), table, &client.username).await;
            let insert = self.insert_as(client_at, client, table, key).await;
            match (insert, room) {
                (Err(Failure::Refused(code, why)), Err(room)) => {
                    let why = format!(
                        "{why}; the administrator could not create or open the table for it: {}",
                        room.why()
                    );
                    Err(Failure::Refused(code, why))
                }
                (done, _) => done,
            }
        })
        .await
    }

    /// Creates the table if it does not exist, and lets the client insert into it.
    async fn make_room(&self, (at, admin): (&str, &Login), table: &str, who: &str) -> Result<(), Failure> {
        let client = connect(&self.settings, at, admin).await?;
        let table = identifier(table);
        // An existing table may have other columns, as long as it accepts a row with only a key.
        let text = "SELECT coalesce(has_table_privilege($1::name, to_regclass($2), 'INSERT'), false)";
        let may: bool =
            client.query_one(text, &[&who, &table]).await.map_err(|e| Failure::from_error(&e))?.get(0);
        if may {
            return Ok(());
        }
        let text = format!("{}; GRANT INSERT ON {table} TO {}", made(&table), fence::identifier_whole(who));
        client.batch_execute(&text).await.map_err(|e| Failure::from_error(&e))
    }

    /// Uses one simple query, because a pooler may support neither options nor prepared statements.
    async fn insert_as(&self, at: &str, login: &Login, table: &str, key: &str) -> Result<(), Failure> {
        let client = connect_with(&self.settings, at, login, None).await?;
        let (table, key) = (identifier(table), key.replace('\'', "''"));
        // Naming the key in ON CONFLICT would require the right to read it.
        let text = format!(
            "BEGIN; SET LOCAL statement_timeout = {STATEMENT_MS}; SET LOCAL standard_conforming_strings = on; INSERT INTO {table} (key) VALUES ('{key}') ON CONFLICT DO NOTHING; COMMIT"
        );
        client.batch_execute(&text).await.map_err(|e| Failure::from_error(&e))
    }

    /// Reads a canary row back, over a new connection.
    pub async fn wrote(&self, endpoint: &str, login: &Login, table: &str, key: &str) -> Observation {
        let work = async {
            let client = connect(&self.settings, endpoint, login).await?;
            // A table without a unique key may hold the row twice, if the write was repeated.
            let text = format!(
                "SELECT count(*) FROM {} WHERE key = $1 AND NOT pg_is_in_recovery()",
                identifier(table)
            );
            match client.query_one(&text, &[&key]).await {
                Ok(row) => Ok(row.get::<_, i64>(0) >= 1),
                // 42P01: the table does not exist, so the row does not either.
                Err(e) if e.code().is_some_and(|c| c.code() == "42P01") => Ok(false),
                Err(e) => Err(Failure::from_error(&e)),
            }
        };
        match self.within(work).await {
            Ok(ok) => self.seen(State::Wrote(WroteState { ok, server: endpoint.to_owned() })),
            Err(failure) => failure.observation(self.world.now()),
        }
    }
}

/// SQL that creates the table of canary rows if it does not exist. `table` is quoted.
fn made(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (key text PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now())"
    )
}
