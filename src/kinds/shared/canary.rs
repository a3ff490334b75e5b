//! A row that is written and read back, which proves that a new primary takes writes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::effects::writes_only_a_row;
use crate::kinds::facts::Fact;
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::Op;
use crate::kinds::shared::database::calls::sql;
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::Call;
use crate::model::estimate::Estimate;
use crate::model::properties::{Looks, Properties, QUIET};
use crate::model::time::Dur;

/// Commits a row on the new primary and reads it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryWrite {
    /// The database.
    pub db: DatabaseRef,
    /// The table.
    pub table: String,
}

/// The duration of such a write: a connection, two statements and a few attempts. No figure is published.
pub(crate) const TAKES: Estimate = Estimate::new(Dur::secs(2), Dur::secs(60));

/// A row counts only if a call of this step wrote it. An existing row proves nothing.
pub(crate) fn wrote(db: &DatabaseRef, seen: &State, of: &Progress<'_>) -> Judged {
    match seen {
        State::Wrote(wrote) if of.called && wrote.ok => {
            Judged::Done(vec![Fact::Wrote { component: db.component.clone(), server: wrote.server.clone() }])
        }
        State::Wrote(_) => Judged::Before,
        _ => Judged::other(),
    }
}

/// For writing one row to `self.db` with the key of the call. A repeated write changes nothing.
macro_rules! proven_by_its_row {
    () => {
        type Back = std::convert::Infallible;

        fn undo(&self) -> crate::model::properties::Undo<std::convert::Infallible> {
            crate::model::properties::Undo::Nothing
        }

        fn in_doubt(&self) -> crate::model::properties::InDoubt {
            crate::model::properties::InDoubt::Repeat
        }

        fn late(&self) -> crate::model::properties::Late {
            crate::model::properties::Late::Settles
        }

        fn place(&self) -> Option<&crate::model::place::Place> {
            Some(&self.db.place)
        }

        fn store(&self) -> Option<&crate::kinds::shared::database::server::DatabaseRef> {
            None
        }

        fn judge(
            &self,
            seen: &crate::kinds::state::State,
            of: &crate::kinds::judged::Progress<'_>,
        ) -> crate::kinds::judged::Judged {
            crate::kinds::shared::canary::wrote(&self.db, seen, of)
        }

        /// It watches the row that it writes.
        fn absent(
            &self,
            _: &crate::kinds::target::Target,
            _: &crate::kinds::judged::Progress<'_>,
        ) -> crate::kinds::judged::Judged {
            crate::kinds::judged::Judged::Before
        }

        crate::kinds::op::made_as_a_whole!();

        fn estimate(&self) -> crate::model::estimate::Estimate {
            crate::kinds::shared::canary::TAKES
        }

        /// Rows are not resources.
        fn changes(&self) -> Vec<crate::model::change::Change> {
            Vec::new()
        }
    };
}

pub(crate) use proven_by_its_row;

writes_only_a_row!(CanaryWrite);

impl Op for CanaryWrite {
    fn properties(&self) -> Properties {
        Properties { safety: true, looks: Looks::AfterTheCall, ..QUIET }
    }

    fn left_out(&self) -> Option<String> {
        None
    }

    fn watch(&self, called: &Called<'_>) -> Target {
        let (db, table) = (self.db.clone(), self.table.clone());
        Target::Wrote { db, table, key: called.key.to_owned(), way: None }
    }

    proven_by_its_row!();

    fn calls(&self) -> Vec<Call> {
        let table = &self.table;
        let text = format!(
            "CREATE TABLE IF NOT EXISTS {table} (key text PRIMARY KEY, written_at timestamptz); INSERT INTO {table} VALUES ('by hand ' || clock_timestamp(), clock_timestamp()); SELECT * FROM {table} ORDER BY written_at DESC LIMIT 1"
        );
        vec![sql(&self.db, true, &text)]
    }
}

impl fmt::Display for CanaryWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write a row to {} and read it back", self.db.id)
    }
}
