//! Buckets that are copied to each other: what is observed of them and of their copies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::targeted::{Polled, Targeted};
use crate::model::ids::{ComponentName, Digest};
use crate::model::place::Place;
use crate::model::time::{Dur, Timestamp};
use crate::model::waiver::harmless;

/// A bucket at one site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct BucketRef {
    /// The component it is part of.
    pub component: ComponentName,
    /// Where it is.
    pub place: Place,
    /// Its name.
    pub bucket: String,
    /// The prefix of the keys that belong to the component; empty for all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The buckets in other sites, which are replicated to this one.
    pub others: BTreeSet<String>,
}

impl BucketRef {
    /// It needs several calls and may take long, so it must not delay what a recovery needs.
    pub(in crate::kinds) fn targeted(&self) -> Targeted<'_> {
        Targeted { is_evidence: true, polled: Polled::Alone, ..Targeted::ONLY_LOOKED_AT }
    }
}

/// Whether it keeps old versions. Replication requires that (Amazon S3 User Guide, «Requirements for replication»).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Versioning {
    /// Never enabled.
    #[default]
    Never,
    /// Suspended.
    Suspended,
    /// Enabled.
    Enabled,
}

/// A bucket as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BucketState {
    /// Its versioning.
    pub versioning: Versioning,
    /// The replication rules.
    pub rules: Vec<CopyRule>,
    /// The pending replication to this bucket, by rule. S3 publishes it in the region of the copy (Amazon S3 User Guide, «Using S3
    /// Replication metrics»), so it can be read while the source is dark.
    pub arriving: Vec<Arriving>,
    /// Why the delay is unknown, if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

/// One rule of a bucket's replication configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopyRule {
    /// Its id.
    pub id: String,
    /// Whether it is enabled.
    pub on: bool,
    /// If several rules replicate an object to the same bucket, the one with the highest priority applies.
    pub priority: i32,
    /// The prefix of the keys that are replicated; empty for all.
    pub prefix: String,
    /// Whether it replicates only objects with certain tags.
    pub tagged: bool,
    /// The destination bucket.
    pub to: String,
    /// Whether it replicates delete markers.
    pub deletes: bool,
}

/// The pending replication of one rule, as published last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Arriving {
    /// The source bucket.
    pub from: String,
    /// The rule.
    pub rule: String,
    /// The minute of the newest of these values.
    pub at: Timestamp,
    /// The number of pending objects, delete markers and tag changes (`OperationsPendingReplication`).
    pub operations: Option<u64>,
    /// Their size (`BytesPendingReplication`).
    pub bytes: Option<u64>,
    /// The maximum delay of the copy (`ReplicationLatency`).
    pub behind_ms: Option<Dur>,
}

/// Objects to compare with their copies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// The bucket of the objects.
    pub source: BucketRef,
    /// The bucket of the copies.
    pub copy: BucketRef,
    /// The maximum number of objects.
    pub most: u32,
    /// The seed of the random choice. The same seed chooses the same objects, and people who write objects cannot predict it.
    pub seed: String,
}

impl Sample {
    /// It needs several calls and may take long, so it must not delay what a recovery needs.
    pub(in crate::kinds) fn targeted(&self) -> Targeted<'_> {
        Targeted { polled: Polled::Alone, ..Targeted::ONLY_LOOKED_AT }
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedState {
    /// The number of listed objects, from which some were chosen.
    pub listed: u64,
    /// Whether there are more objects than were listed.
    pub more: bool,
    /// The number of compared objects.
    pub compared: u32,
    /// Objects whose copies differ.
    pub gaps: Vec<Gap>,
    /// The number of chosen objects that could not be read.
    #[serde(default)]
    pub unread: u32,
    /// The reason for the first of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An object whose copy differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Its key.
    pub key: String,
    /// When it was written, according to the source.
    pub written_at: Option<Timestamp>,
    /// The difference.
    pub what: Difference,
    /// The replication status at the source (`PENDING`, `FAILED`, ..), if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// How a copy differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// It does not exist.
    Missing,
    /// It has another version or size.
    Other,
}

impl BucketState {
    /// The rule that replicates everything with this prefix to a bucket. If there are several, the one with the highest priority applies
    /// (Amazon S3 API Reference, `ReplicationRule`).
    pub fn rule_to(&self, bucket: &str, prefix: &str) -> Option<&CopyRule> {
        let all = |r: &&CopyRule| !r.tagged && prefix.starts_with(&r.prefix);
        self.rules_to(bucket, prefix).into_iter().filter(all).max_by_key(|r| r.priority)
    }

    /// Rules that replicate something with this prefix to a bucket.
    pub fn rules_to(&self, bucket: &str, prefix: &str) -> Vec<&CopyRule> {
        let meets = |r: &&CopyRule| prefix.starts_with(&r.prefix) || r.prefix.starts_with(prefix);
        self.rules.iter().filter(|r| r.on && r.to == bucket).filter(meets).collect()
    }

