//! The rules of a fence's security group. A group has only rules that allow traffic (Amazon VPC User Guide, «Security group rules»), so a
//! group that fences has none.

use super::method::FenceStage;

/// What a security group lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRules {
    /// Its inbound rules, in words: clients may pass by them.
    pub inbound: Vec<String>,
    /// Its outbound rules, in words: a server that connects to others, for example as a subscriber, may write what they send.
    pub outbound: Vec<String>,
}

impl GroupRules {
    /// Why a fence by this group proves nothing, if so. `rules` is `None` if the group does not exist.
    pub fn obstacle(group: &str, rules: Option<&Self>) -> Option<String> {
        let Some(Self { inbound, outbound }) = rules else {
            return Some(format!("security group {group} does not exist"));
        };
        let found: Vec<_> = [("inbound", inbound), ("outbound", outbound)]
            .into_iter()
            .filter(|(_, rules)| !rules.is_empty())
            .map(|(way, rules)| format!("{way}: {}", rules.join(", ")))
            .collect();
        (!found.is_empty()).then(|| {
            format!(
                "security group {group} has rules that let traffic through ({}). Remove every rule of this group; a new group has an outbound rule that AWS adds",
                found.join("; ")
            )
        })
    }
}

/// What a fence by security group has reached, if this is in the way: it is complete, and proves nothing.
pub fn with_obstacle(
    (stage, proof): (FenceStage, String),
    obstacle: Option<&String>,
) -> (FenceStage, String) {
    match (stage, obstacle) {
        (FenceStage::Proven, Some(obstacle)) => (FenceStage::Ineffective, obstacle.clone()),
        (stage, _) => (stage, proof),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_group_without_rules_fences() {
        let words = |rules: Option<&GroupRules>| GroupRules::obstacle("sg-1", rules);
        assert_eq!(words(Some(&GroupRules::default())), None);
        assert!(words(None).unwrap().contains("sg-1 does not exist"));
        let outbound = vec!["all traffic to 0.0.0.0/0".to_owned()];
        let said = words(Some(&GroupRules { outbound, ..GroupRules::default() })).unwrap();
        assert!(said.contains("(outbound: all traffic to 0.0.0.0/0)"), "{said}");
        let inbound = vec!["tcp 5432 from 10.0.0.0/8".to_owned()];
        let said = words(Some(&GroupRules { inbound, ..GroupRules::default() })).unwrap();
        assert!(said.contains("(inbound: tcp 5432 from 10.0.0.0/8)"), "{said}");
    }
}
