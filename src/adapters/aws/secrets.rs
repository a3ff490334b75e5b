//! Secrets Manager: administrator logins, read where they are used.

use super::Aws;
use crate::adapters::secrets::Login;
use crate::model::place::Place;

impl Aws {
    /// Reads a secret that holds a login.
    pub(super) async fn read_login(&self, name: &str, place: &Place) -> Result<Login, String> {
        let site = self.site(place).await;
        let call = || site.secrets().get_secret_value().secret_id(name).send();
        let answer = self.look("secretsmanager", place, call).await;
        let answer = answer.map_err(|failure| format!("secret {name} in {place}: {failure}"))?;
        Login::parse(answer.secret_string().unwrap_or_default())
            .map_err(|why| format!("secret {name} in {place}: {why}"))
    }
}
