//! Fences by security group: what the rules of the group let through.
//!
//! Source: Amazon EC2 API Reference (`DescribeSecurityGroups`, `IpPermission`).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Filter, IpPermission};

use super::Aws;
use super::error::Failure;
use crate::inventory::Observation;
use crate::kinds::shared::database::DatabaseRef;
use crate::kinds::shared::fence::{FenceStage, FenceState, GroupRules, with_obstacle};
use crate::kinds::{State, Target};
use crate::model::place::Place;

/// Values of one filter at most (Amazon EC2 User Guide, «List and filter your resources»).
const VALUES: usize = 200;

/// The rules of each group that exists.
pub(super) type Rules = BTreeMap<String, GroupRules>;

impl Aws {
    /// The rules of the groups that these fences attach.
    pub(super) async fn group_rules(&self, place: &Place, targets: &[&Target]) -> Result<Rules, Failure> {
        let group = |t: &&Target| match *t {
            Target::Fence { db, .. } => db.fence_group.clone(),
            _ => None,
        };
        let ids: Vec<String> =
            targets.iter().filter_map(group).collect::<BTreeSet<_>>().into_iter().collect();
        let mut found = Rules::new();
        if ids.is_empty() {
            return Ok(found);
        }
        let site = self.site(place).await;
        for some in ids.chunks(VALUES) {
            let filter = Filter::builder().name("group-id").set_values(Some(some.to_vec())).build();
            let call = |from| {
                site.ec2().describe_security_groups().filters(filter.clone()).set_next_token(from).send()
            };
            let pages = self.pages("ec2", place, call, |page| page.next_token()).await?;
            let groups = pages.iter().flat_map(|page| page.security_groups());
            found.extend(groups.filter_map(|group| {
                let rules = GroupRules {
                    inbound: words(group.ip_permissions(), "from"),
                    outbound: words(group.ip_permissions_egress(), "to"),
                };
                Some((group.group_id()?.to_owned(), rules))
            }));
        }
        Ok(found)
    }

    /// The state of a fence by security group. A group with rules, or with rules that cannot be read, proves nothing. `look` is the call that
    /// described the server.
    pub(super) fn group_fence(
        &self,
        of: &DatabaseRef,
        reached: (FenceStage, String),
        (rules, groups): (&Result<Rules, Failure>, BTreeSet<String>),
        (replica, look): (bool, &str),
    ) -> Observation {
        let group = of.fence_group.as_deref().unwrap_or_default();
        let obstacle = match rules {
            Ok(all) => GroupRules::obstacle(group, all.get(group)),
            Err(failure) if reached.0 == FenceStage::Proven => {
                return failure.clone().observation(self.now());
            }
            Err(failure) => Some(format!("the rules of security group {group} cannot be read: {failure}")),
        };
        let (stage, proof) = with_obstacle(reached, obstacle.as_ref());
        let state = FenceState {
            proven: stage == FenceStage::Proven,
            proof,
            replica,
            stage,
            groups,
            obstacles: obstacle.into_iter().collect(),
            ..FenceState::default()
        };
        self.seen(State::Fence(state), &format!("{look}, rds:DescribeEvents, ec2:DescribeSecurityGroups"))
    }
}

/// The rules of one direction, in words, for example `tcp 5432 from 10.0.0.0/8`.
fn words(rules: &[IpPermission], way: &str) -> Vec<String> {
    let each = |rule: &IpPermission| {
        let what = match (rule.ip_protocol().unwrap_or("-1"), rule.from_port(), rule.to_port()) {
            // Of any protocol, and ports do not matter.
            ("-1", _, _) => "all traffic".to_owned(),
            (protocol, Some(from), Some(to)) if from != to => format!("{protocol} {from}-{to}"),
            (protocol, Some(port), _) => format!("{protocol} {port}"),
            (protocol, None, _) => protocol.to_owned(),
        };
        let addresses = rule.ip_ranges().iter().filter_map(|r| r.cidr_ip());
        let others = rule.ipv6_ranges().iter().filter_map(|r| r.cidr_ipv6());
        let lists = rule.prefix_list_ids().iter().filter_map(|l| l.prefix_list_id());
        let groups = rule.user_id_group_pairs().iter().filter_map(|g| g.group_id());
        let mut peers: Vec<&str> = addresses.chain(others).chain(lists).chain(groups).collect();
        if peers.is_empty() {
            peers.push("an unknown peer");
        }
        peers.into_iter().map(|peer| format!("{what} {way} {peer}")).collect::<Vec<_>>()
    };
    rules.iter().flat_map(each).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{IpRange, UserIdGroupPair};

    use super::*;

    #[test]
    fn rules_are_named_with_protocol_port_and_peer() {
        let everywhere = IpRange::builder().cidr_ip("0.0.0.0/0").build();
        let all = IpPermission::builder().ip_protocol("-1").ip_ranges(everywhere).build();
        assert_eq!(words(&[all], "to"), ["all traffic to 0.0.0.0/0"]);
        let peer = UserIdGroupPair::builder().group_id("sg-app").build();
        let tcp = IpPermission::builder().ip_protocol("tcp").from_port(5432).to_port(5433);
        assert_eq!(words(&[tcp.user_id_group_pairs(peer).build()], "from"), ["tcp 5432-5433 from sg-app"]);
        let bare = IpPermission::builder().ip_protocol("icmp").build();
        assert_eq!(words(&[bare], "from"), ["icmp from an unknown peer"], "a rule without a peer is a rule");
    }
}
