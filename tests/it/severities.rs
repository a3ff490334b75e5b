//! The severity of a run that continues another.

use drctl::model::ids::RunId;
use drctl::model::intent::Intent;
use drctl::model::policy::Policy;
use drctl::model::severity::Severity;
use drctl::model::time::Dur;
use drctl::model::waiver::Rule;
use drctl::planner::Continued;
use drctl::record::action::{Action, Gate};

use crate::hard_cases::waiver;
use crate::refusals::{PLAN, case, site};

/// A person who may not approve at P0 cannot get the same recovery at P3 by continuing it.
#[test]
fn a_run_that_continues_another_keeps_the_more_severe_incident() {
    let asked = |before: Option<Severity>, given: Severity| {
        let mut case = case(PLAN);
        case.group("east", 2);
        case.policy = Some(Policy::default());
        case.request.severity = Some(given);
        case.continues = Some(Continued {
            run: RunId::new("before"),
            events: 3,
            intent: Intent::Switchover,
            severity: before,
            asked: Vec::new(),
            from: Some(site("west")),
            holders: Vec::new(),
            fences: Vec::new(),
            putting: None,
            copies: Vec::new(),
            aside: Vec::new(),
        });
        case.request.waivers = vec![
            waiver(Rule::UnfencedPromotion, Dur::mins(60)),
            waiver(Rule::ExposureUnknown, Dur::mins(60)),
        ];
        let runbook = case.plan().unwrap_or_else(|r| panic!("{r:#?}"));
        let ask = runbook.steps.iter().find_map(|step| match &step.action {
            Action::Gate(Gate::Approval { ask, .. }) => Some(ask.split(' ').next().unwrap().to_owned()),
            _ => None,
        });
        let notes = runbook.notes.iter().filter(|note| note.contains("keeps the severity")).count();
        (ask.unwrap(), notes)
    };
    use Severity::{P0, P1, P3};
    assert_eq!(asked(Some(P0), P3), ("P0".to_owned(), 1));
    assert_eq!(asked(Some(P3), P1), ("P1".to_owned(), 0));
    assert_eq!(asked(None, P3), ("P3".to_owned(), 0));
}
