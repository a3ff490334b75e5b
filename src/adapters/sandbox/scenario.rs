//! The scenarios: what fails, by name.

use crate::model::ids::Digest;
use crate::model::intent::Intent;
use crate::model::time::Dur;

/// Where a simulated application is active at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// At home, with replicas elsewhere.
    AtHome,
    /// Away, with a replica at home.
    Away,
    /// Away, after a failover: the old primary at home is fenced, and nothing follows the new one.
    AwayAlone,
}

/// How a fence by security group proceeds. A group takes seconds to become active, and earlier sessions stay open until a
/// restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByGroup {
    /// As usual: a restart takes less than a minute, and the provider reports it within seconds.
    Smoothly,
    /// With surprises: a restart may be very quick or have no effect.
    Roughly {
        /// When the provider reports restarts.
        events: Events,
        /// Somebody else restarts the active servers this long after the beginning.
        others: Option<Dur>,
    },
}

/// When a provider reports a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Within seconds.
    Soon,
    /// Within this time.
    Late(Dur),
    /// Never.
    Never,
}

/// Whether a subscription is enabled on the active self-managed servers. Its worker writes there but is not a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// There is no subscription.
    Nothing,
    /// A fence that keeps clients out ends the worker after this time.
    Ends(Dur),
    /// The administrator's role may not disable it.
    Stays,
}

/// A part of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Between the home site and everything outside it.
    Home,
    /// Between drctl and the home site. Users are still served there.
    Drctl,
    /// Between the sites. Users and drctl reach all of them.
    Sites,
    /// Between the other sites and everything outside them.
    Recovery,
}

/// A part of the network that is cut for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What is cut.
    pub link: Link,
    /// The time from the beginning.
    pub after: Dur,
    /// For how long; `None` for good.
    pub lasts: Option<Dur>,
}

/// A database server's own clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// Whether those are the servers in the home site; otherwise the ones elsewhere.
    pub at_home: bool,
    /// The time from the beginning.
    pub after: Dur,
    /// How far ahead it is set, in milliseconds; negative if it is set back.
    pub by_ms: i64,
}

/// How a simulated outage behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// A description in one sentence.
    pub about: &'static str,
    /// Where the application is active at the beginning.
    pub begins: Begins,
    /// Whether the home site is lost at all.
    pub loses_home: bool,
    /// The minimum time from the beginning to the loss.
    pub lost_after: Dur,
    /// The home site's control plane fails as well.
    pub control_plane_lost: bool,
    /// SQL to the home site's databases still answers, slowly.
    pub sql_answers: bool,
    /// The home site's servers fail as well. Otherwise they keep taking writes from clients in their site.
    pub primary_dies: bool,
    /// Those clients give up within this time after the loss; `None` if they stay.
    pub clients_leave: Option<Dur>,
    /// Writes in the home site still reach the replicas.
    pub replicates: bool,
    /// When the home site returns, replication from it resumes. Otherwise the replicas stay at their positions.
    pub heals: bool,
    /// Latency of calls to the home site.
    pub home_latency_ms: u64,
    /// How many of 1,000 mutating calls are throttled.
    pub throttled: u64,
    /// How many of 1,000 mutating calls meet another fault.
    pub faults: u64,
    /// The maximum delay of the effect of a call whose caller gave up.
    pub late: Dur,
    /// The maximum age of a control plane's answer, although it claims to be current.
    pub stale: Dur,
    /// The maximum difference between a database's clock and this machine's, in either direction.
    pub skew: Dur,
    /// Servers whose own clocks are set.
    pub clock_step: Option<ClockStep>,
    /// The lag of replicas.
    pub lag_ms: u64,
    /// The first promotion is accepted but has no effect.
    pub first_promotion_fails: bool,
    /// The delay before a self-managed server starts a requested promotion.
    pub promotion_waits: Dur,
    /// How much longer than usual a managed database takes to be promoted.
    pub promotion_takes: Dur,
    /// The percentage of the requested instances that are available.
    pub capacity_percent: u32,
    /// The DNS control plane is down for this long after the loss.
    pub dns_down: Dur,
    /// The WAL archive of databases is damaged.
    pub archive_corrupt: bool,
    /// The home site comes back this long after it was lost.
    pub returns_after: Option<Dur>,
    /// How fences by security group proceed.
    pub by_group: ByGroup,
    /// The groups of fences have an outbound rule, as every new group has: what an apply worker fetches is still written.
    pub groups_pass: bool,
    /// Writers other than clients.
    pub applies: Applies,
    /// What is cut beside the loss of the home site.
    pub cuts: [Option<Cut>; 3],
}

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

/// A random number that depends only on the seed and on `what`, so that the order of calls does not matter.
pub fn roll(seed: u64, what: &[&str], below: u64) -> u64 {
    let seed = seed.to_be_bytes();
    let mut fields: Vec<&[u8]> = vec![&seed];
    fields.extend(what.iter().map(|w| w.as_bytes()));
    let digest = Digest::of_fields(&fields);
    u64::from_str_radix(&digest.as_str()[..15], 16).unwrap_or(0) % below.max(1)
}
