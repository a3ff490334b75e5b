//! What each operation of each kind says about itself: its words, place and store, its estimate, what follows without it, its undo, its calls,
//! and the attributes that it changes. The rows state what is right; a new operation needs a row.

mod databases;
mod made;
mod others;
mod restores;

use std::collections::BTreeSet;

use drctl::adapters::sandbox::scenario::SCENARIOS;
use drctl::kinds::aws::rds::Rename;
use drctl::kinds::aws::services::SERVICES;
use drctl::kinds::shared::names::ObjectRef;
use drctl::kinds::world::SimulatedWorld;
use drctl::kinds::world::answer::{Answer, UNKNOWN};
use drctl::kinds::world::heap::Owner;
use drctl::kinds::{Called, Judged, Op as _, Operation, Progress, Simulation, State, Store};
use drctl::model::call::Call;
use drctl::model::change::Change;
use drctl::model::estimate::Estimate;
use drctl::model::properties::Undo;
use drctl::model::readiness::Needs;

use crate::run::judged_steps::writer;
use crate::support::rig::{BEGAN, plan};

/// An operation and its answers.
struct Row {
    /// The kind that must be granted its calls.
    kind: &'static str,
    op: Operation,
    /// The answers as [`said`] writes them, one in a line.
    says: &'static str,
}

fn row(kind: &'static str, op: impl Into<Operation>, says: &'static str) -> Row {
    Row { kind, op: op.into(), says }
}

fn rows() -> impl Iterator<Item = Row> {
    [
        databases::fences(),
        databases::lifted_fences(),
        databases::promotions(),
        databases::standbys(),
        databases::checks(),
        restores::own(),
        restores::managed(),
        others::capacity(),
        others::records(),
        others::traffic_without_records(),
        others::clients(),
        others::observations(),
    ]
    .into_iter()
    .flatten()
}

fn said(op: &Operation) -> Vec<String> {
    let at = op.place().map_or("no place", |place| place.name.as_str());
    let store = op.store().map_or("no store", |db| db.id.as_str());
    let Estimate { expected_ms, timeout_ms } = op.estimate();
    let undo = match op.undo() {
        Undo::Nothing => "nothing".to_owned(),
        Undo::By(back) => back.to_string(),
        Undo::PointOfNoReturn { because } => format!("impossible, because {because}"),
    };
    let own = [
        op.to_string(),
        format!("at {at}; {store}; {expected_ms}, at most {timeout_ms}"),
        format!("without it: {}", op.left_out().unwrap_or_else(|| "nobody may skip it".to_owned())),
        format!("undo: {undo}"),
    ];
    let call = |call: Call| {
        let word = if call.mutates { "calls" } else { "looks" };
        format!("{word} {}:{} at {}", call.service, call.operation, call.at)
    };
    let shown = |value: String| if value.is_empty() { "(empty)".to_owned() } else { value };
    let change = |change: Change| {
        let (before, after) = (shown(change.before), shown(change.after));
        format!("sets {} {} at {}: {before} -> {after}", change.resource, change.attribute, change.place)
    };
    let calls = op.calls().into_iter().map(call);
    own.into_iter().chain(calls).chain(op.changes().into_iter().map(change)).collect()
}

