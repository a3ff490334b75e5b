//! The servers and places that the rows are about.

use drctl::kinds::shared::database::{DatabaseRef, Engine, Host};
use drctl::model::place::{CloudProvider, Place};

use crate::run::decisions::db;

/// The site that is left, the site that is moved to, or a connection.
pub fn site(name: &str) -> Place {
    let region = match name {
        "west" => "us-west-2",
        "east" => "us-east-1",
        _ => "global",
    };
    let (name, cloud, region) = (name.to_owned(), CloudProvider::Aws, region.to_owned());
    Place { name, cloud, region, account: None, role: None, external_id: None }
}

fn server(engine: Engine, name: &str, at: &str) -> DatabaseRef {
    let id = format!("{name}-{at}");
    DatabaseRef { component: "db".into(), place: site(at), engine, ..db(&id) }
}

/// An RDS instance.
pub fn rds(at: &str) -> DatabaseRef {
    DatabaseRef { fence_group: Some("sg-none".to_owned()), ..server(Engine::Rds, "shop", at) }
}

/// A cluster of an Aurora global database.
pub fn aurora(at: &str) -> DatabaseRef {
    let global = Some("orders".to_owned());
    DatabaseRef { fence_group: Some("sg-none".to_owned()), global, ..server(Engine::Aurora, "orders", at) }
}

/// A self-managed PostgreSQL server.
pub fn own(at: &str) -> DatabaseRef {
    let host = Host {
        run: vec!["ssh".to_owned(), format!("pg-{at}")],
        data: "/data".to_owned(),
        bin: None,
        config: None,
        stop: Vec::new(),
        start: Vec::new(),
        replication_secret: "file:replication".to_owned(),
    };
    let endpoint = Some(format!("pg-{at}:5432/shop"));
    DatabaseRef { endpoint, host: Some(host), ..server(Engine::Postgres, "pg", at) }
}
