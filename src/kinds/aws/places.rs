//! Regions and accounts of AWS.

use std::collections::BTreeSet;

use crate::kinds::lint::Lint;
use crate::model::finding::{Finding, Span};
use crate::model::ids::SiteName;
use crate::model::place::{CloudProvider, Place};
use crate::model::shape::suggest;
use crate::model::syntax::Syntax;

/// An account (AWS Account Management Reference Guide, «View AWS account identifiers»).
static ACCOUNT: Syntax =
    Syntax::new("an AWS account id", "12 digits, in quotes", "111122223333", "^[0-9]{12}$", 12);

/// A role or its ARN (AWS IAM API Reference, `CreateRole`, `RoleName`; STS API Reference, `AssumeRole`, `RoleArn`).
pub(in crate::kinds) static ROLE: Syntax = Syntax::new(
    "a role",
    "a role's name of up to 64 letters, digits and `_+=,.@-`, or its ARN",
    "drctl-west",
    "^([0-9A-Za-z_+=,.@-]{1,64}|arn:[a-z-]+:iam::[0-9]{12}:role/[!-~]+)$",
    2_048,
);

/// The external ID of a role (AWS STS API Reference, `AssumeRole`, `ExternalId`).
pub(in crate::kinds) static EXTERNAL_ID: Syntax = Syntax::new(
    "an external id",
    "2 to 1224 letters, digits and `_+=,.@:/-`",
    "shop-dr",
    "^[0-9A-Za-z_+=,.@:/-]{2,}$",
    1_224,
);

/// Regions of the partitions aws, aws-cn and aws-us-gov (AWS Regions and Availability Zones User Guide, «AWS Regions»). Newer ones can be
/// added under `regions:` in drctl.yaml.
pub const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// Checks the sites where a component makes calls. drctl makes none to a site that has only self-hosted servers.
pub(super) fn lint(calls: &BTreeSet<SiteName>, of: &mut Lint<'_>) {
    let Some(newer) = of.regions else { return };
    let plan = of.plan;
    for site in calls.iter().filter_map(|name| plan.sites().get(name)) {
        if site.place.cloud == CloudProvider::Gcp {
            another_cloud(&site.place.name, of);
            continue;
        }
        let region = site.place.region.as_str();
        let known = REGIONS.iter().copied().chain(newer.iter().map(String::as_str)).any(|it| it == region);
        // Another component may have been first.
        let said = of.findings.iter().any(|f| f.id == UNKNOWN && f.span == Some(site.span));
        if site.place.cloud == CloudProvider::Aws && !known && !said {
            unknown_region(region, site.span, of);
        }
    }
}

fn another_cloud(site: &str, of: &mut Lint<'_>) {
    of.error(
        "site-of-another-cloud",
        of.span,
        format!("`{}` is an AWS component, but site `{site}` has `cloud: gcp`", of.name),
        "drctl would call AWS in a region that AWS does not have",
        "set `cloud: aws` and an AWS region for the site, or use another kind there",
    );
}

const UNKNOWN: &str = "unknown-region";

fn unknown_region(region: &str, span: Span, of: &mut Lint<'_>) {
    let hint = suggest(region, REGIONS.iter().copied());
    let hint = hint.map_or_else(String::new, |s| format!("; did you mean `{s}`?"));
    of.error(
        UNKNOWN,
        span,
        format!("`{region}` is not an AWS region that drctl knows{hint}"),
        "a call to a region that does not exist fails like a call to a lost region",
        "correct the name, or set `region:` for the site. Set `cloud: none` for your own data centre. Add a region that is newer than drctl under `regions:` in drctl.yaml",
    );
}

/// What is wrong with the account of a site or a connection in AWS.
pub fn account(place: &Place, file: &str, span: Span) -> Option<Finding> {
    let account = place.account.as_deref().filter(|account| !ACCOUNT.fits(account))?;
    let message = format!("`{account}` is not an AWS account id (in `account`)");
    let finding = Finding::error("plan-bad-value", file, Some(span), message)
        .because("an AWS account id has 12 digits, so preflight would refuse every real account")
        .fix(format!("write the account id in quotes, as in \"{}\"", ACCOUNT.example));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iam_refuses_does_not_fit() {
        assert!(ACCOUNT.fits(ACCOUNT.example));
        for text in ["", "11111111111", "1111111111111", "11111111111a"] {
            assert!(!ACCOUNT.fits(text), "{text}");
        }
        for text in ["drctl east", "arn:aws:iam::1:role/x", "arn:aws:sts::111122223333:assumed-role/x/y"] {
            assert!(!ROLE.fits(text), "{text}");
        }
    }
}
