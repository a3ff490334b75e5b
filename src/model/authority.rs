//! Who may make which statements, by their keys.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ssh_key::{Algorithm, PublicKey};

use crate::model::fault::Fault;
use crate::model::ids::Digest;

/// A person who may request runs and answer their questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// The public key in the format of OpenSSH: `ssh-ed25519 AAAA...`.
    pub key: String,
    /// The person's roles: `dba`, `engineering-lead`.
    #[serde(default)]
    pub roles: BTreeSet<String>,
}

/// The operators in `drctl.yaml` at the start of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Authority {
    /// By name.
    pub operators: BTreeMap<String, Operator>,
}

/// Whether a role may take a seat. A seat is one role, such as `dba`, or a choice, such as `dba or cto`.
pub fn takes(seat: &str, role: &str) -> bool {
    seat.split(" or ").any(|one| one.trim() == role)
}

impl Authority {
    /// Checks that every key is valid and belongs to one person only, because a person with two names would count twice. Adds the roles
    /// that each role includes.
    ///
    /// # Errors
    /// Each invalid key, and each key that two people have.
    pub fn new(
        mut operators: BTreeMap<String, Operator>,
        includes: &BTreeMap<String, BTreeSet<String>>,
    ) -> Result<Self, Vec<Fault>> {
        for operator in operators.values_mut() {
            let below = operator.roles.iter().filter_map(|role| includes.get(role)).flatten();
            let below: Vec<String> = below.cloned().collect();
            operator.roles.extend(below);
        }
        let (mut seen, mut faults): (Vec<(PublicKey, &String)>, Vec<Fault>) = (Vec::new(), Vec::new());
        for (name, operator) in &operators {
            let bad = |message: String| Fault::new(["operators", name, "key"], message);
            let key = match PublicKey::from_openssh(&operator.key) {
                Ok(key) => key,
                Err(e) => {
                    let fault = bad(format!("operators.{name}.key is not an OpenSSH public key: {e}"));
                    faults
                        .push(fault.fix("write the line of the file that ends in .pub: ssh-ed25519 AAAA..."));
                    continue;
                }
            };
            if key.algorithm() != Algorithm::Ed25519 {
                let is = key.algorithm();
                let fault = bad(format!("operators.{name}.key is {is}, but drctl accepts only ssh-ed25519"));
                faults.push(fault.fix("to create a key, run drctl key new NAME"));
            } else if let Some((_, other)) = seen.iter().find(|(k, _)| k.key_data() == key.key_data()) {
                let fault = bad(format!(
                    "operators.{name} and operators.{other} have the same key; each person needs their own"
                ));
                faults.push(fault.fix(format!("enter the key of {name}, or remove one of the two")));
            } else {
                seen.push((key, name));
            }
        }
        if faults.is_empty() { Ok(Self { operators }) } else { Err(faults) }
    }

    /// The owner of a key.
    pub fn owner(&self, key: &PublicKey) -> Option<(&String, &Operator)> {
        let is = |line: &str| PublicKey::from_openssh(line).is_ok_and(|k| k.key_data() == key.key_data());
        self.operators.iter().find(|(_, o)| is(&o.key))
    }

