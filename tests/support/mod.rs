//! A proxy that makes calls fail on purpose, between the AWS SDK and LocalStack, and a port that never answers.
//!
//! A test starts a [`Proxy`] in front of LocalStack, gives [`Proxy::url`] to the SDK as endpoint, and adds [`Rule`]s. Each request is read
//! as a whole and becomes a [`Call`]. The first rule that matches determines its [`Fault`]; without one it is forwarded. [`Proxy::calls`]
//! shows what happened.
//!
//! - `http`: messages of HTTP/1.1.
//! - `calls`: the content of a request: service, region, operation, target.
//! - `faults`: rules, limits, and faults from a seed, without sockets and clocks.
//! - `answers`: errors in the format of each AWS protocol.
//! - `proxy`: sockets, threads, and the interface for tests. `exchange`: one request and its outcome.

mod answers;
mod black_hole;
mod calls;
mod exchange;
mod faults;
mod http;
mod proxy;
mod selftest;

pub use black_hole::BlackHole;
pub use calls::{Call, Fate, mutates};
pub use faults::{Bucket, Fault, HoldPoint, Rule, RuleId, seeded_fault};
pub use proxy::{Held, Proxy};
