//! Commands of plans: what runs on this machine.

use super::{Field, Keys, Shape, opt, req};

pub(super) const COMMAND: Field =
    req("command", Shape::List(&Shape::Text), "program and arguments; no shell");
pub(super) const IDEMPOTENT: Field =
    opt("idempotent", Shape::Bool, "true if a second run has no further effect; false if absent");
pub(super) const ENV: Field = opt(
    "env",
    Shape::List(&Shape::Name),
    "names of environment variables to pass in addition to PATH, HOME, LANG, TZ and DRCTL_IDEMPOTENCY_KEY",
);
pub(super) const TIMEOUT: Field = opt("timeout", Shape::Duration, "the timeout; 5m if absent");

pub(super) const HOOK: Keys = Keys {
    name: "hook",
    fields: &[
        req("at", Shape::Name, "before or after a phase, for example after.promote or before.redirect.www"),
        req("name", Shape::Name, "its name"),
        req("step", Shape::Keys(&HOOK_STEP), "a description"),
        opt("on_failure", Shape::OneOf(&["halt", "continue"]), "halt if absent"),
        opt(
            "change",
            Shape::OneOf(&[
                "database",
                "dns",
                "configuration",
                "deployment",
                "older_deployment",
                "policy",
                "state",
                "none",
            ]),
            "the kind of change that the command makes; policy.changes says who must approve it. Without this key, a planned move asks for approval before the command, and a failover does not",
        ),
    ],
};
pub(super) const HOOK_STEP: Keys = Keys { name: "step", fields: &[COMMAND, IDEMPOTENT, TIMEOUT, ENV] };
