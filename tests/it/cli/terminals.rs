//! The terminal output for people: nothing overwrites a question, and lines fit.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use drctl::cli::wrap;

use crate::cli::contract::Folder;

/// The question for a site's name.
const QUESTION: &str = "Type the name of the target site of truststream:";

/// What a person types at a terminal.
#[derive(Clone, Copy)]
pub struct Typed<'a> {
    /// Before anything is shown.
    pub ahead: &'a str,
    /// Once this text is shown, and after this time: these keys.
    pub then: &'a [(&'a str, Duration, &'a str)],
}

/// Runs a command in a terminal. Returns the exit code and the raw output.
pub fn typed_at(command: &mut Command, typed: Typed<'_>) -> (i32, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdin.write_all(typed.ahead.as_bytes()).unwrap();
    let mut out = Vec::new();
    let mut some = [0; 4096];
    let mut then = typed.then.iter().peekable();
    loop {
        let count = stdout.read(&mut some).unwrap();
        if count == 0 {
            break;
        }
        out.extend_from_slice(&some[..count]);
        let next = then.next_if(|(text, _, _)| String::from_utf8_lossy(&out).contains(*text));
        if let Some((_, after, keys)) = next {
            std::thread::sleep(*after);
            stdin.write_all(keys.as_bytes()).unwrap();
        }
    }
    let status = child.wait().unwrap();
    (status.code().unwrap_or(-1), String::from_utf8_lossy(&out).into_owned())
}

