//! What S3 does as the copy of the sites' objects, and what a reader should know of a copy before users are moved to it.

use super::plan::Buckets;
use crate::kinds::shared::buckets::{BucketRef, BucketState, Sample, Versioning};
use crate::kinds::shared::copies::{Copies, Observed};
use crate::kinds::state::State;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::ids::{ComponentName, SiteName};

impl Copies for Buckets {
    fn is_in(&self, site: &SiteName) -> bool {
        self.at.contains_key(site)
    }

    fn compared(
        &self,
        plan: &dyn Surroundings,
        name: &ComponentName,
        sites: (&SiteName, &SiteName),
        seed: &str,
    ) -> Option<Sample> {
        let (from, to) = sites;
        let source = self.bucket(plan, name, from)?;
        let copy = self.bucket(plan, name, to).filter(|_| from != to)?;
        Some(Sample { source, copy, most: self.sample, seed: seed.to_owned() })
    }

    fn notes(&self, of: &Sample, seen: &dyn Observed) -> Vec<String> {
        notes((&of.source, &of.copy), seen)
    }

    fn unaided(&self) -> &'static str {
        "S3 replicates it on its own, and drctl changes nothing in it"
    }
}

fn bucket(state: &State) -> Option<&BucketState> {
    match state {
        State::Bucket(state) => Some(state),
        _ => None,
    }
}

fn notes((source, copy): (&BucketRef, &BucketRef), seen: &dyn Observed) -> Vec<String> {
    let state = |of: &BucketRef| seen.state(&Target::Bucket(of.clone()));
    let of_source = state(source).ok().and_then(bucket);
    let name = &copy.component;
    let mut all = vec![format!(
        "`{name}`: S3 replicates it. Objects that {} may lack do not count toward the RPO",
        copy.bucket
    )];
    let mut note = |text: String| all.push(format!("`{name}`: {text}"));
    match state(copy).map(bucket) {
        Ok(Some(state)) => {
            let arriving = state.arriving_from(source, of_source, &copy.bucket);
            for one in &arriving {
                note(format!("to {} {one}", copy.bucket));
            }
            if arriving.is_empty() {
                let why = state.unread.clone();
                let why = why.unwrap_or_else(|| "S3 publishes no metrics for its replication".to_owned());
                note(format!("the replication delay of {} is unknown: {why}", copy.bucket));
            }
            if state.versioning != Versioning::Enabled
                || state.rule_to(&source.bucket, &source.prefix).is_none()
            {
                note(format!(
                    "no rule replicates {} back to {}, so new objects exist in one region only",
                    copy.bucket, source.bucket
                ));
            }
        }
        Ok(None) => note(format!("{} in {}: observed", copy.bucket, copy.place.name)),
        Err(why) => note(format!("{} in {}: {why}", copy.bucket, copy.place.name)),
    }
    match of_source {
        Some(state)
            if state.versioning == Versioning::Enabled
                && state.rule_to(&copy.bucket, &copy.prefix).is_some() => {}
        Some(_) => note(format!("no rule replicates all of {} to {}", source.bucket, copy.bucket)),
        None => note(format!("{} does not answer, so drctl does not compare the buckets", source.bucket)),
    }
    all
}
