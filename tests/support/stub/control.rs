//! The stub's own interface for the benchmark, under `/_stub/`. These calls are not counted and take no time.

use std::fmt::Write as _;

use super::clock::Micros;
use super::http::Request;
use super::options::Options;
use super::router::State;
use super::stats::Stats;
use super::wire::Reply;

pub fn answer(path: &str, request: &Request<'_>, options: &Options, state: &mut State, now: Micros) -> Reply {
    match (request.method, path, request.query) {
        ("GET", "stats", "") => Reply::json(200, stats(state)),
        ("GET", "state", "") => Reply::json(200, census(state, now)),
        ("POST", "reset", "") => {
            *state = State::new(options, now);
            Reply::json(200, "{}\n".into())
        }
        ("POST", "reset", "only=stats") => {
            state.stats = Stats::default();
            Reply::json(200, "{}\n".into())
        }
        _ => Reply::json(
            404,
            "{\"error\":\"GET stats, GET state, POST reset, POST reset?only=stats\"}\n".into(),
        ),
    }
}

/// Whether a path is of this kind; such a call is answered at once.
pub fn is_control(request: &Request<'_>) -> bool {
    request.path.starts_with("/_stub/")
}

/// Counts of calls, and the durations drawn since the estate was made. Times are milliseconds (since the Unix epoch).
fn stats(state: &State) -> String {
    let mut json = String::from("{");
    state.stats.json(&mut json);
    json.push_str(",\"durations_ms\":{\"promotion\":");
    state.estate.databases.promotions.json(&mut json);
    json.push_str(",\"group\":");
    state.estate.groups.changes.json(&mut json);
    json.push_str(",\"service\":");
    state.estate.services.changes.json(&mut json);
    json.push_str(",\"insync\":");
    state.estate.zones.changes.json(&mut json);
    json.push_str("}}\n");
    json
}

/// The counts of everything that a failover should have changed, so that a benchmark can check its result with one call.
fn census(state: &State, now: Micros) -> String {
    let (replicas, promoting, promoted) = state.estate.databases.census(now);
    let [west, east] = state.estate.groups.census(now);
    let [west_services, east_services] = state.estate.services.census(now);
    let [west_secrets, east_secrets] = state.estate.secrets.led_east();
    let (west_sets, east_sets, pending) = state.estate.zones.census(now);
    let mut json = String::new();
    let _ = write!(
        json,
        "{{\"databases\":{{\"replicas\":{replicas},\"promoting\":{promoting},\"promoted\":{promoted}}},\
         \"groups\":{{\"us-west-2\":{{\"wanting\":{},\"met\":{}}},\"us-east-1\":{{\"wanting\":{},\"met\":{}}}}},\
         \"services\":{{\"us-west-2\":{{\"wanting\":{},\"met\":{}}},\"us-east-1\":{{\"wanting\":{},\"met\":{}}}}},\
         \"secrets_to_us-east-1\":{{\"us-west-2\":{west_secrets},\"us-east-1\":{east_secrets}}},\
         \"weighted\":{{\"west\":{west_sets},\"east\":{east_sets}}},\"changes_pending\":{pending}}}",
        west.0, west.1, east.0, east.1, west_services.0, west_services.1, east_services.0, east_services.1,
    );
    json.push('\n');
    json
}
