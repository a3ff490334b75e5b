//! A login as clients use it, at a server that is fenced: the fence refuses it for its own reason, or nothing is proven by it.

use super::fence::is_shut;
use super::{Failure, Postgres, connect};
use crate::adapters::secrets::{Knock, Login};
use crate::kinds::shared::fence::FenceMethod;

/// SQLSTATE `invalid_authorization_specification` (PostgreSQL documentation, appendix A): what a role without LOGIN is refused with. A wrong
/// password is `28P01`.
const REFUSED: &str = "28000: ";
/// What the server says with it (`InitializeSessionUserId` of its source), after the password was right.
const NO_LOGIN: &str = "is not permitted to log in";
/// The message for a rule that rejects (`ClientAuthentication` in its source), before the server asks the client for anything.
const REJECTED: &str = "28000: pg_hba.conf rejects ";

impl Postgres {
    /// Tries a login once. A role that may not log in is refused before the database is looked at: that keeps it out as well.
    pub async fn knock(&self, endpoint: &str, login: &Login, method: FenceMethod) -> Knock {
        match self.within(connect(&self.settings, endpoint, login)).await {
            Ok(_) => Knock::Open,
            // Rules come before roles.
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
