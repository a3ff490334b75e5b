//! The order of findings in every list and report: the worst first, and then by component.

use schemars::JsonSchema;
use serde::Serialize;

/// How much a finding matters. The worst is the least, so that it comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// It stops a recovery, or a promise was broken.
    Blocking,
    /// A risk, or something that is not known.
    Warning,
    /// For information.
    Note,
}

/// Something that is found.
pub trait Weighed {
    /// How much it matters.
    fn weight(&self) -> Weight;

    /// The component, or whatever else it is about.
    fn about(&self) -> &str;
}

/// Puts the worst finding first, and findings of the same weight in the order of components. Findings that are equal in both keep their
/// order.
pub fn worst_first(findings: &mut [impl Weighed]) {
    findings.sort_by(|a, b| (a.weight(), a.about()).cmp(&(b.weight(), b.about())));
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TestFinding(Weight, &'static str, u8);

    impl Weighed for TestFinding {
        fn weight(&self) -> Weight {
            self.0
        }

        fn about(&self) -> &str {
            self.1
        }
    }

    #[test]
    fn the_worst_comes_first_and_then_the_component() {
        let mut all = [
            TestFinding(Weight::Note, "db", 1),
            TestFinding(Weight::Warning, "www", 2),
            TestFinding(Weight::Blocking, "www", 3),
            TestFinding(Weight::Warning, "db", 4),
            TestFinding(Weight::Blocking, "db", 5),
            TestFinding(Weight::Warning, "db", 6),
        ];
        worst_first(&mut all);
        assert_eq!(all.map(|found| found.2), [5, 3, 4, 6, 2, 1]);
    }
}
