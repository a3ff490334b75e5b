//! The only integration-test binary.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test that cannot go on fails, says why, and may look at the machine it runs on"
)]

mod accepted;
mod advisories;
mod after_the_end;
mod answered;
mod asked_to_accept;
mod assess;
mod audit;
mod auditors;
#[cfg(feature = "aws")]
#[path = "../../benches/stub/main.rs"]
#[allow(dead_code, reason = "here its own tests run; its main serves the benchmarks")]
mod aws_stub;
mod believed;
mod broken_plans;
mod broken_settings;
mod brought_to_a_stop;
mod buckets;
mod cancelled;
#[cfg(feature = "postgres")]
mod census;
mod cli;
mod clients;
mod clocks;
mod clusters;
mod completions;
mod compliance;
mod continued;
mod controls;
mod copied;
mod decided;
mod docs;
mod doctor;
mod documents;
mod doubts;
mod drills;
mod ecs;
mod ended_badly;
mod evidence;
mod figures;
mod file_circles;
mod forged;
mod gates;
mod golden;
mod groups;
mod guards;
mod handed_on;
mod hard_cases;
#[cfg(all(feature = "http", feature = "mail"))]
mod herald;
mod history;
mod hostile_journals;
mod hostile_text;
mod hostile_yaml;
mod house_rules;
mod imported_runs;
#[cfg(all(feature = "http", feature = "mail"))]
mod inboxes;
mod journals;
mod judged;
mod judged_run;
mod judged_things;
mod killed;
mod kills;
mod late;
mod late_bound;
mod late_settings;
mod leaks;
mod left_behind;
mod letters;
#[cfg(feature = "aws")]
mod live;
mod lived;
mod living;
mod loss;
mod managed;
mod matrix;
mod mistyped;
mod moved_stores;
mod moves;
mod named_files;
mod named_runs;
mod notices;
mod objectives;
mod objects;
mod operations;
mod oracle;
mod overdue;
mod overridden;
mod owed;
mod pages;
mod paper;
mod policy;
#[cfg(any(feature = "aws", all(feature = "http", feature = "mail")))]
mod ports;
mod put_back;
mod random;
mod read_once;
mod readiness;
mod refusals;
mod restarts;
mod restored;
mod resume;
mod rig;
mod schedules;
mod serve;
mod several;
mod severities;
mod shop;
mod signed;
mod signs;
mod simulation;
mod sinks;
mod standing;
mod standing_still;
mod statements;
mod steered;
mod stops;
#[cfg(feature = "aws")]
mod stub_wire;
#[cfg(feature = "aws")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(all(feature = "http", feature = "mail"))]
mod telemetry;
mod terminals;
mod terms;
mod told_alike;
mod told_whole;
mod traces;
mod transitions;
mod ttl;
mod undone;
mod unread;
mod unreplicated;
mod variables;
mod verified;
mod waived;
mod ways_on;
mod windows;
mod without_drctl;
mod worst;

// Secrets, go-bags, commands of plans, logs.
mod disguises;
mod hooks;
mod kits;
mod logs;
mod scrubbed;
