//! Services of Amazon ECS: what a failover does with them, when enough of it serves, and what would keep tasks from starting.

use std::collections::BTreeMap;

use drctl::inventory::{Estate, Observation};
use drctl::kinds::aws::ecs::{
    Breaker, EcrImage, Image, Presence, Rollout, ScaleService, ServiceRef, ServiceState, TaskState,
};
use drctl::kinds::shared::capacity::{Capacity, Size};
use drctl::kinds::{Op as _, Operation, Role, State, Target};
use drctl::model::ids::{ComponentName, SiteName};
use drctl::model::properties::Undo;
use drctl::model::readiness::{Area, Check, Standing};
use drctl::model::waiver::Rule;
use drctl::plan::Plan;
use drctl::record::action::Action;
use drctl::record::event::Outcome;
use drctl::report::readiness::{ReadinessInput, evaluate};
use drctl::run::state::Mode;

use crate::run::judged_steps::{At, doing};
use crate::support::rig::{BEGAN, Rig, plan};

pub const PLAN: &str = "plan: shop
tier: standard
sites: {us-west-2: {}, us-east-1: {}}
connections: {dns: {}}
home: us-west-2
components:
  web:
    kind: aws.ecs
    at:
      us-west-2: {cluster: shop, service: web}
      us-east-1: {cluster: shop-dr, service: web, capacity_floor: 4}
  www:
    kind: aws.route53
    via: dns
    needs: [web]
    zone: Z1
    records:
      - {name: www.example, type: A, ttl: 60s, at: {us-west-2: [192.0.2.10], us-east-1: [198.51.100.10]}}
