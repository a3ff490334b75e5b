//! Secrets: the logins that they hold, and what clients read in them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::document::{Node, Value};
use crate::model::ids::ComponentName;
use crate::model::place::{Place, endpoint_parts};
use crate::model::shape::Shape;
use crate::model::syntax::Syntax;

/// How clients connect to a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ClientWay {
    /// The secret that they read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<ClientSecret>,
    /// `host:port/database`; if absent, the endpoint in the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// A reference to their login; if absent, the login in the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}

impl ClientWay {
    /// A description.
    pub fn words(&self) -> String {
        match (&self.endpoint, &self.secret) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(secret)) => format!("what secret {} in {} names", secret.id, secret.place.name),
            (None, None) => "nothing".to_owned(),
        }
    }
}

/// A secret that tells clients the endpoint of their database: a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ClientSecret {
    /// The component.
    pub component: ComponentName,
    /// The site whose clients read it.
    pub place: Place,
    /// Its name or ARN.
    pub id: String,
    /// The field with the host name.
    pub host: String,
    /// The field with the port, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

impl ClientSecret {
    /// How a person makes a replica a secret of its own, which can be changed.
    pub fn made_independent(&self) -> String {
        format!(
            "make it an independent secret: aws secretsmanager stop-replication-to-replica --region {} --secret-id {}",
            self.place.region, self.id
        )
    }

    /// The values of the fields for an endpoint.
    pub fn leading_to(&self, endpoint: &str) -> Option<BTreeMap<String, String>> {
        let (host, port, _) = endpoint_parts(endpoint)?;
        let host = (self.host.clone(), host.to_owned());
        Some(std::iter::once(host).chain(self.port.clone().map(|field| (field, port.to_string()))).collect())
    }
}

/// The label of a version that a rotation is about to make current.
pub const ROTATING: &str = "AWSPENDING";

/// The endpoint in a secret. drctl keeps nothing else of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretState {
    /// The fields with the endpoint, as text.
    pub fields: BTreeMap<String, String>,
    /// The region of the primary secret, if this is a replica, which cannot be changed itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_of: Option<String>,
    /// Whether a rotation is in progress: a version has the label AWSPENDING.
    #[serde(default)]
    pub rotating: bool,
    /// The service that manages it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
}

/// The place of credentials.
pub static REFERENCE: Syntax = Syntax::new(
    "a secret reference",
    "`aws-sm:` and the name or ARN of a Secrets Manager secret, or `file:` and a path",
    "aws-sm:shop/db/admin",
    "^(aws-sm|file):[!-~]([ -~]*[!-~])?$",
    2_100,
);

/// The shape of credentials.
pub const SECRET: Shape = Shape::Secret(&REFERENCE);

/// A reference to a value that should not be in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// The value itself, written in the plan.
    Literal,
    /// `scheme:ref`.
    Ref(String),
    /// The endpoint of another component.
    EndpointOf(String),
    /// Something else, which validation reports.
    Unread,
}

impl SecretRef {
    /// The reference, if it is one.
    pub const fn reference(&self) -> Option<&String> {
        match self {
            Self::Ref(reference) => Some(reference),
            Self::Literal | Self::EndpointOf(_) | Self::Unread => None,
        }
    }
}

/// Parses a reference. Text that is neither a reference nor an endpoint is a literal; validation reports other values.
pub fn secret_ref(node: &Node) -> SecretRef {
    match &node.value {
        Value::Map(_) => {
            match (node.get("secret").and_then(Node::text), node.get("endpoint_of").and_then(Node::text)) {
                (Some(reference), _) => SecretRef::Ref(reference.to_owned()),
                (None, Some(component)) => SecretRef::EndpointOf(component.to_owned()),
                (None, None) => SecretRef::Unread,
            }
        }
        Value::Text(_) => SecretRef::Literal,
        _ => SecretRef::Unread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_says_where_the_secret_is() {
        for text in ["webshop/db/admin", "vault:webshop", "aws-sm:", "env:PASSWORD"] {
            assert!(!REFERENCE.fits(text), "{text}");
        }
    }
}
