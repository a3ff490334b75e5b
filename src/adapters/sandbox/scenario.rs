//! The scenarios by name, and what may become of a call.

use crate::kinds::world::scenario::{Applies, Begins, ByGroup, Scenario};
use crate::model::intent::Intent;
use crate::model::time::Dur;

const QUIET: Scenario = Scenario {
    name: "region-lost",
    about: "the home site stops serving; its control plane still answers a fence",
    begins: Begins::AtHome,
    loses_home: true,
    lost_after: Dur::secs(45),
    control_plane_lost: false,
    sql_answers: false,
    primary_dies: false,
    clients_leave: None,
    replicates: false,
    heals: true,
    home_latency_ms: 60,
    throttled: 0,
    faults: 0,
    late: Dur::secs(20),
    stale: Dur::ZERO,
    skew: Dur::ZERO,
    clock_step: None,
    lag_ms: 900,
    first_promotion_fails: false,
    promotion_waits: Dur::ZERO,
    promotion_takes: Dur::ZERO,
    capacity_percent: 100,
    dns_down: Dur::ZERO,
    archive_corrupt: false,
    returns_after: None,
    by_group: ByGroup::Smoothly,
    groups_pass: false,
    applies: Applies::Nothing,
    cuts: [None; 3],
};

/// Every scenario; the first is the default.
pub const SCENARIOS: &[Scenario] = &[
    QUIET,
    Scenario {
        name: "region-dark",
        about: "nothing in the home site answers, so the old primary cannot be fenced by anyone",
        control_plane_lost: true,
        ..QUIET
    },
    Scenario {
        name: "region-dies",
        about: "nothing in the home site answers, and its servers are gone: nobody writes there any more, but drctl cannot know that",
        control_plane_lost: true,
        primary_dies: true,
        ..QUIET
    },
    Scenario {
        name: "region-slow",
        about: "the home site times out for users; its APIs and databases answer, slowly",
        sql_answers: true,
        replicates: true,
        home_latency_ms: 4_000,
        ..QUIET
    },
    Scenario { name: "api-throttled", about: "a third of all calls is throttled", throttled: 330, ..QUIET },
    Scenario {
        name: "replica-lagging",
        about: "the replica is eight minutes behind",
        lag_ms: 480_000,
        ..QUIET
    },
    Scenario {
        name: "promotion-fails-once",
        about: "the first promotion is accepted and has no effect",
        first_promotion_fails: true,
        ..QUIET
    },
    Scenario {
        name: "promotion-slow",
        about: "managed databases take forty minutes to be promoted",
        promotion_takes: Dur::mins(40),
        ..QUIET
    },
    Scenario {
        name: "capacity-short",
        about: "only half of the wanted instances start",
        capacity_percent: 50,
        ..QUIET
    },
    Scenario {
        name: "dns-control-plane-down",
        about: "record sets cannot be changed for six minutes",
        dns_down: Dur::mins(6),
        ..QUIET
    },
    Scenario {
        name: "primary-returns",
        about: "as region-dark; after the run the home site comes back, and its database is ready for writes",
        control_plane_lost: true,
        returns_after: Some(Dur::mins(170)),
        ..QUIET
    },
    Scenario {
        name: "chaos",
        about: "a mix of lost, late, doubled, throttled and unanswered calls, chosen by the seed",
        throttled: 60,
        faults: 200,
        ..QUIET
    },
    Scenario { name: "calm", about: "nothing fails: a planned move", loses_home: false, ..QUIET },
    Scenario {
        name: "archive-corrupt",
        about: "nothing fails except the archived log of databases, which is damaged",
        archive_corrupt: true,
        loses_home: false,
        ..QUIET
    },
    Scenario {
        name: "away",
        about: "nothing fails; the application is active away from home, and home has its standby",
        begins: Begins::Away,
        loses_home: false,
        ..QUIET
    },
    Scenario {
        name: "after-failover",
        about: "nothing fails; the application was failed over, and the old primary is back at home, fenced",
        begins: Begins::AwayAlone,
        loses_home: false,
        ..QUIET
    },
];

impl Scenario {
    /// The scenario of a rehearsal if none is named.
    pub const fn default_for(intent: Intent) -> &'static str {
        match intent {
            Intent::Failover => "region-lost",
            Intent::Switchover | Intent::Restore | Intent::Drill => "calm",
            Intent::Failback | Intent::Reprotect => "after-failover",
        }
    }

    /// A scenario by its name.
    pub fn find(name: &str) -> Option<Self> {
        SCENARIOS.iter().find(|s| s.name == name).cloned()
    }
}

/// The result of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Performed and answered.
    Answered,
    /// Rejected because of a rate limit.
    Throttled,
    /// Rejected because the service is down.
    Unavailable,
    /// There was no connection.
    NotSent,
    /// The request is lost.
    Lost,
    /// Performed, but the answer is lost.
    AppliedUnanswered,
    /// Performed after the caller gave up.
    Late(Dur),
}
