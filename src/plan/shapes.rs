//! The shape of `plans/*.yaml` and of `drctl.yaml`.

use super::build::probes::PROBE;
use crate::kinds::common::OBJECTIVES;
use crate::kinds::shared::command::{COMMAND, ENV, IDEMPOTENT, REHEARSAL, TIMEOUT};
use crate::kinds::{KINDS, cloud};
use crate::model::place::CloudProvider;
use crate::model::shape::{Keys, Shape, opt, req};

mod settings;

pub use self::settings::SETTINGS;

const SITE: Keys = Keys {
    name: "site",
    fields: &[
        opt("cloud", Shape::OneOf(CloudProvider::NAMES), "the provider; aws if absent"),
        opt("region", Shape::Name, "the region; the site's name if absent"),
        opt("account", Shape::Text, "the account or project; preflight refuses credentials of another one"),
        cloud::ROLE,
        cloud::EXTERNAL_ID,
        opt("recovery", Shape::Bool, "false: never a recovery target"),
    ],
};

const GATE: Keys = Keys {
    name: "gate",
    fields: &[
        req("at", Shape::OneOf(&["promote", "redirect"]), "the phase that waits for it"),
        req("approval", Shape::Prose, "the question"),
        opt(
            "expires_after",
            Shape::Duration,
            "how long the approval request is valid; 30m if absent. An expired request never counts as an approval",
        ),
        opt(
            "by",
            Shape::List(&Shape::Text),
            "roles that must approve, each by a different person; if absent, anybody except the requester",
        ),
    ],
};
const GROUP: Keys = Keys {
    name: "group",
    fields: &[
        req("components", Shape::List(&Shape::Name), "the stores of the group"),
        opt("gate", Shape::OneOf(&["together"]), "one loss gate: drctl promotes all or none"),
    ],
};
const WATCH: Keys = Keys {
    name: "watch",
    fields: &[req("for", Shape::Duration, "how long drctl watches the application after the recovery")],
};

const HOOK: Keys = Keys {
    name: "hook",
    fields: &[
        req("at", Shape::Name, "before or after a phase, for example after.promote or before.redirect.www"),
        req("name", Shape::Name, "its name"),
        req("step", Shape::Keys(&HOOK_STEP), "the command that the hook runs"),
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
            "the kind of change that the command makes; policy.changes says who must approve it. Without this key, every run but a failover asks for approval before the command",
        ),
    ],
};
const HOOK_STEP: Keys = Keys { name: "step", fields: &[COMMAND, IDEMPOTENT, TIMEOUT, ENV, REHEARSAL] };

/// A plan file.
pub const PLAN: Keys = Keys {
    name: "plan",
    fields: &[
        req("plan", Shape::Name, "the name of the application"),
        opt("owner", Shape::Prose, "the team responsible for it"),
        opt("tier", Shape::Name, "the recovery class in drctl.yaml"),
        opt("objectives", Shape::Keys(&OBJECTIVES), "objectives that differ from those of the tier"),
        opt("after", Shape::List(&Shape::Name), "plans to recover first"),
        req("sites", Shape::Map(&Shape::Keys(&SITE)), "where the application can run"),
        opt("connections", Shape::Map(&Shape::Keys(&SITE)), "what does not belong to a site: zones, edges"),
        req("home", Shape::Name, "the site that failback goes to"),
        req("components", Shape::Map(&Shape::ByKind(KINDS)), "what drctl recovers"),
        opt("probes", Shape::List(&Shape::Keys(&PROBE)), "how drctl knows that the application works"),
        opt("groups", Shape::Map(&Shape::Keys(&GROUP)), "stores that drctl promotes together or not at all"),
        opt("gates", Shape::Map(&Shape::Keys(&GATE)), "approvals at a phase"),
        opt("watch", Shape::Keys(&WATCH), "how long drctl watches a recovery"),
        opt("hooks", Shape::List(&Shape::Keys(&HOOK)), "commands before or after a phase"),
        opt("procedures", Shape::Map(&Shape::Any), "named runbooks; not yet"),
        opt("mode", Shape::OneOf(&["active_passive", "active_active"]), "active_active: not yet"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::syntax::Syntax;

    /// Every syntax that a value of this shape may have.
    fn syntaxes(shape: &Shape, found: &mut Vec<&'static Syntax>) {
        match shape {
            Shape::Written(syntax) | Shape::Secret(syntax) => found.push(*syntax),
            Shape::List(inner) | Shape::Map(inner) => syntaxes(inner, found),
            Shape::Keys(keys) => keys.fields.iter().for_each(|field| syntaxes(&field.shape, found)),
            Shape::ByKind(cases) => {
                cases
                    .iter()
                    .flat_map(|case| case.keys.fields)
                    .for_each(|field| syntaxes(&field.shape, found));
            }
            Shape::Either(one, other) => [one, other].into_iter().for_each(|shape| syntaxes(shape, found)),
            Shape::Text
            | Shape::Prose
            | Shape::Name
            | Shape::Duration
            | Shape::Percent
            | Shape::Bool
            | Shape::Int(..)
            | Shape::OneOf(_)
            | Shape::Any => {}
        }
    }

    #[test]
    fn examples_fit_and_nothing_fits_that_is_empty_or_longer() {
        let mut found = Vec::new();
        for field in PLAN.fields.iter().chain(SETTINGS.fields) {
            syntaxes(&field.shape, &mut found);
        }
        assert!(found.len() > 20, "{}", found.len());
        for syntax in found {
            assert!(syntax.fits(syntax.example), "{}", syntax.name);
            assert!(!syntax.fits(""), "{}", syntax.name);
            assert!(!syntax.fits(&syntax.example.repeat(3_000)), "{}", syntax.name);
        }
    }
}
