//! A figure against its objective, and the words for it that every rendering uses.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::measure::{Basis, Figure};
use crate::model::runbook::Intent;
use crate::model::time::{Dur, span};

/// A figure against its objective.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Measured {
    /// What was promised, in seconds.
    pub objective_s: f64,
    /// What was achieved, in seconds.
    pub achieved_s: Option<f64>,
    /// What that is worth.
    pub basis: Basis,
    /// Half-width of what sampling cannot see, in seconds.
    pub resolution_s: f64,
    /// Whether the objective is proven, or there is nothing to prove.
    pub met: bool,
    /// For people.
    pub text: String,
}

impl Measured {
    /// A figure as it is.
    pub fn new(figure: Figure, objective: Dur) -> Self {
        let text = match figure.basis {
            Basis::NotApplicable => "not applicable: no database was recovered".to_owned(),
            _ => figure.to_string(),
        };
        Self {
            objective_s: objective.as_secs_f64(),
            achieved_s: figure.value_ms.map(Dur::as_secs_f64),
            basis: figure.basis,
            resolution_s: figure.resolution_ms.as_secs_f64(),
            met: figure.proves(objective),
            text,
        }
    }

    /// While a fence is owed nothing is proven: the old primary may take writes that the new one never gets.
    #[must_use]
    pub fn unless(self, owed: bool) -> Self {
        if owed && self.applies() { Self { met: false, ..self } } else { self }
    }

    /// A copy beside production moves nobody, and gives nothing up: whatever probes saw meanwhile is no recovery.
    #[must_use]
    pub fn tried_by(self, intent: Intent) -> Self {
        if intent != Intent::Drill {
            return self;
        }
        let text = "not tried: a copy was made, and users stayed".to_owned();
        Self { achieved_s: None, basis: Basis::Unknown, resolution_s: 0.0, met: false, text, ..self }
    }

    /// Whether there is anything to measure.
    pub fn applies(&self) -> bool {
        self.basis != Basis::NotApplicable
    }

    /// How it fared, in words.
    pub fn verdict(&self) -> &'static str {
        verdict(self.applies(), self.met)
    }

    /// All of it in a sentence: `12.4s (measured); objective 15m: met`.
    pub fn words(&self) -> String {
        match self.applies() {
            true => format!("{}; objective {}: {}", self.text, span(self.objective_s), self.verdict()),
            false => self.text.clone(),
        }
    }
}

const fn verdict(applies: bool, met: bool) -> &'static str {
    match (applies, met) {
        (false, _) => "not applicable",
        (true, true) => "met",
        (true, false) => "NOT PROVEN",
    }
}

/// What templates ask of durations and figures, so that each rendering says the same.
pub(super) fn filters(environment: &mut minijinja::Environment<'_>) {
    environment.add_filter("span", |seconds: f64| span(seconds));
    environment.add_filter("span_ms", |ms: u64| Dur(ms).to_string());
    environment.add_filter("verdict", |of: minijinja::Value| {
        let is = |key: &str| of.get_attr(key).unwrap_or_default();
        verdict(is("basis").as_str() != Some("not_applicable"), is("met").is_true())
    });
}
