//! Commands of plans: what runs on this machine.

use super::{Field, Record, Shape, opt, req};

pub(super) const COMMAND: Field =
    req("command", Shape::List(&Shape::Text), "program and arguments; no shell");
pub(super) const IDEMPOTENT: Field =
    opt("idempotent", Shape::Bool, "whether running it twice is as good as once; false if absent");
pub(super) const ENV: Field = opt(
    "env",
    Shape::List(&Shape::Name),
    "variables that it is given beside PATH, HOME, LANG, TZ and DRCTL_IDEMPOTENCY_KEY: names, no values",
);
pub(super) const TIMEOUT: Field = opt("timeout", Shape::Duration, "how long it may take; 5m if absent");

pub(super) const HOOK: Record = Record {
    name: "hook",
    fields: &[
        req("at", Shape::Name, "before or after a phase, for example after.promote or before.redirect.www"),
        req("name", Shape::Name, "its name"),
        req("step", Shape::Record(&HOOK_STEP), "what it does"),
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
            "the kind of change that it makes, for which policy.changes says who agrees before it runs; without it a planned move asks before it runs, and a failover does not",
        ),
    ],
};
pub(super) const HOOK_STEP: Record = Record { name: "step", fields: &[COMMAND, IDEMPOTENT, TIMEOUT, ENV] };
