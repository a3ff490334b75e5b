//! Providers that this build does not have. A live run says so by name; nothing is pretended.

use futures_util::future::{LocalBoxFuture, ready};

use super::{Cloud, local};
use crate::inventory::Observation;
use crate::model::action::Action;
use crate::model::target::Target;
use crate::model::time::Timestamp;
use crate::run::outcome::{Again, CallOutcome};
use crate::world::World;

/// Commands run; everything else answers that its provider is not built in.
pub struct Unbuilt {
    local: local::Local,
    world: World,
}

impl Unbuilt {
    /// With commands.
    pub fn new(world: World) -> Self {
        Self { local: local::Local::default(), world }
    }
}

fn why(service: &str) -> String {
    match service {
        "command" => "no such command was started by this process".to_owned(),
        _ => format!("built without aws: {service} cannot be reached by this build"),
    }
}

impl Cloud for Unbuilt {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        let now: Timestamp = self.world.now();
        let answer = |t: &Target| match t {
            Target::Command { key, .. } => self.local.observe(key, now),
            other => Observation::Unobservable { since: now, why: why(other.service()) },
        };
        Box::pin(ready(targets.iter().map(answer).collect()))
    }

    fn perform<'a>(&'a self, action: &'a Action, key: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        match action {
            Action::Run(command) => Box::pin(self.local.start(command, key)),
            _ => Box::pin(ready(CallOutcome::Refused {
                code: "NotBuilt".to_owned(),
                why: why("aws"),
                again: Again::Never,
            })),
        }
    }
}
