//! One look at everything of a plan, and at its probes.

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};
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

/// Looks at every target once, all poll groups side by side, so that a dark region delays only itself.
pub async fn look(session: &Session<'_>, targets: &[Target], deadline: Dur) -> Vec<(Target, Observation)> {
    let mut groups: BTreeMap<String, Vec<Target>> = BTreeMap::new();
    for target in targets {
        groups.entry(target.poll_group()).or_default().push(target.clone());
    }
    let looks = groups.into_values().map(|group| async move {
        let since = session.world.now();
        let late = session.world.sleep_until(since + deadline);
        let seen = match futures_util::future::select(
            std::pin::pin!(session.cloud.observe(&group)),
            std::pin::pin!(late),
        )
        .await
        {
            futures_util::future::Either::Left((seen, _)) => seen,
            futures_util::future::Either::Right(_) => {
                let why = format!("no answer within {deadline}");
                group.iter().map(|_| Observation::Unobservable { since, why: why.clone() }).collect()
            }
        };
        group.into_iter().zip(seen).collect::<Vec<_>>()
    });
    join_all(looks).await.into_iter().flatten().collect()
}

/// The probes that a run to `to` asks. Those of other sites are not asked: nothing may wait for a lost site; and alarms, which may be in
/// one, only by live drills.
pub fn relevant(probes: &[Probe], to: &SiteName, drill: Option<Drill>) -> Vec<Probe> {
    let asked = |probe: &&Probe| match probe.role {
        ProbeRole::Site => probe.site.as_ref() == Some(to),
        ProbeRole::Alarm => drill == Some(Drill::Live),
        ProbeRole::Public | ProbeRole::Write => true,
    };
    probes.iter().filter(asked).cloned().collect()
}

/// Asks probes on their grid until `until`, and answers with the turns.
pub async fn sample(
    session: &Session<'_>,
    probes: &[Probe],
    recorder: &mut Recorder,
    until: Timestamp,
) -> Vec<EventKind> {
    let asked = ask(session, probes, recorder, until, |_, _| true);
    join(asked, session.world.sleep_until(until)).await.0
}

/// Asks each probe until its samples are believed, until `until` at the latest: in an outage nobody waits longer than that.
pub async fn believe(
    session: &Session<'_>,
    probes: &[Probe],
    recorder: &mut Recorder,
    until: Timestamp,
) -> Vec<EventKind> {
    ask(session, probes, recorder, until, |recorder, key| !recorder.believes(key)).await
}

async fn ask(
    session: &Session<'_>,
    probes: &[Probe],
    recorder: &mut Recorder,
    until: Timestamp,
    again: impl Fn(&Recorder, &str) -> bool,
) -> Vec<EventKind> {
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
    let mut turns = Vec::new();
    while let Some((probe, sample)) = under_way.next().await {
        turns.extend(recorder.take(&probe.key(), &sample));
        let due = recorder.next_due(&probe.key(), probe.every_ms, session.world.now());
        if due <= until && again(recorder, &probe.key()) {
            under_way.push(one(probe, due));
        }
    }
    turns
}
