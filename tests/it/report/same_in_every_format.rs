//! Reports for auditors and managers are the same in every format, and pending and waiting items are named.

use std::process::Command;

use drctl::model::time::Dur;
use drctl::record::event::WorldKind;
use drctl::run::RunState;
use drctl::run::outstanding::LATER;
use drctl::run::state::Mode;
use serde_json::Value;

use crate::cli::contract::{Folder, json};
use crate::evidence::signatures::state_of;

const RUN: &str = "sandbox-truststream-failover-s1-1";

/// A dark region, and a waived fence.
fn waived() -> (Folder, String) {
    let folder = Folder::with_plans();
    let args = [
        "failover",
        "truststream",
        "--sandbox",
        "region-dark",
        "--to",
        "us-east-1",
        "--yes",
        "--waive",
        "unfenced-promotion",
        "--accept-data-loss",
        "5m",
        "--reason",
        "region is dark",
    ];
    let (_, out, err) = folder.run(&args);
    (folder, format!("{out}\n{err}"))
}

/// Text without markup, and with single spaces.
fn bare(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ];
    let text = entities.iter().fold(text.replace(['`', '\\'], ""), |text, (mark, c)| text.replace(mark, c));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The cells of all tables of a page.
fn cells_of_html(html: &str) -> Vec<String> {
    let mut cells = Vec::new();
    for part in html.split("<t").skip(1).filter(|p| p.starts_with("d>") || p.starts_with("h ")) {
        let (_, rest) = part.split_once('>').unwrap();
        let end = rest.find("</td>").or_else(|| rest.find("</th>")).unwrap();
        let mut text = rest[..end].replace("<br>", " ");
        while let (Some(from), Some(to)) = (text.find('<'), text.find('>')) {
            text.replace_range(from..=to, "");
        }
        cells.push(bare(&text));
    }
    cells
}

/// The same for Markdown.
fn cells_of_markdown(md: &str) -> Vec<String> {
    let lines = md.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let cells = lines.flat_map(|line| {
        let line = line.replace("\\|", "\u{1}");
        let inner = line.trim_start_matches('|').trim_end_matches('|').to_owned();
        inner
            .split('|')
            .map(|cell| bare(&cell.replace("<br>", " ").replace('\u{1}', "|")))
            .collect::<Vec<_>>()
    });
    cells.collect()
}

