//! A summary of many items: one line each, the worst first, instead of screens that nobody reads to the end.

use serde_json::Value;

use super::ending;
use crate::app::begins::Begins;
use crate::app::ending::Ending;
use crate::app::exit;
use crate::app::foreseen::Foreseen;
use crate::app::start::Starting;
use crate::cli::formats::Format;
use crate::cli::printer::{GREEN, Printer, RED, YELLOW};
use crate::model::plain::count;
use crate::model::worst::{Weighed, Weight, worst_first};
use crate::plan::Plan;
use crate::planner::critical_path;
use crate::record::runbook::Runbook;
use crate::report::measured::Measured;
use crate::report::{summary, words};

/// More items than this are summarized.
pub const FEW: usize = 5;

/// How a line is rated. The worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reads {
    /// Somebody has to act.
    Bad,
    /// Unknown, or not as it should be.
    Doubtful,
    /// As it should be.
    Good,
}

/// A line of the summary.
pub struct SummaryLine {
    /// The rating.
    pub reads: Reads,
    /// The rating in one word.
    pub word: String,
    /// The item.
    pub what: String,
    /// Details.
    pub detail: String,
}

impl Weighed for SummaryLine {
    fn weight(&self) -> Weight {
        match self.reads {
            Reads::Bad => Weight::Blocking,
            Reads::Doubtful => Weight::Warning,
            Reads::Good => Weight::Note,
        }
    }

    fn about(&self) -> &str {
        &self.what
    }
}

/// A count by rating, then all lines, the worst first.
pub fn show(p: &Printer, things: &str, mut all: Vec<SummaryLine>, more: &str) {
    worst_first(&mut all);
    let paint = |line: &SummaryLine, word: &str| {
        let colour = match line.reads {
            Reads::Bad => RED,
            Reads::Doubtful => YELLOW,
            Reads::Good => GREEN,
        };
        p.paint(colour, word)
    };
    p.line(&counted(things, &all, &paint));
    for line in &all {
        p.line(&format!("  {}  {}: {}", paint(line, &line.word), line.what, line.detail));
    }
    p.line(more);
}

/// How many of the items have each rating. A rating may contain a comma.
fn counted(things: &str, all: &[SummaryLine], paint: &dyn Fn(&SummaryLine, &str) -> String) -> String {
    let mut words: Vec<(&SummaryLine, usize)> = Vec::new();
    for line in all {
        match words.iter_mut().find(|(of, _)| (of.reads, &of.word) == (line.reads, &line.word)) {
            Some((_, n)) => *n += 1,
            None => words.push((line, 1)),
        }
    }
    let words = words.iter().map(|(line, n)| format!("{n} {}", paint(line, &of_many(*n, &line.word))));
    format!("{}: {}", count(all.len(), things), words.collect::<Vec<_>>().join("; "))
}

/// A rating as it is said of so many.
fn of_many(n: usize, word: &str) -> String {
    let verbs = [("does not ", "do not "), ("needs ", "need "), ("waits", "wait")];
    let verb = verbs.iter().find_map(|(one, many)| Some((word.strip_prefix(one)?, many)));
    match verb {
        Some((rest, many)) if n != 1 => format!("{many}{rest}"),
        _ => word.to_owned(),
    }
}

/// Computes what a run of each plan would do, and shows one line for each.
pub fn dry_run(printer: &Printer, starting: &Starting<'_>, plans: &[Plan]) -> Option<Vec<Ending>> {
    let human = printer.format == Format::Human;
    if !human || !starting.options.how.dry_run || plans.len() <= FEW {
        return None;
    }
    let quiet = printer.silent();
    let begins = Foreseen::default();
    let (interrupts, foreseen) = (starting.interrupts.clone(), Some(&begins));
    let one = Starting { presenter: &quiet, interrupts, foreseen, ..*starting };
    let (mut told, mut lines) = (Vec::new(), Vec::new());
    for plan in plans {
        let ending = one.plan(plan).unwrap_or_else(|e| Ending::failed(&quiet, &plan.name, e));
        lines.push(expected(plan, &ending, &begins.begins(plan)));
        begins.note(plan, &ending);
        told.push(ending);
        if starting.interrupts.count() > 0 {
            break;
        }
    }
    let more = format!(
        "for the runbook of one plan, run drctl {} PLAN --to {} --dry-run",
        starting.intent, starting.options.to
    );
    show(printer, "plan", lines, &more);
    Some(told)
}

