//! A proxy that breaks calls on purpose, between the AWS SDK and LocalStack, and a port that never answers.
//!
//! A test starts a [`Proxy`] in front of LocalStack, gives [`Proxy::url`] to the SDK as endpoint, and adds [`Rule`]s. Each
//! request is read whole and becomes a [`Call`]. The first rule that fits it decides its [`Fault`]; without one it is
//! forwarded. What became of it can be read from [`Proxy::calls`].
//!
//! - `http`: messages of HTTP/1.1.
//! - `calls`: what a request says about itself: service, region, operation, target.
//! - `faults`: rules, limits, and fates that follow from a seed. Knows no socket and no clock.
//! - `answers`: errors in the words of each AWS protocol.
//! - `proxy`: sockets, threads, and what tests ask of them. `exchange`: one request and what becomes of it.

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
