//! The keys of `drctl.yaml`.

use crate::kinds::aws::s3::S3_URL;
use crate::kinds::cloud;
use crate::kinds::common::OBJECTIVES;
use crate::model::shape::{Keys, Shape, opt, req};
use crate::plan::notify::NOTIFY;
use crate::plan::policy::POLICY;
use crate::plan::retention::{EVIDENCE, REPORTS};
use crate::plan::schedules::SCHEDULE;
use crate::plan::telemetry::TELEMETRY;

const GUARD: Keys = Keys {
    name: "guard",
    fields: &[
        req("url", Shape::Written(&S3_URL), "s3://bucket/prefix outside the sites that can be lost"),
        req("region", Shape::Name, "the region of the bucket"),
        opt("account", Shape::Text, "the account"),
        cloud::ROLE,
        cloud::EXTERNAL_ID,
    ],
};

const LIMIT: Keys = Keys {
    name: "limit",
    fields: &[
        req("burst", Shape::Int(1, 100_000), "the burst size: how many calls the service accepts at once"),
        req("per_second", Shape::Int(1, 100_000), "the refill rate in calls per second"),
    ],
};
const DNS: Keys = Keys {
    name: "dns",
    fields: &[opt(
        "resolvers",
        Shape::List(&Shape::Text),
        "addresses of resolvers to query in addition to those of this machine, such as those of your users",
    )],
};

const TIER: Keys = Keys { name: "tier", fields: OBJECTIVES.fields };

const OPERATOR: Keys = Keys {
    name: "operator",
    fields: &[
        req("key", Shape::Text, "the public key: ssh-ed25519 AAAA..."),
        opt("roles", Shape::List(&Shape::Name), "the roles of the person, such as dba"),
    ],
};

/// `drctl.yaml`.
pub const SETTINGS: Keys = Keys {
    name: "drctl.yaml",
    fields: &[
        opt("tiers", Shape::Map(&Shape::Keys(&TIER)), "recovery classes"),
        opt(
            "environment",
            Shape::OneOf(&["production", "test"]),
            "`test`: runs do not count for compliance and do not verify an application; production if absent",
        ),
        opt("plans", Shape::Text, "the folder of the plans; `plans` if absent"),
        opt("store", Shape::Text, "the file of the journal; `.drctl/drctl.db` if absent"),
        opt("operator", Shape::Text, "who you are: the name of an operator, or any text before user@host"),
        opt(
            "operators",
            Shape::Map(&Shape::Keys(&OPERATOR)),
            "the people with keys, by name; without any, identities are only claimed and reports say so",
        ),
        opt(
            "policy",
            Shape::Keys(&POLICY),
            "who must approve what; if absent, as `drctl policy explain` shows",
        ),
        opt(
            "key",
            Shape::Text,
            "the file of your private key, or of your public key (.pub) if an agent holds the private key",
        ),
        opt(
            "key_passphrase_file",
            Shape::Text,
            "the file with the passphrase of your key; drctl asks if absent",
        ),
        opt(
            "observation_max_age",
            Shape::Duration,
            "the maximum age of an observation of a site that answers; 5m if absent",
        ),
        opt(
            "readiness_every",
            Shape::Duration,
            "how often `drctl serve` checks readiness; 1h if absent, 0s means never",
        ),
        opt(
            "probe_consecutive",
            Shape::Int(1, 100),
            "how many equal results in a row change the state of a probe; 3 if absent",
        ),
        opt("guard", Shape::Keys(&GUARD), "stops two operators from running on one component"),
        opt(
            "evidence",
            Shape::Keys(&EVIDENCE),
            "how long and where to keep evidence; if absent, only on this machine",
        ),
        opt("reports", Shape::Keys(&REPORTS), "the names under compliance reports"),
        opt("notify", Shape::Keys(&NOTIFY), "which notifications drctl sends, and how; none if absent"),
        opt("telemetry", Shape::Keys(&TELEMETRY), "where drctl sends traces of live runs; nowhere if absent"),
        opt("schedules", Shape::Map(&Shape::Keys(&SCHEDULE)), "drills that `drctl serve` runs, by name"),
        opt(
            "endpoints",
            Shape::Map(&Shape::Text),
            "other endpoints for services, for example `rds: http://127.0.0.1:4566`; also the `proxy` and the `certificates` that the environment sets, as run reports name them",
        ),
        opt(
            "limits",
            Shape::Map(&Shape::Keys(&LIMIT)),
            "the rate limits of services, by account and region; the published limits if absent",
        ),
        opt(
            "regions",
            Shape::List(&Shape::Name),
            "AWS regions that are newer than this version of drctl and that plans may use",
        ),
        opt("sql", Shape::Keys(&SQL), "how drctl connects to databases"),
        opt("dns", Shape::Keys(&DNS), "how drctl confirms names after a move"),
    ],
};

const SQL: Keys = Keys {
    name: "sql",
    fields: &[
        opt(
            "tls",
            Shape::OneOf(&["verify", "off"]),
            "verify (default): drctl checks the certificate of the server",
        ),
        opt(
            "ca_file",
            Shape::Text,
            "certificates to trust in addition to those of the system, such as the RDS bundle (PEM)",
        ),
    ],
};
