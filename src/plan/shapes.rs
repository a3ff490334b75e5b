//! The shape of `plans/*.yaml` and of `drctl.yaml`.

mod commands;
mod databases;

use self::commands::{COMMAND, ENV, HOOK, IDEMPOTENT, TIMEOUT};
use self::databases::{EXPENDABLE, HARMLESS_FIELD, SQL};

use super::build::probes::PROBE;
use super::keeping::{EVIDENCE, REPORTS};
use super::notify::NOTIFY;
use super::policy::POLICY;
use super::schedules::SCHEDULE;
use super::shape::{Field, Record, Shape, opt, req};
use super::syntax;
use super::telemetry::TELEMETRY;

const OBJECTIVES: Record = Record {
    name: "objectives",
    fields: &[
        req("rto", Shape::Duration, "recovery time objective: how long users may be without it"),
        req("rpo", Shape::Duration, "recovery point objective: how many minutes of writes may be lost"),
        opt("drill_every", Shape::Duration, "how often a drill has to prove it"),
    ],
};

/// The kinds of component that plans may use.
pub const KINDS: &[(&str, &Record)] = &[
    ("aws.rds", &RDS),
    ("postgres", &POSTGRES),
    ("aws.aurora_global", &AURORA),
    ("aws.autoscaling", &AUTOSCALING),
    ("aws.route53", &ROUTE53),
    ("clients", &CLIENTS),
    ("aws.s3", &S3),
    ("external", &EXTERNAL),
];

const KIND: Field = req("kind", Shape::Name, "how the component is recovered");
const NEEDS: Field = opt("needs", Shape::List(&Shape::Name), "components that this one cannot serve without");
const OWN_OBJECTIVES: Field =
    opt("objectives", Shape::Record(&OBJECTIVES), "objectives that differ from the plan's");