probes:
  - {name: public, role: public, http: \"https://www.example/health\", every: 5s, timeout: 3s}
watch: {for: 5m}
";

fn size(min: u32, desired: u32, max: u32) -> Size {
    Size { min, desired, max }
}

fn service(site: &str) -> ServiceRef {
    let (plan, name) = (plan(PLAN), ComponentName::new("web"));
    let Role::Capacity(spec) = plan.components[&name].role() else { panic!() };
    match spec.target(&plan, &name, &SiteName::new(site)) {
        Some(Target::Service(service)) => service,
        other => panic!("{other:?}"),
    }
}

/// From no task to four.
pub fn scale(proceed_at: u32) -> ScaleService {
    let (service, scalable_target) = (service("us-east-1"), true);
    ScaleService { service, from: size(0, 0, 12), to: size(4, 4, 12), proceed_at, scalable_target }
}

pub fn state(size: Size, in_service: u32) -> ServiceState {
    let capacity = Capacity { size, in_service, last_failure: None };
    ServiceState { capacity, steady: true, task_definition: "web:7".to_owned(), ..ServiceState::default() }
}

fn seen(state: State) -> Observation {
    Observation::Value { state, observed_at: BEGAN, source: "test".to_owned() }
}

/// The decision of a step that was called and accepted, in words.
fn found(scale: ScaleService, state: ServiceState) -> String {
    let at: At = doing(Action::Op(Operation::ScaleService(scale))).called(&[]).accepted();
    format!("{:?}", at.rules(drctl::model::time::Dur::ZERO, seen(State::Service(state))))
}

#[test]
fn a_failover_sets_the_count_and_waits_for_a_steady_service() {
    let done = Rig::new(plan(PLAN), "region-lost", 1).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(done.ended.state.mode, Mode::Finished(Outcome::Recovered));
    let steps = &done.ended.state.runbook.steps;
    let step = steps.iter().find(|s| s.id.as_str() == "scale.web").unwrap();
    let Action::Op(Operation::ScaleService(scale)) = &step.action else { panic!("{step:?}") };
    assert_eq!((scale.from.desired, scale.to.desired, scale.proceed_at), (0, 4, 4));
    assert_eq!(step.action.to_string(), "scale shop-dr/web from 0 to 4");
    let (failed, served) = done.truth.outage().unwrap();
    assert!(served.is_some_and(|served| served > failed), "users are not served: {:?}", done.truth);
}

#[test]
fn too_little_capacity_halts_with_the_words_of_the_scheduler() {
    let done = Rig::new(plan(PLAN), "capacity-short", 1).rehearse().unwrap_or_else(|r| panic!("{r:#?}"));
    let stop = format!("{:?}", done.ended.stop);
    assert!(stop.contains("unable to place a task"), "{stop}");
}

#[test]
fn running_tasks_are_enough_once_the_service_is_steady() {
    let to = size(4, 4, 12);
    assert!(found(scale(4), state(to, 4)).contains("StepFinished"));
    let unsteady = ServiceState { steady: false, ..state(to, 4) };
    let words = found(scale(4), unsteady.clone());
    assert!(words.contains("4 of 4 in service") && words.contains("not reached a steady state"), "{words}");
    // Where fewer are enough, nobody waits for the last ones, so the service cannot be steady yet.
    assert!(found(scale(3), ServiceState { steady: false, ..state(to, 3) }).contains("StepFinished"));
    assert!(found(scale(3), ServiceState { steady: false, ..state(to, 2) }).contains("2 of 4 in service"));
    let failed = ServiceState { rollout: Rollout::Failed("tasks failed to start".to_owned()), ..unsteady };
    // Those that run serve; with too few, more will never come.
    assert!(!found(scale(4), failed.clone()).contains("ECS starts no more tasks"));
    let few = ServiceState { capacity: Capacity { in_service: 1, ..failed.capacity.clone() }, ..failed };
    let words = found(scale(4), few);
    assert!(
        words.contains("web:7 failed, and ECS starts no more tasks of it: tasks failed to start"),
        "{words}"
    );
    assert!(
        found(scale(4), state(size(6, 6, 12), 4)).contains("StepFinished"),
        "more than planned is enough"
    );
    let lower = found(scale(4), state(size(0, 5, 12), 4));
    assert!(lower.contains("accepted, not visible yet"), "{lower}");
}

/// The limits go first: a policy of Application Auto Scaling would lower a count above its maximum, and undo it above its minimum.
#[test]
fn limits_change_before_the_count_and_return_with_it() {
    let operations = |scale: &ScaleService| -> Vec<_> {
        scale.calls().into_iter().filter(|c| c.mutates).map(|c| c.operation).collect()
    };
    let both = scale(4);
    assert_eq!(operations(&both), ["RegisterScalableTarget", "UpdateService"]);
    let alone = ScaleService { scalable_target: false, ..both.clone() };
    assert_eq!(operations(&alone), ["UpdateService"]);
    let changed = |scale: &ScaleService| -> Vec<_> {
        let change = |c: drctl::model::change::Change| {
            format!("{} {} {} {}", c.resource, c.attribute, c.before, c.after)
        };
        scale.changes().into_iter().map(change).collect()
    };
    assert_eq!(
        changed(&both),
        [
            "aws_appautoscaling_target service/shop-dr/web min_capacity 0 4",
            "aws_ecs_service shop-dr/web desired_count 0 4"
        ]
    );
    assert_eq!(changed(&alone), ["aws_ecs_service shop-dr/web desired_count 0 4"]);
    let Undo::By(back) = both.undo() else { panic!() };
    assert_eq!((back.from, back.to, back.scalable_target), (both.to, both.from, true));
    let commands: Vec<_> = both.calls().into_iter().map(|c| c.command).collect();
    assert!(commands[0].ends_with("--resource-id service/shop-dr/web --min-capacity 4"), "{commands:?}");
    assert!(commands[1].contains("--cluster shop-dr --service web --desired-count 4"), "{commands:?}");
}

fn refused(change: impl FnOnce(&mut ServiceState)) -> Option<String> {
    let (plan, name) = (plan(PLAN), ComponentName::new("web"));
    let Role::Capacity(spec) = plan.components[&name].role() else { panic!() };
    let mut now = state(size(0, 0, 12), 0);
    change(&mut now);
    let target = Target::Service(service("us-east-1"));
    spec.scale(&target, &State::Service(now), size(4, 4, 12), 4)
        .err()
        .map(|why| format!("{}. {}", why.facts, why.fix))
}

#[test]
fn a_service_that_cannot_be_given_a_count_is_refused_before_anything_changes() {
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|now| now.rollout = Rollout::InProgress), None);
    assert_eq!(refused(|now| now.limits_unread = Some("AccessDenied".to_owned())), None);
    for (change, words) in [
        ((|now| now.daemon = true) as fn(&mut ServiceState), "no desired count"),
        (|now| now.status = Some("INACTIVE".to_owned()), "shop-dr/web is INACTIVE"),
        (|now| now.rollout = Rollout::Failed("no such image".to_owned()), "no such image. deploy a revision"),
    ] {
        let why = refused(change).unwrap();
        assert!(why.contains(words), "{why}");
    }
}

