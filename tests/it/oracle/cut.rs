//! Which cuts of the network a run really met.

use std::collections::BTreeSet;

use drctl::adapters::sandbox::chronicle::Moment;
use drctl::model::ids::SiteName;

use super::Oracle;

const UNSEEN: &str = "drctl cut off from users' site";
const APART: &str = "sites cut off from each other";
const RECOVERY: &str = "recovery site cut off";
const FLAPPED: &str = "site lost again";

/// Every disturbance that the seeds must meet.
pub const DISTURBANCES: [&str; 4] = [UNSEEN, APART, RECOVERY, FLAPPED];

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
        ];
        all.into_iter().filter(|(_, met)| *met).map(|(name, _)| name).collect()
    }
}
