//! The comparison of objects with their copies.

use std::fmt;

use crate::kinds::effects::has_no_such_effect;
use crate::kinds::facts::Fact;
use crate::kinds::judged::{Called, Judged, Progress};
use crate::kinds::op::{Op, only_observes};
use crate::kinds::shared::buckets::{BucketRef, Sample};
use crate::kinds::shared::database::server::DatabaseRef;
use crate::kinds::state::State;
use crate::kinds::target::Target;
use crate::model::call::{Call, asked, call, quoted};
use crate::model::estimate::Estimate;
use crate::model::place::Place;
use crate::model::properties::{LOOKS, Properties};
use crate::model::time::Dur;

has_no_such_effect!(Sample);

impl Op for Sample {
    fn properties(&self) -> Properties {
        LOOKS
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.source.place)
    }

    fn store(&self) -> Option<&DatabaseRef> {
        None
    }

    fn watch(&self, _: &Called<'_>) -> Target {
        Target::Compared(Box::new(self.clone()))
    }

    fn judge(&self, seen: &State, _: &Progress<'_>) -> Judged {
        match seen {
            State::Compared(found) => Judged::Done(vec![Fact::Compared {
                component: self.source.component.clone(),
                copy: self.copy.bucket.clone(),
                found: found.clone(),
            }]),
            _ => Judged::other(),
        }
    }

    fn absent(&self, target: &Target, _: &Progress<'_>) -> Judged {
        Judged::missing(target)
    }

    only_observes!();

    /// Up to ten pages of a list, and two calls for each object of the sample. AWS publishes no duration, and no step waits for it.
    fn estimate(&self) -> Estimate {
        Estimate::new(Dur::secs(5), Dur::mins(2))
    }

    fn calls(&self) -> Vec<Call> {
        let of = self;

        let call_at = |operation, command: &str, b: &BucketRef| {
            let owner =
                b.place.account.as_deref().map(|of| format!(" --expected-bucket-owner {}", quoted(of)));
            let owner = owner.unwrap_or_default();
            let bucket = quoted(&b.bucket);
            let text =
                format!("aws s3api {command} --region {} --bucket {bucket}{owner}", quoted(&b.place.region));
            call("s3", operation, &b.place.name, false, text)
        };
        let head = |b| {
            call_at("HeadObject", &format!("head-object --key {}", asked("KEY", "each of the sample")), b)
        };
        let list = format!("list-objects-v2 --max-items 10000 --prefix {}", quoted(&of.source.prefix));
        vec![call_at("ListObjectsV2", &list, &of.source), head(&of.source), head(&of.copy)]
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, copy) = (&self.source.bucket, &self.copy.bucket);
        write!(f, "compare objects of {source} with their copies in {copy} (at most {})", self.most)
    }
}