/// A rehearsal in which the service of the standby site is this.
fn planned(now: ServiceState) -> Result<Vec<String>, String> {
    let rig = Rig::new(plan(PLAN), "calm", 1);
    let mut estate = rig.observed();
    estate.add(&Target::Service(service("us-east-1")), seen(State::Service(now)), None);
    match crate::planner::refusals::planned(rig.plan, estate, "us-east-1") {
        Ok(book) => Ok(book.notes),
        Err(refusals) => Err(refusals
            .iter()
            .find(|r| r.rule == Rule::NotRecoverable)
            .map(|r| r.facts.clone())
            .unwrap_or_default()),
    }
}

#[test]
fn a_runbook_says_what_may_lower_the_count_again() {
    let notes =
        planned(ServiceState { limits_unread: Some("denied".to_owned()), ..state(size(0, 0, 5_000), 0) });
    assert!(notes.unwrap().iter().any(|n| n.contains("does not say whether it scales shop-dr/web (denied)")));
    let notes = planned(ServiceState { rollout: Rollout::InProgress, ..state(size(0, 0, 12), 0) });
    assert!(notes.unwrap().iter().any(|n| n.contains("is deploying web:7")));
    assert!(
        planned(ServiceState { daemon: true, ..state(size(0, 0, 12), 0) })
            .unwrap_err()
            .contains("no desired count")
    );
}

fn task(definition: &str, image: &str, presence: Presence) -> TaskState {
    let image = Image { name: image.to_owned(), presence };
    let containers = BTreeMap::from([("app".to_owned(), image)]);
    TaskState { definition: definition.to_owned(), cpu: Some("512".to_owned()), memory: None, containers }
}

struct Case {
    plan: Plan,
    estate: Estate,
}

impl Case {
    fn new(standby: TaskState) -> Self {
        let rig = Rig::new(plan(PLAN), "calm", 1);
        let mut estate = rig.observed();
        let active = task("web:7", &at("us-west-2", "shop:1.4"), Presence::Present);
        estate.add(&Target::Task(service("us-west-2")), seen(State::Task(active)), None);
        estate.add(&Target::Task(service("us-east-1")), seen(State::Task(standby)), None);
        Self { plan: rig.plan, estate }
    }

    fn checks(&self) -> Vec<Check> {
        let seen = ReadinessInput { estate: &self.estate, now: BEGAN, guard: None, proven: None };
        evaluate(&self.plan, &seen).into_iter().filter(|c| c.area == Area::Parity).collect()
    }

    fn of(&self, about: &str) -> (Standing, String) {
        let all = self.checks();
        let check = all.iter().find(|c| c.about == about).unwrap_or_else(|| panic!("{about}: {all:#?}"));
        (check.standing, check.facts.clone())
    }
}

fn at(region: &str, image: &str) -> String {
    format!("111122223333.dkr.ecr.{region}.amazonaws.com/{image}")
}

