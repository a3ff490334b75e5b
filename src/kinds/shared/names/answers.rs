//! The answers of name servers and resolvers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kinds::op::{Op, only_observes};
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::{Called, Fact, Judged, Progress, State, Target};
use crate::model::call::{Call, asked, call, quoted};
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::plain::count;
use crate::model::properties::{LOOKS, Properties};
use crate::model::time::Dur;

/// The answers of name servers and resolvers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswersState {
    /// The answer of each server for each name.
    pub servers: Vec<ServerAnswer>,
}

/// The answer of one server for one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerAnswer {
    /// The server.
    pub server: String,
    /// Whether it is one of the zone's own name servers, which have the current answer.
    pub authoritative: bool,
    /// The name.
    pub name: String,
    /// Whether the answer is the expected one; `None` if there is no answer.
    pub right: Option<bool>,
    /// The answer, or the reason why there is none.
    pub said: String,
}

/// The expected answer for a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// The name.
    pub name: String,
    /// `A` and so on.
    pub rtype: String,
    /// The expected values, sorted; empty for an alias.
    pub values: Vec<String>,
    /// The target of an alias, whose values are expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// Waits until name servers give the expected answer, and resolvers do as well or have had the time to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answers {
    /// The names and their expected answers.
    pub names: Vec<Wanted>,
    /// The maximum time to wait for resolvers: the old TTL. Without it, the zone's own name servers must be right, or, if none of them can
    /// be reached from here, every resolver that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolvers_ttl_ms: Option<Dur>,
}

impl Op for Answers {
    fn properties(&self) -> Properties {
        LOOKS
    }

    /// Name servers are queried from wherever drctl runs.
    fn place(&self) -> Option<&Place> {
        None
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::Answers { names: self.names.clone() }
    }

    fn judge(&self, seen: &State, of: &Progress<'_>) -> Judged {
        match seen {
            State::Answers(seen) => judge(self.resolvers_ttl_ms, seen, of),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    only_observes!();

    /// A health check requests every 10 or 30 s, and changes its state after the configured number of results, at most 10 (Amazon Route 53
    /// API Reference, `HealthCheckConfig`).
    fn estimate(&self) -> Estimate {
        match self.resolvers_ttl_ms {
            None => Estimate::new(Dur::secs(90), Dur::mins(10)),
            Some(ttl) => Estimate::new(ttl, ttl.plus(Dur::mins(2))),
        }
    }

    fn calls(&self) -> Vec<Call> {
        let server =
            if self.resolvers_ttl_ms.is_some() { "each resolver" } else { "each server of the zone" };
        let server = asked("SERVER", server);
        let ask = |n: &Wanted| {
            let text = format!("dig @{server} {} {}", quoted(&n.name), n.rtype);
            call("dns", "query", "this machine", false, text)
        };
        self.names.iter().map(ask).collect()
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = count(self.names.len(), "name");
        match self.resolvers_ttl_ms {
            None => write!(f, "check that the name servers of the zone send users there, for {names}"),
            Some(ttl) => write!(f, "query resolvers for {names}, for at most {ttl}"),
        }
    }
}

/// All of the zone's own name servers that answer must be right, or else all resolvers that answer. Resolvers may keep the old answer for
/// its TTL; those that keep it longer are reported, but not waited for.
fn judge(resolvers_ttl: Option<Dur>, seen: &AnswersState, of: &Progress<'_>) -> Judged {
    let all = || seen.servers.iter();
    let mut names: Vec<&str> = all().map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Judged::Unclear("no server was queried".to_owned());
    }
    if resolvers_ttl.is_none()
        && let Some(why) = names.iter().find_map(|name| unproven(seen, name))
    {
        return Judged::Unclear(why);
    }
    if let Some(wrong) = all().find(|s| s.authoritative && s.right == Some(false)) {
        return Judged::Unclear(words(wrong));
    }
    let late = || all().find(|s| !s.authoritative && s.right == Some(false)).map(words);
    if let (Some(ttl), Some(why)) = (resolvers_ttl, late())
        && !of.waited(ttl)
    {
        return Judged::Unclear(why);
    }
    let named = |right: Option<bool>| {
        let mut names: Vec<_> = all().filter(|s| s.right == right).map(words).collect();
        names.dedup();
        names
    };
    let right = u32::try_from(all().filter(|s| s.right == Some(true)).count()).unwrap_or(u32::MAX);
    // Before the TTL has passed, no resolver keeps an answer too long.
    let tail = if resolvers_ttl.is_some() { named(Some(false)) } else { Vec::new() };
    Judged::Done(vec![Fact::Answered { right, tail, silent: named(None) }])
}

/// Why the answer for a name is not proven. In a network that blocks queries to the zone's servers, only resolvers can be asked, which
/// takes one TTL longer.
fn unproven(seen: &AnswersState, name: &str) -> Option<String> {
    let of_name = || seen.servers.iter().filter(|s| s.name == name);
    let asked = of_name().any(|s| s.authoritative && s.right.is_some());
    let mut counts = of_name().filter(|s| s.authoritative == asked);
    match counts.clone().find(|s| s.right == Some(false)) {
        Some(wrong) => Some(words(wrong)),
        None if counts.any(|s| s.right == Some(true)) => None,
        None => {
            let why = of_name().next().map_or_else(|| "no server was found".to_owned(), words);
            Some(format!("no name server answers for {name}: {why}"))
        }
    }
}

fn words(of: &ServerAnswer) -> String {
    match of.right {
        Some(_) => format!("{} answers for {}: {}", of.server, of.name, of.said),
        None => format!("{} has no answer for {}: {}", of.server, of.name, of.said),
    }
}
