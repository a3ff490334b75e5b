//! Refusals before a run, and the choice of the active site: each condition by itself, on both sides of its edge.

use std::collections::BTreeMap;

use drctl::inventory::active::{self, ActiveSite};
use drctl::inventory::estate::{ProbeHealth, Remembered};
use drctl::inventory::{Estate, Observation};
use drctl::kinds::control::IdentityState;
use drctl::kinds::shared::capacity::{Capacity, Size};
use drctl::kinds::shared::database::{DatabaseRef, DatabaseRole, DatabaseState};
use drctl::kinds::shared::names::{
    ControlsState, HealthObjectState, RecordAnswer, RecordPolicy, RecordSet, RecordsState,
};
use drctl::kinds::{Operation, Role, State, Target};
use drctl::model::ids::{ComponentName, RunId, SiteName};
use drctl::model::intent::{Drill, Intent};
use drctl::model::measure::{Basis, Figure};
use drctl::model::policy::Policy;
use drctl::model::time::Dur;
use drctl::model::waiver::{Person, Rule, Waiver};
use drctl::plan::Plan;
use drctl::planner::{self, Busy, Continued, Input, Refusal, Request};
use drctl::record::action::Action;
use drctl::record::event::Outcome;
use drctl::record::runbook::Runbook;
use drctl::report::attainment::attainment;
use drctl::run::state::Mode;

use crate::support::rig::{BEGAN, Rig, plan, truststream};

pub const PLAN: &str = r#"plan: orders
objectives: {rto: 15m, rpo: 5m}
sites: {west: {region: us-west-2}, east: {region: us-east-1}, north: {region: eu-north-1}, attic: {region: eu-west-1, recovery: false}}
connections: {dns: {}}
home: west
components:
  db:
    kind: aws.rds
    fence: [security_group]
    at:
      west: {id: db-west, fence_group: sg-fence}
      east: {id: db-east, fence_group: sg-fence-east}
      north: {id: db-north, fence_group: sg-fence-north}
  app: {kind: aws.autoscaling, at: {west: {group: app-west, capacity_floor: 2}, east: {group: app-east, capacity_floor: 2}, north: {group: app-north, capacity_floor: 2}}}
  www:
    kind: aws.route53
    via: dns
    needs: [db]
    zone: Z1
    records:
      - {name: www.example, type: A, ttl: 60s, at: {west: [192.0.2.1], east: [198.51.100.1], north: [203.0.113.1]}}
probes:
  - {name: site, role: site, every: 5s, timeout: 3s, at: {west: {http: "https://west.example"}, east: {http: "https://east.example"}}}
"#;

pub struct Case {
    plan: Plan,
    estate: Estate,
    pub request: Request,
    busy: BTreeMap<ComponentName, Busy>,
    pub continues: Option<Continued>,
    pub policy: Option<Policy>,
}

pub fn site(name: &str) -> SiteName {
    SiteName::new(name)
}

fn database(plan: &Plan, at: &str) -> DatabaseRef {
    let name = ComponentName::new("db");
    let Role::Store(spec) = plan.components[&name].role() else { panic!() };
    spec.server(plan, &name, &site(at)).unwrap()
}

fn value(state: State) -> Observation {
    Observation::Value { state, observed_at: BEGAN, source: "test".to_owned() }
}

fn dark() -> Observation {
    Observation::Unobservable { since: BEGAN, why: "no answer".to_owned() }
}

fn server(source: Option<&str>) -> DatabaseState {
    let role = source.map_or(DatabaseRole::Writer, |s| DatabaseRole::Replica { source: s.to_owned() });
    let security_groups = ["sg-app".to_owned()].into();
    DatabaseState { role, status: "available".to_owned(), security_groups, ..DatabaseState::default() }
}

/// West is dark and was the writer; east and north have replicas.
pub fn case(text: &str) -> Case {
    let plan = plan(text);
    let mut estate = Estate::default();
    let last = Remembered { state: State::Database(server(None)), observed_at: BEGAN - Dur::mins(2) };
    estate.add(&Target::Database(database(&plan, "west")), dark(), Some(last));
    for at in ["east", "north"] {
        let seen = value(State::Database(server(Some("db-west"))));
        estate.add(&Target::Database(database(&plan, at)), seen, None);
    }
    Case { plan, estate, request: failover("east"), busy: BTreeMap::new(), continues: None, policy: None }
}

