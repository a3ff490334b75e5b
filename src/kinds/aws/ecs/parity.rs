//! Whether a service in a standby site would run what the active site runs.

use super::service::{Presence, Rollout, ServiceRef, TaskState};
use crate::kinds::kind::Sight;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::readiness::{Area, Check, Reading, Standing, check, not, ready};

/// The checks of one standby service.
pub(super) fn checks(here: &ServiceRef, there: &ServiceRef, seen: &dyn Sight) -> Vec<Check> {
    let about = format!("{} in {}", there.component, there.place.name);
    let mut checks = Vec::new();
    if let Ok(State::Service(state)) = seen.state(&Target::Service(there.clone()))
        && let Rollout::Failed(why) = &state.rollout
    {
        let facts = format!("the deployment of {} failed: {why}", state.task_definition);
        checks.push(check(
            Area::Parity,
            about.clone(),
            not(Standing::NotReady, facts, "deploy a revision that works"),
        ));
    }
    let task = |of: &ServiceRef| match seen.state(&Target::Task(of.clone())) {
        Ok(State::Task(task)) => Ok(task.clone()),
        Ok(_) => Err((Standing::Unknown, "the task definition is unknown".to_owned(), None)),
        Err(reading) => Err(reading),
    };
    match task(there) {
        Err(reading) => checks.push(check(Area::Parity, about, reading)),
        Ok(standby) => {
            let same = task(here).map_or_else(|reading| reading, |active| same(&active, &standby));
            checks.push(check(Area::Parity, about.clone(), same));
            checks.push(check(Area::Parity, format!("images of {about}"), images(&standby)));
        }
    }
    checks
}

/// Whether two task definitions run the same with the same resources.
fn same(active: &TaskState, standby: &TaskState) -> Reading {
    let mut differs = Vec::new();
    let mut held = |what: &str, there: Option<&str>, here: Option<&str>| {
        if there != here {
            let word = |text: Option<&str>| text.unwrap_or("none").to_owned();
            differs.push(format!("{what} {}; the active site has {}", word(there), word(here)));
        }
    };
    held("task CPU", standby.cpu.as_deref(), active.cpu.as_deref());
    held("task memory", standby.memory.as_deref(), active.memory.as_deref());
    for name in active
        .containers
        .keys()
        .chain(standby.containers.keys().filter(|n| !active.containers.contains_key(*n)))
    {
        let image = |of: &TaskState| of.containers.get(name).map(|image| image.content().to_owned());
        held(&format!("image of `{name}`"), image(standby).as_deref(), image(active).as_deref());
    }
    match differs.is_empty() {
        true => ready(format!("{} runs the same images as {}", standby.definition, active.definition)),
        false => not(Standing::Degraded, differs.join("; "), "deploy the same images in both sites"),
    }
}

/// Whether the tasks can pull their images.
fn images(task: &TaskState) -> Reading {
    let of = |wanted: fn(&Presence) -> bool| {
        let some = task.containers.values().filter(|image| wanted(&image.presence));
        some.map(|image| image.name.clone()).collect::<Vec<_>>().join(", ")
    };
    let missing = of(|presence| *presence == Presence::Missing);
    if !missing.is_empty() {
        let facts = format!("missing in its registry: {missing}");
        return not(
            Standing::NotReady,
            facts,
            "push the image there, or replicate the repository (Amazon ECR User Guide, «Private image replication»)",
        );
    }
    let far = task.containers.values().find_map(|image| match &image.presence {
        Presence::OtherRegion(region) => Some(format!("{} is pulled from {region}", image.name)),
        Presence::Present | Presence::Missing | Presence::NotAsked | Presence::Unread(_) => None,
    });
    if let Some(facts) = far {
        return not(
            Standing::NotReady,
            format!("{facts}: no task starts while that region does not answer"),
            "replicate the repository to the region of the service, and name that copy in the task definition",
        );
    }
    let refused = task.containers.values().find_map(|image| match &image.presence {
        Presence::Unread(why) => Some(format!("{}: {why}", image.name)),
        Presence::Present | Presence::Missing | Presence::NotAsked | Presence::OtherRegion(_) => None,
    });
    if let Some(why) = refused {
        return not(Standing::Unknown, why, "grant ecr:DescribeImages on the repository");
    }
    let elsewhere = of(|presence| *presence == Presence::NotAsked);
    match elsewhere.is_empty() {
        true => ready("every image exists in the registry of its region"),
        false => not(
            Standing::Unknown,
            format!("drctl does not ask the registry of {elsewhere}"),
            "keep the images in Amazon ECR in the region of the service, so that no other service is needed in an outage",
        ),
    }
}
