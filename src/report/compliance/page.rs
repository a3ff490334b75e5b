//! The report as HTML, as Markdown, and as CSV.

use minijinja::{Environment, context};

use super::document::{Class, Compliance, RunLine};
use super::sealed::UnreadableRun;
use super::{charts, picture, sheet};
use crate::model::measure::Basis;
use crate::model::plain;
use crate::report::markdown;
use crate::report::measured::Measured;

const HTML: &str = include_str!("page.html");
const MARKDOWN: &str = include_str!("page.md");

fn render(
    environment: &Environment<'_>,
    (name, template): (&str, &str),
    report: &Compliance,
) -> Result<String, String> {
    let sheet = sheet::sheet(report);
    let mut value = serde_json::to_value(&sheet).map_err(|e| e.to_string())?;
    plain::tree(&mut value);
    let mut tables = vec![value["figures"].take()];
    tables.extend(value["tables"].as_array().cloned().unwrap_or_default());
    let picture = |picture: &picture::Picture| {
        let legend = picture.legend.iter().map(|(ink, text)| {
            let (r, g, b) = ink.rgb();
            serde_json::json!({"colour": format!("#{r:02x}{g:02x}{b:02x}"), "text": text})
        });
        serde_json::json!({"title": picture.title, "svg": picture.svg(), "legend": legend.collect::<Vec<_>>()})
    };
    let pictures = serde_json::Value::Array(charts::pictures(report).iter().map(picture).collect());
    let tables = serde_json::Value::Array(tables);
    let serde = |value| minijinja::Value::from(minijinja::value::Serde(value));
    let values = context! { s => serde(&value), tables => serde(&tables), pictures => serde(&pictures) };
    environment.render_named_str(name, template, values).map_err(|e| format!("{e:#}"))
}

/// One self-contained HTML file.
///
/// # Errors
/// Only if the template does not match the report, which a test excludes.
pub fn html(report: &Compliance) -> Result<String, String> {
    // The suffix of the template's name turns on HTML escaping.
    let mut environment = Environment::new();
    crate::report::html::times(&mut environment);
    render(&environment, ("page.html", HTML), report)
}

/// Markdown.
///
/// # Errors
/// As [`html`].
pub fn markdown(report: &Compliance) -> Result<String, String> {
    render(&markdown::escaping(), ("page.md", MARKDOWN), report)
}

/// The columns of the CSV file.
const COLUMNS: [&str; 37] = [
    "row",
    "world",
    "run",
    "application",
    "tier",
    "class",
    "what",
    "started_at",
    "ended_at",
    "outcome",
    "state",
    "as_of",
    "rto_objective_s",
    "rto_achieved_s",
    "rto_basis",
    "rto_resolution_s",
    "rto_verdict",
    "not_recovered_s",
    "rpo_objective_s",
    "rpo_achieved_s",
    "rpo_basis",
    "rpo_resolution_s",
    "rpo_verdict",
    "severity",
    "usual_severity",
    "incident",
    "requester",
    "signed",
    "approvals",
    "overrides",
    "overrides_late",
    "waived_fences",
    "stops",
    "bundle",
    "sha256",
    "controls",
    "finding",
];

/// The class under which the figures count it. The return of a live drill is not a separate drill.
fn class(line: &RunLine) -> String {
    match line.class {
        Class::Drill | Class::Planned if line.returns => "way_back".to_owned(),
        class => word(&class),
    }
}

/// The approvals in one cell; empty if the run requires none.
fn approvals(line: &RunLine) -> String {
    line.approvals.iter().map(|approved| approved.text.as_str()).collect::<Vec<_>>().join(" | ")
}

