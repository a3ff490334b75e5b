//! Secrets Manager: administrator logins, read when needed, and secrets that tell clients the endpoint of their database.
//!
//! To change a client's secret, drctl creates a new version in which only the fields with the endpoint differ. That version does
//! not become current at first. Then drctl moves `AWSCURRENT` to it from exactly the version that was read. If anything changed
//! in between, such as a rotated password, the move fails, and the next attempt starts from the current content.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Aws;
use super::error::Failure;
use crate::adapters::secrets::{Login, NoLogin, learn};
use crate::inventory::Observation;
use crate::kinds::State;
use crate::kinds::shared::secret::{ClientSecret, SecretState, UpdateClientSecret};
use crate::model::ids::Digest;
use crate::model::place::Place;

const SERVICE: &str = "secretsmanager";
/// The label of the latest version that drctl created. The service may remove versions without labels.
const LABEL: &str = "drctl";
const CURRENT: &str = "AWSCURRENT";
/// The label of a version that a rotation creates.
const PENDING: &str = "AWSPENDING";

impl Aws {
    /// Reads a secret that holds a login.
    pub(super) async fn read_login(&self, name: &str, place: &Place) -> Result<Login, NoLogin> {
        let secret = format!("secret {name} in {place}");
        let answer = self.current(name, place).await.map_err(|failure| failure.unread(&secret))?;
        Login::parse(answer.secret_string().unwrap_or_default())
            .map_err(|why| NoLogin::Unusable(format!("{secret}: {why}")))
    }

    async fn current(&self, name: &str, place: &Place) -> Result<GetSecretValueOutput, Failure> {
        let site = self.site(place).await;
        let call = || site.secrets().get_secret_value().secret_id(name).send();
        self.look(SERVICE, place, call).await
    }

    /// The current login and endpoint in the secret that clients read.
    pub(super) async fn read_client(&self, of: &ClientSecret) -> Result<(Login, String), NoLogin> {
        let secret = format!("secret {} in {}", of.id, of.place);
        let named = |why: String| NoLogin::Unusable(format!("{secret}: {why}"));
        let answer = self.current(&of.id, &of.place).await.map_err(|f| f.unread(&secret))?;
        let text = answer.secret_string().unwrap_or_default();
        let login = Login::parse(text).map_err(&named)?;
        let fields = contents(of, text).and_then(|c| fields(of, &c)).map_err(|f| f.unread(&secret))?;
        let port = of.port.as_ref().and_then(|field| fields.get(field)).map_or("5432", String::as_str);
        Ok((login, format!("{}:{port}", fields[&of.host])))
    }

    /// The endpoint in a client's secret.
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
        let stages = about.version_ids_to_stages().into_iter().flat_map(|all| all.values());
        Ok(SecretState {
            fields,
            replica_of: primary.map(str::to_owned),
            rotating: stages
                .clone()
                .any(|of| of.iter().any(|s| s == PENDING) && !of.iter().any(|s| s == CURRENT)),
            owned_by: about.owning_service().map(str::to_owned),
        })
    }

    /// Points clients to another server. Idempotent.
    pub(super) async fn point(&self, point: &UpdateClientSecret) -> Result<Option<String>, Failure> {
        let of = &point.secret;
        let answer = self.current(&of.id, &of.place).await?;
        let read = answer.version_id().unwrap_or_default().to_owned();
        let mut contents = contents(of, answer.secret_string().unwrap_or_default())?;
        if fields(of, &contents)? == point.to {
            return Ok(None);
        }
        for (field, value) in &point.to {
            contents.change(field, value)?;
        }
        let site = self.site(&of.place).await;
        // The token is the same for the same change of the same version, so a repeated request creates no second version.
        let about = serde_json::to_vec(&(&read, &point.to)).unwrap_or_default();
        let token = Digest::of_bytes(&about).as_str()[..64].to_owned();
        let call = site
            .secrets()
            .put_secret_value()
            .secret_id(&of.id)
            .client_request_token(&token)
            .version_stages(LABEL)
            .secret_string(contents.text())
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
            // AWSCURRENT is no longer on the version that was read.
            Err(Failure::Code { code, call, why, status }) if code == "InvalidParameterException" => {
                let why = format!("somebody changed secret {} in the meantime: {why}", of.id);
                Err(Failure::Code { code: "SecretChanged".to_owned(), call, why, status })
            }
            Err(failure) => Err(failure),
        }
    }
}

/// The content of a client's secret: its fields in order, each with its original text.
struct Contents(Vec<(String, Box<RawValue>)>);

impl Contents {
    /// The value of a field that occurs exactly once.
    fn get(&self, field: &str) -> Option<Value> {
        let mut found = self.0.iter().filter(|(name, _)| name == field);
        let (_, value) = found.next().filter(|_| found.next().is_none())?;
        serde_json::from_str(value.get()).ok()
    }

