//! Secrets Manager: in each region, secrets that lead clients to a database. Each has versions with labels.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::estate::Region;
use super::options::Options;
use super::router::{Asked, Service};
use super::wire::{ACCOUNT, Fault};

pub const SERVICE: Service = Service {
    name: "secretsmanager",
    namespace: "secretsmanager",
    operations: &["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"],
};

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

#[derive(Default)]
struct Secret {
    /// The contents, by version.
    versions: BTreeMap<String, String>,
    /// The version that a label is on.
    labels: BTreeMap<String, String>,
}

/// The secrets of both regions, by name.
pub struct Secrets([BTreeMap<String, Secret>; 2]);

impl Secrets {
    /// `writer` is the address of the database with that number in the west.
    pub fn new(options: &Options, writer: impl Fn(usize) -> String) -> Self {
        let build = |_: Region| {
            let secret = |number: usize| {
                let login =
                    json!({"username": "app", "password": "stub", "host": writer(number), "port": 5432});
                let mut secret = Secret::default();
                secret.versions.insert("first".to_owned(), login.to_string());
                secret.labels.insert(CURRENT.to_owned(), "first".to_owned());
                (format!("app-{number:05}"), secret)
            };
            (1..=options.services).map(secret).collect()
        };
        Self(Region::ALL.map(build))
    }

    /// For each region: the secrets that lead to a database in the east.
    pub fn led_east(&self) -> [usize; 2] {
        let east = format!(".{}.", Region::East.name());
        Region::ALL.map(|region| {
            let secrets = self.0[region.index()].values();
            secrets.filter(|secret| secret.current().is_some_and(|(_, text)| text.contains(&east))).count()
        })
    }

    pub fn handle(&mut self, asked: &Asked<'_>) -> Result<Value, Fault> {
        let id = asked.text("SecretId");
        let missing = || {
            let message = "Secrets Manager can't find the specified secret.";
            Fault::new(400, "ResourceNotFoundException", message)
        };
        let region = asked.region.ok_or_else(missing)?;
        let secret = self.0[region.index()].get_mut(id).ok_or_else(missing)?;
        let arn = format!("arn:aws:secretsmanager:{}:{ACCOUNT}:secret:{id}-stub00", region.name());
        let mut answer = json!({"ARN": arn, "Name": id});
        match asked.operation {
            "DescribeSecret" => {
                answer["VersionIdsToStages"] = secret.stages();
            }
            "GetSecretValue" => {
                let (version, text) = secret.current().ok_or_else(missing)?;
                answer["VersionId"] = version.into();
                answer["SecretString"] = text.into();
                answer["VersionStages"] = json!([CURRENT]);
            }
            "PutSecretValue" => {
                let version = secret.put(asked)?;
                answer["VersionId"] = version.into();
            }
            _ => secret.relabel(asked)?,
        }
        Ok(answer)
    }
}

impl Secret {
    fn current(&self) -> Option<(&str, &str)> {
        let version = self.labels.get(CURRENT)?;
        Some((version, self.versions.get(version)?))
    }

    fn stages(&self) -> Value {
        let mut stages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (label, version) in &self.labels {
            stages.entry(version).or_default().push(label);
        }
        json!(stages)
    }

    /// A repeated request creates no second version; another content under the same token is refused (AWS Secrets Manager API Reference,
    /// `PutSecretValue`, `ClientRequestToken`).
    fn put(&mut self, asked: &Asked<'_>) -> Result<String, Fault> {
        let (token, text) = (asked.text("ClientRequestToken"), asked.text("SecretString"));
        if !(32..=64).contains(&token.len()) || text.is_empty() {
            return Err(Fault::new(
                400,
                "ValidationException",
                "ClientRequestToken: 32 to 64; SecretString: not empty",
            ));
        }
        if self.versions.get(token).is_some_and(|before| before != text) {
            let message = "You can't create this version because a version with this token already exists.";
            return Err(Fault::new(400, "ResourceExistsException", message));
        }
        self.versions.insert(token.to_owned(), text.to_owned());
        let labels: Vec<_> = asked.texts("VersionStages").collect();
        for label in if labels.is_empty() { vec![CURRENT] } else { labels } {
            self.label(label, token);
        }
        Ok(token.to_owned())
    }

    fn relabel(&mut self, asked: &Asked<'_>) -> Result<(), Fault> {
        let invalid = |message: &str| Err(Fault::new(400, "InvalidParameterException", message));
        let (label, to) = (asked.text("VersionStage"), asked.text("MoveToVersionId"));
        if !self.versions.contains_key(to) {
            return invalid("The version that MoveToVersionId names does not exist.");
        }
        // A label that another version has must be removed from exactly that one.
        if self.labels.get(label).is_some_and(|on| on != to && on != asked.text("RemoveFromVersionId")) {
            return invalid(
                "The parameter RemoveFromVersionId can't be another version than the one with the label.",
            );
        }
        self.label(label, to);
        Ok(())
    }

    fn label(&mut self, label: &str, version: &str) {
        let before = self.labels.insert(label.to_owned(), version.to_owned());
        if let Some(before) = before.filter(|before| label == CURRENT && before != version) {
            self.labels.insert(PREVIOUS.to_owned(), before);
        }
    }
}
