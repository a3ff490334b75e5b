//! What can be typed to have drills held. Doc comments here are the help texts.

use clap::Args;

/// Below the help of `serve`.
pub const SERVE_HELP: &str = "A schedule is an entry of `schedules:` in drctl.yaml:

  schedules:
    copies: {plan: shop, drill: isolated, at: \"30 2 * * SUN\", zone: Europe/Prague, jitter: 20m}
    quarterly: {plan: shop, drill: live, at: \"0 6 1 1,4,7,10 *\", zone: Europe/Prague, late: 12h}

One process serves a store. It may die at any time: the next one holds what was due meanwhile, carries on what was begun, and
says what was missed. Drills are held one after the other.

Examples:
  drctl serve                                              until Ctrl-C or SIGTERM
  drctl serve --sandbox --until 2027-12-31T00:00:00Z       go through all of them, in a sandbox
  drctl schedules                                          what is due when, and what became of it";

/// For `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Answer `/healthz` and `/metrics` (Prometheus) there, for example 127.0.0.1:9184; whoever reaches it may read it
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<core::net::SocketAddr>,
    /// When to end, with a zone [default: never; in a rehearsal after a year]
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// When a rehearsal begins, with a zone [default: where the last one ended]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
}