/// What a failover of this plan would be, from what was observed.
pub fn planned(plan: Plan, estate: Estate, to: &str) -> Result<Runbook, Vec<Refusal>> {
    Case { plan, estate, request: failover(to), busy: BTreeMap::new(), continues: None, policy: None }.plan()
}

fn failover(to: &str) -> Request {
    Request {
        intent: Intent::Failover,
        from: None,
        to: site(to),
        waivers: Vec::new(),
        outage_declared: true,
        rehearsed: false,
        holder: "run".to_owned(),
        run: RunId::new("run"),
        restore: None,
        drill: None,
        returns: false,
        hold: None,
        severity: None,
    }
}

impl Case {
    pub fn plan(&self) -> Result<Runbook, Vec<Refusal>> {
        planner::plan_run(&Input {
            plan: &self.plan,
            estate: &self.estate,
            now: BEGAN,
            request: &self.request,
            busy: &self.busy,
            debts: &[],
            kept_out: &[],
            continues: self.continues.as_ref(),
            groups_before: &[],
            fenced: &[],
            written: &[],
            leaks: &[],
            unled: &[],
            copies: &[],
            guard: None,
            observation_max_age: Dur::mins(5),
            probe_consecutive: 3,
            policy: self.policy.as_ref(),
            closed: Vec::new(),
        })
    }

    /// The facts of a rule's refusals.
    fn refused(&self, rule: Rule) -> Option<String> {
        let refusals = self.plan().err().unwrap_or_default();
        let of_rule: Vec<_> = refusals.into_iter().filter(|r| r.rule == rule).map(|r| r.facts).collect();
        (!of_rule.is_empty()).then(|| of_rule.join("; "))
    }

    fn active(&self) -> ActiveSite {
        active::active_site(&self.plan, &self.estate, BEGAN)
    }

    fn see(&mut self, at: &str, state: DatabaseState) {
        self.estate.add(&Target::Database(database(&self.plan, at)), value(State::Database(state)), None);
    }

    /// The name points to an address, observed now or this long ago.
    fn names(&mut self, address: &str, age: Option<Dur>) {
        let name = ComponentName::new("www");
        let Role::Traffic(zone) = self.plan.components[&name].role() else { panic!() };
        let target = zone.record_sets(&self.plan, &name).unwrap();
        let set = RecordSet {
            name: "www.example".to_owned(),
            rtype: "A".to_owned(),
            set_identifier: None,
            policy: RecordPolicy::Simple,
            answer: RecordAnswer::Values { ttl_s: 5, values: vec![address.to_owned()] },
            health_check: None,
        };
        let state = State::Records(RecordsState { sets: vec![set] });
        match age {
            None => self.estate.add(&target, value(state), None),
            Some(age) => {
                self.estate.add(&target, dark(), Some(Remembered { state, observed_at: BEGAN - age }));
            }
        }
    }

    pub fn group(&mut self, at: &str, in_service: u32) {
        let name = ComponentName::new("app");
        let Role::Capacity(spec) = self.plan.components[&name].role() else { panic!() };
        let group = spec.target(&self.plan, &name, &site(at)).unwrap();
        let size = Size { min: 0, desired: in_service, max: 9 };
        let state = spec.observed()(Capacity { size, in_service, last_failure: None });
        self.estate.add(&group, value(state), None);
    }
}

#[test]
fn a_site_that_says_so_is_never_recovered_to() {
    let mut case = case(PLAN);
    case.request.to = site("attic");
    assert!(case.refused(Rule::NotRecoverable).unwrap().contains("recovery: false"));
    case.request.to = site("east");
    assert_eq!(case.refused(Rule::NotRecoverable), None);
}

