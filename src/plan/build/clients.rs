//! Those who connect to a database.

use super::{dur, map, secret, spanned_text};
use crate::model::document::{Node, Spanned, Value};
use crate::model::ids::{ComponentName, SiteName};
use crate::model::time::Dur;
use crate::plan::types::{Clients, ClientsAt, Task};
use crate::record::control::Command;

pub(super) fn clients(node: &Node) -> Option<Clients> {
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
        login: login.map(|n| Spanned { value: secret(n), span: n.span }),
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

/// A command, and how long it may take. One without a name has its number among those beside it.
pub(super) fn task(node: &Node, number: u32) -> Option<Task> {
    let name = node.get("name").and_then(Node::text);
    Some(Task {
        name: name.map_or_else(|| number.to_string(), str::to_owned),
        command: Command {
            argv: node.get("command")?.items().iter().filter_map(Node::text).map(str::to_owned).collect(),
            idempotent: matches!(node.get("idempotent").map(|n| &n.value), Some(Value::Bool(true))),
            env: node
                .get("env")
                .map(|n| n.items().iter().filter_map(Node::text).map(str::to_owned).collect())
                .unwrap_or_default(),
        },
        timeout: node.get("timeout").and_then(dur).unwrap_or(Dur::mins(5)),
    })
}
