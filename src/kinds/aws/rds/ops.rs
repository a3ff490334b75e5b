//! What is done to a DB instance.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::aws::rds::{NEW_NAME, NEW_NAME_AT_WORST, SERVING, calls};
use crate::kinds::op::{Op, made_as_a_whole};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Called, Judged, Progress, State, Target};
use crate::model::call::{Call, quoted};
use crate::model::change::Change;
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{Consent, InDoubt, Late, Properties, QUIET, Undo};
use crate::model::time::Dur;

/// Gives a managed server another name, which frees the one that it has. It is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rename {
    /// The server.
    pub db: DatabaseRef,
    /// Its name from then on.
    pub to: String,
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

    /// Until it is done the old name is what is seen.
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

    /// What is looked for there is the new name.
    fn absent(&self, _: &Target, _: &Progress<'_>) -> Judged {
        Judged::Before
    }

    made_as_a_whole!();

    /// A call whose answer was lost is made again once, after as long as a renaming may show nothing.
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
