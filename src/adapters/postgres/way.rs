//! The ways to a server: through any of its databases.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio_postgres::Client;

use super::session::{Failure, connect, parts};
use crate::adapters::secrets::Login;
use crate::plan::settings::SqlSettings;

/// Databases that every server has. The administrator works in one of them while the databases of the application are closed.
const ASIDE: [&str; 2] = ["postgres", "template1"];

/// How to reach a server in any of its databases.
pub(super) struct DatabaseAccess<'a> {
    pub(super) settings: &'a SqlSettings,
    pub(super) endpoint: &'a str,
    pub(super) login: &'a Login,
}

impl DatabaseAccess<'_> {
    pub(super) async fn to(&self, database: &str) -> Result<Client, Failure> {
        let login = Login { dbname: Some(database.to_owned()), ..self.login.clone() };
        connect(self.settings, self.endpoint, &login).await
    }

    /// The database that the endpoint or the login names.
    fn own(&self) -> Result<&str, Failure> {
        let named = parts(self.endpoint)?.2;
        Ok(self.login.dbname.as_deref().or(named).unwrap_or(ASIDE[0]))
    }

    /// Connects by way of a database that does not belong to the application, because a database cannot be closed from within.
    pub(super) async fn aside(&self) -> Result<Client, Failure> {
        let own = self.own()?;
        let mut last = None;
        for database in ASIDE.into_iter().filter(|database| *database != own) {
            match self.to(database).await {
                Ok(client) => return Ok(client),
                // It is closed, does not exist, or refuses this login; the other database may not.
                Err(Failure::Unreachable(why)) if is_shut(&why) || why.starts_with("3D000") => {
                    last = Some(Failure::Unreachable(why));
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(last.unwrap_or_else(|| Failure::Unreachable(format!("{own} is the only database"))))
    }

    /// Connects by way of any database that accepts the login: roles and processes are the same in all of them.
    pub(super) async fn in_any(&self) -> Result<Client, Failure> {
        match connect(self.settings, self.endpoint, self.login).await {
            Err(Failure::Unreachable(why)) if is_shut(&why) => self.aside().await,
            done => done,
        }
    }
}

/// Whether the error is SQLSTATE `object_not_in_prerequisite_state` with the message for a database that accepts no connections
/// (`CheckMyDatabase` in the server's source). The server sends it after it has accepted the password.
pub(super) fn is_shut(why: &str) -> bool {
    why.starts_with("55000: ") && why.ends_with("is not currently accepting connections")
}

/// Sessions of drctl from before the fence closed their databases, by database. Only they can read these databases.
pub(super) type Inside = BTreeMap<String, Rc<Client>>;
