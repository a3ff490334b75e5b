//! The settings that the environment may change, and that it can change no others, however they are spelled.

use std::collections::BTreeMap;

use drctl::model::shape::{Keys, Shape};
use drctl::plan::Settings;
use drctl::plan::settings::ENVIRONMENT;
use drctl::plan::shapes::SETTINGS;

use crate::cli::contract::{Folder, finish};

/// Every key of the settings with its levels, at every depth; free names count as one.
fn keys(record: &Keys, above: &[String], all: &mut Vec<Vec<String>>) {
    for field in record.fields {
        let here = [above, &[field.key.to_owned()]].concat();
        all.push(here.clone());
        below(&field.shape, &here, all);
    }
}

fn below(shape: &Shape, here: &[String], all: &mut Vec<Vec<String>>) {
    match shape {
        Shape::Keys(record) => keys(record, here, all),
        Shape::Map(inner) => {
            let named = [here, &["eve".to_owned()]].concat();
            all.push(named.clone());
            below(inner, &named, all);
        }
        Shape::List(inner) => {
            for at in ["0", "[0]"] {
                below(inner, &[here, &[at.to_owned()]].concat(), all);
            }
        }
        Shape::ByKind(cases) => cases.iter().for_each(|case| keys(case.keys, here, all)),
        Shape::Either(one, other) => {
            below(one, here, all);
            below(other, here, all);
        }
        _ => {}
    }
}

/// Spellings that a lenient reader might accept for a key.
fn spellings(levels: &[String]) -> Vec<String> {
    let mixed = |text: &str| {
        text.chars()
            .enumerate()
            .map(|(i, c)| if i % 2 == 0 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect::<String>()
    };
    let mut all = Vec::new();
    for separator in ["__", ".", "_", "___", "____"] {
        let name = levels.join(separator);
        for prefix in ["DRCTL_", "drctl_", "Drctl_", "DRCTL__"] {
            all.extend(
                [name.to_uppercase(), name.to_lowercase(), mixed(&name)].map(|n| format!("{prefix}{n}")),
            );
        }
    }
    all.push(format!("DRCTL_{}_", levels.join("__")));
    all.push(format!("DRCTL_{}__", levels.join("__")));
    all
}

fn load(variable: &str, value: &str) -> Result<Settings, String> {
    let variables = BTreeMap::from([(variable.to_owned(), value.to_owned())]);
    Settings::load(None, variables, &[])
        .map_err(|findings| findings.iter().map(|f| f.cause.clone()).collect())
}

#[test]
fn every_setting_is_allowed_by_name_or_refused_by_name_in_every_spelling() {
    let mut all = Vec::new();
    keys(&SETTINGS, &[], &mut all);
    assert!(all.len() > 100, "{}", all.len());
    let (mut tried, mut allowed) = (0, 0);
    for levels in &all {
        for variable in spellings(levels) {
            let normal = variable.to_lowercase().replacen("drctl_", "", 1).replace("__", ".");
            let may = ENVIRONMENT.contains(&normal.as_str());
            let value = if normal == "readiness_every" { "7m" } else { "/x" };
            tried += 1;
            match load(&variable, value) {
                Ok(_) => {
                    assert!(may, "{variable} was taken");
                    allowed += 1;
                }
                Err(why) => {
                    assert!(!may, "{variable}: {why}");
                    let words = format!("{variable} sets `{normal}`, which drctl reads only from the file");
                    assert!(why.starts_with(&words), "{variable}: {why}");
                }
            }
        }
    }
    assert!(tried > 5_000 && allowed > 20, "{tried} tried, {allowed} allowed");
    // Nothing about permissions, objectives, notifications or endpoints.
    for never in [
        "tiers",
        "plans",
        "operators",
        "policy",
        "guard",
        "evidence",
        "notify",
        "schedules",
        "endpoints",
        "limits",
    ] {
        assert!(!ENVIRONMENT.iter().any(|key| key.split('.').next() == Some(never)), "{never}");
    }
}

#[test]
fn what_may_be_set_is_set() {
    assert_eq!(load("DRCTL_KEY", "/k").unwrap().key.as_deref(), Some("/k"));
    assert_eq!(load("DRCTL_KEY_PASSPHRASE_FILE", "/p").unwrap().key_passphrase_file.as_deref(), Some("/p"));
    assert_eq!(load("DRCTL_OPERATOR", "12").unwrap().operator.as_deref(), Some("12"));
    assert_eq!(load("DRCTL_STORE", "/s").unwrap().store.as_deref(), Some("/s"));
    assert_eq!(load("DRCTL_SQL__CA_FILE", "/c").unwrap().sql.ca_file.as_deref(), Some("/c"));
    assert_eq!(load("Drctl_Readiness_Every", "7m").unwrap().readiness_every.to_string(), "7m");
}

#[test]
fn a_variable_that_was_mistyped_names_the_nearest() {
    for (typed, meant) in [
        ("DRCTL_STOER", "DRCTL_STORE"),
        ("DRCTL_OPERATER", "DRCTL_OPERATOR"),
        ("DRCTL_SQL_CA_FILE", "DRCTL_SQL__CA_FILE"),
    ] {
        let why = load(typed, "x").unwrap_err();
        assert!(why.contains(&format!("(did you mean {meant}?)")), "{typed}: {why}");
    }
    let why = load("DRCTL_GUARD__URL", "x").unwrap_err();
    assert!(!why.contains("did you mean"), "nothing near it: {why}");
}

/// A person claims a seat by an environment variable: the name is refused, and nothing is done.
#[test]
fn nobody_makes_themselves_an_operator() {
    let folder = Folder::with_plans();
    for variable in [
        "DRCTL_OPERATORS__EVE__KEY",
        "DRCTL_Operators__eve__key",
        "Drctl_Operators__eve__key",
        "drctl_operators__eve__key",
        "DRCTL_operators.eve.key",
        "DRCTL_Policy__expires_after",
        "Drctl_Tiers__critical__rto",
        "DRCTL_Notify__invite",
        "drctl_guard__url",
    ] {
        let output = folder.command(&["check"]).env(variable, "x").output().unwrap();
        let (code, out, err) = finish(output);
        let flat: String = format!("{out}{err}").split_whitespace().collect();
        assert!(code == 2 && flat.contains(&variable.replace(' ', "")), "{variable}: {code} {out}{err}");
    }
}
