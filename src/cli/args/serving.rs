//! What can be typed to have drills held. Doc comments here are the help texts.

use clap::Args;

/// Below the help of `serve`.
pub const SERVE_HELP: &str = "Define schedules under `schedules:` in drctl.yaml:

  schedules:
    copies: {plan: shop, drill: isolated, at: \"30 2 * * SUN\", zone: Europe/Prague, jitter: 20m}
    quarterly: {plan: shop, drill: live, at: \"0 6 1 1,4,7,10 *\", zone: Europe/Prague, late: 12h}

One process serves a store. If it dies, the next one runs the drills that are due, continues the run in progress, and
says what was missed. Drills are held one after the other.

Examples:
  drctl serve                                              until Ctrl-C or SIGTERM
  drctl serve --sandbox --until 2027-12-31T00:00:00Z       rehearse all of them in the sandbox
  drctl drill schedules                                    show what is due, and the results";

/// For `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Serve `/healthz` and `/metrics` (Prometheus) at this address, for example 127.0.0.1:9184; there is no authentication
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<core::net::SocketAddr>,
    /// The end time, with a time zone [default: never; in a rehearsal after a year]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// The start time of a rehearsal, with a time zone [default: the last scheduled drill of the last rehearsal]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
}
