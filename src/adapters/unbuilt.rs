//! The provider of everything that this build does not contain.

use std::collections::BTreeSet;
use std::future::ready;

use futures_util::future::LocalBoxFuture;

use super::provider::{ControlPlane, Databases, ObjectStore, Provider, Replayed};
use super::secrets::{Login, NoLogin};
use super::uploads::{SinkContent, SinkError, Upload};
use crate::inventory::Observation;
use crate::kinds::shared::database::{DatabaseRef, DatabaseState};
use crate::kinds::shared::names::{AnswersState, ServerAnswer};
use crate::kinds::shared::secret::ClientSecret;
use crate::kinds::{State, Target};
use crate::model::again::Again;
use crate::model::environment::Endpoint;
use crate::model::place::Place;
use crate::model::sink::Sink;
use crate::record::action::Action;
use crate::run::outcome::CallOutcome;
use crate::world::World;

/// A provider that this build does not contain. It observes nothing and refuses everything, by name.
pub struct Unbuilt {
    world: World,
    feature: &'static str,
}

impl Unbuilt {
    /// `feature` is the feature that would add the provider.
    pub const fn new(world: World, feature: &'static str) -> Self {
        Self { world, feature }
    }

    fn why(&self) -> String {
        format!("built without {}", self.feature)
    }

    fn unseen(&self, target: &Target) -> Observation {
        let why = format!("{}: this build cannot reach {}", self.why(), target.service());
        let Target::Answers { names } = target else {
            return Observation::Unobservable { since: self.world.now(), why };
        };
        // No query is sent, so nothing is proven about any name. Names change in their zone; a recovery does not wait for this look.
        let silent = |name: &crate::kinds::shared::names::Wanted| ServerAnswer {
            server: "this build of drctl".to_owned(),
            authoritative: true,
            name: format!("{} {}", name.name, name.rtype),
            right: None,
            said: self.why(),
        };
        let servers = names.iter().map(silent).collect();
        let (observed_at, source) = (self.world.now(), "dns".to_owned());
        Observation::Value { state: State::Answers(AnswersState { servers }), observed_at, source }
    }
}

impl Provider for Unbuilt {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        Box::pin(ready(targets.iter().map(|t| self.unseen(t)).collect()))
    }

    fn perform<'a>(&'a self, _: &'a Action, _: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        let (code, why) = ("NotBuilt".to_owned(), self.why());
        Box::pin(ready(CallOutcome::Refused { code, why, again: Again::Never }))
    }
}

impl ControlPlane for Unbuilt {
    fn login<'a>(&'a self, _: &'a str, _: &'a Place) -> LocalBoxFuture<'a, Result<Login, NoLogin>> {
        Box::pin(ready(Err(NoLogin::Passing(self.why()))))
    }

    fn client<'a>(&'a self, _: &'a ClientSecret) -> LocalBoxFuture<'a, Result<(Login, String), NoLogin>> {
        Box::pin(ready(Err(NoLogin::Passing(self.why()))))
    }

    fn endpoint<'a>(&'a self, _: &'a DatabaseRef) -> LocalBoxFuture<'a, Option<String>> {
        Box::pin(ready(None))
    }

    fn alarm<'a>(&'a self, _: &'a Place, _: &'a str) -> LocalBoxFuture<'a, Result<(bool, String), String>> {
        Box::pin(ready(Err(self.why())))
    }

    fn endpoints(&self) -> LocalBoxFuture<'_, BTreeSet<Endpoint>> {
        Box::pin(ready(BTreeSet::new()))
    }
}

impl Databases for Unbuilt {
    fn replayed<'a>(&'a self, _: &'a DatabaseRef, state: &'a DatabaseState) -> LocalBoxFuture<'a, Replayed> {
        Box::pin(ready(if state.is_replica() { Replayed::AskMetrics } else { Replayed::NoReplica }))
    }
}

impl ObjectStore for Unbuilt {
    fn put_bundle<'a>(
        &'a self,
        _: &'a Sink,
        _: &'a Upload<'a>,
    ) -> LocalBoxFuture<'a, Result<bool, SinkError>> {
        Box::pin(ready(Err(SinkError::Down(self.why()))))
    }

    fn held_bundle<'a>(
        &'a self,
        _: &'a Sink,
        _: &'a str,
        _: Option<&'a str>,
        _: usize,
    ) -> LocalBoxFuture<'a, Result<SinkContent, SinkError>> {
        Box::pin(ready(Err(SinkError::Down(self.why()))))
    }
}
