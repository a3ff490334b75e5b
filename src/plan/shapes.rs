//! The shape of `plans/*.yaml` and of `drctl.yaml`.

mod commands;
mod databases;
mod settings;

use self::commands::{COMMAND, ENV, HOOK, IDEMPOTENT, TIMEOUT};
use self::databases::{EXPENDABLE, HARMLESS_FIELD};
pub use self::settings::SETTINGS;

use super::build::probes::PROBE;
use crate::model::shape::{Field, Keys, Shape, opt, req};
use crate::model::syntax;

const OBJECTIVES: Keys = Keys {
    name: "objectives",
    fields: &[
        req("rto", Shape::Duration, "recovery time objective: how long users may be without the application"),
        req("rpo", Shape::Duration, "recovery point objective: how many minutes of writes may be lost"),
        opt("drill_every", Shape::Duration, "how often a drill must prove the objectives"),
    ],
};

/// The kinds of component that plans may use.
pub const KINDS: &[(&str, &Keys)] = &[
    ("aws.rds", &RDS),
    ("postgres", &POSTGRES),
    ("aws.aurora_global", &AURORA),
    ("aws.autoscaling", &AUTOSCALING),
    ("aws.route53", &ROUTE53),
    ("clients", &CLIENTS),
    ("aws.s3", &S3),
    ("external", &EXTERNAL),
];

const KIND: Field = req("kind", Shape::Name, "how drctl recovers the component");
const NEEDS: Field = opt("needs", Shape::List(&Shape::Name), "components that this one cannot serve without");
const OWN_OBJECTIVES: Field =
    opt("objectives", Shape::Keys(&OBJECTIVES), "objectives that differ from those of the plan");

