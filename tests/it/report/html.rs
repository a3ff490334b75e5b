//! The report of a run as an HTML page: self-contained, safe whatever people typed, and with every step in place.

use drctl::record::event::{Event, EventKind};
use drctl::report::{gantt, html, summary};
use drctl::run::RunState;

use crate::cli::contract::Folder;
use crate::run::resume::events;
use crate::support::rig::{Rig, truststream};

fn page(scenario: &str, reason: &str) -> String {
    let folder = Folder::with_plans();
    let args =
        ["failover", "truststream", "--sandbox", scenario, "--to", "us-east-1", "--yes", "--reason", reason];
    let waived = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m"];
    folder.run(&[&args[..], &waived].concat());
    folder.ok(&["report", "run", "sandbox-truststream-failover-s1-1", "--sandbox", "--format", "html"])
}

#[test]
fn a_page_needs_nothing_else_and_shows_what_the_other_reports_say() {
    let page = page("region-lost", "drill for the board");
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    for from_elsewhere in ["http://", "https://", "src=", "@import", "url(", "<script"] {
        assert!(!page.contains(from_elsewhere), "{from_elsewhere}");
    }
    for words in [
        "Failover of truststream: recovered",
        "Rehearsal</b> in the sandbox",
        "drill for the board",
        "promote.db",
        "a public probe failed",
        "What will revert this",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

/// A reason is user input, and must not become code.
#[test]
fn what_people_typed_is_never_code() {
    let page = page("region-dark", "</td><script>alert(1)</script><img src=x onerror=alert(2)> \"'&");
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;"), "it is there all the same");
    assert!(page.contains("<h1>Failover of truststream: recovered, FENCE PENDING</h1>"), "{page}");
}

#[test]
fn every_step_that_ran_is_in_the_picture_where_it_was() {
    let done = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap();
    let state = &done.ended.state;
    let picture = serde_json::to_value(gantt::draw(state)).unwrap();
    let rows = picture["rows"].as_array().unwrap();
    let ran = state.steps.iter().filter(|s| s.work.started_at.is_some()).count();
    let later = usize::try_from(picture["later"].as_u64().unwrap()).unwrap();
    assert!(rows.len() > 10 && rows.len() + later == ran, "{ran} {} {later}", rows.len());
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    for row in rows {
        let (x, width) = (number(&row["x"]), number(&row["width"]));
        assert!((240.0..=925.0).contains(&x) && width >= 2.0 && x + width <= 927.5, "{row}");
    }
    // The duration is after the bar, inside the chart: a digit is some 7 units wide.
    for row in rows {
        let took = row["took"].as_str().unwrap().chars().count();
        assert!(number(&row["took_x"]) + 7.0 * f64::from(u32::try_from(took).unwrap()) <= 1_000.0, "{row}");
    }
    // Later steps are further down and further right, and a step starts at or after the end of the one that it waited for.
    let xs: Vec<f64> = rows.iter().map(|row| number(&row["x"])).collect();
    assert!(xs.windows(2).all(|pair| pair[0] <= pair[1]), "{xs:?}");
    let links = picture["links"].as_array().unwrap();
    assert!(
        links.len() > rows.len() / 2 && links.iter().all(|l| number(&l["x1"]) <= number(&l["x2"])),
        "{links:?}"
    );
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap();
    assert!(number(&row("promote.db")["x"]) > number(&row("fence.db.sql")["x"]));
    assert_eq!(
        (row("promote.db")["class"].as_str(), row("promote.db")["critical"].as_bool()),
        (Some("done"), Some(true))
    );
    // The watch takes hours, of which the chart has minutes: its bar has a break and its whole duration.
    let cut: Vec<_> = rows.iter().filter(|row| row["cut"] == true).collect();
    assert!(cut.iter().any(|row| row["id"] == "watch" && row["took"] == "… 2h"), "{cut:?}");
    assert!(rows.iter().any(|row| row["cut"] == false) && picture["cut"] == true, "{rows:?}");
    let page = html::render(&summary::report(state, state.last_at), state).unwrap();
    assert_eq!(page.matches("<path class=\"cut\"").count(), cut.len(), "{page}");
    assert!(page.contains("a bar with a white break goes on after the end of the chart"), "{page}");
    // A label hides the lines behind it.
    let labels = page.matches("<text class=\"took\"").count() + page.matches("<g class=\"clock\">").count();
    assert_eq!(page.matches("<rect class=\"behind\"").count(), labels, "{page}");
    let outages = picture["outages"].as_array().unwrap();
    assert!(!outages.is_empty() && outages.iter().all(|o| number(&o["width"]) > 1.0), "{outages:?}");
    let clocks: Vec<_> =
        picture["clocks"].as_array().unwrap().iter().map(|c| c["label"].as_str().unwrap()).collect();
    assert_eq!(clocks, ["detected", "decided", "executed", "validated"]);
    let report = summary::report(state, state.last_at);
    assert_eq!(html::render(&report, state).unwrap(), html::render(&report, state).unwrap());
}

#[test]
fn a_run_that_is_not_over_has_a_page_too() {
    let done = Rig::new(truststream(), "region-lost", 1).rehearse().unwrap();
    let all = events(&done);
    let promoting =
        |e: &Event| matches!(&e.what, EventKind::CallIntended { step, .. } if step.as_str() == "promote.db");
    let state = RunState::fold(&all[..=all.iter().position(promoting).unwrap()]).unwrap();
    let page = html::render(&summary::report(&state, state.last_at), &state).unwrap();
    assert!(page.contains("class=\"open\"") && page.contains("</span>, not finished · "), "{page}");
}

#[test]
fn a_file_is_never_written_over() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"]);
    let report = [
        "report",
        "run",
        "sandbox-starter-failover-s1-1",
        "--sandbox",
        "--format",
        "html",
        "--out",
        "run.html",
    ];
    folder.ok(&report);
    assert!(std::fs::read_to_string(folder.path().join("run.html")).unwrap().contains("Failover of starter"));
    let (code, _, err) = folder.run(&report);
    assert!(code == 2 && err.contains("never overwrites it"), "{code}: {err}");
}

/// Times are not wrapped, so the table of steps needs landscape pages: in portrait its last column was cut off.
#[test]
fn a_run_is_printed_on_the_longer_side() {
    let page = include_str!("../../../src/report/run.html");
    let times_stay_whole = page.contains(".steps td:nth-child(5) { white-space: nowrap;");
    assert!(times_stay_whole && page.contains("@page { size: landscape;"));
}

/// Nine points are the minimum for paper: 12 CSS pixels.
#[test]
fn no_text_of_a_report_is_smaller_than_nine_points() {
    let pages = [
        ("run", include_str!("../../../src/report/run.html")),
        ("compliance", include_str!("../../../src/report/compliance/page.html")),
    ];
    for (name, page) in pages {
        let mut seen = 0;
        for (at, _) in page.match_indices("font") {
            let rule: String = page[at..].chars().take_while(|c| !matches!(c, ';' | '}' | '"')).collect();
            let numbers = rule.split([' ', ':', '/']);
            for number in numbers {
                let size = |unit: &str, px: f64| Some(number.strip_suffix(unit)?.parse::<f64>().ok()? * px);
                // Sizes relative to their context are used in tables, whose text is 0.88 of the page's.
                let px = size("px", 1.0).or_else(|| size("rem", 16.0)).or_else(|| size("em", 16.0 * 0.88));
                if let Some(px) = px {
                    seen += 1;
                    assert!(px >= 12.0, "{name}: {rule} is {px} px");
                }
            }
        }
        assert!(seen > 4, "{name}: {seen}");
    }
}

/// Every form of the report warns that no second site could take over.
#[test]
fn a_lost_standby_is_a_warning_in_every_form() {
    let folder = Folder::with_plans();
    let to = ["failover", "truststream", "--sandbox=region-lost", "--to", "us-east-1", "--yes"];
    folder.run(&to);
    let run = "sandbox-truststream-failover-s1-1";
    let report = |format: &str| folder.ok(&["report", "run", run, "--sandbox", "--format", format]);
    for (format, words) in [
        (
            "md",
            "> **UNPROTECTED**: no standby follows db; run `drctl reprotect truststream --to us-west-2 --sandbox`, or `drctl failback ",
        ),
        (
            "html",
            "<b>UNPROTECTED</b>: no standby follows db; run <code>drctl reprotect truststream --to us-west-2 --sandbox</code>, or <code>drctl failback ",
        ),
    ] {
        let page = report(format);
        assert!(page.contains(words), "{format}: {page}");
    }
}

/// Two servers may take writes. The page says so first, and what to do about it, as the screen does.
#[test]
fn a_pending_fence_is_the_first_warning_in_every_form() {
    let folder = Folder::with_plans();
    let to = ["failover", "truststream", "--sandbox=region-dark", "--to", "us-east-1", "--yes"];
    let waived = ["--waive", "unfenced-promotion", "--accept-data-loss", "5m", "--reason", "dark"];
    folder.run(&[&to[..], &waived].concat());
    let run = "sandbox-truststream-failover-s1-1";
    let report = |format: &str| folder.ok(&["report", "run", run, "--sandbox", "--format", format]);
    let (md, html) = (report("md"), report("html"));
    let words = "the old primary of db may still take writes. Keep clients away from it; ";
    let resume = format!("drctl runs resume {run} --sandbox");
    let back = "once us-west-2 is back, run ";
    let reprotect = "drctl reprotect truststream --to us-west-2 --sandbox";
    assert!(md.contains(&format!("> **FENCE PENDING**: {words}")), "{md}");
    assert!(md.contains(&format!("`{resume}`")) && md.contains(&format!("{back}`{reprotect}`")), "{md}");
    assert!(html.contains(&format!("<p class=\"banner bad\"><b>FENCE PENDING</b>: {words}")), "{html}");
    assert!(html.contains(&format!("<code>{resume}</code>")), "{html}");
    assert!(html.contains(&format!("{back}<code>{reprotect}</code>")), "{html}");
    let first = html.find("banner bad").unwrap();
    assert!(html[first..].starts_with("banner bad\"><b>FENCE PENDING"), "{html}");
    let titles: Vec<String> = crate::cli::contract::json(&report("json"))["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["title"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(titles, ["FENCE PENDING", "UNPROTECTED"]);
    let screen = folder.ok(&["runs", "show", run, "--sandbox"]);
    assert!(screen.contains(words) && screen.contains("once us-west-2 is back, run drctl"), "{screen}");
}

/// The page of a run that did not recover has the commands of the screen, says that users are not served, and offers no standby before.
#[test]
fn a_run_that_stands_still_has_the_same_ways_on_in_every_form() {
    for scenario in ["capacity-short", "replica-lagging"] {
        let folder = Folder::with_plans();
        let named = format!("--sandbox={scenario}");
        folder.run(&["failover", "truststream", &named, "--to", "us-east-1", "--yes"]);
        let run = "sandbox-truststream-failover-s1-1";
        let screen = folder.ok(&["runs", "show", run, "--sandbox"]);
        let (_, ways) = screen.split_once("  ways on\n").unwrap_or_else(|| panic!("{screen}"));
        let commands: Vec<&str> = ways.lines().map(str::trim).filter(|l| l.starts_with("drctl ")).collect();
        assert!(commands.len() > 1, "{screen}");
        let report = |format: &str| folder.ok(&["report", "run", run, "--sandbox", "--format", format]);
        let (md, html) = (report("md"), report("html"));
        let of_json = crate::cli::contract::json(&report("json"));
        let of_json: Vec<&str> = of_json["ways_on"]
            .as_array()
            .unwrap()
            .iter()
            .map(|way| way["command"].as_str().unwrap())
            .collect();
        assert_eq!(of_json, commands, "{scenario}");
        for command in &commands {
            assert!(md.contains(&format!("- `{command}`: ")), "{command}: {md}");
            assert!(html.contains(&format!("<li><code>{command}</code>: ")), "{command}: {html}");
        }
        for page in [&md, &html] {
            assert!(page.contains("users have not been served for at least "), "{page}");
            assert!(!page.contains("reprotect") && !page.contains("Next: "), "{page}");
        }
        folder.run(&["runs", "cancel", run, "--reason", "enough", "--yes", "--sandbox"]);
        let md = report("md");
        assert!(md.contains("> **NOT SERVED**: users have not been served for at least "), "{md}");
        let next = match scenario {
            "capacity-short" => {
                "In a live run, a failover of truststream to us-east-1 would complete the move."
            }
            _ => "repair us-west-2, or run `drctl failover truststream --to us-east-1 --sandbox` again",
        };
        assert!(md.contains(next) && !md.contains("drctl reprotect"), "{md}");
        assert_eq!(md.contains("> **GUARDS KEPT**: "), scenario == "capacity-short", "{md}");
    }
}

/// A duration stands beside its own bar, and a wait between two tries is no work.
#[test]
fn a_duration_is_beside_what_took_it() {
    let folder = Folder::with_plans();
    let to = ["failover", "truststream", "--sandbox=capacity-short", "--to", "us-east-1", "--yes"];
    folder.run(&to);
    let run = "sandbox-truststream-failover-s1-1";
    folder.run(&["runs", "resume", run, "--sandbox"]);
    let retried = crate::evidence::signatures::state_of(&folder, run);
    let twice: Vec<_> = summary::report(&retried, retried.last_at).steps;
    let twice: Vec<_> = twice.iter().filter(|step| step.tried_again_at.is_some()).collect();
    assert!(!twice.is_empty(), "a resume tries the failed step again");
    let picture = serde_json::to_value(gantt::draw(&retried)).unwrap();
    let row =
        |id: &str| picture["rows"].as_array().unwrap().iter().find(|row| row["id"] == *id).unwrap().clone();
    for step in &twice {
        let row = row(&step.id);
        assert!(row["first"]["x"].as_f64() < row["x"].as_f64(), "the bar is the last try: {row:#}");
    }
    folder.run(&["runs", "cancel", run, "--reason", "enough", "--yes", "--sandbox"]);
    let undone = crate::evidence::signatures::state_of(&folder, run);
    let picture = serde_json::to_value(gantt::draw(&undone)).unwrap();
    let rows = picture["rows"].as_array().unwrap().iter().filter(|row| !row["undo"].is_null());
    for row in rows {
        let number = |value: &serde_json::Value| value.as_f64().unwrap();
        let own = number(&row["x"]) + number(&row["width"]) + 4.0;
        assert!((number(&row["took_x"]) - own).abs() < 0.2, "{row:#}");
        let of = |id: &serde_json::Value| {
            undone.steps[undone.runbook.steps.iter().position(|s| *id == *s.id.as_str()).unwrap()].clone()
        };
        let undo = of(&row["id"]).undo.unwrap();
        let took = undo.ended_at.unwrap_or(undone.last_at).since(undo.started_at.unwrap());
        assert!(undo.ended_at.is_none() || row["undo"]["took"] == took.to_string(), "{row:#}");
    }
}

/// The last look of a halted run begins once nothing else is in progress, whatever it requires.
#[test]
fn the_last_look_of_a_halted_run_follows_what_stopped_it() {
    let folder = Folder::with_plans();
    let to = ["failover", "truststream", "--sandbox=capacity-short", "--to", "us-east-1", "--yes"];
    folder.run(&to);
    let halted = crate::evidence::signatures::state_of(&folder, "sandbox-truststream-failover-s1-1");
    let picture = serde_json::to_value(gantt::draw(&halted)).unwrap();
    let row = |id: &str| picture["rows"].as_array().unwrap().iter().find(|row| row["id"] == *id).unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let near = |a: f64, b: f64| (a - b).abs() < 0.2;
    let (failed, look) = (row("scale.nodes"), row("evidence.after"));
    let ends = |link: &&serde_json::Value| near(number(&link["y2"]), number(&look["y"]) + 8.0);
    let link = picture["links"].as_array().unwrap().iter().find(ends).unwrap();
    assert!(near(number(&link["y1"]), number(&failed["y"]) + 10.0), "{link:#} {failed:#}");
    assert!(
        near(number(&link["x1"]), number(&failed["x"]) + number(&failed["width"])),
        "{link:#} {failed:#}"
    );
    assert!(near(number(&link["x2"]), number(&look["x"])), "{link:#} {look:#}");
}

/// Runs of one time hid each other, and a short period had one mark on its axis of time.
#[test]
fn no_run_of_the_chart_hides_another() {
    let folder = Folder::with_plans();
    for seed in ["1", "2", "3"] {
        let to = ["failover", "truststream", "--sandbox=capacity-short", "--seed", seed, "--to", "us-east-1"];
        folder.run(&[&to[..], &["--yes"]].concat());
    }
    let html = folder.ok(&["report", "compliance", "--sandbox", "--format", "html"]);
    let chart = html.split("<svg").nth(1).unwrap().split("</svg>").next().unwrap();
    let part = |item: &str, name: &str| {
        let (_, rest) = item.split_once(&format!(" {name}=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let at =
        |item: &str| (part(item, "cx").parse::<f64>().unwrap(), part(item, "cy").parse::<f64>().unwrap());
    let dots: Vec<_> = chart.split("<circle").skip(1).map(at).collect();
    assert_eq!(dots.len(), 3, "{chart}");
    for (i, (x, y)) in dots.iter().enumerate() {
        assert!(dots[..i].iter().all(|(a, b)| (a - x).abs() >= 11.9 || (b - y).abs() >= 11.9), "{dots:?}");
    }
    assert!(chart.contains(">not recovered</text>"), "{chart}");
    let marks = chart.matches(">01-01 03:").count();
    assert!((2..=8).contains(&marks), "{marks}: {chart}");
}

/// A table that goes on to the next sheet needs its heads there. On a small screen only tables and charts scroll.
#[test]
fn tables_repeat_their_heads_and_scroll_by_themselves() {
    let page = include_str!("../../../src/report/run.html");
    assert_eq!(page.matches("<table").count(), page.matches("<div class=\"wide\"><table").count());
    assert!(page.contains("<div class=\"wide\"><svg"), "the chart stays readable");
    for table in page.split("<table").skip(1) {
        let first = table.split_once('>').unwrap().1.trim_start();
        assert!(first.starts_with("<thead>") || first.starts_with("<tr><th>Requested by"), "{first}");
    }
    assert!(
        page.contains("thead { display: table-header-group; }") && page.contains(".who, svg { break-inside")
    );
    let drawn = |what: &str| page.find(what).unwrap();
    assert!(drawn("in g.clocks") < drawn("in g.rows"), "a line that is drawn later crosses the durations");
}

/// One verdict has one colour in all reports.
#[test]
fn an_objective_that_is_not_proven_is_no_failure() {
    let page = include_str!("../../../src/report/run.html");
    assert!(
        page.contains(".not_proven { color: var(--warn); }")
            && page.contains(".missed { color: var(--bad); }")
    );
}

/// A time in three lines is hard to read, and a name and a date need room to be written by hand.
#[test]
fn times_stay_on_one_line_and_signatures_have_room() {
    let folder = Folder::with_plans();
    folder.ok(&["failover", "starter", "--sandbox", "--to", "us-east-1", "--yes"]);
    let page = folder.ok(&["report", "compliance", "--sandbox", "--format", "html"]);
    assert!(page.contains("<td><span class=\"at\">2026-01-01 03:0"), "{page}");
    assert!(
        page.contains(".at { white-space: nowrap; }") && page.contains("<table class=\"sign\">"),
        "{page}"
    );
    assert_eq!(page.matches("<svg").count(), page.matches("<div class=\"wide\"><svg").count());
}
