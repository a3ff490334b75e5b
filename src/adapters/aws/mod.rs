//! The AWS kinds, with the official SDK: which calls drctl makes, and what the answers mean. Other modules make the decisions.
//!
//! Each file is a service. `clients` has credentials and addresses, `throttle` the rate limits, `error` the meaning of failures.

mod aurora;
mod autoscaling;
mod between;
mod body;
mod buckets;
mod bundles;
mod clients;
mod cloudwatch;
mod ecs;
mod error;
mod groups;
mod guard;
mod iam;
mod identity;
mod instances;
pub mod provider;
mod rds;
mod restarts;
mod restore;
mod route53;
mod routing;
mod secrets;
mod signal;
mod throttle;

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::rc::Rc;

use aws_sdk_sts::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tracing::Instrument as _;

use clients::{Clients, Site};
use error::Failure;
use throttle::Throttle;

use super::client::requested;
use crate::inventory::Observation;
use crate::kinds::aws::aurora::AddClusterInstance;
use crate::kinds::aws::rds::Rename;
use crate::kinds::shared::fence::{FenceMethod, Unfence};
use crate::kinds::shared::promotion::Promote;
use crate::kinds::shared::rejoin::Rejoin;
use crate::kinds::shared::restore::RestoreStep;
use crate::kinds::{Operation, State, Target};
use crate::model::again::Again;
use crate::model::place::Place;
use crate::model::time::{Dur, Timestamp};
use crate::plan::Settings;
use crate::record::action::{Action, Write};
use crate::run::outcome::CallOutcome;
use crate::world::World;

/// Maximum number of attempts of an observation.
const LOOKS: u32 = 4;
/// The pause after the first failed attempt; it doubles each time.
const PAUSE: Dur = Dur(100);
/// A failure that took longer than this is not repeated: waiting four times for a dark region helps nobody.
const QUICK: Dur = Dur::secs(1);

/// Every AWS service that drctl uses.
pub struct Aws {
    world: World,
    clients: Clients,
    throttle: Throttle,
    /// The place to read secrets in: the recovery site, which is never the lost one.
    recovery: Option<Place>,
}

impl Aws {
    /// Opens no connection.
    pub fn new(world: World, settings: &Settings, recovery: Option<Place>) -> Self {
        super::client::install_tls();
        let region = recovery.as_ref().map(|p| p.region.clone());
        Self {
            clients: Clients::new(settings.endpoints.clone(), region, &settings.session),
            throttle: Throttle::new(world.clone(), settings.limits.clone()),
            world,
            recovery,
        }
    }

    fn now(&self) -> Timestamp {
        self.world.now()
    }

    async fn site(&self, place: &Place) -> Rc<Site> {
        self.clients.for_place(place).await
    }

    /// Makes one call that changes something, through the throttle and without a retry.
    async fn once<T, E, F>(&self, service: &str, place: &Place, call: F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let scope = scope(service, place);
        self.throttle.pass(service, &scope).await;
        let began = self.now();
        let span = tracing::debug_span!("call", service, operation = operation::<T>(), scope);
        let answer = call.instrument(span.clone()).await;
        let took_ms = self.now().since(began).millis();
        match answer {
            Ok(answer) => {
                let id = answer.request_id();
                span.in_scope(|| tracing::debug!(request = id.unwrap_or_default(), took_ms, "accepted"));
                requested(service, id, None);
                self.throttle.answered(service, &scope);
                Ok(answer)
            }
            Err(error) => {
                let failure = Failure::from_sdk(&error, self.world.shown());
                let id = error.request_id();
                span.in_scope(
                    || tracing::debug!(request = id.unwrap_or_default(), took_ms, why = %failure, "refused"),
                );
                requested(service, id, failure.code());
                if failure.is_throttling() {
                    self.throttle.throttled(service, &scope);
                }
                Err(failure)
            }
        }
    }

    /// Makes a call that only reads. Repeats it after throttling, and after failures that may pass.
    async fn look<T, E, F>(&self, service: &str, place: &Place, call: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let mut looks = 1;
        loop {
            let began = self.now();
            let answer = self.once(service, place, call()).await;
            let Err(failure) = &answer else { return answer };
            let quick = self.now().since(began) < QUICK;
            if looks == LOOKS || !(failure.is_throttling() || quick && failure.may_pass()) {
                return answer;
            }
            self.world.sleep_until(self.now() + Dur(PAUSE.millis() << looks)).await;
            looks += 1;
        }
    }

