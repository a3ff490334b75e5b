//! Tries a client's login at a fenced server. It proves the fence only if the server refuses for the fence's own reason.

use super::Postgres;
use super::session::{Failure, connect};
use super::way::is_shut;
use crate::adapters::secrets::{Knock, Login};
use crate::kinds::shared::fence::FenceMethod;

/// SQLSTATE `invalid_authorization_specification` (PostgreSQL documentation, appendix A): the server refuses a role without LOGIN
/// with it. A wrong password is `28P01`.
const REFUSED: &str = "28000: ";
/// The message that goes with it (`InitializeSessionUserId` in the server's source), after the password was accepted.
const NO_LOGIN: &str = "is not permitted to log in";
/// The message for a rule that rejects (`ClientAuthentication` in the server's source), before the server asks for a password.
const REJECTED: &str = "28000: pg_hba.conf rejects ";

impl Postgres {
    /// Tries a login once. The server refuses a role without LOGIN before it checks the database, so that counts for every
    /// method.
    pub async fn knock(&self, endpoint: &str, login: &Login, method: FenceMethod) -> Knock {
        match self.within(connect(&self.settings, endpoint, login)).await {
            Ok(_) => Knock::Open,
            // The server checks rules before roles.
            Err(Failure::Login(why)) if method == FenceMethod::PgHba => match why.starts_with(REJECTED) {
                true => Knock::Shut(why),
                false => Knock::NoProof(format!("login refused: {why}")),
            },
            Err(Failure::Login(why)) if why.starts_with(REFUSED) && why.ends_with(NO_LOGIN) => {
                Knock::Shut(why)
            }
            Err(Failure::Unreachable(why)) if method == FenceMethod::AllowConnections && is_shut(&why) => {
                Knock::Shut(why)
            }
            Err(failure) => Knock::NoProof(failure.why()),
        }
    }
}
