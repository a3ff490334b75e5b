//! Randomness of a simulated world: by seed.

use crate::model::ids::Digest;

/// A random number that depends only on the seed and on `what`, so that the order of calls does not matter.
pub fn roll(seed: u64, what: &[&str], below: u64) -> u64 {
    let seed = seed.to_be_bytes();
    let mut fields: Vec<&[u8]> = vec![&seed];
    fields.extend(what.iter().map(|w| w.as_bytes()));
    let digest = Digest::of_fields(&fields);
    u64::from_str_radix(&digest.as_str()[..15], 16).unwrap_or(0) % below.max(1)
}
