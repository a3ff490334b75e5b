//! A plan whose names move in different ways: a database, and `www`, which needs it.

use drctl::record::event::Event;

use crate::run::resume::events;
use crate::support::rig::{Notes, Rehearsed};

const HEAD: &str = r#"plan: shop
objectives: {rto: 15m, rpo: 5m}
sites: {west: {region: us-west-2}, east: {region: us-east-1}}
connections: {dns: {}}
home: west
components:
  db:
    kind: aws.rds
    fence: [sql, security_group]
    at:
      west: {id: shop-west, fence_group: sg-w, admin: {secret: "aws-sm:a"}}
      east: {id: shop-east, fence_group: sg-e, admin: {secret: "aws-sm:a"}}
    verify: {sql_write: {table: drctl_canary}}
"#;
const TAIL: &str = r#"probes:
  - {name: app, role: public, http: "https://www.shop.example/", every: 5s, timeout: 3s}
watch: {for: 1m}
"#;

/// With this component `www`.
pub fn shop(www: &str) -> String {
    format!("{HEAD}{www}{TAIL}")
}

/// Without a database there is no irreversible promotion.
pub fn names_only(www: &str) -> String {
    let sites = &HEAD[..HEAD.find("  db:").unwrap()];
    format!("{sites}{www}{TAIL}").replace("    needs: [db]\n", "")
}

/// With another component whose names would move together with `www`.
pub fn two_moved_at_once(www: &str) -> String {
    let api = www.replacen("  www:", "  api:", 1).replace("www.shop", "api.shop");
    format!("{HEAD}{www}{api}{TAIL}")
}

/// The changes of the estate up to the first event of this kind, and the number of events until then.
pub fn until(done: &Rehearsed, is: impl Fn(&Event) -> bool) -> (usize, Notes) {
    let events = events(done);
    let n = events.iter().position(is).unwrap();
    let done_by = |at| at <= events[n].at;
    (n + 1, done.notes.iter().filter(|(at, _)| done_by(*at)).cloned().collect())
}
