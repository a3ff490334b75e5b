//! The syntax of identifiers, names and addresses, by the rules of the services that use them.
//!
//! Validation and the JSON Schema use the same patterns, so a pattern must mean the same in both dialects of regular expressions.

use std::sync::OnceLock;

use regex_lite::Regex;

/// The syntax of one kind of text.
#[derive(Debug)]
pub struct Syntax {
    /// Its name, with an article.
    pub name: &'static str,
    /// The rule in a sentence.
    pub rule: &'static str,
    /// A valid example.
    pub example: &'static str,
    /// The pattern for the whole text.
    pub pattern: &'static str,
    /// The maximum number of characters.
    pub longest: usize,
    compiled: OnceLock<Option<Regex>>,
}

impl Syntax {
    /// A syntax. `pattern` matches the whole text.
    pub const fn new(
        name: &'static str,
        rule: &'static str,
        example: &'static str,
        pattern: &'static str,
        longest: usize,
    ) -> Self {
        Self { name, rule, example, pattern, longest, compiled: OnceLock::new() }
    }

    /// Whether a text is valid.
    pub fn fits(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| Regex::new(self.pattern).ok());
        text.chars().count() <= self.longest
            && compiled.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }
}

/// A DB instance (Amazon RDS API Reference, `CreateDBInstance`, `DBInstanceIdentifier`).
pub static DB_INSTANCE: Syntax = Syntax::new(
    "a DB instance identifier",
    "1 to 63 letters, digits and single hyphens; it begins with a letter and does not end with a hyphen",
    "shop-db",
    "^[A-Za-z](-?[A-Za-z0-9])*$",
    63,
);
/// A DB cluster (Amazon RDS API Reference, `CreateDBCluster`, `DBClusterIdentifier`).
pub static DB_CLUSTER: Syntax = Syntax::new(
    "a DB cluster identifier",
    "1 to 63 letters, digits and single hyphens; it begins with a letter and does not end with a hyphen",
    "shop-cluster",
    "^[A-Za-z](-?[A-Za-z0-9])*$",
    63,
);
/// A global database (Amazon RDS API Reference, `CreateGlobalCluster`, `GlobalClusterIdentifier`).
pub static GLOBAL_CLUSTER: Syntax = Syntax::new(
    "a global database identifier",
    "1 to 255 letters, digits, hyphens, colons, dots and underscores; it begins with a letter",
    "shop-global",
    "^[A-Za-z][0-9A-Za-z._:-]*$",
    255,
);
/// A security group. Its name cannot begin with `sg-` (Amazon EC2 API Reference, `CreateSecurityGroup`, `GroupName`).
pub static SECURITY_GROUP: Syntax = Syntax::new(
    "a security group id",
    "`sg-` and the rest of the id; the name of a group is not its id",
    "sg-0123456789abcdef0",
    "^sg-[0-9a-z-]+$",
    40,
);
/// A hosted zone (Amazon Route 53 API Reference, `ListResourceRecordSets`, `Id`: at most 32 characters).
pub static HOSTED_ZONE: Syntax = Syntax::new(
    "a hosted zone id",
    "up to 32 capital letters and digits, without `/hostedzone/`",
    "Z0123456789ABCDEFGHIJ",
    "^[0-9A-Z]+$",
    32,
);
/// An account (AWS Account Management Reference Guide, «View AWS account identifiers»).
pub static ACCOUNT: Syntax =
    Syntax::new("an AWS account id", "12 digits, in quotes", "111122223333", "^[0-9]{12}$", 12);