#[test]
fn every_operation_answers_for_itself() {
    let mut wrong = Vec::new();
    for row in rows() {
        let expected: Vec<_> = row.says.lines().map(str::trim).collect();
        let said = said(&row.op);
        if said != expected {
            wrong.push(format!("{}\nbut it should be\n{}", said.join("\n"), expected.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_operation_has_a_row() {
    let schema = schemars::schema_for!(Operation).to_value();
    let name = |op: &serde_json::Value| op.as_str().unwrap().to_owned();
    let all = schema["oneOf"].as_array().unwrap().iter();
    let all: BTreeSet<_> = all.map(|of| name(&of["properties"]["op"]["const"])).collect();
    assert!(all.len() > 20, "{all:?}");
    let stated: BTreeSet<_> = rows().map(|row| name(&serde_json::to_value(&row.op).unwrap()["op"])).collect();
    assert_eq!(stated, all);
}

/// Names in the journal of the operations with an effect.
fn with(effect: impl Fn(&Operation) -> bool) -> BTreeSet<String> {
    let name = |row: Row| serde_json::to_value(&row.op).unwrap()["op"].as_str().unwrap().to_owned();
    rows().filter(|row| effect(&row.op)).map(name).collect()
}

#[test]
fn operations_name_the_effects_that_others_ask_for() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(with(|op| op.scaled().is_some()), set(&["scale", "scale_service"]));
    assert_eq!(with(|op| op.renames().is_some()), set(&["rename"]));
    assert_eq!(with(|op| op.switches().is_some()), set(&["switch"]));
    let moves = set(&["set_health_object", "set_routing_controls", "switch"]);
    assert_eq!(with(|op| op.reliance("us-east-1").is_some()), moves);
    assert_eq!(with(|op| op.endpoints().is_some()), set(&["set_routing_controls"]));
    assert_eq!(with(Operation::writes_a_row), set(&["write_as_client", "write_canary"]));
}

#[test]
fn what_only_observes_calls_nothing_that_changes_anything() {
    for row in rows().filter(|row| !row.op.properties().mutates) {
        assert!(row.op.calls().iter().all(|call| !call.mutates), "{}", row.op);
    }
}

/// What the simulations of all components of a kind answer to an operation.
fn answers(kind: &str, op: &Operation) -> Vec<Answer> {
    let plan = plan(include_str!("../../fixtures/everything.yaml"));
    let mut world = SimulatedWorld::new(SCENARIOS[0].clone(), 1, BEGAN, ("west".into(), "west".into()));
    world.sites = plan.sites.keys().map(ToString::to_string).collect();
    let mut simulations: Vec<Simulation> = Vec::new();
    for (i, of) in plan.components.values().enumerate() {
        let simulation = of.spec.simulated((Owner::Component(i), &of.name), &plan, &mut world);
        if of.kind() == kind {
            simulations.push(simulation);
        }
    }
    simulations.iter_mut().map(|of| of.apply(op, &mut world)).collect()
}

/// A simulation refuses every operation that it does not name. Here each operation that changes something is one that its kind names.
#[test]
fn every_operation_is_simulated_by_its_kind() {
    let knows = |answer: &Answer| !answer.as_ref().is_err_and(|refused| refused.code == UNKNOWN);
    let mut checked = 0;
    for row in rows().filter(|row| row.op.properties().mutates) {
        // What belongs to no component runs on this machine.
        if row.op.watch(&Called::NOT_YET).component().is_none() {
            continue;
        }
        // The database carries out what clients write.
        let kind = if row.op.writes_a_row() { "postgres" } else { row.kind };
        assert!(answers(kind, &row.op).iter().any(knows), "{kind} does not simulate: {}", row.op);
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
    let switch = rows().find(|row| matches!(row.op, Operation::Switch(_))).unwrap();
    assert!(!answers("postgres", &switch.op).iter().any(knows), "a kind refuses what it does not name");
}

/// `DescribeDBInstances` as the AWS CLI writes it: `describe-db-instances`.
fn kebab(operation: &str) -> String {
    let letters: Vec<char> = operation.chars().collect();
    let capital = |i: usize| letters.get(i).is_none_or(char::is_ascii_uppercase);
    let mut out = String::new();
    for (i, letter) in letters.iter().enumerate() {
        if i > 0 && capital(i) && (!capital(i - 1) || !capital(i + 1)) {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The operations of the AWS API in a command line, in the form `rds modify-db-instance`.
fn operations(command: &str) -> Vec<String> {
    let each = |rest: &str| {
        let mut words = rest.split_whitespace();
        let (service, verb) = (words.next().unwrap(), words.next().unwrap());
        match (service, verb) {
            ("s3", "cp") => "s3 put-object".to_owned(),
            ("s3", "rm") => "s3 delete-object".to_owned(),
            ("s3api", verb) => format!("s3 {verb}"),
            _ => format!("{service} {verb}"),
        }
    };
    command.split("aws ").skip(1).map(each).collect()
}

/// What the permissions of a kind allow, in the same form.
fn granted(kind: &str) -> BTreeSet<String> {
    let mut needs = Needs::default();
    for text in
        [include_str!("../../fixtures/everything.yaml").to_owned(), crate::kinds::buckets::plan_text()]
    {
        let plan = plan(&text);
        for component in plan.components.values().filter(|component| component.kind() == kind) {
            component.spec.permissions(&component.name, &plan, &mut needs);
        }
    }
    let actions = needs.by_place().flat_map(|(_, needs)| needs).flat_map(|need| need.actions);
    let each = |action: String| {
        let (service, operation) = action.split_once(':').unwrap();
        format!("{service} {}", kebab(operation))
    };
    actions.map(each).collect()
}

/// The permission for an operation, where it has another name (Service Authorization Reference, «Actions, resources, and condition keys for
/// Amazon S3»).
fn permission(operation: &str) -> &str {
    match operation {
        "s3 list-objects-v2" => "s3 list-bucket",
        "s3 head-object" => "s3 get-object",
        other => other,
    }
}

/// Docs grant the deletion of copies by their tag alone, which the IAM simulator cannot check without a copy.
const BY_TAG: &str = "rds delete-db-instance";

/// An approver sees the names, a person without drctl types the commands, and `drctl ready` checks the permissions.
#[test]
fn calls_to_aws_have_the_name_of_their_command_and_a_permission() {
    let aws = |call: &Call| SERVICES.iter().any(|service| service.name == call.service);
    let mut checked = 0;
    for row in rows() {
        let granted = granted(row.kind);
        for call in row.op.calls().into_iter().filter(aws) {
            let made = operations(&call.command);
            assert_eq!(made[0], format!("{} {}", call.service, kebab(call.operation)), "{}", call.command);
            for operation in made {
                let may = granted.contains(permission(&operation)) || operation == BY_TAG;
                assert!(may, "{}: {} is not granted {operation}: {granted:?}", row.op, row.kind);
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "{checked}");
}

/// The status is `renaming` or `modifying` until the new name is in effect.
#[test]
fn a_rename_is_done_when_a_server_serves_under_the_new_name() {
    let rename = Rename { db: made::rds("west"), to: "shop-west-old".to_owned() };
    let of = Progress {
        now: BEGAN,
        observed_at: BEGAN,
        began: None,
        called: true,
        answered_at: Some(BEGAN),
        token: None,
        undo: false,
        leaving: false,
        undoing: false,
        unwinds: false,
        planned: false,
        finished: false,
        owed: false,
        store: Store::default(),
    };
    let judge = |status: &str| rename.judge(&State::Database(writer(status)), &of);
    for status in ["available", "backing-up", "storage-optimization"] {
        assert_eq!(judge(status), Judged::Done(Vec::new()), "{status}");
    }
    for status in ["renaming", "modifying"] {
        assert_eq!(judge(status), Judged::Unclear(format!("the database is `{status}`")));
    }
}

#[test]
fn the_url_of_a_switch_object_has_a_bucket_and_a_key() {
    let parts = |url: &str| {
        let of = ObjectRef { component: "www".into(), place: made::site("east"), url: url.to_owned() };
        of.parts().map(|(bucket, key)| format!("{bucket} {key}"))
    };
    assert_eq!(parts("s3://shop-dr/failover/www").as_deref(), Some("shop-dr failover/www"));
    for url in ["s3://shop-dr", "s3://shop-dr/", "s3:///www", "https://shop-dr/www"] {
        assert_eq!(parts(url), None, "{url}");
    }
}