    /// Keeps the type of the field: RDS writes ports as numbers, others as text.
    fn change(&mut self, field: &str, value: &str) -> Result<(), Failure> {
        let wrong = || Failure::never("SecretField", format!("field `{field}` must occur exactly once"));
        let before = self.get(field).ok_or_else(wrong)?;
        let number = value.parse::<u16>().ok().filter(|_| before.is_number());
        let after = number.map_or_else(|| Value::from(value), Value::from);
        let after = RawValue::from_string(after.to_string()).map_err(|_| wrong())?;
        self.0.iter_mut().filter(|(name, _)| name == field).for_each(|(_, value)| value.clone_from(&after));
        Ok(())
    }

    fn text(&self) -> String {
        let one = |(name, value): &(String, Box<RawValue>)| {
            format!("{}:{}", Value::from(name.as_str()), value.get())
        };
        format!("{{{}}}", self.0.iter().map(one).collect::<Vec<_>>().join(","))
    }
}

impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Contents;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Contents, A::Error> {
                let mut all = Vec::new();
                while let Some(field) = map.next_entry()? {
                    all.push(field);
                }
                Ok(Contents(all))
            }
        }
        from.deserialize_map(Fields)
    }
}

/// Parses a secret. Errors do not contain its content.
fn contents(of: &ClientSecret, text: &str) -> Result<Contents, Failure> {
    let why = || format!("secret {} is not a JSON object, so it has no field that names a server", of.id);
    let contents: Contents =
        serde_json::from_str(text).map_err(|_| Failure::never("SecretNotJson", why()))?;
    for (name, value) in &contents.0 {
        let name = name.to_lowercase();
        let tells = ["pass", "pwd", "secret", "token", "key"].iter().any(|word| name.contains(word));
        if let (true, Ok(value)) = (tells, serde_json::from_str::<String>(value.get())) {
            learn(&value);
        }
    }
    Ok(contents)
}

/// The fields with the endpoint, and nothing else. A value that is neither a host name nor a port is rejected.
fn fields(of: &ClientSecret, contents: &Contents) -> Result<BTreeMap<String, String>, Failure> {
    let names = std::iter::once((&of.host, false)).chain(of.port.as_ref().map(|field| (field, true)));
    let mut found = BTreeMap::new();
    for (field, is_port) in names {
        let text = match contents.get(field) {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let right = if is_port { text.parse::<u16>().is_ok() } else { is_host(&text) };
        if !right {
            let what = if is_port { "port" } else { "full server name" };
            let why = format!(
                "field `{field}` of secret {} does not contain a {what}, or does not occur exactly once. Name the correct fields under `fields:` in the plan",
                of.id
            );
            return Err(Failure::never("SecretField", why));
        }
        found.insert(field.clone(), text);
    }
    Ok(found)
}

/// A full host name or an address (RFC 1123, RFC 4291): not a login, a password or a URL.
fn is_host(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    text.len() <= 253 && text.contains(['.', ':']) && text.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::place::CloudProvider;

    fn secret() -> ClientSecret {
        let place = Place {
            name: "east".to_owned(),
            cloud: CloudProvider::Aws,
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
        let text = r#"{"username":"app","password":"hunter2","host":"west.example","port":5432,"note":"x"}"#;
        let seen = fields(&secret(), &contents(&secret(), text).unwrap()).unwrap();
        let wanted = [("host", "west.example"), ("port", "5432")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(seen, BTreeMap::from(wanted));
        let error = contents(&secret(), "postgres://app:hunter2@west/app").err().unwrap();
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn what_names_no_server_is_not_taken_for_one() {
        for text in [
            r#"{"host":"postgres://app:hunter2@west.example/app","port":5432}"#,
            r#"{"host":"west.example","port":"hunter2"}"#,
            r#"{"host":{"password":"hunter2"},"port":1}"#,
            r#"{"host":"hunter2","port":5432}"#,
            r#"{"hostname":"hunter2.example","port":5432}"#,
            r#"{"host":"west.example","hunter2":1}"#,
            r#"{"host":"west.example","host":"hunter2.example","port":5432}"#,
        ] {
            let error = fields(&secret(), &contents(&secret(), text).unwrap()).unwrap_err();
            assert!(
                error.to_string().contains("fields:") && !format!("{error:?}").contains("hunter2"),
                "{text}"
            );
        }
    }

    /// The order, numbers that no float can represent, and duplicate fields are all preserved.
    #[test]
    fn all_else_stays_as_it_is_written() {
        let text =
            r#"{"z": 12345678901234567890123, "port":"5432","host":"west.example", "a":1.10,"z":null}"#;
        let mut contents = contents(&secret(), text).unwrap();
        contents.change("host", "east.example").unwrap();
        contents.change("port", "5433").unwrap();
        let wanted = r#"{"z":12345678901234567890123,"port":"5433","host":"east.example","a":1.10,"z":null}"#;
        assert_eq!(contents.text(), wanted);
        assert!(contents.change("nowhere", "east").is_err() && contents.change("z", "east").is_err());
    }

    #[test]
    fn a_port_stays_what_it_was() {
        for (before, after) in [("5432", "5433"), ("\"5432\"", "\"5433\"")] {
            let mut contents = contents(&secret(), &format!("{{\"port\":{before}}}")).unwrap();
            contents.change("port", "5433").unwrap();
            assert_eq!(contents.text(), format!("{{\"port\":{after}}}"));
        }
    }
}
