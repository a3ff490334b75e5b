//! Who operates each kind of database.

use super::operator::{HEADLESS, Lacks, Operator, Serves, StandbyBy, Unmet};
use super::server::{DatabaseRef, DatabaseState, Engine};
use crate::kinds::aws::aurora::operator::AuroraOperator;
use crate::kinds::aws::rds::operator::RdsOperator;
use crate::kinds::postgres::operator::PostgresOperator;

impl Engine {
    /// Who runs it.
    pub const fn operator(self) -> &'static dyn Operator {
        match self {
            Self::Rds => &RdsOperator,
            Self::Postgres => &PostgresOperator,
            Self::Aurora => &AuroraOperator,
        }
    }
}

impl DatabaseRef {
    /// What the plan lacks before drctl can make this server a standby.
    pub fn lacks(&self) -> Option<Unmet> {
        let operator = self.engine.operator();
        let no_host = operator.standby_by() == StandbyBy::Job && self.host.is_none();
        no_host.then(|| operator.no_standby(self, &Lacks::Host))
    }
}

impl DatabaseState {
    /// What its status means for those who connect.
    pub fn serves(&self, engine: Engine) -> Serves {
        if self.status == HEADLESS {
            return Serves::NoInstance;
        }
        if engine.operator().serves(&self.status) { Serves::Yes } else { Serves::NotNow }
    }
}