const RDS: Record = Record {
    name: "aws.rds component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt(
            "fence",
            Shape::List(&Shape::OneOf(&["sql", "allow_connections", "security_group"])),
            "the ladder of ways to fence, tried in order",
        ),
        HARMLESS_FIELD,
        EXPENDABLE,
        req("at", Shape::Map(&Shape::Record(&RDS_AT)), "its instance in each site"),
        opt(
            "verify",
            Shape::Record(&VERIFY),
            "the real write that proves a promotion, and what is true of a sound copy",
        ),
        opt(
            "backup_every",
            Shape::Duration,
            "how often it is backed up, where a backup and no replica is the protection",
        ),
    ],
};
const RDS_AT: Record = Record {
    name: "instance",
    fields: &[
        req("id", Shape::Written(&syntax::DB_INSTANCE), "DB instance identifier"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database; found by the first look at it if absent",
        ),
        opt(
            "fence_group",
            Shape::Written(&syntax::SECURITY_GROUP),
            "prepared security group without rules, for the fence",
        ),
        opt("admin", Shape::Secret, "administrator credentials, for the SQL fence and verification"),
    ],
};
const AURORA: Record = Record {
    name: "aws.aurora_global component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req(
            "global_cluster",
            Shape::Written(&syntax::GLOBAL_CLUSTER),
            "the global database's identifier, the same from every region",
        ),
        opt(
            "fence",
            Shape::List(&Shape::OneOf(&["sql", "security_group"])),
            "the ladder of ways to fence, tried in order; `sql` is for aurora-postgresql",
        ),
        HARMLESS_FIELD,
        req("at", Shape::Map(&Shape::Record(&AURORA_AT)), "its cluster in each site"),
        opt("verify", Shape::Record(&CANARY), "the real write that proves a promotion"),
    ],
};
const AURORA_AT: Record = Record {
    name: "cluster",
    fields: &[
        req("id", Shape::Written(&syntax::DB_CLUSTER), "DB cluster identifier"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database of its writer; found by the first look at it if absent",
        ),
        opt(
            "instance_class",
            Shape::Text,
            "what a cluster without instances is given; the writer's class if absent",
        ),
        opt(
            "fence_group",
            Shape::Written(&syntax::SECURITY_GROUP),
            "prepared security group without rules, for the fence",
        ),
        opt("admin", Shape::Secret, "administrator credentials, for the SQL fence and verification"),
    ],
};
const POSTGRES: Record = Record {
    name: "postgres component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt(
            "fence",
            Shape::List(&Shape::OneOf(&["sql", "allow_connections", "pg_hba", "stop"])),
            "the ladder of ways to fence, tried in order; `pg_hba` and `stop` need `host`",
        ),
        req("at", Shape::Map(&Shape::Record(&POSTGRES_AT)), "its server in each site"),
        opt(
            "verify",
            Shape::Record(&VERIFY),
            "the real write that proves a promotion, and what is true of a sound copy",
        ),
        opt(
            "backup_every",
            Shape::Duration,
            "how often it is backed up, where a backup and no replica is the protection",
        ),
        opt(
            "reconcile",
            Shape::List(&Shape::Name),
            "tables of which the rows that only an old primary has are exported when it becomes a standby",
        ),
        HARMLESS_FIELD,
        EXPENDABLE,
    ],
};
const POSTGRES_AT: Record = Record {
    name: "server",
    fields: &[
        opt("id", Shape::Text, "what people call it; its endpoint if absent"),
        req("endpoint", Shape::Written(&syntax::ENDPOINT), "host:port/database"),
        req("admin", Shape::Secret, "a login that may promote it, fence it and look at its sessions"),
        opt(
            "host",
            Shape::Record(&HOST),
            "its machine: what switchover, failback and reprotect need to make it a standby",
        ),
    ],
};
const HOST: Record = Record {
    name: "host",
    fields: &[
        req(
            "run",
            Shape::List(&Shape::Text),
            "what stands in front of `sh` to run it there as the owner of the data, for example [ssh, -o, BatchMode=yes, postgres@db-west]",
        ),
        req("data", Shape::Text, "the data folder"),
        opt("bin", Shape::Text, "the folder of the server's programs; those of the path if absent"),
        opt("config", Shape::Text, "the settings file, where it is not in the data folder (Debian)"),
        opt("stop", Shape::List(&Shape::Text), "stops the server; pg_ctl if absent"),
        opt("start", Shape::List(&Shape::Text), "starts the server; pg_ctl if absent"),
        req(
            "replication",
            Shape::Secret,
            "a login with REPLICATION, and the rights that pg_rewind asks for, on every server of the component",
        ),
        opt(
            "backups",
            Shape::Record(&BACKUPS),
            "its base backups and archived log, as reached from this machine: what restore needs",
        ),
    ],
};
const BACKUPS: Record = Record {
    name: "backups",
    fields: &[
        req(
            "list",
            Shape::Text,
            "shell text that prints a line a backup: name, begin, end (RFC 3339, UTC), bytes, and the first segment if known",
        ),
        req(
            "fetch",
            Shape::Text,
            "shell text that puts backup $DRCTL_BACKUP into the empty folder $DRCTL_FOLDER",
        ),
        req("archive_get", Shape::Text, "as restore_command, with %f and %p"),
        opt(
            "reserve_gib",
            Shape::Int(0, 1_000_000),
            "GiB that a restore leaves free for the live server; 1 if absent",
        ),
        opt(
            "preload",
            Shape::List(&Shape::Name),
            "libraries that a copy preloads; the live server's without those that act by themselves if absent",
        ),
    ],
};
const VERIFY: Record = Record {
    name: "verify",
    fields: &[
        req("sql_write", Shape::Record(&SQL_WRITE), "a row written and read back"),
        opt("invariants", Shape::List(&Shape::Record(&INVARIANT)), "what has to be true of a restored copy"),
        opt("rows", Shape::List(&Shape::Name), "tables whose rows are counted in a restored copy"),
    ],
};
const CANARY: Record = Record {
    name: "verify",
    fields: &[req("sql_write", Shape::Record(&SQL_WRITE), "a row written and read back")],
};
const INVARIANT: Record = Record {
    name: "invariant",
    fields: &[
        req("name", Shape::Name, "its name"),
        req("sql", Shape::Text, "a query with one value; it can only read"),
        opt("is", Shape::Text, "exactly this, in quotes"),
        opt("at_least", Shape::Int(i64::MIN, i64::MAX), "no smaller number"),
        opt("database", Shape::Name, "the database; that of the endpoint if absent"),
    ],
};
const SQL_WRITE: Record =
    Record { name: "sql_write", fields: &[req("table", Shape::Name, "the table that canary rows go to")] };

