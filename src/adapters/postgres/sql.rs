//! PostgreSQL servers as a provider: routes each target and each operation to the call that it needs, with its login.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::future::{LocalBoxFuture, join_all};

use super::Postgres;
use crate::adapters::provider::{ControlPlane, Provider};
use crate::adapters::secrets::{Login, NoLogin};
use crate::inventory::Observation;
use crate::kinds::shared::canary::CanaryWrite;
use crate::kinds::shared::clients::ClientWrite;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::{Fence, FenceMethod, Unfence};
use crate::kinds::shared::promotion::{Promote, Withdraw};
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::{Restore, RestoreJob, RestoreStep};
use crate::kinds::shared::secret::ClientWay;
use crate::kinds::{Operation, Target};
use crate::model::again::Again;
use crate::plan::settings::SqlSettings;
use crate::record::action::Action;
use crate::run::outcome::CallOutcome;
use crate::world::World;

/// PostgreSQL servers, and the logins to them.
pub struct Sql {
    pub(super) world: World,
    pub(super) postgres: Postgres,
    /// Has logins and endpoints of managed servers.
    pub(super) control: Rc<dyn ControlPlane>,
    pub(super) logins: RefCell<BTreeMap<String, Login>>,
}

impl Provider for Sql {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        Box::pin(join_all(targets.iter().map(|t| self.observe_sql(t))))
    }

    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        Box::pin(async move {
            match action {
                Action::Op(op) => self.operate(op, key).await,
                other => refused("NotSql", format!("SQL cannot do this: {other}")),
            }
        })
    }
}

impl Sql {
    /// Opens no connection.
    pub fn new(world: World, settings: SqlSettings, control: Rc<dyn ControlPlane>) -> Self {
        let postgres = Postgres::new(world.clone(), settings);
        Self { world, postgres, control, logins: RefCell::default() }
    }

    fn unseen(&self, why: String) -> Observation {
        Observation::Unobservable { since: self.world.now(), why }
    }

    async fn rebuild(&self, db: &DatabaseRef, key: &str) -> Observation {
        let way = self.connection_info(db).await.ok();
        self.postgres.rebuild(db, way.as_ref().map(|(e, l)| (e.as_str(), l)), key).await
    }

    async fn rejoin(
        &self,
        db: &DatabaseRef,
        source: &DatabaseRef,
        reconcile: &[String],
        key: &str,
    ) -> CallOutcome {
        let Some(secret) = db.host.as_ref().map(|h| &h.replication_secret) else {
            return refused("NoHost", format!("the plan gives no `host` for {}", db.id));
        };
        let Some(endpoint) = &source.endpoint else {
            return refused("NoEndpoint", format!("the plan gives no `endpoint` for {}", source.id));
        };
        match self.login(secret, &db.place).await {
            Ok(login) => {
                let way = self.connection_info(db).await.ok();
                let way = way.as_ref().map(|(e, l)| (e.as_str(), l));
                self.postgres.rejoin(db, way, (endpoint, &login), reconcile, key).await
            }
            Err(unread) => unread.outcome(),
        }
    }

    async fn withdraw(&self, db: &DatabaseRef, key: &str) -> CallOutcome {
        match self.connection_info(db).await {
            Ok((endpoint, login)) => self.postgres.withdraw(db, (&endpoint, &login), key).await,
            Err(unread) => unread.outcome(),
        }
    }

    /// Stops a server through its host, or starts it again.
    async fn stop(&self, op: &Operation, db: &DatabaseRef, key: &str) -> CallOutcome {
        let Some(endpoint) = &db.endpoint else {
            return refused("NoEndpoint", format!("the plan gives no `endpoint` for {}", db.id));
        };
        // The server is stopped even if its login cannot be read.
        let way = self.connection_info(db).await.ok();
        let way = way.as_ref().map(|(e, l)| (e.as_str(), l));
        match op {
            Operation::Fence(_) => self.postgres.stop(db, endpoint, way, key).await,
            _ => self.postgres.start(db, endpoint, way, key).await,
        }
    }

    async fn restore(&self, part: RestoreJob, of: &Restore, key: &str) -> CallOutcome {
        match self.connection_info(&of.db).await {
            Ok((endpoint, login)) => {
                let done = self.postgres.restore(part, of, (&endpoint, &login), key).await;
                let login = matches!(&done, CallOutcome::Refused { code, .. } if code == "Login");
                self.forget_refused(&of.db, login);
                done
            }
            Err(unread) => unread.outcome(),
        }
    }

    /// Checks the copy of a managed server. The copy is a server of its own.
    async fn check(&self, part: RestoreJob, of: &Restore, copy: &DatabaseRef, key: &str) -> CallOutcome {
        let (endpoint, login) = match self.connection_info(copy).await {
            Ok(way) => way,
            Err(unread) => return unread.outcome(),
        };
        let live = match part {
            RestoreJob::Loss => self.connection_info(&of.db).await.ok(),
            _ => None,
        };
        let live = live.as_ref().map(|(endpoint, login)| (endpoint.as_str(), login));
        let done = self.postgres.check(part, of, (&endpoint, &login), live, key).await;
        self.forget_refused(&of.db, matches!(&done, CallOutcome::Refused { code, .. } if code == "Login"));
        done
    }

