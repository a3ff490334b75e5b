//! The commands in the report of a rehearsal. Whoever copies one must not start a live command.

use crate::record::event::WorldKind;
use crate::run::RunState;

const PROGRAM: &str = "drctl ";

/// Commands that sentences name without the world. Those about the run itself have it already.
const VERBS: &[&str] =
    &["failback", "failover", "observe", "ready", "reprotect", "restore", "serve", "status", "switchover"];

/// A text of the report. In that of a rehearsal, each command has the option for rehearsals.
pub(super) fn typed(state: &RunState, text: &str) -> String {
    match state.created.world {
        WorldKind::Live => text.to_owned(),
        WorldKind::Sandbox { .. } => rehearsed(text),
    }
}

fn rehearsed(text: &str) -> String {
    let mut parts = text.split(PROGRAM);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let word = part.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let lacks = VERBS.contains(&word) && !part.contains("--sandbox");
        out.push_str(PROGRAM);
        out.push_str(if lacks { "--sandbox " } else { "" });
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_of_a_rehearsal_names_its_world_once() {
        for (said, expected) in [
            ("drctl serve tries to fence it", "drctl --sandbox serve tries to fence it"),
            ("then drctl reprotect changes it", "then drctl --sandbox reprotect changes it"),
            ("drctl failback shop; drctl status", "drctl --sandbox failback shop; drctl --sandbox status"),
            ("drctl failover shop --to east --sandbox", "drctl failover shop --to east --sandbox"),
            ("drctl --sandbox ready", "drctl --sandbox ready"),
            ("drctl restores it, and drctl keeps waiting", "drctl restores it, and drctl keeps waiting"),
        ] {
            assert_eq!(rehearsed(said), expected);
        }
    }
}