/// One line for each run, then one for each finding, then one for each application with its last proof (RFC 4180). The column `row` tells
/// which it is.
pub fn csv(report: &Compliance) -> String {
    let mut out = COLUMNS.join(",") + "\r\n";
    for line in &report.runs {
        let mut cells = vec![
            "run".to_owned(),
            report.world.clone(),
            line.run.to_string(),
            line.plan.to_string(),
            line.tier.clone(),
            class(line),
            line.what.clone(),
            line.started_at.to_string(),
            line.ended_at.map(|at| at.to_string()).unwrap_or_default(),
            line.outcome.clone(),
            line.state.clone(),
            line.as_of.to_string(),
        ];
        cells.extend(objective(line.rto.as_ref()));
        cells.push(line.not_recovered_s.map(|s| s.to_string()).unwrap_or_default());
        cells.extend(objective(line.rpo.as_ref()));
        cells.extend([
            line.decided.severity.to_string(),
            line.decided.usual.to_string(),
            line.incident.clone().unwrap_or_default(),
            line.requester.clone(),
            line.signed.to_string(),
            approvals(line),
            line.overrides.len().to_string(),
            line.late.to_string(),
            line.waived_fences.len().to_string(),
            line.stops.to_string(),
            line.bundle_words(),
            line.sha256.clone().unwrap_or_default(),
            line.controls.join(" "),
            String::new(),
        ]);
        out += &written(&cells);
    }
    out.extend(report.unreadable_runs.iter().map(|run| unreadable(&report.world, run)));
    for finding in &report.findings {
        let of = |name: &Option<String>| name.clone().unwrap_or_default();
        out += &placed([
            ("row", "finding".to_owned()),
            ("world", report.world.clone()),
            ("run", of(&finding.run.as_ref().map(ToString::to_string))),
            ("application", of(&finding.plan.as_ref().map(ToString::to_string))),
            ("class", word(&finding.section)),
            ("started_at", of(&finding.at.map(|at| at.to_string()))),
            ("controls", finding.controls.join(" ")),
            ("finding", finding.text.clone()),
        ]);
    }
    for application in &report.applications {
        let proof = application.last_proven.as_ref();
        out += &placed([
            ("row", "application".to_owned()),
            ("world", report.world.clone()),
            ("run", proof.map(|proof| proof.run.to_string()).unwrap_or_default()),
            ("application", application.plan.to_string()),
            ("tier", application.tier.clone()),
            ("ended_at", proof.map(|proof| proof.at.to_string()).unwrap_or_default()),
            ("outcome", word(&application.status)),
            ("finding", application.why.clone()),
        ]);
    }
    out
}

/// The line of a run that cannot be read.
fn unreadable(world: &str, run: &UnreadableRun) -> String {
    placed([
        ("row", "run".to_owned()),
        ("world", world.to_owned()),
        ("run", run.run.to_string()),
        ("application", run.plan.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("started_at", run.started_at.map(|at| at.to_string()).unwrap_or_default()),
        ("outcome", "unreadable".to_owned()),
        ("bundle", run.bundle.clone().unwrap_or_default()),
        ("sha256", run.sha256.clone().unwrap_or_default()),
        ("finding", format!("not counted: {}", run.why)),
    ])
}

/// A line with these cells in their columns.
fn placed<const N: usize>(named: [(&str, String); N]) -> String {
    let mut cells = vec![String::new(); COLUMNS.len()];
    for (name, cell) in named {
        if let Some(at) = COLUMNS.iter().position(|column| *column == name) {
            cells[at] = cell;
        }
    }
    written(&cells)
}

fn written(cells: &[String]) -> String {
    cells.iter().map(|cell| plain::cell(cell)).collect::<Vec<_>>().join(",") + "\r\n"
}

fn objective(objective: Option<&Measured>) -> [String; 5] {
    objective.map_or_else(Default::default, |o| {
        let achieved = o.achieved_s.map(|s| s.to_string()).unwrap_or_default();
        // A bound has no other end.
        let two_ends = matches!(o.basis, Basis::Measured | Basis::Interval);
        let resolution = o.achieved_s.filter(|_| two_ends).map(|_| o.resolution_s.to_string());
        [
            o.objective_s.to_string(),
            achieved,
            word(&o.basis),
            resolution.unwrap_or_default(),
            word(&o.verdict),
        ]
    })
}

/// The word in the JSON form.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_two_cells() {
        assert_eq!(plain::cell("=1+1"), "\"'=1+1\"");
        assert_eq!(plain::cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(plain::cell("plain"), "plain");
    }
}
