//! Readiness: all observations compared with the plan. Something that was not observed never counts as ready.

use drctl::inventory::{Estate, Observation};
use drctl::kinds::aws::autoscaling::GroupState;
use drctl::kinds::shared::buckets::{
    Arriving, BucketState, ComparedState, CopyRule, Difference, Gap, Versioning,
};
use drctl::kinds::shared::database::DatabaseState;
use drctl::kinds::shared::names::RecordAnswer;
use drctl::kinds::shared::unreplicated::{Lost, Unreplicated};
use drctl::kinds::shared::wal::Lsn;
use drctl::kinds::{Role, State, Target};
use drctl::model::ids::{RunId, SiteName};
use drctl::model::readiness::{Area, Check, GrantedState, Quota, QuotasState, Standing};
use drctl::model::time::Dur;
use drctl::plan::Plan;
use drctl::report::readiness::{ReadinessInput, evaluate, worst};

use crate::kinds::buckets;
use crate::support::rig::{BEGAN, Rig, plan, truststream};

const EAST: &str = "db in us-east-1";

struct Case {
    plan: Plan,
    estate: Estate,
    proven: Option<(RunId, Vec<(String, State)>)>,
}

impl Case {
    fn new() -> Self {
        Self::of_plan(truststream())
    }

    fn of_plan(plan: Plan) -> Self {
        let estate = Rig::new(plan.clone(), "calm", 7).observed();
        let mut case = Self { plan, estate, proven: None };
        for site in ["us-west-2", "us-east-1"] {
            let place = case.plan.sites[&SiteName::new(site)].place.clone();
            case.see(
                &Target::Granted { place: place.clone(), needs: Vec::new() },
                State::Granted(GrantedState { asked: 3, ..GrantedState::default() }),
            );
            let of = [("DBInstances", 2, 40), ("AllocatedStorage", 100, 100_000)];
            let of = of.map(|(name, used, max)| (name.to_owned(), Quota { used, max })).into();
            case.see(&Target::Quotas { place }, State::Quotas(QuotasState { of }));
        }
        case
    }

    fn see(&mut self, target: &Target, state: State) {
        let seen = Observation::Value { state, observed_at: BEGAN, source: "test".to_owned() };
        self.estate.add(target, seen, None);
    }

    /// Changes the observation under a key.
    fn alter(&mut self, key: &str, change: impl FnOnce(&mut State)) {
        let entry = self.estate.entries.get_mut(key).unwrap_or_else(|| panic!("nothing is seen of {key}"));
        let Observation::Value { state, .. } = &mut entry.now else { panic!("{key} is not seen") };
        change(state);
    }

    fn database(&mut self, site: &str, change: impl FnOnce(&mut DatabaseState)) {
        let key = self.keys("database/").into_iter().find(|key| key.contains(site)).unwrap();
        self.alter(&key, |state| match state {
            State::Database(db) => change(db),
            other => panic!("{other:?}"),
        });
    }

