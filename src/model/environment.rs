//! The endpoints of calls, and whether they are the real ones.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The environment of an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Users depend on it.
    #[default]
    Production,
    /// Nobody depends on it: its runs count for no compliance and verify no application.
    Test,
}

impl Environment {
    /// `production` or `test`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// In the place of a service: the proxy for calls to it.
pub const PROXY: &str = "proxy";
/// In the place of a service: the certificates that vouch for servers, by their digest.
pub const CERTIFICATES: &str = "certificates";

/// A configured endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The service, as `endpoints:` names it.
    pub service: String,
    /// Scheme, host and port; never a login.
    pub url: String,
    /// Where it was configured.
    pub from: Source,
}

impl Endpoint {
    /// Keeps only the scheme, host and port: no login, no path and nothing after it.
    pub fn new(service: &str, url: &str, from: Source) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        Self { service: service.to_owned(), url: format!("{scheme}://{host}").to_lowercase(), from }
    }

    /// Whether it is not the provider's own endpoint for this service.
    pub fn is_foreign(&self) -> bool {
        match self.service.as_str() {
            // It only passes on what it can neither read nor change, unless there are certificates of its own.
            PROXY => false,
            // Nobody else's if the operators name it.
            CERTIFICATES => self.from != Source::Settings,
            service => !is_aws(service, &self.url),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ({})", self.service, self.url, self.from.words())
    }
}

/// Where an endpoint was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `endpoints:` in `drctl.yaml`.
    Settings,
    /// The plan.
    Plan,
    /// An environment variable or a profile, by the rules of the provider's SDK.
    Sdk,
}

impl Source {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Settings => "endpoints in drctl.yaml",
            Self::Plan => "the plan",
            Self::Sdk => "the environment or the profile of the AWS SDK",
        }
    }
}

/// The domains of AWS endpoints, by partition (`partitions.json` of the AWS SDKs: `dnsSuffix` and `dualStackDnsSuffix`).
const DOMAINS: [&str; 14] = [
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
];

/// Whether an address is an AWS endpoint for a service (AWS General Reference, «Service endpoints and quotas»; AWS PrivateLink Guide,
/// «Access AWS services through PrivateLink»). Only the service's own name counts, because anybody may have a host below `amazonaws.com`,
/// such as that of an API Gateway or of a virtual machine.
fn is_aws(service: &str, url: &str) -> bool {
    let Some(authority) = url.strip_prefix("https://") else { return false };
    let host = authority.strip_suffix(":443").unwrap_or(authority);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let prefix = if service == "cloudwatch" { "monitoring" } else { service };
    DOMAINS.iter().any(|domain| {
        let Some(name) = host.strip_suffix(domain).and_then(|name| name.strip_suffix('.')) else {
            return false;
        };
        let labels: Vec<&str> = name.split('.').collect();
        let own = |label: &str| label.strip_suffix("-fips").unwrap_or(label) == prefix;
        labels.iter().all(|label| !label.is_empty() && label.chars().all(plain))
            && match labels[..] {
                [name] => own(name),
                [name, _region] => own(name),
                [name, "dualstack", _region] => own(name) && service == "s3",
                [_cluster, name, _region] => own(name) && service == "route53-recovery-cluster",
                [link, name, _region, "vpce"] => link.starts_with("vpce-") && own(name),
                ["bucket", link, name, _region, "vpce"] => {
                    link.starts_with("vpce-") && own(name) && service == "s3"
                }
                _ => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_providers_own_names_are_its_own() {
        let own = [
            ("rds", "https://rds.us-east-1.amazonaws.com"),
            ("rds", "https://rds-fips.us-east-1.amazonaws.com:443"),
            ("rds", "https://RDS.us-east-1.api.aws/"),
            ("rds", "https://vpce-0a1b-x.rds.us-east-1.vpce.amazonaws.com"),
            ("sts", "https://sts.amazonaws.com"),
            ("cloudwatch", "https://monitoring.eu-west-1.amazonaws.com"),
            ("s3", "https://s3.dualstack.us-east-1.amazonaws.com"),
            ("s3", "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com"),
            ("rds", "https://rds.cn-north-1.amazonaws.com.cn"),
            ("route53-recovery-cluster", "https://abc.route53-recovery-cluster.us-east-1.amazonaws.com/v1"),
        ];
        for (service, url) in own {
            assert!(!Endpoint::new(service, url, Source::Sdk).is_foreign(), "{url}");
        }
        let foreign = [
            ("rds", "http://rds.us-east-1.amazonaws.com"),
            ("rds", "https://rds.us-east-1.amazonaws.com:8443"),
            ("rds", "https://abc.execute-api.us-east-1.amazonaws.com"),
            ("rds", "https://ec2-1-2-3-4.compute-1.amazonaws.com"),
            ("rds", "https://rds.elb.us-east-1.amazonaws.com"),
            ("rds", "https://sts.us-east-1.amazonaws.com"),
            ("rds", "https://rds.us-east-1.amazonaws.com@evil.example"),
            ("rds", "https://evil.example#.rds.us-east-1.amazonaws.com"),
            ("rds", "https://evil.example\\.rds.us-east-1.amazonaws.com"),
            ("rds", "https://rds.us-east-1.evilamazonaws.com"),
            ("rds", "https://rds..amazonaws.com"),
            ("rds", "https://amazonaws.com"),
            ("rds", "http://127.0.0.1:4566"),
            ("rds", "rds.us-east-1.amazonaws.com"),
            ("", "https://.us-east-1.amazonaws.com"),
            ("rds", ""),
        ];
        for (service, url) in foreign {
            assert!(Endpoint::new(service, url, Source::Sdk).is_foreign(), "{url}");
        }
    }

    #[test]
    fn no_login_stays_in_an_address() {
        let endpoint = Endpoint::new("rds", "http://me:hunter2@127.0.0.1:4566/path?token=t", Source::Sdk);
        assert_eq!(endpoint.url, "http://127.0.0.1:4566");
    }
}