const AUTOSCALING: Record = Record {
    name: "aws.autoscaling component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("at", Shape::Map(&Shape::Record(&GROUP_AT)), "its group in each site"),
    ],
};
const GROUP_AT: Record = Record {
    name: "group",
    fields: &[
        req("group", Shape::Written(&syntax::GROUP), "Auto Scaling group name"),
        opt(
            "capacity",
            Shape::Percent,
            "share of the source's in-service capacity that it must reach; 100% if absent",
        ),
        opt("capacity_floor", Shape::Int(0, 10_000), "never fewer; serves when the source is dark"),
        opt(
            "proceed_at",
            Shape::Percent,
            "share of the target capacity that is enough to go on; 100% if absent",
        ),
        opt("timeout", Shape::Duration, "how long it may take; 10m if absent"),
    ],
};

const ROUTE53: Record = Record {
    name: "aws.route53 component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("via", Shape::Name, "the connection that the zone is reached by"),
        req("zone", Shape::Written(&syntax::HOSTED_ZONE), "hosted zone id"),
        req("records", Shape::List(&Shape::Record(&RECORD)), "record sets that send users to a site"),
        opt(
            "switch",
            Shape::OneOf(&["record", "health_object", "arc_routing_control"]),
            "how traffic is moved: by changing the record sets, by an object that their health checks watch, or by routing controls",
        ),
        opt("object", Shape::Record(&SWITCH_OBJECT), "with health_object: which"),
        opt("cluster", Shape::Record(&SWITCH_CLUSTER), "with arc_routing_control: where, and which"),
    ],
};
const SWITCH_OBJECT: Record = Record {
    name: "object",
    fields: &[
        req("url", Shape::Written(&syntax::S3_URL), "s3://bucket/key"),
        req("site", Shape::Name, "the site that it is in, and sends users to"),
    ],
};
const SWITCH_CLUSTER: Record = Record {
    name: "cluster",
    fields: &[
        req("endpoints", Shape::Map(&Shape::Text), "the cluster's five endpoints, each under its region"),
        req("controls", Shape::Map(&Shape::Text), "the ARN of each site's routing control"),
    ],
};
const RECORD: Record = Record {
    name: "record",
    fields: &[
        req("name", Shape::Written(&syntax::DNS_NAME), "fully qualified name"),
        req("type", Shape::OneOf(&["A", "AAAA", "CNAME", "TXT"]), "record type"),
        opt("ttl", Shape::Duration, "time to live; required unless every answer is an alias"),
        opt("policy", Shape::OneOf(&["simple", "weighted", "failover"]), "routing policy; simple if absent"),
        opt("serves", Shape::OneOf(&["static"]), "static: needs no database"),
        req(
            "at",
            Shape::Map(&Shape::Either(&Shape::List(&Shape::Text), &Shape::Record(&RECORD_AT))),
            "the answer of each site, as it is while that site is active",
        ),
    ],
};
const RECORD_AT: Record = Record {
    name: "answer",
    fields: &[
        opt("set", Shape::Text, "set identifier, for weighted and failover"),
        opt("values", Shape::List(&Shape::Text), "plain values"),
        opt("alias", Shape::Record(&ALIAS), "an alias target instead of values"),
        opt("weight", Shape::Int(0, 255), "the weight in the normal state"),
        opt(
            "role",
            Shape::OneOf(&["primary", "secondary"]),
            "for policy failover: its role in the normal state",
        ),
        opt("health_check", Shape::Written(&syntax::HEALTH_CHECK), "Route 53 health check id"),
    ],
};
const ALIAS: Record = Record {
    name: "alias",
    fields: &[
        req("name", Shape::Written(&syntax::DNS_NAME), "the target's DNS name"),
        req("zone", Shape::Written(&syntax::HOSTED_ZONE), "the target's hosted zone id"),
        opt("evaluate_health", Shape::Bool, "whether the target's health counts"),
    ],
};

const S3: Record = Record {
    name: "aws.s3 component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("at", Shape::Map(&Shape::Record(&S3_AT)), "the bucket of each site"),
        opt("prefix", Shape::Text, "only objects whose keys begin so; all if absent"),
        opt("sample", Shape::Int(1, 200), "how many objects are compared with their copies; 20 if absent"),
    ],
};
const S3_AT: Record =
    Record { name: "bucket", fields: &[req("bucket", Shape::Written(&syntax::BUCKET), "its name")] };
