//! The logins of administrators and clients, and where they connect.

use super::sql::Sql;
use crate::adapters::secrets::{Login, NoLogin, scheme};
use crate::files::{self, Use};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::secret::ClientWay;
use crate::model::place::{Place, endpoint_parts};

impl Sql {
    /// The endpoint of a database, and a login to it.
    pub(super) async fn connection_info(&self, db: &DatabaseRef) -> Result<(String, Login), NoLogin> {
        let Some(secret) = &db.admin_secret else {
            return Err(format!("the plan gives no `admin` login for {}", db.id).into());
        };
        let login = self.login(secret, &db.place).await?;
        let endpoint = match &db.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => self.control.endpoint(db).await,
        };
        let endpoint = endpoint.ok_or_else(|| format!("the endpoint of {} is unknown", db.id))?;
        Ok((endpoint, login))
    }

    /// Reads each login only once: in an outage, a call that is not made cannot fail.
    pub(super) async fn login(&self, reference: &str, place: &Place) -> Result<Login, NoLogin> {
        if let Some(login) = self.logins.borrow().get(reference) {
            return Ok(login.clone());
        }
        let login = self.read_login(reference, place).await?;
        self.logins.borrow_mut().insert(reference.to_owned(), login.clone());
        Ok(login)
    }

    async fn read_login(&self, reference: &str, place: &Place) -> Result<Login, NoLogin> {
        match scheme(reference) {
            ("aws-sm", name) => self.control.login(name, place).await,
            ("file", path) => {
                let unusable = |e| NoLogin::Unusable(format!("secret file {e}"));
                let text = files::text(path.as_ref(), Use::Secret).map_err(|e| unusable(e.to_string()))?;
                Login::parse(&text).map_err(|e| unusable(format!("{path}: {e}")))
            }
            (other, _) => {
                Err(NoLogin::Unusable(format!("unknown secret scheme `{other}`; use aws-sm or file")))
            }
        }
    }

    /// A login that the server refused may have been rotated, so it is read again the next time.
    pub(super) fn forget_refused(&self, db: &DatabaseRef, refused: bool) {
        if let (true, Some(secret)) = (refused, &db.admin_secret) {
            self.logins.borrow_mut().remove(secret);
        }
    }

    /// The address and login of the clients. They are read again each time, because they may just have changed or been rotated.
    pub(super) async fn as_client(
        &self,
        db: &DatabaseRef,
        way: &ClientWay,
    ) -> Result<(String, Login), NoLogin> {
        let read = match &way.secret {
            Some(secret) if way.login.is_none() || way.endpoint.is_none() => {
                Some(self.control.client(secret).await?)
            }
            _ => None,
        };
        let login = match (&way.login, &read) {
            (Some(reference), _) => self.read_login(reference, &db.place).await?,
            (None, Some((login, _))) => login.clone(),
            (None, None) => return Err(NoLogin::Unusable("the plan gives no client login".to_owned())),
        };
        let named = way.endpoint.clone().or_else(|| read.map(|(_, endpoint)| endpoint));
        let endpoint = named.ok_or_else(|| {
            NoLogin::Unusable("neither the plan nor the secret says where clients connect".to_owned())
        })?;
        let database = db.endpoint.as_deref().and_then(endpoint_parts).and_then(|(_, _, name)| name);
        Ok(match (endpoint.contains('/'), database) {
            (false, Some(name)) => (format!("{endpoint}/{name}"), login),
            _ => (endpoint, login),
        })
    }

    /// The administrator's connection to the database that clients use.
    pub(super) async fn way_beside(
        &self,
        db: &DatabaseRef,
        client: &(String, Login),
    ) -> Result<(String, Login), NoLogin> {
        let (endpoint, login) = self.connection_info(db).await?;
        let named = endpoint_parts(&client.0).and_then(|(_, _, name)| name).map(str::to_owned);
        let dbname = client.1.dbname.clone().or(named).or(login.dbname.clone());
        Ok((endpoint, Login { dbname, ..login }))
    }

    /// Where to look for a row that was written that way.
    pub(super) async fn landed(&self, db: &DatabaseRef, way: &ClientWay) -> Result<(String, Login), NoLogin> {
        self.way_beside(db, &self.as_client(db, way).await?).await
    }
}
