//! What a server publishes for monitoring.

use drctl::app::snapshot::{Row, STALE, Snapshot};
use drctl::model::ids::PlanName;
use drctl::model::readiness::{Area, Check, Standing};
use drctl::model::time::{Dur, Timestamp};
use drctl::policy::schedules::Tally;
use drctl::report::verified::Status;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[test]
fn a_server_that_looks_or_holds_a_drill_is_well_and_one_that_hangs_is_not() {
    let now = at("2026-03-01T00:00:00Z");
    let looked = |ago: Dur| Snapshot { looked_at: Some(now - ago), ..Snapshot::default() };
    assert_eq!(looked(STALE).ill(now), None);
    assert!(looked(STALE.plus(Dur(1))).ill(now).unwrap().contains("since 2026-02-28"));
    assert!(Snapshot::default().ill(now).is_some());
    // A drill that takes hours is not unhealthy.
    let unfollowed = Snapshot { settings: Some("it is a FIFO".to_owned()), ..looked(Dur::ZERO) };
    assert_eq!(unfollowed.ill(now).as_deref(), Some("it is a FIFO"));
    let holding = Snapshot { holding: Some("weekly".to_owned()), ..looked(Dur::mins(300)) };
    assert_eq!(holding.ill(now), None);
    // A rehearsal is at another time than this machine.
    let rehearsed = |ago: Dur| Snapshot { rehearsed_at: Some(now), ..looked(ago) };
    for machine in [now - Dur::mins(60 * 24), now + Dur::mins(60 * 24)] {
        assert_eq!(rehearsed(STALE).ill(machine), None);
        assert!(rehearsed(STALE.plus(Dur(1))).ill(machine).unwrap().contains("since 2026-02-28"));
    }
}

/// Names and errors of others: nothing acts in a terminal, and nothing makes a line of its own.
#[test]
fn hostile_text_makes_no_line_and_no_figure_of_its_own() {
    let hostile = "x\u{1b}[2J\u{7}\u{9b}\u{202e}\r\n\u{2028}\"} 1\ndrctl_drill_running 7\nok\\";
    let now = at("2026-03-01T00:00:00Z");
    let row = |schedule: &str| Row {
        schedule: schedule.to_owned(),
        plan: PlanName::new("shop"),
        drill: "live",
        next_due: Some(now),
        drills: Tally::default(),
    };
    let snapshot = |text: &str| Snapshot {
        looked_at: Some(now),
        settings: Some(format!("the previous settings stay in effect: {text}: it is a FIFO")),
        schedules: vec![row(text)],
        plans: vec![(PlanName::new(text), Status::Failed, None)],
        ..Snapshot::default()
    };
    let (harmless, hostile) = (snapshot("x"), snapshot(hostile));
    let acts = |c: char| {
        c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}'))
    };
    let text = hostile.text();
    assert!(!text.contains(acts), "{text:?}");
    assert_eq!(text.lines().count(), harmless.text().lines().count(), "{text}");
    assert!(!text.lines().any(|l| l == "drctl_drill_running 7"), "{text}");
    let health = Snapshot { holding: Some("x".to_owned()), ..hostile.clone() };
    for ill in [hostile.ill(now).unwrap(), health.ill(now).unwrap()] {
        assert!(!ill.contains(acts) && ill.lines().count() == 1, "{ill:?}");
    }
}

fn stands(area: Area, standing: Standing) -> Check {
    Check { area, about: "db".to_owned(), standing, facts: String::new(), fix: None }
}

#[test]
fn the_figures_are_prometheus_text_whatever_the_names_are() {
    let row = Row {
        schedule: "odd\"name\\".to_owned(),
        plan: PlanName::new("shop"),
        drill: "live",
        next_due: Some(at("2026-03-01T00:00:01Z")),
        drills: Tally { passed: 3, failed: 1, missed: 2, open: 0 },
    };
    let snapshot = Snapshot {
        settings: None,
        looked_at: Some(at("1970-01-01T00:01:00Z")),
        rehearsed_at: None,
        holding: Some("x".to_owned()),
        schedules: vec![row],
        plans: vec![(PlanName::new("shop"), Status::Failed, Some(at("1970-01-01T00:00:09.999Z")))],
        looked_ahead_at: Some(at("1970-01-01T00:02:00Z")),
        readiness: vec![(
            PlanName::new("shop"),
            vec![stands(Area::Lag, Standing::Ready), stands(Area::Lag, Standing::NotReady)],
        )],
        evidence_owed: 4,
    };
    let text = snapshot.text();
    let labels = r#"schedule="odd\"name\\",plan="shop",drill="live""#;
    for line in [
        "drctl_last_look_timestamp_seconds 60".to_owned(),
        "drctl_drill_running 1".to_owned(),
        "drctl_evidence_bundles_owed 4".to_owned(),
        format!("drctl_drills_total{{{labels},fate=\"passed\"}} 3"),
        format!("drctl_drills_total{{{labels},fate=\"failed\"}} 1"),
        format!("drctl_drills_total{{{labels},fate=\"missed\"}} 2"),
        format!("drctl_drill_next_due_timestamp_seconds{{{labels}}} 1772323201"),
        r#"drctl_plan_verification{plan="shop",status="failed"} 1"#.to_owned(),
        r#"drctl_plan_verification{plan="shop",status="verified"} 0"#.to_owned(),
        "drctl_readiness_looked_timestamp_seconds 120".to_owned(),
        r#"drctl_plan_readiness{plan="shop",area="lag"} 3"#.to_owned(),
        r#"drctl_plan_verified_until_timestamp_seconds{plan="shop"} 9"#.to_owned(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    // Every sample belongs to a family that was declared before it, exactly once.
    let mut declared = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(declared.insert(rest.split(' ').next().unwrap()), "{line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(declared.contains(name), "{line}");
        }
    }
}