    /// The pending replication from another bucket, the longest delay first. If that bucket's rules are known, only the rules that apply
    /// count. Values that stopped long before the others belong to a deleted rule.
    pub fn arriving_from(&self, from: &BucketRef, of: Option<&Self>, copy: &str) -> Vec<&Arriving> {
        let counts = |a: &&Arriving| {
            of.is_none_or(|state| state.rules_to(copy, &from.prefix).iter().any(|rule| rule.id == a.rule))
        };
        let mut all: Vec<_> = self.arriving.iter().filter(|a| a.from == from.bucket).filter(counts).collect();
        let newest = all.iter().map(|a| a.at).max();
        all.retain(|a| newest.is_none_or(|newest| newest.since(a.at) <= STOPPED));
        all.sort_by_key(|a| std::cmp::Reverse(a.behind_ms));
        all
    }
}

/// Values are published every minute.
const STOPPED: Dur = Dur::mins(10);

impl Gap {
    /// Whether S3 gave up: it never retries such an object by itself (Amazon S3 User Guide, «Getting replication status information»).
    pub fn given_up(&self) -> bool {
        self.status.as_deref() == Some("FAILED")
    }
}

impl ComparedState {
    /// When the oldest object whose copy differs was written.
    pub fn oldest_gap(&self) -> Option<Timestamp> {
        self.gaps.iter().filter_map(|gap| gap.written_at).min()
    }
}

impl fmt::Display for Versioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Never => "never enabled",
            Self::Suspended => "suspended",
            Self::Enabled => "enabled",
        })
    }
}

impl fmt::Display for CopyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.prefix.is_empty() { "everything" } else { self.prefix.as_str() };
        write!(f, "{what} to {}", self.to)?;
        let words =
            [(self.tagged, "with certain tags"), (!self.deletes, "without deletions"), (!self.on, "off")];
        words.iter().filter(|(is, _)| *is).try_for_each(|(_, word)| write!(f, ", {word}"))
    }
}

impl fmt::Display for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} by rule {}: ", self.from, harmless(&self.rule))?;
        match self.behind_ms {
            Some(behind) => write!(f, "at most {behind} behind")?,
            None if self.operations == Some(0) => f.write_str("up to date")?,
            None => f.write_str("the delay is unknown")?,
        }
        match (self.operations, self.bytes) {
            (Some(n), Some(bytes)) => write!(f, ", operations waiting: {n} ({bytes} bytes)")?,
            (Some(n), None) => write!(f, ", operations waiting: {n}")?,
            _ => {}
        }
        write!(f, ", published for {}", self.at)
    }
}

impl fmt::Display for ComparedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = if self.more { "the first " } else { "" };
        let same = self.compared.saturating_sub(u32::try_from(self.gaps.len()).unwrap_or(u32::MAX));
        write!(f, "compared {} of {first}{} objects: {same} identical", self.compared, self.listed)?;
        let missing = self.gaps.iter().filter(|gap| gap.what == Difference::Missing).count();
        let other = self.gaps.len() - missing;
        for (n, what) in [(missing, "missing"), (other, "different from their source")] {
            if n > 0 {
                write!(f, ", {n} {what}")?;
            }
        }
        match &self.why {
            Some(why) => write!(f, "; {} could not be read: {}", self.unread, harmless(why)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.what == Difference::Missing { "missing" } else { "different" };
        // Keys can be chosen by anybody who may write objects, so remove links, images and characters that change the direction of text.
        write!(f, "`{}`: {what}", harmless(&self.key).replace('`', "'"))?;
        if let Some(at) = self.written_at {
            write!(f, ", written {at}")?;
        }
        match &self.status {
            Some(status) => write!(f, ", {status}"),
            None => Ok(()),
        }
    }
}

/// The keys to compare: the newest, because they are replicated last, and as many others as the seed draws.
pub fn chosen(listed: &[(String, Timestamp)], most: usize, seed: &str) -> Vec<String> {
    let mut newest: Vec<_> = listed.iter().collect();
    newest.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    let mut others = newest.split_off(newest.len().min(most.div_ceil(2)));
    others.sort_by_cached_key(|(key, _)| {
        Digest::of_fields(&[seed.as_bytes(), key.as_bytes()]).as_str().to_owned()
    });
    newest.into_iter().chain(others).take(most).map(|(key, _)| key.clone()).collect()
}

impl BucketState {
    /// How the bucket is replicated. The backlog is left out, because it changes every minute.
    pub(crate) fn shape(&self) -> BTreeMap<String, String> {
        let rules = self.rules.iter().map(|rule| (format!("rule {}", rule.id), rule.to_string()));
        rules.chain([("versioning".to_owned(), self.versioning.to_string())]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_compared_and_others_by_lot() {
        let listed: Vec<_> =
            (0..100).map(|n| (format!("k{n:02}"), Timestamp::from_millis(1_000 * n))).collect();
        let some = |seed: &str| chosen(&listed, 10, seed);
        assert_eq!(some("a")[..5], ["k99", "k98", "k97", "k96", "k95"]);
        assert_eq!(some("a"), some("a"));
        assert_ne!(some("a"), some("b"));
        let unique: BTreeSet<_> = some("a").into_iter().collect();
        assert_eq!(unique.len(), 10);
        assert_eq!(chosen(&listed, 1_000, "a").len(), 100);
        assert_eq!((chosen(&listed, 0, "a"), chosen(&[], 10, "a")), (vec![], vec![]));
    }

    #[test]
    fn only_a_rule_that_copies_everything_meant_counts() {
        let rule = CopyRule { on: true, prefix: "up/".into(), to: "b".into(), ..CopyRule::default() };
        let found = |change: fn(&mut CopyRule), prefix: &str| {
            let mut rule = rule.clone();
            change(&mut rule);
            BucketState { rules: vec![rule], ..BucketState::default() }.rule_to("b", prefix).is_some()
        };
        assert!(found(|_| {}, "up/") && found(|_| {}, "up/new/") && found(|r| r.prefix.clear(), ""));
        assert!(!found(|_| {}, "") && !found(|_| {}, "other/"));
        assert!(!found(|r| r.on = false, "up/") && !found(|r| r.tagged = true, "up/"));
        assert!(!found(|r| r.to = "c".into(), "up/"));
    }
}
