//! Operations on an Aurora global database.

use std::convert::Infallible;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::aurora::calls;
use crate::kinds::aws::rds::published::SERVING;
use crate::kinds::effects::has_no_such_effect;
use crate::kinds::judged::{Judged, Progress};
use crate::kinds::op::{Op, at_its_database, made_as_a_whole};
use crate::kinds::shared::database::calls::look;
use crate::kinds::shared::database::cluster::NewMember;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::properties::{InDoubt, Late, Properties, QUIET, Undo};
use crate::model::time::Dur;

/// Creates an instance in a cluster that has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddClusterInstance {
    /// The cluster.
    pub db: DatabaseRef,
    /// The instance.
    pub instance: Box<NewMember>,
}

has_no_such_effect!(AddClusterInstance);

impl Op for AddClusterInstance {
    type Back = Infallible;

    fn properties(&self) -> Properties {
        QUIET
    }

    /// The instance serves nobody before the promotion, and helps its cluster. A person removes it if they do not want to pay for it.
    fn undo(&self) -> Undo<Infallible> {
        Undo::Nothing
    }

    fn in_doubt(&self) -> InDoubt {
        InDoubt::ObserveAfter(Dur::mins(1))
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        Some("continues without it; steps that need it will fail".to_owned())
    }

    at_its_database!();

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        let State::Database(seen) = seen else { return Judged::other() };
        let there = seen.cluster.iter().flat_map(|c| &c.instances).find(|i| i.id == self.instance.id);
        match there.map(|i| i.status.as_str()) {
            None => Judged::Before,
            Some(status) if SERVING.contains(&status) => Judged::Done(Vec::new()),
            Some(status) => Judged::Unclear(format!("{} is `{status}`", self.instance.id)),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    made_as_a_whole!();

    /// AWS publishes no figure for an instance of a cluster. Its storage already exists.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::mins(8), Dur::mins(30))
    }

    fn calls(&self) -> Vec<Call> {
        vec![calls::create_instance(&self.db, &self.instance), look(&self.db)]
    }

    fn changes(&self) -> Vec<Change> {
        let resource = format!("aws_rds_cluster_instance {}", self.instance.id);
        let (before, after) = ("none".to_owned(), self.instance.class.clone());
        vec![Change::new(&self.db.place.name, &resource, "instance", before, after)]
    }
}

impl fmt::Display for AddClusterInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (instance, cluster) = (&self.instance, &self.db.id);
        write!(f, "create {}, {}, in cluster {cluster}", instance.id, instance.class)
    }
}