#[test]
fn what_is_seen_active_is_not_overruled_by_a_word() {
    let mut case = case(PLAN);
    case.see("west", server(None));
    case.request.from = Some(site("north"));
    let facts = case.refused(Rule::ActiveSiteUnclear).unwrap();
    assert!(facts.contains("--from names north") && facts.contains("active in west"), "{facts}");
    case.request.from = Some(site("west"));
    assert_eq!(case.refused(Rule::ActiveSiteUnclear), None);
    // Only remembered: the person knows better.
    let mut dark = self::case(PLAN);
    dark.request.from = Some(site("north"));
    assert_eq!(dark.refused(Rule::ActiveSiteUnclear), None);
}

#[test]
fn a_component_that_another_run_holds_is_left_alone() {
    let mut case = case(PLAN);
    let busy = Busy { run: RunId::new("other-run"), facts: "run other-run holds it".to_owned() };
    case.busy.insert(ComponentName::new("elsewhere"), busy.clone());
    assert_eq!(case.refused(Rule::ComponentBusy), None, "it is no component of this plan");
    case.busy.insert(ComponentName::new("db"), busy);
    assert!(case.refused(Rule::ComponentBusy).unwrap().contains("other-run"));
}

#[test]
fn a_copy_that_is_being_put_in_place_is_waited_for_while_its_server_answers() {
    let mut case = case(PLAN);
    let west = database(&case.plan, "west");
    case.continues = Some(Continued {
        run: RunId::new("restore-run"),
        events: 3,
        intent: Intent::Restore,
        severity: None,
        asked: Vec::new(),
        from: Some(site("west")),
        holders: Vec::new(),
        fences: Vec::new(),
        putting: Some(west),
        copies: vec!["/data.restored-1".to_owned()],
        aside: Vec::new(),
    });
    assert_eq!(case.refused(Rule::ComponentBusy), None, "it is dark");
    case.see("west", server(None));
    assert!(case.refused(Rule::ComponentBusy).unwrap().contains("restore-run"));
}

#[test]
fn without_a_public_probe_that_of_the_source_counts_and_no_other() {
    let mut case = case(PLAN);
    case.request.outage_declared = false;
    // The control plane answers, so the probes decide.
    case.see("west", server(None));
    let probe = |good| ProbeHealth { good: Some(good), since: Some(BEGAN), last_good: None, unasked: None };
    let keys: BTreeMap<_, _> =
        case.plan.probes.iter().map(|p| (p.value.site.clone(), p.value.key())).collect();
    let say = |case: &mut Case, at: &str, good: bool| {
        case.estate.probes.insert(keys[&Some(site(at))].clone(), probe(good));
    };
    say(&mut case, "east", false);
    assert!(case.refused(Rule::HealthySource).is_some(), "the target's probe says nothing of the source");
    say(&mut case, "east", true);
    say(&mut case, "west", false);
    assert_eq!(case.refused(Rule::HealthySource), None);
    say(&mut case, "west", true);
    assert!(case.refused(Rule::HealthySource).unwrap().contains("good"));
}

#[test]
fn traffic_that_waits_for_no_database_is_refused_whoever_made_the_plan() {
    let mut case = case(PLAN);
    assert_eq!(case.refused(Rule::TrafficBeforeDatabase), None);
    let www = case.plan.components.get_mut(&ComponentName::new("www")).unwrap();
    www.needs.clear();
    assert!(case.refused(Rule::TrafficBeforeDatabase).is_some());
    case.plan =
        plan(&PLAN.replace("type: A,", "type: A, serves: static,").replace("needs: [db]", "needs: []"));
    assert_eq!(case.refused(Rule::TrafficBeforeDatabase), None);
}

#[test]
fn memory_of_the_target_serves_up_to_its_age_while_its_site_answers() {
    let old = |age: Dur| {
        let mut case = case(PLAN);
        let state = State::Database(server(Some("db-west")));
        let target = Target::Database(database(&case.plan, "east"));
        case.estate.add(&target, dark(), Some(Remembered { state, observed_at: BEGAN - age }));
        case.group("east", 2);
        case.refused(Rule::StaleObservation)
    };
    assert_eq!(old(Dur::mins(5)), None);
    assert!(old(Dur::mins(5).plus(Dur(1))).unwrap().contains("db-east"));
}

