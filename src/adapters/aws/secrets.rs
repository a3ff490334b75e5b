//! Secrets Manager: administrator logins, read where they are used, and secrets that tell clients where their database is.
//!
//! A client's secret gets a new version in which only the fields that name a server differ. The version is made without being current;
//! then `AWSCURRENT` is moved to it, away from exactly the version that was read: whatever came between, such as a rotated password, makes
//! that move fail, and the next attempt begins with what is there then.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use serde_json::{Map, Value};

use super::Aws;
use super::error::Failure;
use crate::adapters::secrets::Login;
use crate::inventory::Observation;
use crate::model::action::Point;
use crate::model::ids::Digest;
use crate::model::place::Place;
use crate::model::state::{SecretState, State};
use crate::model::target::ClientSecret;

const SERVICE: &str = "secretsmanager";
/// The label of the version that drctl made last: a version without one may be removed by the service.
const LABEL: &str = "drctl";
const CURRENT: &str = "AWSCURRENT";

impl Aws {
    /// Reads a secret that holds a login.
    pub(super) async fn read_login(&self, name: &str, place: &Place) -> Result<Login, String> {
        let answer = self.current(name, place).await;
        let answer = answer.map_err(|failure| format!("secret {name} in {place}: {failure}"))?;
        Login::parse(answer.secret_string().unwrap_or_default())
            .map_err(|why| format!("secret {name} in {place}: {why}"))
    }

    async fn current(&self, name: &str, place: &Place) -> Result<GetSecretValueOutput, Failure> {
        let site = self.site(place).await;
        let call = || site.secrets().get_secret_value().secret_id(name).send();
        self.look(SERVICE, place, call).await
    }

    /// What clients read: login and endpoint, as they stand there now.
    pub(super) async fn read_client(&self, of: &ClientSecret) -> Result<(Login, Option<String>), String> {
        let named = |why: String| format!("secret {} in {}: {why}", of.id, of.place);
        let answer = self.current(&of.id, &of.place).await.map_err(|f| named(f.to_string()))?;
        let text = answer.secret_string().unwrap_or_default();
        let login = Login::parse(text).map_err(&named)?;
        let fields = contents(of, text).and_then(|c| fields(of, &c)).map_err(|f| named(f.to_string()))?;
        let port = of.port.as_ref().and_then(|field| fields.get(field)).map_or("5432", String::as_str);
        Ok((login, fields.get(&of.host).map(|host| format!("{host}:{port}"))))
    }

    /// Where a secret leads clients.
    pub(super) async fn leads(&self, of: &ClientSecret) -> Observation {
        match self.read_leads(of).await {
            Ok(state) => self.seen(State::Secret(state), "secretsmanager:GetSecretValue"),
            Err(failure) => failure.observation(self.now()),
        }
    }

    async fn read_leads(&self, of: &ClientSecret) -> Result<SecretState, Failure> {
        let answer = self.current(&of.id, &of.place).await?;
        let fields = fields(of, &contents(of, answer.secret_string().unwrap_or_default())?)?;
        let site = self.site(&of.place).await;
        let call = || site.secrets().describe_secret().secret_id(&of.id).send();
        let about = self.look(SERVICE, &of.place, call).await?;
        let primary = about.primary_region().filter(|region| *region != of.place.region);
        Ok(SecretState { fields, replica_of: primary.map(str::to_owned) })
    }

    /// Leads clients elsewhere. The same however often it is done.
    pub(super) async fn point(&self, point: &Point) -> Result<Option<String>, Failure> {
        let of = &point.secret;
        let answer = self.current(&of.id, &of.place).await?;
        let read = answer.version_id().unwrap_or_default().to_owned();
        let mut contents = contents(of, answer.secret_string().unwrap_or_default())?;
        if fields(of, &contents)? == point.to {
            return Ok(None);
        }
        for (field, value) in &point.to {
            let written = written(contents.get(field), value);
            contents.insert(field.clone(), written);
        }
        let site = self.site(&of.place).await;
        // The same again for the same change of the same version: a request that is repeated makes no second one.
        let about = serde_json::to_vec(&(&read, &point.to)).unwrap_or_default();
        let token = Digest::of(&about).as_str()[..64].to_owned();
        let call = site
            .secrets()
            .put_secret_value()
            .secret_id(&of.id)
            .client_request_token(&token)
            .version_stages(LABEL)
            .secret_string(Value::Object(contents).to_string())
            .send();
        let made = self.once(SERVICE, &of.place, call).await?;
        let made = made.version_id().unwrap_or(&token).to_owned();
        let call = site
            .secrets()
            .update_secret_version_stage()
            .secret_id(&of.id)
            .version_stage(CURRENT)
            .move_to_version_id(&made)
            .remove_from_version_id(&read)
            .send();
        match self.once(SERVICE, &of.place, call).await {
            Ok(_) => Ok(Some(made)),
            // The label is not on the version that was read any more.
            Err(Failure::Code { code, why, .. }) if code == "InvalidParameterException" => {
                let why = format!("secret {} was changed meanwhile: {why}", of.id);
                Err(Failure::Code { code: "SecretChanged".to_owned(), why, status: 400 })
            }
            Err(failure) => Err(failure),
        }
    }
}