    fn group(&mut self, site: &str, change: impl FnOnce(&mut GroupState)) {
        let key = self.keys("group/").into_iter().find(|key| key.contains(site)).unwrap();
        self.alter(&key, |state| match state {
            State::Group(group) => change(group),
            other => panic!("{other:?}"),
        });
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        self.estate.entries.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    fn checks(&self) -> Vec<Check> {
        let seen =
            ReadinessInput { estate: &self.estate, now: BEGAN, guard: None, proven: self.proven.clone() };
        evaluate(&self.plan, &seen)
    }

    fn of(&self, area: Area, about: &str) -> (Standing, String) {
        let all = self.checks();
        let found = all.iter().find(|c| c.area == area && c.about == about);
        let check = found.unwrap_or_else(|| panic!("{area} {about}: {all:#?}"));
        assert!(check.fix.is_some() || check.standing == Standing::Ready, "{check:?}: and now?");
        (check.standing, check.facts.clone())
    }
}

fn is(found: (Standing, String), standing: Standing, words: &str) {
    assert!(found.0 == standing && found.1.contains(words), "{found:?}, not {standing} `{words}`");
}

#[test]
fn what_is_well_is_ready_but_for_what_nobody_has_tried() {
    let case = Case::new();
    let others: Vec<_> = case.checks().into_iter().filter(|c| c.standing != Standing::Ready).collect();
    assert!(others.len() == 1 && others[0].area == Area::Drift, "{others:#?}");
    assert_eq!(worst(&case.checks()), Standing::Unknown);
    assert_eq!(worst(&[]), Standing::Unknown, "nothing was looked at");
}

/// Obstacles to the proof of a fence are known in advance, and so is what a promotion loses whatever the replication lag.
#[test]
fn obstacles_of_a_fence_and_rows_that_no_standby_has_are_said() {
    const WEST: &str = "db in us-west-2";
    let mut case = Case::new();
    is(case.of(Area::Fence, WEST), Standing::Ready, "no obstacle");
    case.alter("fence/us-west-2/truststream-db/sql", |state| match state {
        State::Fence(fence) => fence.obstacles = vec!["superuser dba may log in".to_owned()],
        other => panic!("{other:?}"),
    });
    // The plan has another fence method.
    is(case.of(Area::Fence, WEST), Standing::Degraded, "could not be proven: superuser dba may log in");
    let with = |case: &mut Case, what: Lost| {
        let name = "app.public.cache".to_owned();
        let thing = Unreplicated { what, name, detail: "about 500, 24576 bytes".to_owned() };
        case.database("us-west-2", |db| db.unreplicated = vec![thing]);
        case.of(Area::Unreplicated, WEST)
    };
    let rows = "unlogged table app.public.cache has rows (about 500, 24576 bytes)";
    is(with(&mut case, Lost::Rows), Standing::Degraded, rows);
    is(with(&mut case, Lost::Expendable), Standing::Ready, rows);
    is(with(&mut case, Lost::Slot), Standing::Ready, "logical slot app.public.cache");
    case.database("us-east-1", |db| db.synced_slots = Some(Vec::new()));
    is(
        with(&mut case, Lost::Failover),
        Standing::Ready,
        "has not synchronized it) does not exist on a standby",
    );
    case.database("us-east-1", |db| db.synced_slots = Some(vec!["app.public.cache".to_owned()]));
    assert!(!case.checks().iter().any(|check| check.area == Area::Unreplicated), "the standby has it");
}

#[test]
fn a_database_needs_a_follower_that_keeps_up_and_backups_that_reach_far_enough() {
    let mut case = Case::new();
    for site in ["us-west-2", "us-east-1"] {
        case.database(site, |db| db.wal.as_mut().unwrap().position = Lsn(7));
    }
    case.database("us-east-1", |db| db.last_commit = Some(BEGAN - Dur::mins(600)));
    is(case.of(Area::Lag, EAST), Standing::Ready, "it has the complete log of the writer");
    let behind = |db: &mut DatabaseState| db.wal.as_mut().unwrap().position = Lsn(0);
    case.database("us-west-2", |db| db.wal.as_mut().unwrap().position = Lsn(1));
    case.database("us-east-1", behind);
    let aged = |case: &mut Case, seconds: u64| {
        case.database("us-east-1", |db| db.last_commit = Some(BEGAN - Dur::secs(seconds)));
        case.of(Area::Lag, EAST)
    };
    is(aged(&mut case, 150), Standing::Ready, "2m 30s old (by sql); the RPO is 5m");
    is(aged(&mut case, 151), Standing::Degraded, "2m 31s");
    is(aged(&mut case, 301), Standing::NotReady, "5m 1s");
    // Whether there was a later commit is unknown, on a server that may have been idle.
    case.database("us-west-2", |db| db.wal = None);
    is(aged(&mut case, 301), Standing::Unknown, "it is unknown whether a later one exists");
    case.database("us-east-1", |db| {
        db.wal = None;
        db.last_commit_source = Some("replica_lag".to_owned());
    });
    is(aged(&mut case, 301), Standing::Unknown, "by replica_lag");
    is(aged(&mut case, 361), Standing::NotReady, "6m 1s old (by replica_lag)");
    is(aged(&mut case, 10), Standing::Ready, "10s old");
    case.database("us-east-1", |db| db.last_commit = None);
    is(case.of(Area::Lag, EAST), Standing::Unknown, "replication lag is unknown");
    case.database("us-east-1", |db| db.status = "modifying".to_owned());
    is(case.of(Area::Replica, EAST), Standing::Degraded, "is modifying");
    case.database("us-east-1", |db| db.status = drctl::kinds::shared::database::HEADLESS.to_owned());
    is(case.of(Area::Replica, EAST), Standing::Degraded, "the cluster has no instance");
    let none = case.checks().into_iter().find(|c| c.area == Area::Replica).unwrap();
    assert!(none.fix.as_deref().is_some_and(|fix| fix.contains("create an instance")), "{none:?}");
    case.database("us-west-2", |db| db.backup_age_ms = Some(Dur::mins(11)));
    is(case.of(Area::Backups, "db in us-west-2"), Standing::Degraded, "11m ago; the RPO is 5m");
    case.database("us-west-2", |db| db.instance.as_mut().unwrap().backup_days = 0);
    is(case.of(Area::Backups, "db in us-west-2"), Standing::NotReady, "keeps no backups");
    case.database("us-east-1", |db| db.role = drctl::kinds::shared::database::DatabaseRole::Writer);
    let twice = case.checks().into_iter().find(|c| c.area == Area::Replica).unwrap();
    assert!(twice.standing == Standing::NotReady && twice.facts.contains("2 sites"), "{twice:?}");
}

#[test]
fn backups_are_held_to_the_objectives_of_their_component() {
    let text = include_str!("../../../plans/truststream.yaml");
    let own =
        text.replace("    kind: aws.rds\n", "    kind: aws.rds\n    objectives: {rto: 15m, rpo: 20m}\n");
    let mut case = Case::of_plan(plan(&own));
    case.database("us-west-2", |db| db.backup_age_ms = Some(Dur::mins(11)));
    is(case.of(Area::Backups, "db in us-west-2"), Standing::Ready, "11m ago; the RPO is 20m");
    let managed = |db: &mut DatabaseState| db.instance.as_mut().unwrap().managed_password = true;
    case.database("us-west-2", managed);
    let refused = "drctl would refuse to restore it: RDS keeps the administrator password";
    is(case.of(Area::Backups, "db in us-west-2"), Standing::Degraded, refused);
}

#[test]
fn what_is_not_seen_is_unknown() {
    let mut case = Case::new();
    let why = "no answer within 15s".to_owned();
    for key in case.estate.entries.keys().cloned().collect::<Vec<_>>() {
        if key.contains("us-east-1") || key.starts_with("records/") {
            let entry = case.estate.entries.get_mut(&key).unwrap();
            entry.now = Observation::Unobservable { since: BEGAN, why: why.clone() };
        }
    }
    let www = case.plan.components.keys().find(|name| name.as_str() == "www").unwrap().to_string();
    for (area, about) in [
        (Area::Replica, EAST),
        (Area::Capacity, "nodes in us-east-1"),
        (Area::Permissions, "us-east-1"),
        (Area::Quotas, "us-east-1"),
        (Area::Ttl, www.as_str()),
    ] {
        is(case.of(area, about), Standing::Unknown, &why);
    }
    assert!(case.checks().iter().all(|c| c.standing != Standing::NotReady));
    // A target that the provider denies differs from one that could not be observed.
    let key = case.keys("group/us-east-1/").remove(0);
    case.estate.entries.get_mut(&key).unwrap().now = Observation::NotFound { observed_at: BEGAN };
    is(case.of(Area::Capacity, "nodes in us-east-1"), Standing::NotReady, "does not exist");
}

#[test]
fn the_standby_site_may_grow_and_answers_are_forgotten_in_time() {
    let mut case = Case::new();
    case.group("us-east-1", |group| group.capacity.size.max = 3);
    is(
        case.of(Area::Capacity, "nodes in us-east-1"),
        Standing::NotReady,
        "needs 4 instances, but its maximum is 3",
    );
    case.group("us-east-1", |group| {
        group.capacity.size.max = 12;
        group.capacity.last_failure = Some("no capacity".to_owned());
    });
    is(case.of(Area::Capacity, "nodes in us-east-1"), Standing::Degraded, "no capacity");
    case.group("us-west-2", |group| group.capacity.in_service = 13);
    is(case.of(Area::Capacity, "nodes in us-east-1"), Standing::NotReady, "needs 13 instances");
    let ttl = |case: &mut Case, to: u64| {
        let key = case.keys("records/").remove(0);
        case.alter(&key, |state| {
            let State::Records(records) = state else { panic!("{state:?}") };
            for set in &mut records.sets {
                if let RecordAnswer::Values { ttl_s, .. } = &mut set.answer {
                    *ttl_s = to;
                }
            }
        });
        case.checks().into_iter().find(|c| c.area == Area::Ttl).map(|c| (c.standing, c.facts)).unwrap()
    };
    is(ttl(&mut case, 901), Standing::NotReady, "up to 15m 1s; the RTO is 15m");
    is(ttl(&mut case, 61), Standing::Degraded, "the plan says another one");
}

#[test]
fn what_the_account_may_not_do_or_have_no_more_of_is_named() {
    let mut case = Case::new();
    case.alter("granted/us-east-1", |state| {
        let denied = vec!["rds:PromoteReadReplica on arn:x".to_owned()];
        let principal = "role/r".to_owned();
        *state = State::Granted(GrantedState { principal, denied, ..GrantedState::default() });
    });
    is(
        case.of(Area::Permissions, "us-east-1"),
        Standing::NotReady,
        "role/r may not rds:PromoteReadReplica on arn:x",
    );
    case.alter("granted/us-east-1", |state| {
        let unclear = vec!["s3:GetObject on x (it depends on aws:SourceIp)".to_owned()];
        *state = State::Granted(GrantedState { unclear, ..GrantedState::default() });
    });
    is(case.of(Area::Permissions, "us-east-1"), Standing::Unknown, "aws:SourceIp");
    for (name, words) in
        [("DBInstances", "DBInstances 40 of 40"), ("AllocatedStorage", "AllocatedStorage 40 of 40")]
    {
        let mut case = Case::new();
        case.alter("quotas/us-east-1", |state| {
            let State::Quotas(of) = state else { panic!("{state:?}") };
            of.of.insert(name.to_owned(), Quota { used: 40, max: 40 });
        });
        is(case.of(Area::Quotas, "us-east-1"), Standing::NotReady, words);
    }
    case.alter("quotas/us-east-1", |state| *state = State::Quotas(QuotasState::default()));
    is(case.of(Area::Quotas, "us-east-1"), Standing::Unknown, "RDS reports no quota");
}

#[test]
fn two_sides_that_differ_and_what_changed_since_the_last_proof_are_told() {
    let mut case = Case::new();
    let before: Vec<_> = ["database/", "group/"]
        .iter()
        .flat_map(|prefix| case.keys(prefix))
        .filter_map(|key| Some((key.clone(), case.estate.entries[&key].now.state()?.clone())))
        .collect();
    case.proven = Some((RunId::new("r1"), before));
    let about = case.plan.name.to_string();
    is(case.of(Area::Drift, &about), Standing::Ready, "unchanged since before run r1");
    // Roles, sizes and statuses change with every move.
    case.database("us-east-1", |db| db.status = "backing-up".to_owned());
    case.group("us-east-1", |group| group.capacity.size.desired = 9);
    is(case.of(Area::Drift, &about), Standing::Ready, "r1");
    case.database("us-east-1", |db| db.instance.as_mut().unwrap().class = "db.t3.micro".to_owned());
    is(case.of(Area::Parity, EAST), Standing::Degraded, "class db.t3.micro; the writer has db.r6g.large");
    is(case.of(Area::Drift, &about), Standing::Degraded, "since run r1: class of database/us-east-1/");
    let mut case = Case { proven: case.proven, ..Case::new() };
    case.database("us-east-1", |db| db.instance.as_mut().unwrap().version = "16.3".to_owned());
    is(case.of(Area::Drift, &about), Standing::Degraded, "engine version of database/us-east-1/");
    case.database("us-east-1", |db| db.instance.as_mut().unwrap().version.clear());
    // A recovery resumes suspended processes.
    case.group("us-east-1", |group| {
        group.suspended.insert("Launch".to_owned());
    });
    is(case.of(Area::Drift, &about), Standing::Ready, "r1");
    case.group("us-east-1", |group| group.capacity.size.max = 4);
    let changed = "maximum of group/us-east-1/truststream-nodes-dr: 12 -> 4";
    is(case.of(Area::Drift, &about), Standing::Degraded, changed);
    let launches = |version: &str| Some(format!("lt-0abc, version {version}"));
    case.group("us-east-1", |group| (group.capacity.size.max, group.launches) = (12, launches("4")));
    let (_, seen) = case.proven.as_mut().unwrap();
    for (_, state) in seen.iter_mut() {
        if let State::Group(group) = state {
            group.launches = launches("3");
        }
    }
    case.group("us-west-2", |group| group.launches = launches("3"));
    let changed =
        "launches of group/us-east-1/truststream-nodes-dr: lt-0abc, version 3 -> lt-0abc, version 4";
    is(case.of(Area::Drift, &about), Standing::Degraded, changed);
}

const UPLOADS: &str = "uploads in us-east-1";

/// truststream with a pair of buckets, some of whose objects were compared.
fn copied() -> Case {
    let mut case = Case::of_plan(plan(&buckets::plan_text()));
    case.see(
        &sampled(&case.plan),
        State::Compared(ComparedState { listed: 3, compared: 3, ..Default::default() }),
    );
    case
}

fn sampled(plan: &Plan) -> Target {
    let component = plan.components.values().find(|c| c.name.as_str() == "uploads").unwrap();
    let Role::Copy(spec) = component.role() else { panic!("{component:?}") };
    let sites = ("us-west-2", "us-east-1");
    let sites = (&SiteName::new(sites.0), &SiteName::new(sites.1));
    Target::Compared(Box::new(spec.compared(plan, &component.name, sites, "").unwrap()))
}

impl Case {
    fn bucket(&mut self, site: &str, change: impl FnOnce(&mut BucketState)) {
        let key = self.keys("bucket/").into_iter().find(|key| key.contains(site)).unwrap();
        self.alter(&key, |state| match state {
            State::Bucket(bucket) => change(bucket),
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn buckets_are_copied_by_rules_that_copy_everything_and_both_ways() {
    let case = copied();
    is(
        case.of(Area::Replica, UPLOADS),
        Standing::Ready,
        "rule to-ts-uploads-east replicates ts-uploads-west there",
    );
    let with = |site: &str, change: fn(&mut BucketState)| {
        let mut case = copied();
        case.bucket(site, change);
        case.of(Area::Replica, UPLOADS)
    };
    let none = "no rule replicates all of ts-uploads-west to ts-uploads-east";
    is(with("us-west-2", |b| b.rules.clear()), Standing::NotReady, none);
    is(with("us-west-2", |b| b.rules[0].on = false), Standing::NotReady, none);
    is(with("us-west-2", |b| b.rules[0].tagged = true), Standing::NotReady, none);
    is(with("us-west-2", |b| b.rules[0].prefix = "up/old/".to_owned()), Standing::NotReady, none);
    is(with("us-west-2", |b| b.rules[0].deletes = false), Standing::Degraded, "deleted objects come back");
    is(with("us-east-1", |b| b.rules.clear()), Standing::Degraded, "no rule replicates ts-uploads-east back");
    let suspended = "versioning of ts-uploads-east is suspended";
    is(with("us-east-1", |b| b.versioning = Versioning::Suspended), Standing::NotReady, suspended);
    let mut case = copied();
    let key = case.keys("bucket/us-west-2").remove(0);
    case.estate.entries.get_mut(&key).unwrap().now =
        Observation::Unobservable { since: BEGAN, why: "no answer".to_owned() };
    is(case.of(Area::Replica, UPLOADS), Standing::Unknown, "no answer");
}

#[test]
fn how_far_a_copy_is_behind_is_what_was_published_lately() {
    let with = |change: &dyn Fn(&mut BucketState)| {
        let mut case = copied();
        case.bucket("us-east-1", |bucket| change(bucket));
        case.of(Area::Lag, UPLOADS)
    };
    let behind = |seconds: u64| with(&|b| b.arriving[0].behind_ms = Some(Dur::secs(seconds)));
    is(behind(150), Standing::Ready, "at most 2m 30s behind");
    is(behind(151), Standing::Degraded, "the RPO is 5m");
    is(behind(301), Standing::NotReady, "at most 5m 1s behind");
    let waits = |operations: Option<u64>| {
        with(&|b| (b.arriving[0].behind_ms, b.arriving[0].operations) = (None, operations))
    };
    is(waits(Some(0)), Standing::Ready, "up to date, operations waiting: 0");
    is(waits(Some(3)), Standing::Degraded, "operations waiting: 3 (0 bytes)");
    is(waits(None), Standing::Unknown, "S3 publishes no replication delay");
    is(
        with(&|b| b.arriving[0].from = "another".to_owned()),
        Standing::Unknown,
        "S3 publishes no replication delay",
    );
    is(with(&|b| b.unread = Some("denied".to_owned())), Standing::Unknown, "denied");
    let old = |minutes: u64| with(&|b| b.arriving[0].at = BEGAN - Dur::mins(minutes));
    is(old(10), Standing::Ready, "at most");
    is(old(11), Standing::Unknown, "that was 11m ago");
}

#[test]
fn an_object_that_is_missing_longer_than_the_rpo_is_found() {
    let of = |seconds: Option<u64>, status: &str| Gap {
        key: "up/a`]\u{202e}".to_owned(),
        written_at: seconds.map(|s| BEGAN - Dur::secs(s)),
        what: Difference::Missing,
        status: Some(status.to_owned()),
    };
    let gap = |seconds| of(seconds, "PENDING");
    let with = |compared: u32, gaps: Vec<Gap>| {
        let mut case = copied();
        let found = ComparedState { listed: 9, compared, gaps, ..Default::default() };
        case.see(&sampled(&case.plan), State::Compared(found));
        case.of(Area::Replica, &format!("objects of {UPLOADS}"))
    };
    is(with(3, Vec::new()), Standing::Ready, "compared 3 of 9 objects: 3 identical");
    is(with(3, vec![gap(Some(300))]), Standing::Ready, "1 missing; `up/a']");
    is(with(3, vec![gap(Some(10)), gap(Some(301))]), Standing::NotReady, "PENDING");
    // S3 never retries an object that it gave up on; and a copy without any recent object is not ready.
    is(with(3, vec![of(Some(1), "FAILED")]), Standing::NotReady, "FAILED");
    is(with(2, vec![gap(Some(10)), gap(Some(20))]), Standing::Degraded, "none of it is in the copy");
    assert!(!with(3, vec![gap(None)]).1.contains('\u{202e}'));
    is(with(3, vec![gap(None)]), Standing::NotReady, "1 missing");
    is(with(0, Vec::new()), Standing::Unknown, "compared 0 of");
    let mut case = copied();
    let why = Some("HTTP 403".to_owned());
    let found = ComparedState { listed: 9, compared: 8, unread: 1, why, ..Default::default() };
    case.see(&sampled(&case.plan), State::Compared(found));
    let told = case.of(Area::Replica, &format!("objects of {UPLOADS}"));
    is(told, Standing::Unknown, "8 identical; 1 could not be read: HTTP 403");
}

#[test]
fn of_several_rules_the_one_that_s3_follows_counts_and_figures_of_those_that_are_gone_do_not() {
    let with = |area: Area, change: &dyn Fn(&mut BucketState, &mut BucketState)| {
        let mut case = copied();
        let (mut west, mut east) = (None, None);
        case.bucket("us-west-2", |b| west = Some(b.clone()));
        case.bucket("us-east-1", |b| east = Some(b.clone()));
        let (mut west, mut east) = (west.unwrap(), east.unwrap());
        change(&mut west, &mut east);
        case.bucket("us-west-2", |b| *b = west);
        case.bucket("us-east-1", |b| *b = east);
        case.of(area, UPLOADS)
    };
    let narrow = |priority: i32| {
        move |west: &mut BucketState, _: &mut BucketState| {
            let first = CopyRule {
                id: "old".to_owned(),
                prefix: "up/old/".to_owned(),
                priority,
                ..west.rules[0].clone()
            };
            west.rules.push(CopyRule { deletes: false, ..first });
        }
    };
    is(with(Area::Replica, &narrow(-1)), Standing::Ready, "rule to-ts-uploads-east replicates");
    is(with(Area::Replica, &narrow(1)), Standing::Degraded, "rule old does not replicate delete markers");
    // The slower of the two rules that apply counts, but not a deleted third one.
    let figures = |id: &'static str, minutes: u64, known: bool| {
        move |west: &mut BucketState, east: &mut BucketState| {
            if known {
                west.rules.push(CopyRule { id: id.to_owned(), ..west.rules[0].clone() });
            }
            let slow = Some(Dur::secs(400));
            let of = east.arriving[0].clone();
            east.arriving.push(Arriving {
                rule: id.to_owned(),
                behind_ms: slow,
                at: of.at - Dur::mins(minutes),
                ..of
            });
        }
    };
    is(with(Area::Lag, &figures("slow", 0, true)), Standing::NotReady, "by rule slow: at most 6m 40s behind");
    is(with(Area::Lag, &figures("gone", 0, false)), Standing::Ready, "at most");
    is(with(Area::Lag, &figures("slow", 11, true)), Standing::Ready, "at most");
}

#[test]
fn a_site_without_a_bucket_is_not_ready() {
    let text = buckets::plan_text().replace("      us-east-1: {bucket: ts-uploads-east}\n", "");
    let case = Case::of_plan(plan(&text));
    is(case.of(Area::Replica, UPLOADS), Standing::NotReady, "the plan names no bucket in us-east-1");
}

#[test]
fn a_rule_that_is_another_one_now_is_a_change_and_figures_are_none() {
    let mut case = copied();
    let before = case.keys("bucket/").into_iter();
    let before =
        before.map(|key| (key.clone(), case.estate.entries[&key].now.state().unwrap().clone())).collect();
    case.proven = Some((RunId::new("r1"), before));
    let about = case.plan.name.to_string();
    case.bucket("us-east-1", |b| b.arriving.clear());
    is(case.of(Area::Drift, &about), Standing::Ready, "unchanged since before run r1");
    case.bucket("us-west-2", |b| b.rules[0].deletes = false);
    is(case.of(Area::Drift, &about), Standing::Degraded, "rule to-ts-uploads-east of bucket/us-west-2/");
}
