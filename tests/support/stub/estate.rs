//! The contents: two regions of databases, groups, services and secrets, hosted zones, objects, routing controls. Also the durations of changes.

use super::autoscaling::Groups;
use super::clock::Micros;
use super::controls::Controls;
use super::ecs::Services;
use super::options::Options;
use super::rds::Databases;
use super::route53::Zones;
use super::s3::Objects;
use super::secrets::Secrets;
use super::sts::Identities;

/// The two regions with contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Region {
    /// us-west-2, where everything runs at first.
    West,
    /// us-east-1, the standby.
    East,
}

impl Region {
    pub const ALL: [Self; 2] = [Self::West, Self::East];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::West => "us-west-2",
            Self::East => "us-east-1",
        }
    }

    /// Its index in arrays with one entry for each region.
    pub fn index(self) -> usize {
        match self {
            Self::West => 0,
            Self::East => 1,
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::West => Self::East,
            Self::East => Self::West,
        }
    }
}

/// Everything that a call can change, except counts and limits.
pub struct Estate {
    pub databases: Databases,
    pub groups: Groups,
    pub services: Services,
    pub secrets: Secrets,
    pub controls: Controls,
    pub zones: Zones,
    pub objects: Objects,
    pub identities: Identities,
}

impl Estate {
    /// `now` is when everything was created.
    pub fn new(options: &Options, now: Micros) -> Self {
        let draw = Draw { seed: options.seed, jitter_percent: options.jitter_percent };
        let databases = Databases::new(options, draw, now);
        let writer = |number: usize| databases.address(Region::West, number).unwrap_or_default();
        Self {
            secrets: Secrets::new(options, writer),
            databases,
            groups: Groups::new(options, draw, now),
            services: Services::new(options, draw),
            controls: Controls::default(),
            zones: Zones::new(options, draw, now),
            objects: Objects::default(),
            identities: Identities::default(),
        }
    }
}

/// The source of durations and IDs. Each depends on the seed and its purpose, not on the order of the calls, so that two orchestrators get
/// the same durations.
#[derive(Clone, Copy)]
pub struct Draw {
    seed: u64,
    jitter_percent: u64,
}

impl Draw {
    /// `base_ms` milliseconds with jitter, for the `nth` change of this resource.
    pub fn duration(self, base_ms: u64, name: &str, nth: u64) -> Micros {
        let base = base_ms * 1_000;
        let swing = base * self.jitter_percent / 100;
        base - swing + self.word(name, nth) % (2 * swing + 1)
    }

    /// 64 bits derived from the seed, the name and the number: FNV-1a, then the finalizer of splitmix64.
    pub fn word(self, name: &str, nth: u64) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325 ^ self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in name.bytes().chain(nth.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_stay_within_the_jitter_and_fill_it() {
        let draw = Draw { seed: 7, jitter_percent: 20 };
        let drawn: Vec<_> = (0..1_000).map(|n| draw.duration(5_000, "db", n)).collect();
        assert!(drawn.iter().all(|d| (4_000_000..=6_000_000).contains(d)));
        assert!(drawn.iter().any(|d| *d < 4_050_000) && drawn.iter().any(|d| *d > 5_950_000));
        assert_eq!(draw.duration(0, "db", 1), 0);
    }
}
