//! Operations on a DB instance.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::rds::calls;
use crate::kinds::aws::rds::published::{NEW_NAME, NEW_NAME_AT_WORST, SERVING};
use crate::kinds::effects::{
    Effects, calls_no_endpoint_of_the_plan, is_more_than_a_row, moves_no_names, scales_nothing,
};
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::{Call, quoted};
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{Consent, InDoubt, Late, Properties, QUIET, Undo};
use crate::model::time::Dur;

/// Renames a managed server, so that its name is free. The server itself is kept unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rename {
    /// The server.
    pub db: DatabaseRef,
    /// Its new name.
    pub to: String,
}

impl Effects for Rename {
    fn renames(&self) -> Option<(&DatabaseRef, &String)> {
        Some((&self.db, &self.to))
    }

    scales_nothing!();
    moves_no_names!();
    calls_no_endpoint_of_the_plan!();
    is_more_than_a_row!();
}

impl Op for Rename {
    type Back = Self;

    fn properties(&self) -> Properties {
        Properties { consent: Consent::Always, ..QUIET }
    }

    fn undo(&self) -> Undo<Self> {
        let renamed = DatabaseRef { id: self.to.clone(), ..self.db.clone() };
        Undo::By(Self { db: renamed, to: self.db.id.clone() })
    }

    /// Until the rename is done, the instance is visible under the old name.
    fn in_doubt(&self) -> InDoubt {
        InDoubt::ObserveAfter(NEW_NAME_AT_WORST)
    }

    fn late(&self) -> Late {
        Late::Settles
    }

    fn left_out(&self) -> Option<String> {
        Some("continues without it; steps that need it will fail".to_owned())
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.db.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        Some(&self.db)
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::Database(DatabaseRef { id: self.to.clone(), ..self.db.clone() })
    }

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::Database(seen) if SERVING.contains(&seen.status.as_str()) => Judged::Done(Vec::new()),
            State::Database(seen) => Judged::Unclear(format!("the database is `{}`", seen.status)),
            _ => Judged::other(),
        }
    }

    /// It watches the new name.
    fn absent(&self, _: &Target, _: &Progress<'_>) -> Judged {
        Judged::Before
    }

    made_as_a_whole!();

    /// If the answer is lost, the call is repeated once, after the time in which a rename may have no visible effect.
    fn estimate(&self) -> Estimate {
        Estimate::new(NEW_NAME, Dur::mins(60))
    }

    fn calls(&self) -> Vec<Call> {
        let db = &self.db;
        let text = format!(
            "aws rds modify-db-instance --region {} --db-instance-identifier {} --new-db-instance-identifier {} --apply-immediately",
            quoted(&db.place.region),
            quoted(&db.id),
            quoted(&self.to)
        );
        vec![
            calls::about(db, "rds", "ModifyDBInstance", true, text),
            calls::describe(&db.place.region, &db.place.name, &self.to),
        ]
    }

    fn changes(&self) -> Vec<Change> {
        let (db, resource) = (&self.db, format!("aws_db_instance {}", self.db.id));
        vec![Change::new(&db.place.name, &resource, "identifier", db.id.clone(), self.to.clone())]
    }
}

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rename {} to {}", self.db.id, self.to)
    }
}