#[test]
fn a_standby_of_another_cluster_is_not_promoted() {
    let host = |at: &str| format!("{{endpoint: \"db-{at}:5432/app\", admin: {{secret: \"file:a\"}}}}");
    let text = format!(
        "plan: own\nobjectives: {{rto: 15m, rpo: 5m}}\nsites: {{west: {{cloud: none}}, east: {{cloud: none}}}}\nhome: west\ncomponents:\n  db:\n    kind: postgres\n    fence: [sql]\n    at: {{west: {}, east: {}}}\n    verify: {{sql_write: {{table: canary}}}}\n",
        host("west"),
        host("east")
    );
    let refused = |theirs: &str| {
        let plan = plan(&text);
        let mut case = Case { estate: Estate::default(), plan, ..self::case(PLAN) };
        let of = |lineage: &str, source| DatabaseState {
            lineage: Some(lineage.to_owned()),
            streaming: Some(true),
            ..server(source)
        };
        let last = Remembered { state: State::Database(of("7001", None)), observed_at: BEGAN - Dur::mins(1) };
        case.estate.add(&Target::Database(database(&case.plan, "west")), dark(), Some(last));
        case.see("east", of(theirs, Some("db-west")));
        case.refused(Rule::NotRecoverable)
    };
    assert_eq!(refused("7001"), None);
    let facts = refused("7002").unwrap();
    assert!(facts.contains("7002") && facts.contains("7001"), "{facts}");
}

#[test]
fn the_active_site_is_what_is_seen_and_never_guessed() {
    let mut case = case(PLAN);
    let (west, two) = (site("west"), Dur::mins(2));
    assert_eq!(case.active(), ActiveSite::LastKnown(west.clone(), two));
    assert_eq!(
        (case.active().basis(), case.active().to_string()),
        ("last_known", format!("west (last known, {two} ago)"))
    );
    case.names("198.51.100.1", Some(Dur::mins(1)));
    // Everything is remembered, and contradicts itself.
    assert_eq!((case.active(), case.active().basis()), (ActiveSite::Unknown, "unknown"));
    case.names("198.51.100.1", None);
    let split = case.active();
    assert!(matches!(&split, ActiveSite::Split(votes) if votes.len() == 2), "{split}");
    assert_eq!((split.basis(), split.to_string()), ("split", "split: db in west, www in east".to_owned()));
    case.see("west", server(None));
    case.names("198.51.100.1", Some(Dur::mins(1)));
    assert!(matches!(case.active(), ActiveSite::Split(_)), "what is seen and what is remembered disagree");
    case.names("192.0.2.1", None);
    assert_eq!((case.active(), case.active().basis()), (ActiveSite::At(west), "observed"));
    // Another TTL is the same answer; another address is not in the plan.
    case.names("192.0.2.99", None);
    assert_eq!(case.active(), ActiveSite::At(site("west")));
    // A fence is a proof, or its security group alone.
    let fenced = DatabaseState { security_groups: ["sg-fence".to_owned()].into(), ..server(None) };
    case.see("west", fenced.clone());
    assert_eq!(case.active(), ActiveSite::Unknown);
    let both =
        DatabaseState { security_groups: ["sg-fence".to_owned(), "sg-app".to_owned()].into(), ..fenced };
    case.see("west", both);
    assert_eq!(case.active(), ActiveSite::At(site("west")));
    let nothing = Case { estate: Estate::default(), ..self::case(PLAN) };
    assert_eq!(nothing.active(), ActiveSite::Unknown);
    assert!(nothing.refused(Rule::ActiveSiteUnclear).is_some());
}

#[test]
fn capacity_votes_for_the_one_site_that_has_any() {
    let mut case = Case { estate: Estate::default(), ..case(PLAN) };
    case.group("west", 0);
    case.group("east", 1);
    assert_eq!(case.active(), ActiveSite::At(site("east")));
    case.group("west", 3);
    // A warm standby has no vote.
    let votes = active::votes(&case.plan, &case.estate, BEGAN);
    assert!(!votes.contains_key(&ComponentName::new("app")), "{votes:?}");
    case.group("east", 0);
    assert_eq!(case.active(), ActiveSite::At(site("west")));
}

