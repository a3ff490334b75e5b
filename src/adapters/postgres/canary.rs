//! Rows that are written for real: by drctl itself, and as clients write them.

use super::{Failure, Postgres, STATEMENT_MS, connect, connect_with, fence, identifier};
use crate::adapters::secrets::Login;
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::database::WroteState;
use crate::run::outcome::CallOutcome;

impl Postgres {
    /// Commits a canary row. The same key writes the same row.
    pub async fn write(&self, endpoint: &str, login: &Login, table: &str, key: &str) -> CallOutcome {
        self.act(async {
            let mut client = connect(&self.settings, endpoint, login).await?;
            let table = identifier(table);
            let transaction = client.transaction().await.map_err(|e| Failure::of(&e))?;
            transaction.batch_execute(&made(&table)).await.map_err(|e| Failure::of(&e))?;
            let text = format!("INSERT INTO {table} (key) VALUES ($1) ON CONFLICT (key) DO NOTHING");
            transaction.execute(&text, &[&key]).await.map_err(|e| Failure::of(&e))?;
            transaction.commit().await.map_err(|e| Failure::of(&e))
        })
        .await
    }

    /// Writes a canary row as a client does. The administrator makes room for it on the server where it has to land, if he can; whether
    /// the client may write there is for the server that it comes to to say.
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

    /// The table is there, and the login may insert into it.
    async fn make_room(&self, (at, admin): (&str, &Login), table: &str, who: &str) -> Result<(), Failure> {
        let client = connect(&self.settings, at, admin).await?;
        let table = identifier(table);
        // A table that was made for them may have other columns, as long as a key can be put there.
        let text = "SELECT coalesce(has_table_privilege($1::name, to_regclass($2), 'INSERT'), false)";
        let may: bool = client.query_one(text, &[&who, &table]).await.map_err(|e| Failure::of(&e))?.get(0);
        if may {
            return Ok(());
        }
        let text = format!("{}; GRANT INSERT ON {table} TO {}", made(&table), fence::identifier_whole(who));
        client.batch_execute(&text).await.map_err(|e| Failure::of(&e))
    }

    /// In one plain query: a pooler may take neither options nor statements that are prepared.
    async fn insert_as(&self, at: &str, login: &Login, table: &str, key: &str) -> Result<(), Failure> {
        let client = connect_with(&self.settings, at, login, None).await?;
        let (table, key) = (identifier(table), key.replace('\'', "''"));
        // Naming the key as what conflicts would need the right to read it.
        let text = format!(
            "BEGIN; SET LOCAL statement_timeout = {STATEMENT_MS}; SET LOCAL standard_conforming_strings = on; INSERT INTO {table} (key) VALUES ('{key}') ON CONFLICT DO NOTHING; COMMIT"
        );
        client.batch_execute(&text).await.map_err(|e| Failure::of(&e))
    }

    /// Reads a canary row back, over a new connection.
    pub async fn wrote(&self, endpoint: &str, login: &Login, table: &str, key: &str) -> Observation {
        let work = async {
            let client = connect(&self.settings, endpoint, login).await?;
            // Where nothing keeps a key from being there twice, a write that was repeated is.
            let text = format!(
                "SELECT count(*) FROM {} WHERE key = $1 AND NOT pg_is_in_recovery()",
                identifier(table)
            );
            match client.query_one(&text, &[&key]).await {
                Ok(row) => Ok(row.get::<_, i64>(0) >= 1),
                // 42P01: the table is not there, so neither is the row.
                Err(e) if e.code().is_some_and(|c| c.code() == "42P01") => Ok(false),
                Err(e) => Err(Failure::of(&e)),
            }
        };
        match self.within(work).await {
            Ok(ok) => self.seen(State::Wrote(WroteState { ok, server: endpoint.to_owned() })),
            Err(failure) => failure.observation(self.world.now()),
        }
    }
}

/// The table of canary rows, made if it is not there. `table` is quoted.
fn made(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (key text PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now())"
    )
}