/// A role or its ARN (AWS IAM API Reference, `CreateRole`, `RoleName`; STS API Reference, `AssumeRole`, `RoleArn`).
pub static ROLE: Syntax = Syntax::new(
    "a role",
    "a role's name of up to 64 letters, digits and `_+=,.@-`, or its ARN",
    "drctl-west",
    "^([0-9A-Za-z_+=,.@-]{1,64}|arn:[a-z-]+:iam::[0-9]{12}:role/[!-~]+)$",
    2_048,
);
/// The external ID of a role (AWS STS API Reference, `AssumeRole`, `ExternalId`).
pub static EXTERNAL_ID: Syntax = Syntax::new(
    "an external id",
    "2 to 1224 letters, digits and `_+=,.@:/-`",
    "shop-dr",
    "^[0-9A-Za-z_+=,.@:/-]{2,}$",
    1_224,
);
/// A bucket (Amazon S3 User Guide, «General purpose bucket naming rules»).
pub static BUCKET: Syntax = Syntax::new(
    "a bucket name",
    "3 to 63 lower-case letters, digits, dots and hyphens; it begins and ends with a letter or a digit",
    "shop-uploads-west",
    "^[0-9a-z]([0-9a-z-]|[.][0-9a-z])+[0-9a-z]$",
    63,
);
/// An object or a prefix in S3.
pub static S3_URL: Syntax = Syntax::new(
    "an S3 address",
    "`s3://`, a bucket, and a key",
    "s3://shop-guard/prod",
    "^s3://[0-9A-Za-z][0-9A-Za-z.-]*(/[!-~]*)?$",
    1_100,
);
/// A DNS name (RFC 1035, 2.3.4; RFC 5890 for names in other scripts). An asterisk must be a whole label.
pub static DNS_NAME: Syntax = Syntax::new(
    "a DNS name",
    "labels of up to 63 letters, digits, hyphens and underscores between dots; names in other scripts in their xn-- form",
    "www.shop.example",
    r"^([*][.])?([0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?[.])+[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?[.]?$",
    255,
);
/// A Route 53 health check (Amazon Route 53 API Reference, `GetHealthCheck`: at most 64 characters).
pub static HEALTH_CHECK: Syntax = Syntax::new(
    "a health check id",
    "up to 64 letters, digits and hyphens",
    "abcdef11-2222-3333-4444-555555fedcba",
    "^[0-9A-Za-z-]+$",
    64,
);
/// A page or an API (RFC 3986, 3).
pub static HTTP_URL: Syntax = Syntax::new(
    "an HTTP address",
    "`http://` or `https://`, a host and a path, without spaces",
    "https://www.shop.example/health",
    "^https?://([0-9A-Za-z_.-]+|[\\[][0-9A-Fa-f:.]+[\\]])(:[0-9]{1,5})?([/?][!-~]*)?$",
    2_048,
);
/// A host with a port.
pub static HOST_PORT: Syntax = Syntax::new(
    "an address",
    "host:port",
    "db.shop.example:5432",
    "^([0-9A-Za-z_.-]+|[\\[][0-9A-Fa-f:.]+[\\]]):[0-9]{1,5}$",
    300,
);
/// A database endpoint.
pub static ENDPOINT: Syntax = Syntax::new(
    "an endpoint",
    "host:port/database",
    "db.shop.example:5432/shop",
    "^([0-9A-Za-z_.-]+|[\\[][0-9A-Fa-f:.]+[\\]]):[0-9]{1,5}/[^/ ]+$",
    400,
);
/// The place of credentials.
pub static SECRET: Syntax = Syntax::new(
    "a secret reference",
    "`aws-sm:` and the name or ARN of a Secrets Manager secret, or `file:` and a path",
    "aws-sm:shop/db/admin",
    "^(aws-sm|file):[!-~]([ -~]*[!-~])?$",
    2_100,
);
/// An Auto Scaling group (Amazon EC2 Auto Scaling API Reference, `CreateAutoScalingGroup`, `AutoScalingGroupName`).
pub static GROUP: Syntax = Syntax::new(
    "an Auto Scaling group name",
    "1 to 255 characters, without a colon",
    "shop-nodes",
    "^[^:]+$",
    255,
);

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&Syntax] = &[
        &DB_INSTANCE,
        &DB_CLUSTER,
        &GLOBAL_CLUSTER,
        &SECURITY_GROUP,
        &HOSTED_ZONE,
        &ACCOUNT,
        &ROLE,
        &EXTERNAL_ID,
        &BUCKET,
        &S3_URL,
        &DNS_NAME,
        &HEALTH_CHECK,
        &HTTP_URL,
        &HOST_PORT,
        &ENDPOINT,
        &SECRET,
        &GROUP,
    ];

    #[test]
    fn examples_fit_and_nothing_fits_that_is_empty_or_longer() {
        for syntax in ALL {
            assert!(syntax.fits(syntax.example), "{}", syntax.name);
            assert!(!syntax.fits(""), "{}", syntax.name);
            assert!(!syntax.fits(&syntax.example.repeat(3_000)), "{}", syntax.name);
        }
    }

    #[test]
    fn what_the_reader_refuses_does_not_fit() {
        let bad: &[(&Syntax, &[&str])] = &[
            (&DB_INSTANCE, &["1db", "db-", "a--b", "a_b", "a.b", "data\u{200b}base", &"a".repeat(64)]),
            (&SECURITY_GROUP, &["sg-", "default", "sg-0AAA", "sg 1"]),
            (&HOSTED_ZONE, &["/hostedzone/Z1", "z1", "Z 1"]),
            (&ACCOUNT, &["11111111111", "1111111111111", "11111111111a"]),
            (&ROLE, &["drctl east", "arn:aws:iam::1:role/x", "arn:aws:sts::111122223333:assumed-role/x/y"]),
            (&BUCKET, &["Shop", "ab", "-ab", "a..b", "a_b"]),
            (&DNS_NAME, &["www", "www shop.example", "münchen.example", "-a.example", "a..example"]),
            (&HTTP_URL, &["www.shop.example/health", "ftp://a.example", "https://", "https://a b.example"]),
            (&HOST_PORT, &["a.example", "a.example:", ":80", "a.example:http"]),
            (&ENDPOINT, &["a.example:5432", "a.example/shop", "postgres://a.example:5432/shop"]),
            (&SECRET, &["webshop/db/admin", "vault:webshop", "aws-sm:", "env:PASSWORD"]),
        ];
        for (syntax, texts) in bad {
            for text in *texts {
                assert!(!syntax.fits(text), "{}: {text}", syntax.name);
            }
        }
    }
}
