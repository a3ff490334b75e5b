//! What name servers and resolvers answer, for a step that waits for them.

use super::waited;
use crate::kinds::aws::route53::{AnswersState, ServerAnswer};
use crate::kinds::{Fact, Judged};
use crate::model::time::{Dur, Timestamp};
use crate::run::state::RunState;

/// All of the zone's own servers that answer have to be right, or else all resolvers that do. Resolvers may keep the old answer for
/// its TTL; those that keep it longer are named, and waited for no longer.
pub(super) fn judge(
    state: &RunState,
    i: usize,
    resolvers_ttl: Option<Dur>,
    seen: &AnswersState,
    now: Timestamp,
) -> Judged {
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
        && !waited(state, i, now, ttl)
    {
        return Judged::Unclear(why);
    }
    let named = |right: Option<bool>| {
        let mut names: Vec<_> = all().filter(|s| s.right == right).map(words).collect();
        names.dedup();
        names
    };
    let right = u32::try_from(all().filter(|s| s.right == Some(true)).count()).unwrap_or(u32::MAX);
    // Before the TTL is over nobody keeps anything too long.
    let tail = if resolvers_ttl.is_some() { named(Some(false)) } else { Vec::new() };
    Judged::Done(vec![Fact::Answered { right, tail, silent: named(None) }])
}

/// Why a name is not known to lead where it should. From within a network that lets nobody ask the zone's servers resolvers are all there
/// is; they take a TTL longer.
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
