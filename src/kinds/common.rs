//! Keys that every component has.

use crate::model::shape::{Field, Keys, Shape, opt, req};

/// The objectives.
pub const OBJECTIVES: Keys = Keys {
    name: "objectives",
    fields: &[
        req("rto", Shape::Duration, "recovery time objective: how long users may be without the application"),
        req("rpo", Shape::Duration, "recovery point objective: how many minutes of writes may be lost"),
        opt("drill_every", Shape::Duration, "how often a drill must prove the objectives"),
    ],
};

/// Its kind.
pub const KIND: Field = req("kind", Shape::Name, "how drctl recovers the component");

/// The components that it needs in order to serve.
pub const NEEDS: Field =
    opt("needs", Shape::List(&Shape::Name), "components that this one cannot serve without");

/// Its own objectives.
pub const OWN_OBJECTIVES: Field =
    opt("objectives", Shape::Keys(&OBJECTIVES), "objectives that differ from those of the plan");
