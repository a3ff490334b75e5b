//! Clients of a database, and how they are moved.

use std::collections::BTreeMap;

use crate::kinds::shared::command::Task;
use crate::kinds::shared::secret::login::{ClientSecret, ClientWay, SecretRef};
use crate::kinds::surroundings::Surroundings;
use crate::model::document::Spanned;
use crate::model::ids::{ComponentName, SiteName};

/// Those who connect to a database, and how they find it.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The database.
    pub of: Spanned<ComponentName>,
    /// The field of their secret with the server's name.
    pub host: String,
    /// The field with its port; none where they do not read one.
    pub port: Option<String>,
    /// Those of each site.
    pub at: BTreeMap<SiteName, ClientsAt>,
    /// The table that a row of theirs is written to.
    pub canary_table: Option<String>,
    /// Where they connect to, if that is not in the secret: `host:port/database`.
    pub endpoint: Option<String>,
    /// Their login, if that is not in the secret.
    pub login: Option<Spanned<SecretRef>>,
}

/// Clients in one site.
#[derive(Clone, Debug)]
pub struct ClientsAt {
    /// The secret that they read.
    pub secret: Option<String>,
    /// What leads them to the database of this site.
    pub switch: Option<Task>,
    /// What makes them read it again, in this order.
    pub restart: Vec<Task>,
}

impl Clients {
    /// The secret that the clients in a site read.
    pub fn secret(
        &self,
        plan: &dyn Surroundings,
        name: &ComponentName,
        site: &SiteName,
    ) -> Option<ClientSecret> {
        Some(ClientSecret {
            component: name.clone(),
            place: plan.site(site)?.clone(),
            id: self.at.get(site)?.secret.clone()?,
            host: self.host.clone(),
            port: self.port.clone(),
        })
    }

    /// How the clients in a site connect, if the plan says with which login.
    pub fn way(&self, plan: &dyn Surroundings, name: &ComponentName, site: &SiteName) -> Option<ClientWay> {
        let login = self.login.as_ref().and_then(|l| l.value.reference().cloned());
        let secret = self.secret(plan, name, site);
        let known = login.is_some() || secret.is_some();
        known.then_some(ClientWay { secret, endpoint: self.endpoint.clone(), login })
    }
}