#[test]
fn a_replica_follows_whom_it_names_unless_it_is_seen_not_to() {
    let plan = plan(PLAN);
    let source = database(&plan, "west");
    let follows = |source_of: &str, streaming| {
        let state = DatabaseState { streaming, ..server(Some(source_of)) };
        state.follows_source(source.engine, &source)
    };
    assert!(follows("db-west", None) && follows("arn:aws:rds:us-west-2:1:db:db-west", Some(true)));
    assert!(!follows("db-west", Some(false)) && !follows("db-other", Some(true)));
    assert!(!server(None).follows_source(source.engine, &source));
}

fn accept(rule: Rule) -> Waiver {
    Waiver {
        rule,
        component: None,
        accept_loss_ms: Some(Dur::mins(60)),
        reason: "dark".to_owned(),
        who: Person::claimed("test"),
    }
}

/// Users are in the site with the object, and its region is dark: no run waits for removing it.
#[test]
fn an_object_in_a_dark_region_is_not_waited_for() {
    let zone = r#"    zone: Z1
    switch: health_object
    object: {url: "s3://b/k", site: east}
    records:
      - {name: www.example, type: A, ttl: 60s, policy: failover, at: {west: {set: w, values: [192.0.2.1], role: primary, health_check: h}, east: {set: e, values: [198.51.100.1], role: secondary}}}
"#;
    let (head, tail) = (PLAN.find("    zone: Z1").unwrap(), PLAN.find("probes:").unwrap());
    let text = format!("{}{zone}{}", &PLAN[..head], &PLAN[tail..]);
    let mut case = case(&text);
    case.request.to = site("west");
    case.request.from = Some(site("east"));
    case.request.waivers = [Rule::UnfencedPromotion, Rule::ExposureAboveRpo].map(accept).into();
    case.see("west", server(Some("db-east")));
    let last = Remembered { state: State::Database(server(None)), observed_at: BEGAN - Dur::mins(2) };
    let east = database(&case.plan, "east");
    case.estate.add(&Target::Database(east), dark(), Some(last));
    case.group("west", 2);
    let name = ComponentName::new("www");
    let Role::Traffic(zone) = case.plan.components[&name].role() else { panic!() };
    let object = Target::HealthObject(zone.object(&case.plan, &name).unwrap());
    case.estate.add(&object, dark(), None);
    let book = case.plan().unwrap_or_else(|r| panic!("{r:#?}"));
    let step = |id: &str| book.steps.iter().find(|s| s.id.as_str() == id).unwrap();
    assert!(step("switch.www").background);
    assert!(step("served.www").needs.iter().all(|n| n.step.as_str() != "switch.www"));
    assert!(book.notes.iter().any(|n| n.contains("s3://b/k cannot be removed")), "{:?}", book.notes);
    // While the region answers, everything after it waits for it.
    let there = HealthObjectState { holder: Some("run".to_owned()) };
    case.estate.add(&object, value(State::HealthObject(there)), None);
    let book = case.plan().unwrap_or_else(|r| panic!("{r:#?}"));
    let step = |id: &str| book.steps.iter().find(|s| s.id.as_str() == id).unwrap();
    assert!(!step("switch.www").background);
    assert!(step("served.www").needs.iter().any(|n| n.step.as_str() == "switch.www"));
}