#[test]
fn a_standby_service_must_run_the_same_and_be_able_to_pull_it() {
    let of = |image: &str, presence| Case::new(task("web:3", image, presence));
    let (standing, facts) = of(&at("us-east-1", "shop:1.4"), Presence::Present).of("web in us-east-1");
    assert_eq!((standing, &*facts), (Standing::Ready, "web:3 runs the same images as web:7"));
    let (standing, facts) = of(&at("us-east-1", "shop:1.3"), Presence::Present).of("web in us-east-1");
    assert!(
        standing == Standing::Degraded && facts.contains("shop:1.3; the active site has shop:1.4"),
        "{facts}"
    );
    let small = TaskState {
        cpu: Some("256".to_owned()),
        ..task("web:3", &at("us-east-1", "shop:1.4"), Presence::Present)
    };
    let (standing, facts) = Case::new(small).of("web in us-east-1");
    assert!(
        standing == Standing::Degraded && facts.contains("task CPU 256; the active site has 512"),
        "{facts}"
    );
    for (presence, standing, words) in [
        (Presence::Present, Standing::Ready, "every image exists"),
        (Presence::Missing, Standing::NotReady, "missing in its registry"),
        (Presence::OtherRegion("us-west-2".to_owned()), Standing::NotReady, "is pulled from us-west-2"),
        (Presence::NotAsked, Standing::Unknown, "does not ask the registry"),
        (Presence::Unread("AccessDenied".to_owned()), Standing::Unknown, "AccessDenied"),
    ] {
        let (is, facts) = of(&at("us-east-1", "shop:1.4"), presence).of("images of web in us-east-1");
        assert!(is == standing && facts.contains(words), "{is} {facts}");
    }
    let mut case = of(&at("us-east-1", "shop:1.4"), Presence::Present);
    let failed =
        ServiceState { rollout: Rollout::Failed("no such image".to_owned()), ..state(size(0, 0, 12), 0) };
    case.estate.add(&Target::Service(service("us-east-1")), seen(State::Service(failed)), None);
    let all = case.checks();
    assert!(
        all.iter().any(|c| c.standing == Standing::NotReady && c.facts.contains("no such image")),
        "{all:#?}"
    );
}

#[test]
fn the_name_of_an_image_says_where_it_is_pulled_from() {
    let name = at("eu-west-1", "team/shop:1.4");
    let read = EcrImage::read(&name).unwrap();
    assert_eq!((read.account, read.region, read.repository), ("111122223333", "eu-west-1", "team/shop"));
    assert_eq!((read.tag, read.digest), (Some("1.4"), None));
    let name = at("cn-north-1", "shop:1.4@sha256:ab").replace(".com/", ".com.cn/");
    let read = EcrImage::read(&name).unwrap();
    assert_eq!(
        (read.region, read.repository, read.tag, read.digest),
        ("cn-north-1", "shop", None, Some("sha256:ab"))
    );
    assert_eq!(EcrImage::read(&at("eu-west-1", "shop")).unwrap().tag, Some("latest"));
    for other in
        ["nginx:1", "public.ecr.aws/nginx/nginx:1", "docker.io/library/nginx", "registry.example:5000/shop:1"]
    {
        assert_eq!(EcrImage::read(other), None, "{other}");
    }
}

#[test]
fn what_no_failover_changes_is_compared_with_the_last_proof() {
    let before = State::Service(state(size(0, 0, 12), 0));
    let scaled = State::Service(state(size(4, 4, 12), 4));
    assert_eq!(before.shape(), scaled.shape());
    for change in [
        (|s| s.task_definition = "web:8".to_owned()) as fn(&mut ServiceState),
        |s| s.capacity.size.max = 4,
        |s| s.breaker = Breaker::RollsBack,
        |s| s.providers = vec!["FARGATE_SPOT, base 0, weight 1".to_owned()],
    ] {
        let mut other = state(size(0, 0, 12), 0);
        change(&mut other);
        assert_ne!(State::Service(other).shape(), before.shape());
    }
}

/// The rest of the program asks for roles.
#[test]
fn the_name_of_a_kind_occurs_in_its_folders_and_the_lists_alone() {
    let lists = [
        "src/adapters/aws/clients.rs",
        "src/adapters/aws/mod.rs",
        "src/kinds/aws/mod.rs",
        "src/kinds/aws/services.rs",
        "src/kinds/list.rs",
        "src/kinds/operation.rs",
        "src/kinds/state.rs",
        "src/kinds/target.rs",
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = |path: &str| path.starts_with("src/kinds/aws/ecs/") || path == "src/adapters/aws/ecs.rs";
    let names = ["ecs", "Ecs", "ECS", "ScaleService", "ServiceState", "ServiceRef"];
    let names_it = |path: &String| {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| names.contains(&word))
    };
    let within = |path: std::path::PathBuf| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let all = crate::rules::house_rules::sources("src").into_iter().map(within);
    let mut named: Vec<_> = all.filter(|path| !own(path)).filter(names_it).collect();
    named.sort();
    assert_eq!(named, lists);
}
