//! The providers that drctl reaches targets through.

use std::fmt;

/// A provider. It observes targets, and carries out the operations that these targets show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProviderName {
    /// Amazon Web Services, with the official SDK.
    Aws,
    /// PostgreSQL servers and their hosts.
    Postgres,
    /// Name servers and resolvers.
    Dns,
    /// Commands on this machine.
    Local,
}

impl ProviderName {
    /// Its name. A build contains it with the feature of that name, if there is one.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Postgres => "postgres",
            Self::Dns => "dns",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