/// The expected result of a run of a plan.
fn expected(plan: &Plan, ending: &Ending, begins: &Begins) -> SummaryLine {
    let what = plan.name.to_string();
    let of =
        |reads, word: &str, detail| SummaryLine { reads, word: word.to_owned(), what: what.clone(), detail };
    let document = &ending::document(ending).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let refused: Vec<_> = document["refusals"].as_array().into_iter().flatten().map(refusal).collect();
    if !refused.is_empty() {
        return of(Reads::Bad, "refused", refused.join("; "));
    }
    let runbook = serde_json::from_value::<Runbook>(document["runbook"].clone()).ok();
    match (runbook, document["outcome"].as_str()) {
        (Some(_), _) if matches!(begins, Begins::Never(_)) => {
            of(Reads::Bad, "not started", begins.words().unwrap_or_default())
        }
        (Some(book), _) => {
            let critical = critical_path::critical(&book);
            let whole = begins.waits().0.plus(critical.expected);
            let after = match begins {
                Begins::After(first, ..) => format!(", {whole} with the wait for {first}"),
                Begins::AtOnce | Begins::Never(_) => String::new(),
            };
            let (rto, component) = book.promised_rto();
            let promised = component.map_or_else(|| rto.to_string(), |name| format!("{rto} of {name}"));
            // In a planned move, users are served until it fences.
            let wait = critical.users.map_or(whole, |(users, _)| users);
            let users = critical.users.map_or_else(String::new, |(users, _)| format!("; users wait {users}"));
            let (reads, word, promised) = match book.intent.has_rto() {
                false => (Reads::Good, "possible", String::new()),
                true if wait > rto => (Reads::Doubtful, "too long", format!(" of {promised}")),
                true => (Reads::Good, "in time", format!(" of {promised}")),
            };
            let detail = format!(
                "{}, {}; expected {}{after}{users}{promised}",
                book.way(),
                count(book.steps.len(), "step"),
                critical.expected
            );
            of(reads, word, detail)
        }
        (None, Some("nothing_to_do")) => {
            of(Reads::Good, "nothing to do", "everything already runs there".to_owned())
        }
        (None, _) if ending.code == exit::WAITING => {
            of(Reads::Bad, "waits", text(&document["error"]["message"]))
        }
        (None, _) => of(Reads::Bad, "error", text(&document["error"]["message"])),
    }
}

/// What came of the runs of one command: a summary, then the screens that were held back of runs that need a person.
pub fn overall(p: &Printer, plans: &[Plan], told: &[Ending]) {
    if p.format != Format::Human {
        return;
    }
    let lines: Vec<_> = plans.iter().zip(told).map(|(plan, ending)| came_of(plan, ending)).collect();
    let acts: Vec<_> = lines.iter().filter(|line| line.reads == Reads::Bad).map(|line| &*line.what).collect();
    let of = plans.iter().zip(told);
    let unfenced: Vec<_> = of.filter(|(_, e)| is_unfenced(e)).map(|(plan, _)| plan.name.as_str()).collect();
    let mut more = match (acts.len(), unfenced.is_empty()) {
        (0, true) => vec!["no plan waits for a person".to_owned()],
        (0, false) => Vec::new(),
        (n, _) => vec![format!("{} a person: {}", count(n, "plan needs|plans need"), acts.join(", "))],
    };
    if !unfenced.is_empty() {
        more.push(format!(
            "{} pending; keep clients away from the old primaries of {}",
            count(unfenced.len(), "fence is|fences are"),
            unfenced.join(", ")
        ));
    }
    let bad: Vec<_> = lines.iter().map(|line| line.reads == Reads::Bad).collect();
    p.line("");
    show(p, "plan", lines, &more.join("; "));
    let screens = told.iter().zip(bad).filter(|(ending, bad)| *bad || is_unfenced(ending));
    screens.for_each(|(ending, _)| ending::screen(p, ending));
}

/// Whether the run left a fence pending.
fn is_unfenced(ending: &Ending) -> bool {
    ending.run.as_ref().is_some_and(|run| run.finished() && run.owed().next().is_some())
}