const CLIENTS: Record = Record {
    name: "clients component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("of", Shape::Name, "the database that they connect to"),
        opt(
            "fields",
            Shape::Record(&SECRET_FIELDS),
            "where in the secret the server stands; {host: host, port: port} if absent",
        ),
        req("at", Shape::Map(&Shape::Record(&CLIENTS_AT)), "those of each site"),
        opt("verify", Shape::Record(&THROUGH), "a row written as they write"),
    ],
};
const SECRET_FIELDS: Record = Record {
    name: "fields",
    fields: &[
        req("host", Shape::Text, "the field with the server's name"),
        opt("port", Shape::Text, "the field with its port, if there is one"),
    ],
};
const CLIENTS_AT: Record = Record {
    name: "clients",
    fields: &[
        opt("secret", Shape::Text, "the Secrets Manager secret that they read: a JSON object"),
        opt("switch", Shape::Record(&TASK), "a command that leads them to the database of this site"),
        opt(
            "restart",
            Shape::List(&Shape::Record(&TASK)),
            "commands that make them read it anew, one after the other",
        ),
    ],
};
const TASK: Record = Record {
    name: "command",
    fields: &[opt("name", Shape::Name, "its name; its number if absent"), COMMAND, IDEMPOTENT, TIMEOUT, ENV],
};
const THROUGH: Record = Record {
    name: "verify",
    fields: &[req("sql_write", Shape::Record(&SQL_WRITE_AS), "a row written as clients do")],
};
const SQL_WRITE_AS: Record = Record {
    name: "sql_write",
    fields: &[
        req("table", Shape::Name, "the table that the row goes to"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database that they connect to; what the secret says if absent",
        ),
        opt("login", Shape::Secret, "the login that they use; what the secret says if absent"),
    ],
};

const EXTERNAL: Record = Record {
    name: "external component",
    fields: &[KIND, NEEDS, OWN_OBJECTIVES, opt("describe", Shape::Text, "what recovers it, for people")],
};

const SITE: Record = Record {
    name: "site",
    fields: &[
        opt("cloud", Shape::OneOf(&["aws", "gcp", "none"]), "the provider; aws if absent"),
        opt("region", Shape::Name, "the region; the site's name if absent"),
        opt("account", Shape::Text, "the account or project; preflight refuses another"),
        opt("role", Shape::Written(&syntax::ROLE), "the role assumed there"),
        opt("external_id", Shape::Written(&syntax::EXTERNAL_ID), "the external id that the role asks for"),
        opt("recovery", Shape::Bool, "false: never a target"),
    ],
};

const GATE: Record = Record {
    name: "gate",
    fields: &[
        req("at", Shape::OneOf(&["promote", "redirect"]), "the phase that waits for it"),
        req("approval", Shape::Text, "what is asked"),
        opt(
            "expires_after",
            Shape::Duration,
            "how long the question stands; 30m if absent. Expiry never means yes",
        ),
        opt(
            "by",
            Shape::List(&Shape::Text),
            "roles of operators that have to say yes, each by a person of its own; anybody but the requester if absent",
        ),
    ],
};
const GROUP: Record = Record {
    name: "group",
    fields: &[
        req("components", Shape::List(&Shape::Name), "the stores that belong together"),
        opt("gate", Shape::OneOf(&["together"]), "one loss gate: all are promoted or none"),
    ],
};
const WATCH: Record = Record {
    name: "watch",
    fields: &[req("for", Shape::Duration, "how long it is watched after the recovery")],
};

/// A plan file.
pub const PLAN: Record = Record {
    name: "plan",
    fields: &[
        req("plan", Shape::Name, "the application's name"),
        opt("owner", Shape::Text, "the team that answers for it"),
        opt("tier", Shape::Name, "the recovery class in drctl.yaml"),
        opt("objectives", Shape::Record(&OBJECTIVES), "objectives that differ from the tier's"),
        opt("after", Shape::List(&Shape::Name), "plans that are needed first"),
        req("sites", Shape::Map(&Shape::Record(&SITE)), "where it can live"),
        opt("connections", Shape::Map(&Shape::Record(&SITE)), "what belongs to no site: zones, edges"),
        req("home", Shape::Name, "the site that failback goes to"),
        req("components", Shape::Map(&Shape::ByKind(KINDS)), "what is recovered"),
        opt("probes", Shape::List(&Shape::Record(&PROBE)), "how it is known to work"),
        opt("groups", Shape::Map(&Shape::Record(&GROUP)), "stores that are promoted together or not at all"),
        opt("gates", Shape::Map(&Shape::Record(&GATE)), "approvals at a phase"),
        opt("watch", Shape::Record(&WATCH), "how long a recovery is watched"),
        opt("hooks", Shape::List(&Shape::Record(&HOOK)), "commands before or after a phase"),
        opt("procedures", Shape::Map(&Shape::Any), "named runbooks; not yet"),
        opt("mode", Shape::OneOf(&["active_passive", "active_active"]), "active_active: not yet"),
    ],
};

