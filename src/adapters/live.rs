//! The real providers: routes each target and each action to the one that it names.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use super::client::REQUESTS;
use super::provider::Provider;
use super::registry::Providers;
use super::{Cloud, secrets};
use crate::inventory::Observation;
use crate::kinds::{Called, Target};
use crate::model::again::Again;
use crate::model::environment::Endpoint;
use crate::model::place::Place;
use crate::model::provider::ProviderName;
use crate::plan::Settings;
use crate::probe::Alarms;
use crate::record::action::Action;
use crate::record::event::Request;
use crate::run::outcome::CallOutcome;
use crate::world::World;

/// Every real provider of a process.
pub struct Live {
    providers: Providers,
    requests: RefCell<BTreeMap<String, Vec<Request>>>,
}

impl Live {
    /// `recovery` is the recovery site: drctl reaches global services, and reads secrets, in its region.
    pub fn new(world: &World, settings: &Settings, recovery: Option<Place>) -> Self {
        Self { providers: Providers::new(world, settings, recovery), requests: RefCell::default() }
    }

    fn provider(&self, name: ProviderName) -> Option<Rc<dyn Provider>> {
        self.providers.by_name.get(&name).cloned()
    }
}

impl Alarms for Live {
    fn alarm<'a>(
        &'a self,
        place: &'a Place,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<(bool, String), String>> {
        Box::pin(async move {
            let told = self.providers.control.alarm(place, name).await;
            told.map(|(silent, says)| (silent, secrets::scrubbed(says))).map_err(secrets::scrubbed)
        })
    }
}

impl Cloud for Live {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        Box::pin(async move {
            // All targets of a poll group have one provider.
            let Some(provider) = targets.first().and_then(|t| self.provider(t.provider())) else {
                return Vec::new();
            };
            provider.observe(targets).await.into_iter().map(secrets::clean).collect()
        })
    }

    fn endpoints(&self) -> LocalBoxFuture<'_, BTreeSet<Endpoint>> {
        self.providers.control.endpoints()
    }

    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        let work = async move {
            // What shows the completion of an action also carries it out.
            let shown_by = action.watch(&Called { key, ..Called::NOT_YET });
            let outcome = match shown_by.and_then(|target| self.provider(target.provider())) {
                Some(provider) => provider.perform(action, key).await,
                None => CallOutcome::Refused {
                    code: "NoProvider".to_owned(),
                    why: format!("no provider carries this out: {action}"),
                    again: Again::Never,
                },
            };
            let requests = REQUESTS.with(RefCell::take);
            if !requests.is_empty() {
                self.requests.borrow_mut().entry(key.to_owned()).or_default().extend(requests);
            }
            secrets::told(outcome)
        };
        Box::pin(REQUESTS.scope(RefCell::default(), work))
    }

    fn requests(&self, key: &str) -> Vec<Request> {
        self.requests.borrow_mut().remove(key).unwrap_or_default()
    }
}
