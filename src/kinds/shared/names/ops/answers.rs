//! A look at the answers of name servers as an operation.

use crate::kinds::effects::has_no_such_effect;
use crate::kinds::facts::Fact;
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, only_observes};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::shared::names::answers::{Answers, AnswersState, ServerAnswer, Wanted};
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::{Call, asked, call, quoted};
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{LOOKS, Properties};
use crate::model::time::Dur;

has_no_such_effect!(Answers);

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