    async fn observe_sql(&self, target: &Target) -> Observation {
        if let Target::Alive { db, .. } = target {
            return match &db.endpoint {
                Some(endpoint) => self.postgres.alive(endpoint).await,
                None => self.unseen(format!("the endpoint of {} is unknown", db.id)),
            };
        }
        if let Target::Rebuild { db, key } = target {
            return self.rebuild(db, key).await;
        }
        if let Target::Restore { key, copy: Some(_), .. } = target {
            return self.postgres.checked(key);
        }
        if let Target::Restore { db, key, .. } = target {
            return self.postgres.restoring(db, key).await;
        }
        if let Target::Backups(of) = target {
            return match self.connection_info(&of.db).await {
                Ok((endpoint, login)) => self.postgres.backups(of, &endpoint, &login).await,
                Err(unread) => unread.observation(self.world.now()),
            };
        }
        if let Target::Fence { db, method: FenceMethod::Stop, .. } = target {
            let Some(endpoint) = &db.endpoint else {
                return self.unseen(format!("the endpoint of {} is unknown", db.id));
            };
            let way = self.connection_info(db).await.ok();
            return self.postgres.stopped(db, endpoint, way.as_ref().map(|(e, l)| (e.as_str(), l))).await;
        }
        let (Target::Fence { db, .. } | Target::Wrote { db, .. } | Target::Database(db)) = target else {
            return self.unseen("not asked by SQL".to_owned());
        };
        let connection_info = match target {
            Target::Wrote { way: Some(way), .. } => self.landed(db, way).await,
            _ => self.connection_info(db).await,
        };
        let (endpoint, login) = match connection_info {
            Ok(way) => way,
            Err(unread) => return unread.observation(self.world.now()),
        };
        let seen = match target {
            Target::Wrote { table, key, .. } => self.postgres.wrote(&endpoint, &login, table, key).await,
            Target::Database(_) => self.postgres.server(db, &endpoint, &login).await,
            Target::Fence { method, .. } => {
                let seen = self.postgres.fence_state(db, *method, &endpoint, &login).await;
                self.knocked(db, *method, &endpoint, seen).await
            }
            _ => self.unseen("not asked by SQL".to_owned()),
        };
        let refused =
            matches!(&seen, Observation::Unobservable { why, .. } if why.starts_with("login refused"));
        self.forget_refused(db, refused);
        seen
    }

    async fn operate(&self, op: &Operation, key: &str) -> CallOutcome {
        use Operation as O;
        match op {
            O::Fence(f) | O::Unfence(Unfence(f)) if f.method == FenceMethod::Stop => {
                self.stop(op, &f.db, key).await
            }
            O::Withdraw(Withdraw { db }) => self.withdraw(db, key).await,
            O::Rejoin(Rejoin { db, source, reconcile, .. }) => self.rejoin(db, source, reconcile, key).await,
            O::Restore(RestoreStep { part, of }) => match of.beside() {
                Some(copy) => self.check(*part, of, &copy, key).await,
                None => self.restore(*part, of, key).await,
            },
            O::WriteAsClient(ClientWrite { db, table, way }) => self.through(db, table, way, key).await,
            _ => self.sql(op, key).await,
        }
    }

    /// Writes a row over the connection that clients use.
    async fn through(&self, db: &DatabaseRef, table: &str, way: &ClientWay, key: &str) -> CallOutcome {
        let ways = async {
            let client = self.as_client(db, way).await?;
            let admin = self.way_beside(db, &client).await?;
            Ok::<_, NoLogin>((client, admin))
        };
        match ways.await {
            Ok((client, admin)) => {
                let (admin, client) = ((admin.0.as_str(), &admin.1), (client.0.as_str(), &client.1));
                self.postgres.write_as(admin, client, table, key).await
            }
            Err(unread) => unread.outcome(),
        }
    }

    async fn sql(&self, op: &Operation, key: &str) -> CallOutcome {
        use Operation as O;
        let (O::Fence(Fence { db, .. })
        | O::Unfence(Unfence(Fence { db, .. }))
        | O::WriteCanary(CanaryWrite { db, .. })
        | O::Promote(Promote { db, .. })) = op
        else {
            return refused("NotSql", format!("SQL cannot do this: {op}"));
        };
        let (endpoint, login) = match self.connection_info(db).await {
            Ok(way) => way,
            Err(unread) => return unread.outcome(),
        };
        let done = match op {
            O::Fence(f) => self.postgres.fence(db, f.method, (&endpoint, &login), key).await,
            O::Unfence(Unfence(f)) => self.postgres.unfence(db, f.method, (&endpoint, &login), key).await,
            O::Promote(_) => self.postgres.promote(&endpoint, &login).await,
            O::WriteCanary(CanaryWrite { table, .. }) => {
                self.postgres.write(&endpoint, &login, table, key).await
            }
            _ => refused("NotSql", format!("SQL cannot do this: {op}")),
        };
        self.forget_refused(db, matches!(&done, CallOutcome::Refused { code, .. } if code == "Login"));
        done
    }
}

fn refused(code: &str, why: String) -> CallOutcome {
    CallOutcome::Refused { code: code.to_owned(), why, again: Again::Never }
}