const RDS: Keys = Keys {
    name: "aws.rds component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt(
            "fence",
            Shape::List(&Shape::OneOf(&["sql", "allow_connections", "security_group"])),
            "the fence methods, tried in order",
        ),
        HARMLESS_FIELD,
        EXPENDABLE,
        req("at", Shape::Map(&Shape::Keys(&RDS_AT)), "the instance in each site"),
        opt(
            "verify",
            Shape::Keys(&VERIFY),
            "the test write that proves a promotion, and what must be true of a restored copy",
        ),
        opt(
            "backup_every",
            Shape::Duration,
            "the backup interval, if backups protect the database instead of a replica",
        ),
    ],
};
const RDS_AT: Keys = Keys {
    name: "instance",
    fields: &[
        req("id", Shape::Written(&syntax::DB_INSTANCE), "DB instance identifier"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database; if absent, drctl uses the observed endpoint",
        ),
        opt(
            "fence_group",
            Shape::Written(&syntax::SECURITY_GROUP),
            "a prepared security group without rules, for the fence",
        ),
        opt("admin", Shape::Secret, "administrator credentials, for the SQL fence and verification"),
    ],
};
const AURORA: Keys = Keys {
    name: "aws.aurora_global component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req(
            "global_cluster",
            Shape::Written(&syntax::GLOBAL_CLUSTER),
            "the identifier of the global database, the same in every region",
        ),
        opt(
            "fence",
            Shape::List(&Shape::OneOf(&["sql", "security_group"])),
            "the fence methods, tried in order; `sql` is for aurora-postgresql",
        ),
        HARMLESS_FIELD,
        req("at", Shape::Map(&Shape::Keys(&AURORA_AT)), "the cluster in each site"),
        opt("verify", Shape::Keys(&CANARY), "the test write that proves a promotion"),
    ],
};
const AURORA_AT: Keys = Keys {
    name: "cluster",
    fields: &[
        req("id", Shape::Written(&syntax::DB_CLUSTER), "DB cluster identifier"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database of its writer; if absent, drctl uses the observed endpoint",
        ),
        opt(
            "instance_class",
            Shape::Text,
            "the instance class to add to a cluster without instances; the class of the writer if absent",
        ),
        opt(
            "fence_group",
            Shape::Written(&syntax::SECURITY_GROUP),
            "a prepared security group without rules, for the fence",
        ),
        opt("admin", Shape::Secret, "administrator credentials, for the SQL fence and verification"),
    ],
};
const POSTGRES: Keys = Keys {
    name: "postgres component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt(
            "fence",
            Shape::List(&Shape::OneOf(&["sql", "allow_connections", "pg_hba", "stop"])),
            "the fence methods, tried in order; `pg_hba` and `stop` need `host`",
        ),
        req("at", Shape::Map(&Shape::Keys(&POSTGRES_AT)), "the server in each site"),
        opt(
            "verify",
            Shape::Keys(&VERIFY),
            "the test write that proves a promotion, and what must be true of a restored copy",
        ),
        opt(
            "backup_every",
            Shape::Duration,
            "the backup interval, if backups protect the database instead of a replica",
        ),
        opt(
            "reconcile",
            Shape::List(&Shape::Name),
            "tables to export rows from when an old primary becomes a standby: the rows that only it has",
        ),
        HARMLESS_FIELD,
        EXPENDABLE,
    ],
};
const POSTGRES_AT: Keys = Keys {
    name: "server",
    fields: &[
        opt("id", Shape::Text, "a name for people; its endpoint if absent"),
        req("endpoint", Shape::Written(&syntax::ENDPOINT), "host:port/database"),
        req("admin", Shape::Secret, "a login that may promote it, fence it and view its sessions"),
        opt(
            "host",
            Shape::Keys(&HOST),
            "its host; switchover, failback and reprotect need it to make the server a standby",
        ),
    ],
};
const HOST: Keys = Keys {
    name: "host",
    fields: &[
        req(
            "run",
            Shape::List(&Shape::Text),
            "the command before `sh` that runs it on the host as the owner of the data, for example [ssh, -o, BatchMode=yes, postgres@db-west]",
        ),
        req("data", Shape::Text, "the data folder"),
        opt("bin", Shape::Text, "the folder of the server programs; those in PATH if absent"),
        opt("config", Shape::Text, "the settings file, if it is not in the data folder (Debian)"),
        opt("stop", Shape::List(&Shape::Text), "the command that stops the server; pg_ctl if absent"),
        opt("start", Shape::List(&Shape::Text), "the command that starts the server; pg_ctl if absent"),
        req(
            "replication",
            Shape::Secret,
            "a login with REPLICATION and the rights that pg_rewind needs, on every server of the component",
        ),
        opt(
            "backups",
            Shape::Keys(&BACKUPS),
            "its base backups and archived WAL, as this host reads them; restore needs them",
        ),
    ],
};
const BACKUPS: Keys = Keys {
    name: "backups",
    fields: &[
        req(
            "list",
            Shape::Text,
            "a shell command that prints one line for each backup: name, begin, end (RFC 3339, UTC), bytes, and the first segment if known",
        ),
        req(
            "fetch",
            Shape::Text,
            "a shell command that copies backup $DRCTL_BACKUP to the empty folder $DRCTL_FOLDER",
        ),
        req("archive_get", Shape::Text, "like restore_command, with %f and %p"),
        opt(
            "reserve_gib",
            Shape::Int(0, 1_000_000),
            "disk space in GiB that a restore leaves free for the live server; 1 if absent",
        ),
        opt(
            "preload",
            Shape::List(&Shape::Name),
            "libraries that a copy preloads; if absent, those of the live server except the ones that act on their own",
        ),
    ],
};
const VERIFY: Keys = Keys {
    name: "verify",
    fields: &[
        req("sql_write", Shape::Keys(&SQL_WRITE), "a row that drctl writes and reads back"),
        opt("invariants", Shape::List(&Shape::Keys(&INVARIANT)), "what must be true of a restored copy"),
        opt("rows", Shape::List(&Shape::Name), "tables whose rows drctl counts in a restored copy"),
    ],
};
const CANARY: Keys = Keys {
    name: "verify",
    fields: &[req("sql_write", Shape::Keys(&SQL_WRITE), "a row that drctl writes and reads back")],
};
const INVARIANT: Keys = Keys {
    name: "invariant",
    fields: &[
        req("name", Shape::Name, "its name"),
        req("sql", Shape::Text, "a read-only query that returns one value"),
        opt("is", Shape::Text, "the exact value, in quotes"),
        opt("at_least", Shape::Int(i64::MIN, i64::MAX), "the smallest allowed number"),
        opt("database", Shape::Name, "the database; the database of the endpoint if absent"),
    ],
};
const SQL_WRITE: Keys =
    Keys { name: "sql_write", fields: &[req("table", Shape::Name, "the table for canary rows")] };

const AUTOSCALING: Keys = Keys {
    name: "aws.autoscaling component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("at", Shape::Map(&Shape::Keys(&GROUP_AT)), "the group in each site"),
    ],
};
const GROUP_AT: Keys = Keys {
    name: "group",
    fields: &[
        req("group", Shape::Written(&syntax::GROUP), "Auto Scaling group name"),
        opt(
            "capacity",
            Shape::Percent,
            "the share of the in-service capacity of the source that it must reach; 100% if absent",
        ),
        opt(
            "capacity_floor",
            Shape::Int(0, 10_000),
            "the smallest number of instances; drctl uses it if the source does not answer",
        ),
        opt(
            "proceed_at",
            Shape::Percent,
            "the share of the target capacity that is enough to continue; 100% if absent",
        ),
        opt("timeout", Shape::Duration, "how long it may take; 10m if absent"),
    ],
};