const GUARD: Record = Record {
    name: "guard",
    fields: &[
        req("url", Shape::Written(&syntax::S3_URL), "s3://bucket/prefix outside the sites that may be lost"),
        req("region", Shape::Name, "the bucket's region"),
        opt("account", Shape::Text, "the account"),
        opt("role", Shape::Written(&syntax::ROLE), "the role assumed there"),
        opt("external_id", Shape::Written(&syntax::EXTERNAL_ID), "the external id that the role asks for"),
    ],
};

const LIMIT: Record = Record {
    name: "limit",
    fields: &[
        req("burst", Shape::Int(1, 100_000), "how many calls the service's bucket holds"),
        req("per_second", Shape::Int(1, 100_000), "how many it gets back a second"),
    ],
};
const DNS: Record = Record {
    name: "dns",
    fields: &[opt(
        "resolvers",
        Shape::List(&Shape::Text),
        "addresses of resolvers that are asked beside this machine's own, such as those of your users",
    )],
};

const OPERATOR: Record = Record {
    name: "operator",
    fields: &[
        req("key", Shape::Text, "the public key: ssh-ed25519 AAAA..."),
        opt("roles", Shape::List(&Shape::Name), "what the person may decide, such as dba"),
    ],
};

/// `drctl.yaml`.
pub const SETTINGS: Record = Record {
    name: "drctl.yaml",
    fields: &[
        opt("tiers", Shape::Map(&Shape::Record(&OBJECTIVES)), "recovery classes"),
        opt(
            "environment",
            Shape::OneOf(&["production", "test"]),
            "`test`: runs count for no compliance and verify no application; production if absent",
        ),
        opt("plans", Shape::Text, "the folder of the plans; `plans` if absent"),
        opt("store", Shape::Text, "the file of the journal; `.drctl/drctl.db` if absent"),
        opt(
            "operator",
            Shape::Text,
            "who you are: the name of an operator, or anything in front of user@host",
        ),
        opt(
            "operators",
            Shape::Map(&Shape::Record(&OPERATOR)),
            "whose word is taken, by name; without any, words are only claimed and reports say so",
        ),
        opt(
            "policy",
            Shape::Record(&POLICY),
            "who has to say yes to what; as `drctl policy explain` shows if absent",
        ),
        opt(
            "key",
            Shape::Text,
            "the file of your private key; your public key's (.pub) if an agent has the other",
        ),
        opt(
            "key_passphrase_file",
            Shape::Text,
            "the file that your key's passphrase is in; asked for if absent",
        ),
        opt(
            "observation_max_age",
            Shape::Duration,
            "how old an observation of a site that answers may be; 5m if absent",
        ),
        opt(
            "readiness_every",
            Shape::Duration,
            "how often `drctl serve` looks ahead; 1h if absent, 0s: never",
        ),
        opt("probe_consecutive", Shape::Int(1, 100), "how many probes in a row make a turn; 3 if absent"),
        opt("guard", Shape::Record(&GUARD), "keeps two operators from running on one component"),
        opt(
            "evidence",
            Shape::Record(&EVIDENCE),
            "how long evidence is kept, and where; on this machine alone if absent",
        ),
        opt("reports", Shape::Record(&REPORTS), "whose names stand under compliance reports"),
        opt("notify", Shape::Record(&NOTIFY), "whom drctl tells what, and how; nobody if absent"),
        opt("telemetry", Shape::Record(&TELEMETRY), "where traces of live runs are sent; nowhere if absent"),
        opt("schedules", Shape::Map(&Shape::Record(&SCHEDULE)), "drills that `drctl serve` holds, by name"),
        opt(
            "endpoints",
            Shape::Map(&Shape::Text),
            "other addresses of services, for example `rds: http://127.0.0.1:4566`",
        ),
        opt(
            "limits",
            Shape::Map(&Shape::Record(&LIMIT)),
            "calls a service takes, by account and region; the published ones if absent",
        ),
        opt(
            "regions",
            Shape::List(&Shape::Name),
            "regions of AWS that are newer than this version of drctl, which plans may use",
        ),
        opt("sql", Shape::Record(&SQL), "how databases are connected to"),
        opt("dns", Shape::Record(&DNS), "how names are confirmed once they were moved"),
    ],
};