/// After a restore, the standby follows the server that was set aside. Promoted, it would lack all later writes.
#[test]
fn a_replica_of_what_was_set_aside_is_promoted_only_if_somebody_accepts_that() {
    let mut case = case(PLAN);
    case.request.waivers = [Rule::UnfencedPromotion, Rule::ExposureAboveRpo].map(accept).into();
    assert_eq!(case.refused(Rule::OtherSource), None);
    case.request.from = Some(site("west"));
    case.see("east", server(Some("db-west-set-aside-1f")));
    case.group("east", 2);
    let facts = case.refused(Rule::OtherSource).unwrap();
    assert!(
        facts.contains("db-east replicates from db-west-set-aside-1f, but the plan would fence db-west"),
        "{facts}"
    );
    case.request.waivers.push(accept(Rule::OtherSource));
    let book = case.plan().unwrap_or_else(|r| panic!("{r:#?}"));
    assert!(
        book.notes.iter().any(|n| n.contains("waived other-source (db): db-east replicates")),
        "{:?}",
        book.notes
    );
    case.request.intent = Intent::Switchover;
    let facts = case.refused(Rule::NotRecoverable).unwrap();
    assert!(facts.contains("other-source cannot be waived"), "{facts}");
}

/// The interrupted run renamed the source: the replica follows the renamed server, and no other with the old name.
#[test]
fn a_replica_of_a_source_that_an_unfinished_run_renamed_follows_it() {
    let mut case = case(PLAN);
    case.request.from = Some(site("west"));
    case.see("east", server(Some("db-west-set-aside-1f")));
    case.group("east", 2);
    let west = database(&case.plan, "west");
    let other_id = DatabaseRef { id: "db-east".to_owned(), ..west.clone() };
    let other_db = DatabaseRef { component: ComponentName::new("orders"), ..west.clone() };
    let mut refused = |db: &DatabaseRef, to: &str| {
        case.continues = Some(Continued {
            run: RunId::new("before"),
            events: 1,
            intent: Intent::Switchover,
            severity: None,
            asked: Vec::new(),
            from: Some(site("west")),
            holders: Vec::new(),
            fences: Vec::new(),
            putting: None,
            copies: Vec::new(),
            aside: vec![(db.clone(), to.to_owned())],
        });
        case.refused(Rule::OtherSource).is_some()
    };
    assert!(!refused(&west, "db-west-set-aside-1f"));
    assert!(refused(&west, "db-west-set-aside-2e"), "it was given another name");
    assert!(refused(&other_id, "db-west-set-aside-1f"), "another server was given that name");
    assert!(refused(&other_db, "db-west-set-aside-1f"), "another database's server was");
}

/// The lag behind its own source says nothing about what it lacks of the server that served.
#[test]
fn what_a_replica_of_another_source_lacks_is_not_known() {
    let figure = |rules: &[Rule]| {
        let waivers = rules.iter().copied().map(accept).collect();
        let done = Rig { waivers, ..Rig::new(truststream(), "region-lost", 1) }.rehearse().unwrap();
        let state = &done.ended.state;
        assert_eq!(state.mode, Mode::Finished(Outcome::Recovered), "{:?}", done.ended.stop);
        attainment(state, state.last_at).stores[&ComponentName::new("db")].0
    };
    let waived = [Rule::UnfencedPromotion, Rule::ExposureAboveRpo];
    assert_ne!(figure(&waived).basis, Basis::Unknown);
    assert_eq!(figure(&[&waived[..], &[Rule::OtherSource]].concat()), Figure::UNKNOWN);
}

/// If not exactly one control was `On`, an undo restores the site that was left.
#[test]
fn controls_of_which_several_are_on_are_turned_back_to_the_site_that_is_left() {
    let arn = |n: u32| format!("arn:aws:route53-recovery-control::1:controlpanel/p/routingcontrol/{n}");
    let zone = format!(
        "    zone: Z1\n    switch: arc_routing_control\n    cluster: {{endpoints: {{us-east-1: \"https://e\"}}, controls: {{west: \"{}\", east: \"{}\"}}}}\n    records:\n      - {{name: www.example, type: A, ttl: 60s, policy: failover, at: {{west: {{set: w, values: [192.0.2.1], role: primary, health_check: h}}, east: {{set: e, values: [198.51.100.1], role: secondary, health_check: i}}}}}}\n",
        arn(1),
        arn(2)
    );
    let (head, tail) = (PLAN.find("    zone: Z1").unwrap(), PLAN.find("probes:").unwrap());
    let mut case = case(&format!("{}{zone}{}", &PLAN[..head], &PLAN[tail..]));
    case.request.from = Some(site("west"));
    case.request.waivers = [Rule::UnfencedPromotion, Rule::ExposureAboveRpo].map(accept).into();
    case.group("east", 2);
    let name = ComponentName::new("www");
    let Role::Traffic(zone) = case.plan.components[&name].role() else { panic!() };
    let controls = Target::Controls(zone.controls(&case.plan, &name).unwrap());
    for (west, east) in [(true, true), (false, false), (true, false)] {
        let on = [(site("west"), west), (site("east"), east)].into();
        case.estate.add(&controls, value(State::Controls(ControlsState { on })), None);
        let book = case.plan().unwrap_or_else(|r| panic!("{r:#?}"));
        let switch = book.steps.iter().find(|s| s.id.as_str() == "switch.www").unwrap();
        let Action::Op(Operation::SetRoutingControls(route)) = &switch.action else { panic!() };
        assert_eq!(route.back, Some(site("west")), "{west} {east}");
    }
}