/// The output of `pdfinfo` and `pdftotext` of poppler-utils for a file.
pub fn poppler(tool: &str, args: &[&str]) -> String {
    let done = Command::new(tool).args(args).output().expect("poppler-utils is installed: tests/world/need");
    assert!(done.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn each_rendering_has_the_same_figures_and_words() {
    let (folder, _) = waived();
    folder.run(&["failover", "starter", "--sandbox", "region-lost", "--to", "us-east-1", "--yes"]);
    let written = |format: &str| {
        let out = folder.path().join(format!("report.{format}"));
        let who = ["--prepared-by", "Ann Lee, Head of SRE"];
        let args = ["report", "compliance", "--sandbox", "--profile", "soc2", "--format", format, "--out"];
        folder.ok(&[&args[..], &[out.to_str().unwrap()], &who].concat());
        out
    };
    let text = |format: &str| std::fs::read_to_string(written(format)).unwrap();
    let (md, html, report) = (text("md"), text("html"), json(&text("json")));
    let (of_md, of_html) = (cells_of_markdown(&md), cells_of_html(&html));
    assert!(of_md.len() > 100, "{of_md:?}");
    assert_eq!(of_md, of_html);
    let totals = &report["totals"];
    let of = |key: &str| totals[key].as_u64().unwrap();
    let kinds = ["incidents", "planned", "drills", "returns", "read", "tests"].map(of);
    assert_eq!((of("runs"), kinds.iter().sum::<u64>()), (2, 2), "the kinds add up");
    assert_eq!((of("waivers"), of("unfenced"), of("fences_pending")), (1, 1, 1), "{totals:#}");
    let judged =
        |tally: &Value| ["met", "missed", "not_proven", "not_applicable"].map(|k| tally[k].as_u64().unwrap());
    assert_eq!((judged(&totals["rto"]), judged(&totals["rpo"])), ([2, 0, 0, 0], [0, 0, 1, 1]), "{totals:#}");
    let figures = [
        "2: 2 incidents",
        "2 of 2 met, 0 missed, 0 not proven",
        "0 of 1 met, 0 missed, 1 not proven; not applicable to 1",
        "1; fences still pending: 1",
        "not applicable: no database was recovered",
        "fence of db waived: the fence is still pending",
        "no approval required",
        "p50 at most ",
        "longest at most ",
        "Ann Lee",
        "Head of SRE",
    ];
    for words in figures {
        assert!(of_md.iter().any(|cell| cell.contains(words)), "{words}: {of_md:#?}");
    }
    let can = "Rehearsals show that the plans, the steps and the approvals work together against a simulation; they cannot show ";
    assert!(report["rehearsed"].as_str().unwrap().starts_with(can), "{report:#}");
    assert!([&md, &html].iter().all(|text| bare(text).contains(can)), "{md}");
    if cfg!(feature = "pdf") {
        let pdf = written("pdf");
        let pdf = pdf.to_str().unwrap();
        tagged(pdf, &of_md);
        no_smaller_than_nine_points(pdf);
    }
}

/// The structure for screen readers, with every cell complete.
fn tagged(pdf: &str, cells: &[String]) {
    let about = poppler("pdfinfo", &[pdf]);
    assert!(
        about.contains("Title:           Recovery of applications") && about.contains("Tagged:          yes"),
        "{about}"
    );
    let structure = poppler("pdfinfo", &["-struct-text", pdf]);
    for tag in [
        "H1 ",
        "H2 ",
        "P (block)",
        "Table",
        "THead",
        "TBody",
        "TR",
        "TH",
        "TD",
        "/Scope /Column",
        "/Scope /Row",
        "Figure",
    ] {
        assert!(structure.contains(tag), "no {tag}: {structure}");
    }
    let said: String =
        structure.lines().filter_map(|l| l.trim().strip_prefix('"')?.strip_suffix('"')).collect();
    let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let said = squeezed(&said);
    for cell in cells.iter().filter(|cell| !cell.is_empty()) {
        assert!(said.contains(&squeezed(cell)), "{cell} is not in the structure: {said}");
    }
    // An identifier that people copy and compare is not broken.
    let drawn = poppler("pdftotext", &["-layout", pdf, "-"]);
    for id in cells.iter().filter(|cell| cell.ends_with(".tar") || cell.len() == 64) {
        assert!(drawn.contains(id.as_str()), "{id} is broken: {drawn}");
    }
    assert!(drawn.matches(RUN).count() >= 3, "{drawn}");
}

fn no_smaller_than_nine_points(pdf: &str) {
    let boxes = poppler("pdftotext", &["-bbox-layout", pdf, "-"]);
    let of = |line: &str, key: &str| line.split(key).nth(1)?.split('"').nth(1)?.parse::<f64>().ok();
    let heights: Vec<f64> = boxes
        .lines()
        .filter(|line| line.contains("<word "))
        .filter_map(|line| Some(of(line, "yMax=")? - of(line, "yMin=")?))
        .collect();
    let least = heights.iter().copied().fold(f64::MAX, f64::min);
    assert!(heights.len() > 200 && least >= 8.999, "{least}");
}

#[test]
fn after_the_end_there_are_only_debts_and_a_waived_gate_says_so() {
    let (folder, live) = waived();
    assert!(live.contains("fenced.db waived: no proof that the old primary is fenced"), "{live}");
    assert!(!live.contains("fenced.db done"), "{live}");
    let (before, after) = live.split_once("finished: recovered").unwrap();
    assert!(!before.contains("pending fence: "), "{before}");
    let steps = |line: &&str| line.contains(" started") || line.contains(" done") || line.contains(" failed");
    let lines: Vec<&str> =
        after.lines().take_while(|line| !line.starts_with("RECOVERED")).filter(steps).collect();
    let owed = |line: &&str| line.contains("pending fence: ");
    assert!(lines.iter().all(owed), "{lines:#?}");
    let shown = folder.ok(&["runs", "show", RUN, "--sandbox"]);
    let gate = shown.lines().find(|line| line.contains(" fenced.db ")).unwrap();
    assert!(gate.starts_with("waived "), "{gate}");
    let exported = folder.ok(&["runs", "export", RUN, "--sandbox"]);
    let events: Vec<Value> =
        exported.lines().map(|line| json(json(line)["bytes"].as_str().unwrap_or(line))).collect();
    let end = events.iter().position(|e| e["kind"] == "run_finished").unwrap();
    let of_debts = |e: &Value| {
        let step = e["step"].as_str().unwrap_or_default();
        let kind = e["kind"].as_str().unwrap_or_default();
        step.starts_with("fence.")
            || ["new_primary_checked", "place_answered", "debt_settled"].contains(&kind)
    };
    assert!(events[end + 1..].iter().all(of_debts), "{:#?}", &events[end + 1..]);
    let report = json(&folder.ok(&["report", "run", RUN, "--sandbox", "--format", "json"]));
    let debts = report["debts"].as_array().unwrap();
    let kinds: Vec<_> =
        debts.iter().map(|d| (d["kind"].as_str().unwrap(), d["open"].as_bool().unwrap())).collect();
    assert_eq!(kinds, [("fence", true), ("figure", true)], "{debts:#?}");
    assert!(debts[0]["looks"].to_string().contains("fence.db.sql"), "{debts:#?}");
    for format in ["md", "html"] {
        let text = folder.ok(&["report", "run", RUN, "--sandbox", "--format", format]);
        assert!(
            text.contains("After the end: open items")
                && text.contains("fence of db, waived before the promotion"),
            "{text}"
        );
        assert!(!text.contains(".0 s") && text.contains("objective 15m"), "{text}");
    }
}

#[test]
fn a_run_that_waits_for_a_person_says_so_everywhere() {
    let folder = Folder::with_plans();
    let plan = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text + "gates:\n  go: {at: promote, approval: \"may we?\"}\n").unwrap();
    let (code, ..) =
        folder.run(&["failover", "truststream", "--sandbox", "region-lost", "--to", "us-east-1", "--yes"]);
    assert_eq!(code, 4);
    let words = "WAITS FOR A PERSON: approve.go";
    let command = format!("drctl approve {RUN} approve.go");
    // However many runs followed it.
    for _ in 0..6 {
        folder.run(&["failover", "starter", "--sandbox", "region-lost", "--to", "us-east-1", "--yes"]);
    }
    for args in
        [&["status", "--sandbox"][..], &["runs", "show", RUN, "--sandbox"], &["runs", "list", "--sandbox"]]
    {
        let said = folder.ok(args);
        assert!(said.contains(words) && said.contains(&command), "{args:?}: {said}");
        assert!(!said.contains("waits for a person  WAITS"), "once: {said}");
        assert!(said.contains(" (open until 2026-01-01T"), "{args:?}: {said}");
    }
    for format in ["md", "html", "json"] {
        let said = bare(&folder.ok(&["report", "run", RUN, "--sandbox", "--format", format]));
        assert!(said.contains("approve.go") && said.contains(&command), "{said}");
        assert!(format == "json" || said.contains("Waits for a person"), "{said}");
    }
}

/// The card tells people what to do by the exit code, and they read the headline.
#[test]
fn the_headline_agrees_with_the_exit_code() {
    for (scenario, expected) in [("region-lost", 4), ("replica-lagging", 1), ("capacity-short", 1)] {
        let folder = Folder::with_plans();
        let plan = folder.path().join("plans/truststream.yaml");
        let text = std::fs::read_to_string(&plan).unwrap();
        std::fs::write(&plan, text + "gates:\n  go: {at: promote, approval: \"may we?\"}\n").unwrap();
        let start = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox", scenario];
        let (code, out, err) = folder.run(&start);
        assert_eq!(code, expected, "{scenario}: {out}{err}");
        let title = out.lines().find(|line| line.contains("   run ")).unwrap();
        let begins = if code == 1 { "HALTED" } else { "WAITING FOR APPROVAL: " };
        assert!(title.starts_with(begins), "{scenario}: {title}");
        for screen in [&["runs", "list", "--sandbox"][..], &["status", "--sandbox"]] {
            let said = folder.run(screen).1.to_lowercase();
            assert_eq!(said.contains(" halted"), code == 1, "{scenario}: {said}");
        }
    }
}

/// A fence is proven before the time is over within which its last call may act. The rehearsal is over, so the effect can no longer come.
#[test]
fn an_effect_that_can_no_longer_come_is_in_doubt_on_no_screen() {
    let folder = Folder::with_plans();
    let accept = ["--waive", "unfenced-promotion:db", "--accept-data-loss", "9m", "--reason", "dark"];
    let start = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=primary-returns"];
    folder.run(&[&start[..], &accept].concat());
    folder.run(&["runs", "resume", RUN, "--sandbox"]);
    let mut state = state_of(&folder, RUN);
    let last = state.last_at;
    assert_eq!(state.outstanding(last).len(), 1, "it was still to come when the last process ended");
    for command in [
        &["runs", "show", RUN, "--sandbox"][..],
        &["status", "--sandbox"],
        &["ready", "truststream", "--sandbox"],
    ] {
        let (_, out, err) = folder.run(command);
        assert!(out.contains("truststream") && !out.contains("IN DOUBT"), "{command:?}: {out}{err}");
    }
    // While the run is not over, its time stands still, and every screen says what may still come.
    assert_eq!(state.looked_at(last + Dur::mins(5)), last + LATER);
    let words = |state: &RunState| state.outstanding(last)[0].words(state);
    assert!(words(&state).ends_with(". No command is needed"), "{}", words(&state));
    state.mode = Mode::Running;
    let settles = format!("Resuming the run settles it: drctl runs resume {RUN} --sandbox");
    assert!(words(&state).ends_with(&settles), "{}", words(&state));
    assert_eq!(state.looked_at(last + Dur::mins(5)), last);
    state.created.world = WorldKind::Live;
    assert_eq!(state.looked_at(last + Dur::mins(5)), last + Dur::mins(5));
}

/// Its exit code is that of a halt: nobody approves anything.
#[test]
fn a_run_that_halts_at_a_loss_waits_for_a_person_on_every_screen() {
    let folder = Folder::with_plans();
    let (code, out, err) =
        folder.run(&["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=replica-lagging"]);
    assert!(code == 1 && out.contains("\nHALTED, A PERSON MUST ACCEPT A RISK: "), "{code} {out}{err}");
    let listed = folder.ok(&["runs", "list", "--sandbox"]);
    assert!(listed.contains("  HALTED, A PERSON MUST ACCEPT A RISK: exposure.db, "), "{listed}");
    assert!(folder.ok(&["status", "--sandbox"]).contains(" halted, a person must accept a risk; "));
    // The loss is measured, and people decide about it.
    let loss = "if db is promoted now: at most 8m ";
    for screen in
        [&out, &folder.ok(&["status", "--sandbox"]), &folder.ok(&["runs", "show", RUN, "--sandbox"])]
    {
        assert!(screen.contains(loss), "{screen}");
    }
    let report = |format: &str| folder.ok(&["report", "run", RUN, "--sandbox", "--format", format]);
    for format in ["md", "html", "json"] {
        assert!(report(format).contains(loss), "{format}");
    }
    // A bound without a risk is not just passed over.
    let resume = ["runs", "resume", RUN, "--accept-data-loss", "9m", "--reason", "x", "--sandbox"];
    let (code, _, err) = folder.run(&resume);
    let said = "--accept-data-loss applies only to a risk that --waive names";
    assert!(code == 2 && err.contains(said), "{code} {err}");
}

/// The figure for a promotion now is the one of the same moment that the gate compares with the accepted loss.
#[test]
fn a_loss_that_grows_is_as_large_as_the_bound_that_was_refused() {
    let folder = Folder::with_plans();
    let (code, out, err) = folder.run(&[
        "failover",
        "truststream",
        "--to",
        "us-east-1",
        "--yes",
        "--sandbox=region-dark",
        "--waive",
        "unfenced-promotion:db",
        "--accept-data-loss",
        "30s",
        "--reason",
        "x",
    ]);
    let bound =
        out.split_once("db may lose at most ").and_then(|(_, rest)| rest.split_once(" (")).map(|(d, _)| d);
    let now = format!("if db is promoted now: at most {} (upper bound), as of ", bound.unwrap_or("nothing"));
    assert!(code == 1 && out.contains(&now), "{now}: {code} {out}{err}");
}