/// drctl with these arguments in a terminal of this width.
fn in_a_terminal(folder: &Folder, columns: usize, args: &str) -> Command {
    let line = format!("stty cols {columns} rows 50; exec '{}' {args}", env!("CARGO_BIN_EXE_drctl"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(folder.path()).env_clear().env("NO_COLOR", "1");
    command.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs a command on a terminal of this width, with this input after the question. Returns the raw output.
fn seen(folder: &Folder, columns: usize, args: &str, typed: &str) -> String {
    // A person takes a while to answer; a status line would have been redrawn by then.
    let typed = format!("{typed}\n");
    let answer = [(QUESTION, Duration::from_millis(1_500), typed.as_str())];
    let (_, out) = typed_at(&mut in_a_terminal(folder, columns, args), Typed { ahead: "", then: &answer });
    out.replace('\r', "\n")
}

const PACED: &str = "failover truststream --to us-east-1 --sandbox=region-lost --pace 1000";

#[test]
fn nothing_is_drawn_over_a_question() {
    let shown = seen(&Folder::with_plans(), 120, PACED, "nowhere");
    let (before, after) = shown.split_once(QUESTION).unwrap_or_else(|| panic!("{shown}"));
    assert!(before.contains("observing the estate"), "there is a line at the bottom: {shown}");
    // What is confirmed is in sight, although the runbook has scrolled away.
    let above: Vec<&str> = before.lines().rev().filter(|line| !line.is_empty()).take(10).collect();
    let above = above.into_iter().rev().collect::<Vec<_>>().join(" ");
    assert!(above.contains("truststream, us-west-2 -> us-east-1: expected "), "{above}");
    assert!(above.contains("no return after promote.db"), "{above}");
    let until_answered = after.split("nowhere").next().unwrap();
    assert!(!until_answered.contains("observing the estate"), "{until_answered:?}");
    // Nor is any line of the runbook written after it.
    let behind = |line: &&str| line.contains("observing the estate") && line.contains("runbook");
    assert_eq!(before.lines().find(behind), None);
}

/// Nobody confirms a runbook that was not shown yet.
#[test]
fn what_is_typed_before_a_question_does_not_answer_it() {
    let folder = Folder::with_plans();
    let answer = [(QUESTION, Duration::from_millis(500), "nowhere\n")];
    let typed = Typed { ahead: "us-east-1\nus-east-1\n", then: &answer };
    let (code, shown) = typed_at(&mut in_a_terminal(&folder, 200, PACED), typed);
    let words = "not confirmed: `nowhere` was typed and `us-east-1` was asked for; nothing was done";
    assert!(code == 2 && shown.contains(words), "{code} {shown}");
    assert!(!shown.contains(" created, runbook "), "the run started: {shown}");
}

/// Whoever leaves in the middle of an outage is told so, with the command that continues, although the ID has scrolled away.
#[test]
fn a_second_interrupt_says_that_users_are_out_and_what_continues_the_run() {
    let folder = Folder::with_plans();
    let keys = [
        ("promote.db started", Duration::ZERO, "\u{3}"),
        ("Ctrl-C again stops at once", Duration::ZERO, "\u{3}"),
    ];
    let args = "failover truststream --to us-east-1 --sandbox=region-lost --yes --pace 40";
    let (code, shown) = typed_at(&mut in_a_terminal(&folder, 300, args), Typed { ahead: "", then: &keys });
    assert_eq!(code, 130, "{shown}");
    let last =
        shown.lines().rfind(|line| line.contains("STOPPED at once: ")).unwrap_or_else(|| panic!("{shown}"));
    let run = "sandbox-truststream-failover-s1-1";
    assert!(last.contains("STOPPED at once: users are not served; "), "{last}");
    assert!(last.contains("promote.db") && last.contains(" may still take effect; "), "{last}");
    let resume = format!("to continue run {run}: drctl runs resume {run} --sandbox");
    assert!(last.trim_end().ends_with(&resume), "{last}");
    // That command works.
    let (_, out, err) = folder.run(&["runs", "resume", run, "--sandbox"]);
    assert!(out.contains("RECOVERED"), "{out}{err}");
}

#[test]
fn lines_fit_the_terminal_and_commands_stay_whole() {
    let folder = Folder::with_plans();
    for columns in [40, 80] {
        let args = "failover truststream --to us-east-1 --yes --sandbox=capacity-short";
        let shown = seen(&folder, columns, args, "");
        assert!(shown.contains("HALTED"), "{shown}");
        for line in shown.lines() {
            let one_word = line.split_whitespace().count() < 2;
            assert!(one_word || wrap::columns(line) <= columns, "{columns}: `{line}` of\n{shown}");
        }
        // As a shell reads it: a command that is wider than the terminal continues after a backslash.
        let read = shown.split(" \\\n").map(str::trim_start).collect::<Vec<_>>().join(" ");
        let skip = "scale.nodes --reason TEXT --sandbox";
        assert!(
            read.lines().any(|line| line.contains("drctl runs skip ") && line.ends_with(skip)),
            "{shown}"
        );
    }
}

/// Findings too: `check` shows commands in its fixes.
#[test]
fn no_word_of_a_finding_is_broken_on_a_narrow_terminal() {
    let folder = Folder::with_plans();
    let settings = folder.path().join("plans/drctl.yaml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let without: Vec<_> = text.lines().filter(|line| !line.starts_with("sql:")).collect();
    std::fs::write(&settings, without.join("\n")).unwrap();
    let shown = |columns| {
        let shown = seen(&folder, columns, "check plans/truststream.yaml", "");
        let words = shown.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let wide = shown(110);
    assert!(wide.iter().any(|word| word.starts_with("https://")), "{wide:?}");
    assert_eq!(shown(40), wide);
}

#[test]
fn whoever_types_another_site_is_told_which_one_was_asked_for() {
    let shown = seen(&Folder::with_plans(), 200, PACED, "us-west-2");
    assert!(
        shown
            .contains("not confirmed: `us-west-2` was typed and `us-east-1` was asked for; nothing was done"),
        "{shown}"
    );
}

/// The status line always shows that an old primary may still take writes.
#[test]
fn the_live_line_says_that_a_fence_is_pending_for_as_long_as_it_is() {
    let folder = Folder::with_plans();
    let file = folder.path().join("plans/truststream.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("watch: {for: 2h}", "watch: {for: 10m}")).unwrap();
    let dark = "--sandbox=region-dark --waive unfenced-promotion --accept-data-loss 10m --reason dark";
    let start = format!("failover truststream --to us-east-1 --yes --pace 400 {dark}");
    let shown = seen(&folder, 160, &start, "");
    let live: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains("users out for ") || line.contains("served again"))
        .collect();
    let pending = |line: &&str| line.contains("FENCE PENDING: db");
    let first = shown.find("FENCE PENDING: db").unwrap_or_else(|| panic!("{shown}"));
    assert!(live.iter().filter(|l| pending(l)).count() > 1, "{live:#?}");
    assert!(pending(live.last().unwrap()), "{live:#?}");
    // Before the promotion nothing is pending.
    let asked = shown.find("promote.db started").unwrap();
    assert!(first > asked, "{shown}");
    let fenced =
        seen(&folder, 160, "failover truststream --to us-east-1 --yes --sandbox=region-lost --pace 400", "");
    assert!(!fenced.contains("FENCE PENDING"), "{fenced}");
}

#[test]
fn the_live_line_of_a_planned_move_names_no_objective_and_ticks_while_it_is_watched() {
    let move_it = "switchover truststream --to us-east-1 --sandbox=calm --yes --pace 1000";
    let shown = seen(&Folder::with_plans(), 40, move_it, "");
    let of = |words: &str| shown.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    assert!(!of("running for ").is_empty(), "{shown}");
    assert!(of("running for ").iter().all(|line| !line.contains("of RTO")), "{shown}");
    let mut ticks = of("watching until ");
    ticks.dedup();
    assert!(ticks.len() > 1, "{shown}");
}

/// A step whose call was refused waits. The live line says until when, also on a terminal of ordinary width.
#[test]
fn the_live_line_has_the_time_of_the_next_try() {
    let args = "failover truststream --to us-east-1 --yes --sandbox=dns-control-plane-down --pace 60";
    for columns in [80, 200] {
        let folder = Folder::with_plans();
        let file = folder.path().join("plans/truststream.yaml");
        let plan = std::fs::read_to_string(&file).unwrap();
        assert!(plan.contains("watch: {for: 2h}"));
        std::fs::write(&file, plan.replace("watch: {for: 2h}", "watch: {for: 1m}")).unwrap();
        let shown = seen(&folder, columns, args, "");
        let next = |line: &&str| line.contains("users out for ") && line.contains(": next try 03:");
        assert!(shown.lines().any(|line| next(&line)), "{shown}");
    }
}

/// The live line, the summary and `status` have one clock: from the start of the outage that a person declared.
#[test]
fn the_live_line_and_the_summary_count_from_the_same_start() {
    let folder = Folder::with_plans();
    let args = "failover truststream --to us-east-1 --yes --sandbox=capacity-short --pace 100 --outage-began 2026-01-01T02:50:00Z";
    let shown = seen(&folder, 200, args, "");
    let times = |words: &str, end: &str| {
        let of = |line: &str| Some(line.split_once(words)?.1.split_once(end)?.0.to_owned());
        shown.lines().filter_map(of).collect::<Vec<_>>()
    };
    let live = times("users out for ", " of RTO");
    let summary = times("users have not been served for at least ", ";");
    // The line is drawn once in a second, in which 100 virtual seconds pass. The declared start is ten minutes before the first failed probe.
    let minutes = |time: Option<&String>| {
        let text = time.unwrap_or_else(|| panic!("{shown}"));
        drctl::model::time::Dur::parse(text).unwrap().millis() / 60_000
    };
    let (live, summary) = (minutes(live.last()), minutes(summary.first()));
    assert!(live.abs_diff(summary) <= 6 && summary >= 20, "{live} and {summary}: {shown}");
    // The line runs ahead of the bound by what probes can be late, and the summary says so.
    assert!(shown.contains(" (lower bound: probes can be 15s late), as of "), "{shown}");
}

/// The status line shows which step fails, why, and its timeout, and no estimate that has passed already.
#[test]
fn the_live_line_names_the_step_that_holds_the_run_up_with_its_cause() {
    let args = "failover truststream --to us-east-1 --yes --sandbox=capacity-short --pace 100";
    let shown = seen(&Folder::with_plans(), 200, args, "");
    let failed = shown.find("scale.nodes failed").unwrap_or_else(|| panic!("{shown}"));
    let why: Vec<&str> = shown[..failed]
        .lines()
        .filter(|line| line.contains("\u{b7} scale.nodes ") && line.contains(" of at most "))
        .collect();
    assert!(why.iter().any(|line| line.contains(" of at most 10m: 2 of 4 in service")), "{why:#?}");
    assert!(why.iter().any(|line| line.contains("InsufficientInstanceCapacity")), "{why:#?}");
    let mut left: Vec<&str> = why
        .iter()
        .filter_map(|line| line.split("scale.nodes ").nth(1)?.split(" of at most").next())
        .collect();
    left.dedup();
    assert!(left.len() > 1, "the time does not move: {why:#?}");
    assert!(!why.last().unwrap().contains("about "), "{why:#?}");
    // On a terminal of ordinary width, the step is on the line as well: first the fence, because the promotion waits for it.
    let shown = seen(&Folder::with_plans(), 80, args, "");
    for step in ["fence.db.security_group", "promote.db", "scale.nodes"] {
        assert!(shown.contains(&format!("of RTO 15m \u{b7} {step} ")), "{step}: {shown}");
    }
    // A narrow one has the clock and the step.
    let shown = seen(&Folder::with_plans(), 40, args, "");
    for step in ["fence.db.security_group", "promote.db", "scale.nodes"] {
        let both = |line: &str| line.contains("out ") && line.contains(&format!(" \u{b7} {step}"));
        assert!(shown.lines().any(both), "{step}: {shown}");
    }
}

/// Without `--pace`, a rehearsal that asks a person waits in real time, and its clock goes on.
#[test]
fn a_rehearsal_without_a_pace_has_a_live_line_while_it_waits_for_a_person() {
    let args = "failover truststream --to us-east-1 --yes --sandbox=replica-lagging";
    // By then the line was drawn several times.
    let keys = [("exposure.db waits", Duration::from_secs(3), "\u{3}")];
    let typed = Typed { ahead: "", then: &keys };
    let (code, shown) = typed_at(&mut in_a_terminal(&Folder::with_plans(), 200, args), typed);
    assert_eq!(code, 4, "{shown}");
    let shown = shown.replace('\r', "\n");
    let mut live: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains("WAITS FOR A PERSON: exposure.db \u{b7} users out for "))
        .filter_map(|line| line.split("users out for ").nth(1))
        .collect();
    live.dedup();
    assert!(live.len() > 1, "{shown}");
}

/// A narrow live line has no room for the command that answers a wait. It stands above that line once, and again when it has scrolled away:
/// below each step, it would look as if that step asked.
#[test]
fn the_command_that_answers_a_wait_is_printed_again_only_after_a_screenful() {
    let args = "failover truststream --to us-east-1 --yes --sandbox=replica-lagging --pace 60";
    for columns in [40, 200] {
        let keys = [("scale.nodes done", Duration::from_secs(2), "\u{3}")];
        let typed = Typed { ahead: "", then: &keys };
        let (_, shown) = typed_at(&mut in_a_terminal(&Folder::with_plans(), columns, args), typed);
        let (_, waits) = shown.split_once("exposure.db waits").unwrap_or_else(|| panic!("{shown}"));
        let waits = waits.split("paused:").next().unwrap();
        assert!(waits.contains("scale.nodes done"), "{shown}");
        // The live line has a dot in front of the command.
        let printed: Vec<&str> = waits.split("    drctl runs resume ").collect();
        assert!(printed.len() > 1 && printed[1].contains("--waive exposure-above-rpo:db"), "{shown}");
        // An event has its time of day and the time since the start, and has up to four lines at 40 columns.
        let is_event = |line: &&str| line.contains("Z ") && line.contains(" +");
        let events = |text: &str| text.lines().filter(is_event).count();
        let least = if columns == 40 { 5 } else { 15 };
        let between = &printed[1..printed.len() - 1];
        assert!(between.iter().all(|text| events(text) >= least), "{columns}: {shown}");
    }
}

/// The objective and what the first Ctrl-C does are on the line as well.
#[test]
fn the_live_line_says_that_the_objective_is_missed_and_that_the_run_stops() {
    let folder = Folder::with_plans();
    let late = "failover truststream --to us-east-1 --yes --sandbox=capacity-short --pace 200 --outage-began 2026-01-01T02:40:00Z";
    let shown = seen(&folder, 120, late, "");
    let live = |line: &&str| line.contains("users out for 2") && line.contains(" of RTO 15m, MISSED");
    assert!(shown.lines().any(|line| live(&line)), "{shown}");
    let args = "failover truststream --to us-east-1 --yes --sandbox=region-lost --pace 60";
    let keys = [("promote.db started", Duration::ZERO, "\u{3}")];
    let typed = Typed { ahead: "", then: &keys };
    let (_, shown) = typed_at(&mut in_a_terminal(&folder, 120, args), typed);
    let stopping = |line: &str| line.contains("STOPPING after ") && line.contains(" \u{b7} users out for ");
    assert!(shown.split(['\r', '\n']).any(stopping), "{shown}");
}

/// Whoever follows a run of another process sees the same line, and at the end what stands in `runs show`.
#[test]
fn runs_watch_has_the_live_line_and_ends_with_the_headline_and_the_ways_on() {
    let folder = Folder::with_plans();
    let run = "sandbox-truststream-failover-s1-1";
    let begin = ["failover", "truststream", "--to", "us-east-1", "--yes", "--sandbox=capacity-short"];
    let driver = folder.start(&[&begin[..], &["--pace", "200"]].concat());
    let began = std::time::Instant::now();
    while folder.run(&["runs", "show", run, "--sandbox"]).0 != 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "the run never began");
        std::thread::sleep(Duration::from_millis(50));
    }
    let shown = seen(&folder, 160, &format!("runs watch {run} --sandbox"), "");
    driver.wait_with_output().unwrap();
    let live = |line: &&str| line.contains("users out for ") && line.contains(" of RTO 15m \u{b7} as of 03:");
    assert!(shown.lines().any(|line| live(&line)), "{shown}");
    let headline = shown.find("HALTED: users have not been served for ").unwrap_or_else(|| panic!("{shown}"));
    let end = &shown[headline..];
    assert!(end.contains("  stopped  scale.nodes") && end.contains("  ways on"), "{end}");
    for way in ["runs resume", "runs skip", "runs cancel"] {
        assert!(end.contains(&format!("drctl {way} {run}")), "{way}: {end}");
    }
}
