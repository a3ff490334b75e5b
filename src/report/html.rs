//! The report as one self-contained HTML file, to open, send and print.

use minijinja::{Environment, context};

use super::summary::RunReport;
use super::{gantt, words};
use crate::model::plain;
use crate::run::RunState;

/// The suffix turns on HTML escaping, because a reason may contain any text.
const NAME: &str = "run.html";
const TEMPLATE: &str = include_str!("run.html");

/// A template filter for text with times, which stay on one line.
pub(super) fn times(environment: &mut Environment<'_>) {
    let on_one_line = |text: String| minijinja::Value::from_safe_string(plain::html_with_times(&text));
    environment.add_filter("times", on_one_line);
}

/// Renders the report.
///
/// # Errors
/// Only if the template does not match the report, which a test excludes.
pub fn render(report: &RunReport, state: &RunState) -> Result<String, String> {
    let mut environment = Environment::new();
    super::measured::filters(&mut environment);
    environment.add_filter("words", |text: String| text.replace('_', " "));
    times(&mut environment);
    environment
        .add_filter("coded", |text: String| minijinja::Value::from_safe_string(plain::html_with_code(&text)));
    let mut value = serde_json::to_value(report).map_err(|e| e.to_string())?;
    let mut gantt = serde_json::to_value(gantt::draw(state)).map_err(|e| e.to_string())?;
    [&mut value, &mut gantt].into_iter().for_each(plain::tree);
    let serde = |value| minijinja::Value::from(minijinja::value::Serde(value));
    environment
        .render_named_str(
            NAME,
            TEMPLATE,
            context! {
                r => serde(&value), g => serde(&gantt), means => report.means, state => words::state(report, !report.undriven),
            },
        )
        .map_err(|e| format!("{e:#}"))
}
