//! What may fail in a simulated world, and how.

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
