//! What a plan says of a PostgreSQL server of one's own.

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::shared::database::plan::{
    BACKUP_EVERY, Database, EXPENDABLE, HARMLESS_FIELD, VERIFY_FIELD,
};
use crate::kinds::shared::secret::login::SECRET;
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax;

/// The database that a plan declares.
#[derive(Clone, Debug)]
pub struct Postgres(pub(super) Database);

pub(super) const KEYS: Keys = Keys {
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
        VERIFY_FIELD,
        BACKUP_EVERY,
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
        req("admin", SECRET, "a login that may promote it, fence it and view its sessions"),
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
            SECRET,
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
            "libraries that a copy preloads; if absent, those of the live server except libraries that start background workers",
        ),
    ],
};