/// A secret as clients read it. What stands in it is in no error.
fn contents(of: &ClientSecret, text: &str) -> Result<Map<String, Value>, Failure> {
    let wrong = || {
        Failure::never(
            "SecretNotJson",
            format!("secret {} is no JSON object, so no field of it names a server", of.id),
        )
    };
    serde_json::from_str(text).map_err(|_| wrong())
}

/// The fields that name a server, and nothing else: what is no name and no port is not taken from it.
fn fields(of: &ClientSecret, contents: &Map<String, Value>) -> Result<BTreeMap<String, String>, Failure> {
    let names = std::iter::once((&of.host, false)).chain(of.port.as_ref().map(|field| (field, true)));
    let mut found = BTreeMap::new();
    for (field, is_port) in names {
        let text = match contents.get(field) {
            None => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => String::new(),
        };
        let right = if is_port { text.parse::<u16>().is_ok() } else { is_host(&text) };
        if !right {
            let what = if is_port { "port" } else { "server's name" };
            let why = format!(
                "field `{field}` of secret {} holds no {what}; `fields:` in the plan says which do",
                of.id
            );
            return Err(Failure::never("SecretField", why));
        }
        found.insert(field.clone(), text);
    }
    Ok(found)
}

/// A name or address (RFC 1123, RFC 4291): no login, no password and no URL.
fn is_host(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    !text.is_empty() && text.len() <= 253 && text.chars().all(known)
}

/// A value as the field had it: RDS writes ports as numbers, others as text.
fn written(before: Option<&Value>, value: &str) -> Value {
    let number = value.parse::<u16>().ok().filter(|_| !matches!(before, Some(Value::String(_))));
    number.map_or_else(|| Value::String(value.to_owned()), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> ClientSecret {
        let place = Place {
            name: "east".to_owned(),
            cloud: "aws".to_owned(),
            region: "us-east-1".to_owned(),
            account: None,
            role: None,
            external_id: None,
        };
        ClientSecret {
            component: "clients".into(),
            place,
            id: "app/db".to_owned(),
            host: "host".to_owned(),
            port: Some("port".to_owned()),
        }
    }

    #[test]
    fn only_what_names_a_server_is_known_of_a_secret() {
        let text = r#"{"username":"app","password":"hunter2","host":"west","port":5432,"note":"x"}"#;
        let seen = fields(&secret(), &contents(&secret(), text).unwrap()).unwrap();
        let wanted = [("host", "west"), ("port", "5432")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(seen, BTreeMap::from(wanted));
        let error = contents(&secret(), "postgres://app:hunter2@west/app").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn what_names_no_server_is_not_taken_for_one() {
        let urls = r#"{"host":"postgres://app:hunter2@west/app","port":5432}"#;
        for text in [urls, r#"{"host":"west","port":"hunter2"}"#, r#"{"host":{"password":"hunter2"}}"#] {
            let error = fields(&secret(), &contents(&secret(), text).unwrap()).unwrap_err();
            assert!(error.to_string().contains("fields:") && !format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_port_stays_what_it_was() {
        assert_eq!(written(Some(&Value::from(5432)), "5433"), Value::from(5433));
        assert_eq!(written(Some(&Value::from("5432")), "5433"), Value::from("5433"));
        assert_eq!(written(None, "5433"), Value::from(5433));
        assert_eq!(written(Some(&Value::from("west")), "east"), Value::from("east"));
    }
}