const ROUTE53: Keys = Keys {
    name: "aws.route53 component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("via", Shape::Name, "the connection that drctl uses to reach the zone"),
        req("zone", Shape::Written(&syntax::HOSTED_ZONE), "hosted zone id"),
        req("records", Shape::List(&Shape::Keys(&RECORD)), "record sets that send users to a site"),
        opt(
            "switch",
            Shape::OneOf(&["record", "health_object", "arc_routing_control"]),
            "how drctl moves traffic: by a change of the record sets, by an object that their health checks watch, or by routing controls",
        ),
        opt("object", Shape::Keys(&SWITCH_OBJECT), "for health_object: the object"),
        opt("cluster", Shape::Keys(&SWITCH_CLUSTER), "for arc_routing_control: the cluster and its controls"),
    ],
};
const SWITCH_OBJECT: Keys = Keys {
    name: "object",
    fields: &[
        req("url", Shape::Written(&syntax::S3_URL), "s3://bucket/key"),
        req("site", Shape::Name, "the site that the object is in and sends users to"),
    ],
};
const SWITCH_CLUSTER: Keys = Keys {
    name: "cluster",
    fields: &[
        req(
            "endpoints",
            Shape::Map(&Shape::Text),
            "the five endpoints of the cluster, each under its region",
        ),
        req("controls", Shape::Map(&Shape::Text), "the ARN of the routing control of each site"),
    ],
};
const RECORD: Keys = Keys {
    name: "record",
    fields: &[
        req("name", Shape::Written(&syntax::DNS_NAME), "fully qualified name"),
        req("type", Shape::OneOf(&["A", "AAAA", "CNAME", "TXT"]), "record type"),
        opt("ttl", Shape::Duration, "time to live; required unless every answer is an alias"),
        opt("policy", Shape::OneOf(&["simple", "weighted", "failover"]), "routing policy; simple if absent"),
        opt("serves", Shape::OneOf(&["static"]), "static: does not need a database"),
        req(
            "at",
            Shape::Map(&Shape::Either(&Shape::List(&Shape::Text), &Shape::Keys(&RECORD_AT))),
            "the answer for each site while that site is active",
        ),
    ],
};
const RECORD_AT: Keys = Keys {
    name: "answer",
    fields: &[
        opt("set", Shape::Text, "set identifier, for weighted and failover"),
        opt("values", Shape::List(&Shape::Text), "plain values"),
        opt("alias", Shape::Keys(&ALIAS), "an alias target instead of values"),
        opt("weight", Shape::Int(0, 255), "the weight in the normal state"),
        opt(
            "role",
            Shape::OneOf(&["primary", "secondary"]),
            "for policy failover: its role in the normal state",
        ),
        opt("health_check", Shape::Written(&syntax::HEALTH_CHECK), "Route 53 health check id"),
    ],
};
const ALIAS: Keys = Keys {
    name: "alias",
    fields: &[
        req("name", Shape::Written(&syntax::DNS_NAME), "the DNS name of the target"),
        req("zone", Shape::Written(&syntax::HOSTED_ZONE), "the hosted zone id of the target"),
        opt("evaluate_health", Shape::Bool, "whether Route 53 evaluates the health of the target"),
    ],
};

const S3: Keys = Keys {
    name: "aws.s3 component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("at", Shape::Map(&Shape::Keys(&S3_AT)), "the bucket of each site"),
        opt("prefix", Shape::Text, "only objects whose keys start with this text; all if absent"),
        opt("sample", Shape::Int(1, 200), "how many objects drctl compares with their copies; 20 if absent"),
    ],
};
const S3_AT: Keys =
    Keys { name: "bucket", fields: &[req("bucket", Shape::Written(&syntax::BUCKET), "its name")] };