    /// Digest of names, keys and roles.
    pub fn digest(&self) -> Digest {
        Digest::of_bytes(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether there are no operators. Identities are then only claimed.
    pub fn is_empty(&self) -> bool {
        self.operators.is_empty()
    }

    /// Whether a person has a role that takes one of these seats.
    pub fn has(&self, person: &str, seats: &[String]) -> bool {
        let takes_one = |o: &Operator| seats.iter().any(|seat| o.roles.iter().any(|role| takes(seat, role)));
        self.operators.get(person).is_some_and(takes_one)
    }

    /// The seats that these people leave empty if each seat needs a different person.
    ///
    /// A seat is a role or a choice of roles: `dba or cto`. "Two of three people" is the same choice twice. Two seats need two people, so
    /// this is a matching of roles to people and not a union of their roles: a person who is both DBA and Engineering Lead takes only one
    /// of the two seats. Either can then be the empty one, so it is a choice of both: `dba or engineering-lead`.
    pub fn lacking(&self, roles: &[String], people: &[&str]) -> Vec<String> {
        let people: Vec<&str> = people.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let takes = |seat: usize, person: usize| self.has(people[person], &roles[seat..=seat]);
        let (empty, seat_of) = matching(roles.len(), people.len(), &takes);
        empty.into_iter().map(|seat| choice(roles, &could_be_empty(seat, &takes, &seat_of))).collect()
    }
}

/// One seat for any role of these seats.
fn choice(roles: &[String], seats: &BTreeSet<usize>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for role in seats.iter().flat_map(|seat| roles[*seat].split(" or ")).map(str::trim) {
        if !names.contains(&role) {
            names.push(role);
        }
    }
    names.join(" or ")
}

/// The seats of which one is empty: this one, and each whose person could take it instead, and so on.
fn could_be_empty(
    seat: usize,
    fits: &dyn Fn(usize, usize) -> bool,
    seat_of: &[Option<usize>],
) -> BTreeSet<usize> {
    let (mut found, mut next) = (BTreeSet::from([seat]), vec![seat]);
    while let Some(seat) = next.pop() {
        let movable = seat_of.iter().enumerate().filter(|(person, _)| fits(seat, *person));
        for other in movable.filter_map(|(_, other)| *other) {
            if found.insert(other) {
                next.push(other);
            }
        }
    }
    found
}

/// The number of seats that stay empty if each person takes at most one.
pub fn left_over(seats: usize, people: usize, fits: &dyn Fn(usize, usize) -> bool) -> usize {
    matching(seats, people, fits).0.len()
}

/// The empty seats, and the seat of each person. This is a maximum matching: a person moves to another seat if somebody else can take
/// theirs (augmenting paths: Kuhn, «The Hungarian method for the assignment problem», 1955).
fn matching(
    seats: usize,
    people: usize,
    fits: &dyn Fn(usize, usize) -> bool,
) -> (Vec<usize>, Vec<Option<usize>>) {
    fn place(
        seat: usize,
        fits: &dyn Fn(usize, usize) -> bool,
        seat_of: &mut [Option<usize>],
        tried: &mut BTreeSet<usize>,
    ) -> bool {
        for person in 0..seat_of.len() {
            if !fits(seat, person) || !tried.insert(person) {
                continue;
            }
            if seat_of[person].is_none_or(|other| place(other, fits, seat_of, tried)) {
                seat_of[person] = Some(seat);
                return true;
            }
        }
        false
    }
    let mut seat_of = vec![None; people];
    let empty = (0..seats).filter(|seat| !place(*seat, fits, &mut seat_of, &mut BTreeSet::new())).collect();
    (empty, seat_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(people: &[(&str, &[&str])]) -> Authority {
        let operator = |roles: &[&str]| Operator {
            key: String::new(),
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        };
        Authority {
            operators: people.iter().map(|(name, roles)| ((*name).to_owned(), operator(roles))).collect(),
        }
    }

    fn roles(names: &[&str]) -> Vec<String> {
        names.iter().map(|r| (*r).to_owned()).collect()
    }

    #[test]
    fn two_roles_need_two_people() {
        let who = authority(&[("ann", &["dba", "lead"]), ("bob", &["dba"]), ("cy", &[])]);
        let both = roles(&["dba", "lead"]);
        assert_eq!(who.lacking(&both, &["ann"]), ["dba or lead"], "she takes either");
        assert_eq!(who.lacking(&both, &["ann", "ann"]), ["dba or lead"], "nobody is two people");
        assert_eq!(who.lacking(&roles(&["dba or cto", "lead"]), &["ann"]), ["dba or cto or lead"]);
        assert_eq!(who.lacking(&both, &["bob", "cy"]), ["lead"]);
        // Ann first takes the first role, then leaves it to Bob, who has no other.
        assert!(who.lacking(&both, &["ann", "bob"]).is_empty());
        assert!(who.lacking(&roles(&["lead", "dba"]), &["bob", "ann"]).is_empty());
        assert_eq!(who.lacking(&roles(&["dba", "dba"]), &["bob"]), ["dba"], "two of one role are two people");
        assert_eq!(who.lacking(&both, &["mallory"]), ["dba", "lead"]);
    }
}
