//! What name servers and resolvers answer, for a step that waits for them.

use super::{Verdict, waited};
use crate::model::facts::Fact;
use crate::model::state::{AnswersState, ServerAnswer};
use crate::model::time::{Dur, Timestamp};
use crate::run::state::RunState;

/// All of the zone's own servers that answer have to be right, or else all resolvers that do. Resolvers may keep the old answer for its TTL; those that keep it
/// longer are named, and waited for no longer.
pub(super) fn judge(
    state: &RunState,
    i: usize,
    resolvers_ttl: Option<Dur>,
    seen: &AnswersState,
    now: Timestamp,
) -> Verdict {
    let all = || seen.servers.iter();
    let wrong = |authoritative: bool| {
        all().find(move |s| s.authoritative == authoritative && s.right == Some(false)).map(words)
    };
    // From within a network that lets nobody ask the zone's servers, resolvers are all there is; they take a TTL longer.
    let asked = all().any(|s| s.authoritative && s.right.is_some());
    if let Some(wrong) = wrong(asked).filter(|_| asked || resolvers_ttl.is_none()) {
        return Verdict::Unclear(wrong);
    }
    if !all().any(|s| s.authoritative == asked && s.right == Some(true)) && resolvers_ttl.is_none() {
        let why = all().next().map_or_else(|| "none was found".to_owned(), words);
        return Verdict::Unclear(format!("nobody answers: {why}"));
    }
    if let (Some(ttl), Some(wrong)) = (resolvers_ttl, wrong(false))
        && !waited(state, i, now, ttl)
    {
        return Verdict::Unclear(wrong);
    }
    let named = |right: Option<bool>| {
        let mut names: Vec<_> = all().filter(|s| s.right == right).map(words).collect();
        names.dedup();
        names
    };
    let right = u32::try_from(all().filter(|s| s.right == Some(true)).count()).unwrap_or(u32::MAX);
    Verdict::Done(vec![Fact::Answered { right, tail: named(Some(false)), silent: named(None) }])
}

fn words(of: &ServerAnswer) -> String {
    match of.right {
        Some(_) => format!("{} answers for {}: {}", of.server, of.name, of.said),
        None => format!("{} says nothing of {}: {}", of.server, of.name, of.said),
    }
}
