//! An object in a bucket that health checks watch: it moves names without the API of the name servers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::route53::calls;
use crate::kinds::aws::s3::bucket_and_key;
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Called, Judged, Progress, State, Target};
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::ids::ComponentName;
use crate::model::place::Place;
use crate::model::properties::{InDoubt, LEADS, Late, Moves, Properties, Undo};
use crate::model::time::Dur;

/// An object that health checks watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRef {
    /// The component whose names it moves.
    pub component: ComponentName,
    /// Its place: the site to which it sends users.
    pub place: Place,
    /// `s3://bucket/key`.
    pub url: String,
}

impl ObjectRef {
    /// Bucket and key.
    pub fn parts(&self) -> Option<(&str, &str)> {
        bucket_and_key(&self.url)
    }

    /// What it means that the object cannot be removed while its site is dark.
    pub fn removed_in_vain(&self) -> String {
        format!(
            "{} cannot be removed while {} does not answer. Names point away from that site only while its S3 is unreachable. Remove the object before S3 is reachable again, or names point back",
            self.url, self.place.name
        )
    }
}

/// An object that health checks watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthObjectState {
    /// Who created it; `None` if it does not exist.
    #[serde(default)]
    pub holder: Option<String>,
}

/// Moves traffic by an object: existing health checks watch it, and fixed record sets follow these checks. Neither needs a control plane
/// (AWS, «Creating disaster recovery mechanisms using Amazon Route 53»).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetHealthObject {
    /// The object.
    pub object: ObjectRef,
    /// Whether the object will exist. While it does, users are sent to its site.
    pub present: bool,
    /// Its content: who sent users there.
    pub holder: String,
}

impl Op for SetHealthObject {
    type Back = Self;

    fn properties(&self) -> Properties {
        Properties { moves: Moves::ByName, made_up_for: true, ..LEADS }
    }

    fn undo(&self) -> Undo<Self> {
        Undo::By(Self { present: !self.present, ..self.clone() })
    }

    fn in_doubt(&self) -> InDoubt {
        InDoubt::Repeat
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.object.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::HealthObject(self.object.clone())
    }

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::HealthObject(seen) => Judged::stands(seen.holder.is_some() == self.present),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// One API call. AWS publishes no duration; two minutes leave room for throttling.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(2), Dur::mins(2))
    }

    fn calls(&self) -> Vec<Call> {
        calls::object(self)
    }

    fn changes(&self) -> Vec<Change> {
        let resource = format!("aws_s3_object {}", self.object.url);
        let (none, present) = ("none".to_owned(), "present".to_owned());
        let put = Change::new(&self.object.place.name, &resource, "object", none, present);
        vec![if self.present { put } else { put.reversed() }]
    }
}

impl fmt::Display for SetHealthObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (url, site) = (&self.object.url, &self.object.place.name);
        match self.present {
            true => write!(f, "create {url}, which sends users to {site}"),
            false => write!(f, "remove {url}, which keeps users in {site}"),
        }
    }
}