/// A failover to the lost site lists the other sites, and says that nothing would move.
#[test]
fn a_failover_to_the_site_that_is_lost_is_refused_with_the_ways_there_are() {
    let public = "  - {name: shop, role: public, http: \"https://www.example\", every: 5s, timeout: 3s}\n";
    // Only names: a database that does not answer is refused separately.
    let (before, rest) = PLAN.split_once("  db:\n").unwrap();
    let names = rest
        .split_once("  www:\n")
        .unwrap()
        .1
        .replace("    needs: [db]\n", "")
        .replace("ttl: 60s", "ttl: 5s");
    let names = format!("{before}  www:\n{names}{public}");
    let to_west = |change: &dyn Fn(&mut Case)| {
        let mut case = case(PLAN);
        let place = case.plan.sites[&site("west")].place.clone();
        case.plan = plan(&names);
        case.estate = Estate::default();
        case.estate.add(&Target::Identity { place }, dark(), None);
        case.request.to = site("west");
        case.names("192.0.2.1", None);
        change(&mut case);
        let refusals = case.plan().err().unwrap_or_default();
        let down = refusals.into_iter().find(|r| r.rule == Rule::TargetDown);
        down.map(|r| format!("{}; {}", r.facts, r.acceptable))
    };
    let probe = |good| ProbeHealth { good: Some(good), since: Some(BEGAN), last_good: None, unasked: None };
    let says = |case: &mut Case, good: bool| {
        let place = case.plan.sites[&site("west")].place.clone();
        let (account, arn) = ("1".to_owned(), "arn:x".to_owned());
        let seen = State::Identity(IdentityState { account, arn });
        case.estate.add(&Target::Identity { place }, value(seen), None);
        case.estate.probes.insert("shop".to_owned(), probe(good));
    };
    let dark = to_west(&|_| {}).unwrap();
    assert!(dark.contains("nothing there answers"), "{dark}");
    let ways: Vec<_> = ["east", "north", "attic", "west"].map(|s| dark.contains(&format!("--to {s}"))).into();
    assert_eq!(ways, [true, true, false, false], "{dark}");
    // Resolvers may still answer for a site where nothing else does.
    let cached = to_west(&|case| drop(case.estate.probes.insert("shop".to_owned(), probe(true)))).unwrap();
    assert!(cached.contains("nothing there answers"), "{cached}");
    let bad = to_west(&|case| says(case, false)).unwrap();
    assert!(bad.contains("probes fail: shop"), "{bad}");
    let unknown = to_west(&|case| {
        says(case, true);
        case.estate.probes.clear();
    });
    let unknown = unknown.unwrap();
    assert!(unknown.contains("no public probe shows that users are served there"), "{unknown}");
    assert_eq!(to_west(&|case| says(case, true)), None, "it is well: there is nothing to do");
    assert_eq!(to_west(&|case| case.request.to = site("east")), None, "that one is not lost");
    assert_eq!(to_west(&|case| case.request.intent = Intent::Switchover), None);
    assert_eq!(to_west(&|case| case.request.drill = Some(Drill::Live)), None);
}
