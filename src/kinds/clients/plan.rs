//! What a plan says of those who connect to a database.

use crate::kinds::common::{KIND, NEEDS, OWN_OBJECTIVES};
use crate::kinds::shared::clients::moved::{Clients, ClientsAt};
use crate::kinds::shared::command::{COMMAND, ENV, IDEMPOTENT, REHEARSAL, TIMEOUT, task};
use crate::kinds::shared::secret::login::{SECRET, secret_ref};
use crate::model::document::{Node, Spanned};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::read::{map, spanned_text};
use crate::model::shape::{Keys, Shape, opt, req};
use crate::model::syntax;

pub(super) const KEYS: Keys = Keys {
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
    fields: &[
        opt("name", Shape::Name, "its name; its number if absent"),
        COMMAND,
        IDEMPOTENT,
        TIMEOUT,
        ENV,
        REHEARSAL,
    ],
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
        opt("login", SECRET, "the login of the clients; if absent, the values in the secret"),
    ],
};

pub(super) fn build(node: &Node) -> Option<Clients> {
    let of = spanned_text(node.get("of")?)?;
    let text = |of: Option<&Node>, key: &str| of?.get(key)?.text().map(str::to_owned);
    let fields = node.get("fields");
    let write = node.get("verify").and_then(|v| v.get("sql_write"));
    let login = write.and_then(|w| w.get("login"));
    Some(Clients {
        of: Spanned { value: ComponentName::new(of.value), span: of.span },
        host: text(fields, "host").unwrap_or_else(|| "host".to_owned()),
        // As RDS writes its secrets, unless the plan says which fields there are.
        port: if fields.is_some() { text(fields, "port") } else { Some("port".to_owned()) },
        at: map(node, "at", |key, n| Some((SiteName::new(key), clients_at(n)))),
        // Two logins may look for a bare name in different schemas.
        canary_table: text(write, "table").map(|t| if t.contains('.') { t } else { format!("public.{t}") }),
        endpoint: text(write, "endpoint"),
        login: login.map(|n| Spanned { value: secret_ref(n), span: n.span }),
    })
}

fn clients_at(node: &Node) -> ClientsAt {
    let restarts = node.get("restart").map(Node::items).unwrap_or_default();
    ClientsAt {
        secret: node.get("secret").and_then(Node::text).map(str::to_owned),
        switch: node.get("switch").and_then(|n| task(n, 1)),
        restart: restarts.iter().zip(1..).filter_map(|(n, number)| task(n, number)).collect(),
    }
}
