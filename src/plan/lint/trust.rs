//! Certificates: of what a managed database shows no system's store knows the CA.

use super::Lint;
use crate::kinds::shared::database::{Database, Engine};
use crate::plan::settings::SqlTls;
use crate::plan::types::Component;

impl Lint<'_> {
    /// Said for each database that drctl logs in to and Amazon runs.
    pub(super) fn trust(&mut self, component: &Component, spec: &Database) {
        let managed = matches!(spec.engine, Engine::Rds | Engine::Aurora);
        let sql = &self.settings.sql;
        let unknown = sql.tls == SqlTls::Verify && sql.ca_file.is_none();
        if managed && unknown && spec.at.values().any(|at| at.admin.is_some()) {
            self.warn(
                "sql-ca-missing",
                Some(component.span),
                format!("drctl does not trust the CA that signs the certificate of `{}`", component.name),
                "Amazon's own CAs sign the certificates of RDS and Aurora. No operating system includes these CAs, so every login by drctl would fail, starting with the SQL fence",
                "download https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem, and set in drctl.yaml: sql: {ca_file: global-bundle.pem}",
            );
        }
    }
}