    /// Reads every page of a describe call, each with the marker of the previous one.
    async fn pages<T, E, F>(
        &self,
        service: &str,
        place: &Place,
        call: impl Fn(Option<String>) -> F,
        next: impl Fn(&T) -> Option<&str>,
    ) -> Result<Vec<T>, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        let mut found: Vec<T> = Vec::new();
        loop {
            let from = found.last().and_then(&next).filter(|m| !m.is_empty()).map(str::to_owned);
            if from.is_none() && !found.is_empty() {
                return Ok(found);
            }
            found.push(self.look(service, place, || call(from.clone())).await?);
        }
    }

    fn seen(&self, state: State, source: &str) -> Observation {
        Observation::Value { state, observed_at: self.now(), source: source.to_owned() }
    }

    /// Observes targets of one poll group.
    pub async fn observe(&self, targets: &[Target]) -> Vec<Observation> {
        // One answer counts for all servers of a region, whoever asks.
        if let Some(Target::Alive { db, .. }) = targets.first() {
            let of = self.alive(&db.place).await;
            return targets.iter().map(|_| of.clone()).collect();
        }
        // One describe call covers all targets of the same place.
        let mut by_place: BTreeMap<&Place, Vec<(usize, &Target)>> = BTreeMap::new();
        for (i, target) in targets.iter().enumerate() {
            if let Some(place) = target.place() {
                by_place.entry(place).or_default().push((i, target));
            }
        }
        let looks = by_place.into_iter().map(|(place, of)| async move {
            let targets: Vec<_> = of.iter().map(|(_, t)| *t).collect();
            let seen = self.observe_at(place, &targets).await;
            of.into_iter().map(|(i, _)| i).zip(seen).collect::<Vec<_>>()
        });
        let mut seen: Vec<_> = futures_util::future::join_all(looks).await.into_iter().flatten().collect();
        seen.sort_by_key(|(i, _)| *i);
        seen.into_iter().map(|(_, o)| o).collect()
    }

    async fn observe_at(&self, place: &Place, targets: &[&Target]) -> Vec<Observation> {
        match targets.first() {
            // One describe call for all. A list of backups is a separate call.
            Some(Target::Backups(_)) => {
                let asks = targets.iter().map(|t| async move {
                    match t {
                        Target::Backups(of) => self.backups(of).await,
                        _ => Observation::NotFound { observed_at: self.now() },
                    }
                });
                futures_util::future::join_all(asks).await
            }
            Some(Target::Database(_) | Target::Fence { .. } | Target::Restore { .. }) => {
                Box::pin(self.stores(place, targets)).await
            }
            Some(Target::Group(_)) => self.groups(place, targets).await,
            Some(Target::Service(_)) => self.services(place, targets).await,
            Some(Target::Records { .. } | Target::Change { .. }) => self.zones(place, targets).await,
            Some(Target::Identity { .. }) => {
                let who = self.identity(place).await;
                targets.iter().map(|_| who.clone()).collect()
            }
            Some(Target::Quotas { .. }) => {
                let of = self.quotas(place).await;
                targets.iter().map(|_| of.clone()).collect()
            }
            _ => {
                let objects = targets.iter().map(|t| async move {
                    match t {
                        Target::HealthObject(object) => self.watched(object).await,
                        Target::Controls(of) => self.controls(of).await,
                        Target::Secret(of) => self.leads(of).await,
                        Target::Bucket(of) => Box::pin(self.bucket(of)).await,
                        Target::Compared(of) => Box::pin(self.compared(of)).await,
                        Target::Task(of) => Box::pin(self.task(of)).await,
                        Target::Granted { place, needs } => Box::pin(self.granted(place, needs)).await,
                        other => self.guard(other).await,
                    }
                });
                futures_util::future::join_all(objects).await
            }
        }
    }

    /// Starts an action.
    pub async fn perform(&self, action: &Action) -> CallOutcome {
        let done = match action {
            Action::Op(Operation::Promote(Promote { takeover: Some(how), .. })) => {
                Box::pin(self.take_over(how)).await
            }
            Action::Op(Operation::Promote(Promote { db, backup_days, .. })) => {
                self.promote(db, *backup_days).await
            }
            Action::Op(Operation::AddClusterInstance(AddClusterInstance { db, instance })) => {
                Box::pin(self.equip(db, instance)).await
            }
            Action::Op(Operation::Restore(RestoreStep { part, of })) => self.restore(*part, of).await,
            Action::Op(Operation::Rename(Rename { db, to })) => self.rename(db, to).await,
            Action::Op(Operation::Rejoin(Rejoin { db, replica: Some(replica), .. })) => {
                self.create_replica(db, replica).await
            }
            Action::Op(Operation::Fence(fence)) if fence.method == FenceMethod::SecurityGroup => {
                self.isolate(fence).await
            }
            Action::Op(Operation::Unfence(Unfence(fence))) if fence.method == FenceMethod::SecurityGroup => {
                self.reopen(fence).await
            }
            Action::Op(Operation::Scale(scale)) => return self.scale(scale).await,
            Action::Op(Operation::ScaleService(scale)) => return self.scale_service(scale).await,
            Action::Op(Operation::Switch(switch)) => self.switch(switch).await,
            Action::Op(Operation::SetHealthObject(signal)) => self.signal(signal).await,
            Action::Op(Operation::SetRoutingControls(route)) => self.route(route).await,
            Action::Op(Operation::UpdateClientSecret(point)) => Box::pin(self.point(point)).await,
            Action::Write(Write::Guard { component, place, holder, instead_of }) => {
                self.take_guard(place, component, holder, instead_of.as_deref()).await
            }
            Action::Write(Write::ReleaseGuard { component, place, holder }) => {
                self.release_guard(place, component, holder).await
            }
            other => {
                return CallOutcome::Refused {
                    code: "NotAws".to_owned(),
                    why: format!("AWS cannot do this: {other}"),
                    again: Again::Never,
                };
            }
        };
        match done {
            Ok(token) => CallOutcome::Accepted { token },
            Err(failure) => failure.outcome(),
        }
    }
}

/// The operation of an answer, as the SDK names it: `DescribeDbInstances`.
fn operation<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let last = name.rsplit("::").next().unwrap_or(name);
    last.strip_suffix("Output").unwrap_or(last)
}

/// The scope of a rate limit: an account, and a region unless the service is global.
fn scope(service: &str, place: &Place) -> String {
    let account = place.account.as_deref().or(place.role.as_deref()).unwrap_or("-");
    match service {
        "route53" | "iam" => account.to_owned(),
        _ => format!("{account}/{}", place.region),
    }
}
