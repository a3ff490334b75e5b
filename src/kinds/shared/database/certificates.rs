//! Certificates of database servers.

/// CAs of a provider that no operating system includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnCas {
    /// The provider.
    pub by: &'static str,
    /// The servers whose certificates they sign.
    pub servers: &'static str,
    /// The URL of their certificates, in PEM.
    pub bundle: &'static str,
}

impl OwnCas {
    /// The file that the URL names.
    pub fn file(&self) -> &'static str {
        self.bundle.rsplit('/').next().unwrap_or(self.bundle)
    }
}