const CLIENTS: Keys = Keys {
    name: "clients component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        req("of", Shape::Name, "the database that they connect to"),
        opt(
            "fields",
            Shape::Keys(&SECRET_FIELDS),
            "the fields of the secret that name the server; {host: host, port: port} if absent",
        ),
        req("at", Shape::Map(&Shape::Keys(&CLIENTS_AT)), "the clients in each site"),
        opt("verify", Shape::Keys(&THROUGH), "a row that drctl writes like a client"),
    ],
};
const SECRET_FIELDS: Keys = Keys {
    name: "fields",
    fields: &[
        req("host", Shape::Text, "the field with the name of the server"),
        opt("port", Shape::Text, "the field with the port, if any"),
    ],
};
const CLIENTS_AT: Keys = Keys {
    name: "clients",
    fields: &[
        opt("secret", Shape::Text, "the Secrets Manager secret that they read: a JSON object"),
        opt("switch", Shape::Keys(&TASK), "a command that points the clients to the database of this site"),
        opt(
            "restart",
            Shape::List(&Shape::Keys(&TASK)),
            "commands, run one after the other, that make the clients read the settings again",
        ),
    ],
};
const TASK: Keys = Keys {
    name: "command",
    fields: &[opt("name", Shape::Name, "its name; its number if absent"), COMMAND, IDEMPOTENT, TIMEOUT, ENV],
};
const THROUGH: Keys = Keys {
    name: "verify",
    fields: &[req("sql_write", Shape::Keys(&SQL_WRITE_AS), "a row that drctl writes like a client")],
};
const SQL_WRITE_AS: Keys = Keys {
    name: "sql_write",
    fields: &[
        req("table", Shape::Name, "the table for the row"),
        opt(
            "endpoint",
            Shape::Written(&syntax::ENDPOINT),
            "host:port/database that the clients connect to; if absent, the values in the secret",
        ),
        opt("login", Shape::Secret, "the login of the clients; if absent, the values in the secret"),
    ],
};

const EXTERNAL: Keys = Keys {
    name: "external component",
    fields: &[
        KIND,
        NEEDS,
        OWN_OBJECTIVES,
        opt("describe", Shape::Text, "what recovers it (text for people)"),
    ],
};

const SITE: Keys = Keys {
    name: "site",
    fields: &[
        opt("cloud", Shape::OneOf(&["aws", "gcp", "none"]), "the provider; aws if absent"),
        opt("region", Shape::Name, "the region; the site's name if absent"),
        opt("account", Shape::Text, "the account or project; preflight refuses credentials of another one"),
        opt("role", Shape::Written(&syntax::ROLE), "the role to assume there"),
        opt("external_id", Shape::Written(&syntax::EXTERNAL_ID), "the external id that the role requires"),
        opt("recovery", Shape::Bool, "false: never a recovery target"),
    ],
};

const GATE: Keys = Keys {
    name: "gate",
    fields: &[
        req("at", Shape::OneOf(&["promote", "redirect"]), "the phase that waits for it"),
        req("approval", Shape::Text, "the question"),
        opt(
            "expires_after",
            Shape::Duration,
            "how long the approval request is valid; 30m if absent. An expired request is never a yes",
        ),
        opt(
            "by",
            Shape::List(&Shape::Text),
            "roles that must approve, each by a different person; if absent, anybody except the requester",
        ),
    ],
};
const GROUP: Keys = Keys {
    name: "group",
    fields: &[
        req("components", Shape::List(&Shape::Name), "the stores of the group"),
        opt("gate", Shape::OneOf(&["together"]), "one loss gate: drctl promotes all or none"),
    ],
};
const WATCH: Keys = Keys {
    name: "watch",
    fields: &[req("for", Shape::Duration, "how long drctl watches the application after the recovery")],
};

/// A plan file.
pub const PLAN: Keys = Keys {
    name: "plan",
    fields: &[
        req("plan", Shape::Name, "the name of the application"),
        opt("owner", Shape::Text, "the team responsible for it"),
        opt("tier", Shape::Name, "the recovery class in drctl.yaml"),
        opt("objectives", Shape::Keys(&OBJECTIVES), "objectives that differ from those of the tier"),
        opt("after", Shape::List(&Shape::Name), "plans to recover first"),
        req("sites", Shape::Map(&Shape::Keys(&SITE)), "where the application can run"),
        opt("connections", Shape::Map(&Shape::Keys(&SITE)), "what does not belong to a site: zones, edges"),
        req("home", Shape::Name, "the site that failback goes to"),
        req("components", Shape::Map(&Shape::ByKind(KINDS)), "what drctl recovers"),
        opt("probes", Shape::List(&Shape::Keys(&PROBE)), "how drctl knows that the application works"),
        opt("groups", Shape::Map(&Shape::Keys(&GROUP)), "stores that drctl promotes together or not at all"),
        opt("gates", Shape::Map(&Shape::Keys(&GATE)), "approvals at a phase"),
        opt("watch", Shape::Keys(&WATCH), "how long drctl watches a recovery"),
        opt("hooks", Shape::List(&Shape::Keys(&HOOK)), "commands before or after a phase"),
        opt("procedures", Shape::Map(&Shape::Any), "named runbooks; not yet"),
        opt("mode", Shape::OneOf(&["active_passive", "active_active"]), "active_active: not yet"),
    ],
};
