//! Observes all targets of a plan once, and samples its probes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;

use futures_util::future::{Either, join, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::Session;
use crate::inventory::Observation;
use crate::kinds::Target;
use crate::model::ids::SiteName;
use crate::model::intent::Drill;
use crate::model::time::{Dur, Timestamp};
use crate::probe::Recorder;
use crate::record::event::EventKind;
use crate::record::runbook::{Probe, ProbeRole};
use crate::run::held::is_old;

/// Observes every target once, with all poll groups in parallel, so that a dark region delays only itself. A guard that answered long
/// before the slowest target is observed again, because its holder may have changed in the meantime. A second answer that is old when it
/// arrives counts as no answer.
pub async fn look(session: &Session<'_>, targets: &[Target], deadline: Dur) -> Vec<(Target, Observation)> {
    let mut all = once(session, targets, deadline).await;
    let now = session.world.now();
    let old = all.iter().filter(|(target, seen)| matches!(target, Target::Guard { .. }) && is_old(seen, now));
    let old: Vec<_> = old.map(|(target, _)| target.clone()).collect();
    for (target, mut seen) in once(session, &old, deadline).await {
        if is_old(&seen, session.world.now()) {
            let why = "its answers take too long: another run may have taken it in the meantime".to_owned();
            seen = Observation::Unobservable { since: now, why };
        }
        all.iter_mut().filter(|(known, _)| *known == target).for_each(|(_, known)| known.clone_from(&seen));
    }
    all
}

async fn once(session: &Session<'_>, targets: &[Target], deadline: Dur) -> Vec<(Target, Observation)> {
    let mut groups: BTreeMap<String, Vec<Target>> = BTreeMap::new();
    for target in targets {
        groups.entry(target.poll_group()).or_default().push(target.clone());
    }
    let looks = groups.into_values().map(|group| async move {
        let since = session.world.now();
        let late = session.world.sleep_until(since + deadline);
        let seen = match select(pin!(session.cloud.observe(&group)), pin!(late)).await {
            Either::Left((seen, _)) => seen,
            Either::Right(_) => {
                let why = format!("no answer within {deadline}");
                group.iter().map(|_| Observation::Unobservable { since, why: why.clone() }).collect()
            }
        };
        group.into_iter().zip(seen).collect::<Vec<_>>()
    });
    join_all(looks).await.into_iter().flatten().collect()
}

/// The probes for a run to `to`. Site probes of other sites are left out, because nothing may wait for a lost site. Alarms may be
/// in a lost site, so only live drills read them.
pub fn relevant(probes: &[Probe], to: &SiteName, drill: Option<Drill>) -> Vec<Probe> {
    let asked = |probe: &&Probe| match probe.role {
        ProbeRole::Site => probe.site.as_ref() == Some(to),
        ProbeRole::Alarm => drill == Some(Drill::Live),
        ProbeRole::Public | ProbeRole::Write => true,
    };
    probes.iter().filter(asked).cloned().collect()
}

/// Samples the probes at their intervals until `until`. Returns the events of probes that turned.
pub async fn sample(
    session: &Session<'_>,
    probes: &[Probe],
    recorder: &mut Recorder,
    until: Timestamp,
) -> Vec<EventKind> {
    let mut turns = Vec::new();
    let asked = ask(session, probes, (recorder, &mut turns), until, |_, _| true);
    join(asked, session.world.sleep_until(until)).await;
    turns
}

/// Samples the probes at their intervals until `done` ends. Adds the events of probes that turned to `turns`.
pub async fn sample_during<T>(
    session: &Session<'_>,
    probes: &[Probe],
    (recorder, turns): (&mut Recorder, &mut Vec<EventKind>),
    done: impl Future<Output = T>,
) -> T {
    let asked = async {
        ask(session, probes, (recorder, turns), Timestamp::from_millis(i64::MAX), |_, _| true).await;
        // Without probes there is nothing to ask.
        std::future::pending::<Infallible>().await
    };
    match select(pin!(done), pin!(asked)).await {
        Either::Left((value, _)) => value,
        Either::Right((never, _)) => match never {},
    }
}

/// Samples each probe until it has a confirmed result, at most until `until`: an outage is no time to wait longer.
pub async fn believe(
    session: &Session<'_>,
    probes: &[Probe],
    recorder: &mut Recorder,
    until: Timestamp,
) -> Vec<EventKind> {
    let mut turns = Vec::new();
    ask(session, probes, (recorder, &mut turns), until, |recorder, key| !recorder.believes(key)).await;
    turns
}

async fn ask(
    session: &Session<'_>,
    probes: &[Probe],
    (recorder, turns): (&mut Recorder, &mut Vec<EventKind>),
    until: Timestamp,
    again: impl Fn(&Recorder, &str) -> bool,
) {
    let mut under_way = FuturesUnordered::new();
    let one = |probe: Probe, due: Timestamp| async move {
        session.world.sleep_until(due).await;
        let sample = session.prober.sample(&probe).await;
        (probe, sample)
    };
    for probe in probes {
        let due = recorder.next_due(&probe.key(), probe.every_ms, session.world.now());
        under_way.push(one(probe.clone(), due));
    }
    while let Some((probe, sample)) = under_way.next().await {
        turns.extend(recorder.take(&probe.key(), &sample));
        let due = recorder.next_due(&probe.key(), probe.every_ms, session.world.now());
        if due <= until && again(recorder, &probe.key()) {
            under_way.push(one(probe, due));
        }
    }
}
