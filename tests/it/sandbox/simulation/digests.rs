//! What seeds give, as digests: two builds that print the same lines behave alike.

use drctl::model::ids::Digest;

use super::drawn::rig;
use crate::run::resume::{estates, events};
use crate::support::rig::{Rehearsed, Rig};

/// The journal, what the sandbox kept of its changes, what really happened, and every state of the estate. The order of servers means
/// nothing.
fn digest(of: &Rehearsed) -> String {
    let mut parts: Vec<Vec<u8>> = of.records.iter().map(|record| record.bytes.clone()).collect();
    parts.extend(of.notes.iter().map(|(at, bytes)| [at.to_string().as_bytes(), bytes].concat()));
    parts.push(format!("{:?} {:?}", of.truth, of.active).into_bytes());
    for moment in of.watched.moments.iter() {
        let mut moment = moment.clone();
        moment.servers.sort_by(|a, b| (&a.component, &a.site, &a.id).cmp(&(&b.component, &b.site, &b.id)));
        parts.push(format!("{moment:?}").into_bytes());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Digest::of_fields(&parts).to_string()
}

/// One run, and the same run after its process died in the middle: resumed, and cancelled.
fn told(rig: &Rig) -> String {
    let Ok(done) = rig.rehearse() else { return "refused".to_owned() };
    let (all, mut told) = (events(&done), digest(&done));
    if all.len() >= 4 {
        let n = all.len() / 2;
        for notes in estates(&done.notes, &all[..n]) {
            let (next, _) = rig.second(&done.records[..n], &notes, &[], None).unwrap();
            let (back, _) = rig.cancel(&done.records[..n], &notes, None);
            told = format!("{told} {} {}", digest(&next), digest(&back));
        }
    }
    told
}

/// A line for each of the first seeds.
fn lines(seeds: u64) -> String {
    let line = |seed| {
        let rig = rig(seed);
        format!("{seed} {} {:?} {}\n", rig.scenario.name, rig.intent, told(&rig))
    };
    (0..seeds).map(line).collect()
}

/// `DRCTL_TEST_DIGESTS` names a file. The first build writes a line for each of `DRCTL_TEST_SEEDS` seeds into it, and the next build must
/// give the same lines. Without it, one build must give the same lines twice, or a comparison of two would say nothing.
#[test]
fn seeds_give_what_another_build_gave() {
    let Ok(file) = std::env::var("DRCTL_TEST_DIGESTS") else {
        let (one, other) = (lines(6), lines(6));
        assert_eq!(one, other);
        assert!(one.lines().any(|line| !line.ends_with("refused")), "no seed made a run:\n{one}");
        return;
    };
    let wanted = std::env::var("DRCTL_TEST_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let given = lines(wanted);
    match std::fs::read_to_string(&file) {
        Ok(before) => {
            for (before, now) in before.lines().zip(given.lines()) {
                assert_eq!(before, now);
            }
            assert_eq!(before.lines().count(), given.lines().count());
        }
        Err(_) => std::fs::write(&file, given).unwrap(),
    }
}