fn came_of(plan: &Plan, ending: &Ending) -> SummaryLine {
    let what = plan.name.to_string();
    let of =
        |reads, word: &str, detail| SummaryLine { reads, word: word.to_owned(), what: what.clone(), detail };
    let document = &ending::document(ending).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let outcome = text(&document["outcome"]).replace('_', " ");
    let Some(run) = &ending.run else {
        let refused: Vec<_> = document["refusals"].as_array().into_iter().flatten().map(refusal).collect();
        return match ending.code {
            exit::DONE => of(Reads::Good, &outcome, "everything already runs there".to_owned()),
            _ if !refused.is_empty() => of(Reads::Bad, &outcome, refused.join("; ")),
            _ => {
                let error = &document["error"];
                let said = [&error["message"], &error["hint"]].map(text);
                let said: Vec<_> = said.into_iter().filter(|words| !words.is_empty()).collect();
                of(Reads::Bad, &outcome, said.join("; "))
            }
        };
    };
    let report = summary::report(run, run.last_at);
    let outcome = words::state(&report, true);
    let figure = |name: &str, of: &Measured| match of.applies() {
        true => format!("{name} {}: {}", of.text, of.verdict.words()),
        false => format!("{name} {}", of.words()),
    };
    let alone = if report.protection.unprotected.is_empty() { "" } else { "; UNPROTECTED" };
    let figures = format!("{}, {}{alone}", figure("RTO", &report.rto), figure("RPO", &report.rpo));
    match ending.code {
        exit::DONE => of(Reads::Good, &outcome, figures),
        exit::RECOVERED_BUT => of(Reads::Doubtful, &outcome, figures),
        _ => of(Reads::Bad, &outcome, report.error.map_or(figures, |error| error.hint)),
    }
}

fn refusal(refused: &Value) -> String {
    let text = |key: &str| refused[key].as_str().unwrap_or_default();
    match refused["component"].as_str() {
        Some(component) => format!("{} ({component}): {}", text("rule"), text("facts")),
        None => format!("{}: {}", text("rule"), text("facts")),
    }
}

/// The state of a plan, from the JSON output of `status`.
pub fn standing(plan: &Plan, document: &Value) -> SummaryLine {
    let some = |key: &str| document[key].as_array().is_some_and(|all| !all.is_empty());
    let is = |key: &str| document[key].is_string();
    let alarms = [
        ("fence pending", some("fence_debts")),
        ("clients that may use the old server", some("clients_left")),
        ("an effect in doubt", some("in_doubt")),
        ("a live drill not finished", is("drill_broken_off")),
        ("a live drill halfway", is("drill_halfway")),
        ("an approval owed", some("approvals_owed")),
    ];
    let mut said: Vec<String> =
        alarms.iter().filter(|(_, is)| *is).map(|(words, _)| (*words).to_owned()).collect();
    let protection = document["protection"].as_str().unwrap_or("unknown");
    let verified = document["verification"]["status"].as_str().unwrap_or_default();
    let (reads, word) = match (said.is_empty(), protection, verified) {
        (false, ..) => (Reads::Bad, "act"),
        (true, "UNPROTECTED", _) => (Reads::Bad, "no standby"),
        (true, _, "failed") => (Reads::Bad, "verification failed"),
        (true, "protected", "verified") => (Reads::Good, "good"),
        (true, _, "verified") => (Reads::Doubtful, "standby unknown"),
        _ => (Reads::Doubtful, "not verified"),
    };
    let active = document["active"]["site"].as_str();
    said.push(active.map_or_else(|| "active site unknown".to_owned(), |site| format!("active in {site}")));
    // The word says the rest, unless something is worse.
    let rest = [("UNPROTECTED", "no standby"), ("protected", "")];
    let standby =
        rest.iter().find(|(state, _)| *state == protection).map_or("standby unknown", |(_, words)| words);
    let proof = match verified {
        "verified" => "",
        "failed" => "verification failed",
        _ => "not verified",
    };
    said.extend([standby, proof].into_iter().filter(|w| !w.is_empty() && *w != word).map(str::to_owned));
    SummaryLine { reads, word: word.to_owned(), what: plan.name.to_string(), detail: said.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_are_counted_in_their_grammar_and_keep_their_commas_apart() {
        let line = |word: &str| SummaryLine {
            reads: Reads::Bad,
            word: word.to_owned(),
            what: "shop".to_owned(),
            detail: String::new(),
        };
        let all =
            ["recovered, FENCE PENDING", "waits for a person", "waits for a person", "does not need west"];
        let lines: Vec<_> = all.into_iter().map(line).collect();
        assert_eq!(
            counted("plan", &lines, &|_, word| word.to_owned()),
            "4 plans: 1 recovered, FENCE PENDING; 2 wait for a person; 1 does not need west"
        );
        assert_eq!(of_many(89, "does not need west"), "do not need west");
        assert_eq!(of_many(2, "needs verification"), "need verification");
    }
}
