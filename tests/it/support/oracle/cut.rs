//! Which disturbances a run really met.

use std::collections::BTreeSet;

use drctl::adapters::sandbox::moment::{Moment, Server};
use drctl::model::ids::SiteName;
use drctl::model::time::Dur;
use drctl::record::event::{Event, EventKind};

use super::Oracle;

const UNSEEN: &str = "drctl cut off from users' site";
const APART: &str = "sites cut off from each other";
const RECOVERY: &str = "recovery site cut off";
const FLAPPED: &str = "site lost again";
const SERVERS_CLOCK: &str = "a server's clock set ahead or back";
const SET_BACK: &str = "this clock set back in a process";
const BEGAN_BEHIND: &str = "this clock set back between processes";

/// Every disturbance that the seeds must meet.
pub const DISTURBANCES: [&str; 7] = [UNSEEN, APART, RECOVERY, FLAPPED, SERVERS_CLOCK, SET_BACK, BEGAN_BEHIND];

/// How this machine's clock was set back in a run, as the run tells it.
pub fn set_back(events: &[Event]) -> BTreeSet<&'static str> {
    let back = |(i, e): (usize, &Event)| match e.what {
        EventKind::ClockJumped { backward_ms, .. } if backward_ms > Dur::ZERO => {
            let begins = matches!(events[i - 1].what, EventKind::EpochTaken { .. });
            Some(if begins { BEGAN_BEHIND } else { SET_BACK })
        }
        _ => None,
    };
    events.iter().enumerate().filter_map(back).collect()
}

impl Oracle<'_> {
    pub fn disturbances(&self) -> BTreeSet<&'static str> {
        let home = &self.plan.home.value;
        let moments: Vec<_> = self.moments.iter().filter(|m| m.at <= self.until).collect();
        let any = |of: &dyn Fn(&Moment) -> bool| moments.iter().any(|m| of(m));
        let served = |m: &Moment| self.served(m, &m.unreached) && !self.served(m, &m.unseen);
        let replicates = |m: &Moment| m.servers.iter().any(|s| s.follows.is_some());
        let away = |site: &SiteName| site != home;
        let lost = moments
            .windows(2)
            .filter(|pair| !pair[0].unreached.contains(home) && pair[1].unreached.contains(home));
        let all = [
            (UNSEEN, any(&served)),
            (APART, any(&|m| m.apart && m.unreached.is_empty() && replicates(m))),
            (RECOVERY, any(&|m| m.unreached.iter().any(away))),
            (FLAPPED, lost.count() > 1),
            (SERVERS_CLOCK, moments.windows(2).any(|pair| is_set(pair[0], pair[1]))),
        ];
        all.into_iter().filter(|(_, met)| *met).map(|(name, _)| name).collect()
    }
}

/// Whether a server's own clock was set between two states.
fn is_set(before: &Moment, after: &Moment) -> bool {
    let same = |a: &Server, b: &Server| (&a.site, &a.id) == (&b.site, &b.id) && a.clock_ms != b.clock_ms;
    before.servers.iter().any(|a| after.servers.iter().any(|b| same(a, b)))
}
