//! What a step established, in the line about its end.

use crate::kinds::Fact;
use crate::model::plain::{count, line};

/// The words for a fact; `None` for those that only programs need.
pub fn words(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::Fenced { method, proof, .. } => format!("proven by {} ({proof})", method.id()),
        Fact::Exposure(e) if e.grows => {
            format!("may lose {} by now, and more with every second ({})", e.at(e.taken_at), e.because)
        }
        Fact::Exposure(e) => format!("may lose {} ({})", e.at(e.taken_at), e.because),
        Fact::Capacity { in_service, wanted, .. } => format!("{in_service} of {wanted} in service"),
        Fact::Wrote { server, .. } => format!("wrote a row to {server} and read it back"),
        Fact::Switched { old_ttl_ms, .. } => {
            format!("INSYNC; resolvers may keep the old answer for {old_ttl_ms}")
        }
        Fact::Answered { right, tail, silent } => {
            let some = |what: &str, who: &[String]| match who {
                [] => String::new(),
                who => format!("; {what}: {}", who.join(", ")),
            };
            let kept = some("longer than the TTL", tail);
            format!(
                "{}{kept}{}",
                count(*right, "answer is right|answers are right"),
                some("no answer", silent)
            )
        }
        Fact::Rejoined { server, diverged: None, .. } => format!("{server} streams"),
        Fact::Rejoined { server, diverged: Some(d), .. } => match d.transactions {
            Some(n) => {
                let many = count(n, "transaction was|transactions were");
                format!("{server} streams; {many} only there, kept in {}", d.kept)
            }
            None => format!("{server} streams; the old data was not compared and is kept in {}", d.kept),
        },
        Fact::Restore { found, .. } => crate::report::restore::sentence(found)?,
        Fact::Identity { arn, .. } => arn.clone(),
        Fact::Compared { found, .. } => found.to_string(),
        Fact::Ran { tail } if !tail.is_empty() => line(tail),
        Fact::Seen { .. } | Fact::Ran { .. } => return None,
    })
}
