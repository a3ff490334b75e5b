//! Pointing clients to another server by their secret.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::effects::has_no_such_effect;
use crate::kinds::found::{FoundValues, Readings};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole_after_a_reading};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::secret::login::ClientSecret;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::{Call, asked, call, quoted};
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, LEADS, Late, Moves, Properties, Undo};
use crate::model::time::Dur;

/// Changes the endpoint in the secret that clients read. Only the fields with the endpoint are known here, and only they change. The rest
/// of the content stays in the service and in the process that writes the new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateClientSecret {
    /// The secret.
    pub secret: ClientSecret,
    /// The new values of the fields.
    pub to: BTreeMap<String, String>,
    /// Their old values; empty if they were never observed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from: BTreeMap<String, String>,
}

impl UpdateClientSecret {
    /// The opposite change, if it is known. It changes the same fields instead of restoring the old version, so that a password that was
    /// rotated in the meantime is kept.
    pub fn reversed(&self) -> Option<Self> {
        let back = || Self { secret: self.secret.clone(), to: self.from.clone(), from: self.to.clone() };
        (!self.from.is_empty()).then(back)
    }
}

has_no_such_effect!(UpdateClientSecret);

impl Op for UpdateClientSecret {
    type Back = Self;

    fn properties(&self) -> Properties {
        Properties { moves: Moves::BySecret, made_up_for: true, ..LEADS }
    }

    fn undo(&self) -> Undo<Self> {
        self.reversed().map_or(Undo::Nothing, Undo::By)
    }

    fn in_doubt(&self) -> InDoubt {
        InDoubt::Repeat
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        Some("continues, and clients that read that secret keep using the old server".to_owned())
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.secret.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::Secret(self.secret.clone())
    }

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::Secret(seen) => Judged::stands(seen.fields == self.to),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole_after_a_reading!();

    fn allows(&self, part: &[u32], found: Option<&FoundValues>) -> bool {
        part.is_empty() && matches!(found, None | Some(FoundValues::Fields(_)))
    }

    /// The fields with the endpoint, if they differ from those in the runbook.
    fn read(&self, seen: &State, _: &[u32]) -> Option<FoundValues> {
        match seen {
            State::Secret(seen) if seen.fields != self.from => Some(FoundValues::Fields(seen.fields.clone())),
            _ => None,
        }
    }

    fn bound(&self, read: &Readings) -> Option<Self> {
        read.fields().map(|from| Self { from: from.clone(), ..self.clone() })
    }

    /// Four API calls. AWS publishes no duration; two minutes leave room for throttling.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(2), Dur::mins(2))
    }

    fn calls(&self) -> Vec<Call> {
        update_calls(self)
    }

    /// The fields with the endpoint.
    fn changes(&self) -> Vec<Change> {
        let place = &self.secret.place.name;
        let resource = format!("aws_secretsmanager_secret_version {} in {place}", self.secret.id);
        let of = |(field, after): (&String, &String)| {
            let before = self.from.get(field).cloned().unwrap_or_else(|| "unknown".to_owned());
            Change::new(place, &resource, field, before, after.clone())
        };
        self.to.iter().map(of).filter(|c| c.before != c.after).collect()
    }
}

impl fmt::Display for UpdateClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<_> = self.to.values().map(String::as_str).collect();
        let (id, site) = (&self.secret.id, &self.secret.place.name);
        write!(f, "point clients to {} by secret {id} in {site}", to.join(":"))
    }
}

/// Creates a version that is not current, then moves the label to it from exactly the version that was read.
fn update_calls(p: &UpdateClientSecret) -> Vec<Call> {
    let (region, id, at) = (quoted(&p.secret.place.region), quoted(&p.secret.id), &p.secret.place.name);
    let fields: Vec<_> =
        p.to.iter().map(|(field, value)| format!("{field}={value}").replace(['\n', '\r'], " ")).collect();
    let of = |operation: &'static str, mutates: bool, rest: String| {
        call("secretsmanager", operation, at, mutates, format!("aws secretsmanager {rest}"))
    };
    vec![
        of(
            "PutSecretValue",
            true,
            format!(
                "put-secret-value --region {region} --secret-id {id} --version-stages drctl --client-request-token {} --secret-string file://secret.json   # in it what get-secret-value shows, with {}",
                asked("TOKEN", "any UUID that was not used before"),
                fields.join(", ")
            ),
        ),
        of(
            "UpdateSecretVersionStage",
            true,
            format!(
                "update-secret-version-stage --region {region} --secret-id {id} --version-stage AWSCURRENT --move-to-version-id {} --remove-from-version-id {}",
                asked("TOKEN", "that of put-secret-value"),
                asked("READ_VERSION", "the VersionId of get-secret-value")
            ),
        ),
        of("DescribeSecret", false, format!("describe-secret --region {region} --secret-id {id}")),
        of(
            "GetSecretValue",
            false,
            format!(
                "get-secret-value --region {region} --secret-id {id}   # until it names {}",
                fields.join(", ")
            ),
        ),
    ]
}
