//! Secrets of clients in a simulated world.

use super::login::{ClientSecret, SecretState};
use super::op::UpdateClientSecret;
use crate::kinds::world::SimulatedWorld;
use crate::kinds::world::answer::{Answer, Refused};

impl SimulatedWorld {
    /// Leads clients elsewhere.
    ///
    /// # Errors
    /// The secret does not exist.
    pub fn point(&mut self, of: &UpdateClientSecret) -> Answer {
        let missing = || {
            let why = format!("secret {} does not exist", of.secret.id);
            Refused::always("ResourceNotFoundException", why)
        };
        self.ways.get_mut(&of.secret).ok_or_else(missing)?.fields.extend(of.to.clone());
        Ok(None)
    }

    /// What a secret holds.
    pub fn secret(&self, of: &ClientSecret) -> Option<SecretState> {
        let fields = self.leads(of)?.clone();
        Some(SecretState { fields, replica_of: None, rotating: false, owned_by: None })
    }
}
