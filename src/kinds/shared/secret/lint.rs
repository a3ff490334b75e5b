//! Findings about a login: it is not in the plan, and can be read when the other site is lost.

use super::login::SecretRef;
use crate::kinds::lint::Lint;
use crate::model::document::Spanned;
use crate::model::ids::SiteName;

/// Checks a login of a component in a site.
pub(in crate::kinds) fn lint_login(login: &Spanned<SecretRef>, site: &SiteName, of: &mut Lint<'_>) {
    match &login.value {
        SecretRef::Literal => of.error(
            "secret-in-plan",
            login.span,
            format!("the plan contains the credentials of `{}`", of.name),
            "drctl stores plans in journals and evidence bundles",
            "write {secret: \"aws-sm:name\"} and keep the value in the secret store of that site",
        ),
        SecretRef::Ref(reference) => {
            if let Some(other) = of.other_site_in(reference, site) {
                of.warn(
                    "needs-lost-site",
                    login.span,
                    format!("credentials for {site} come from {other}"),
                    "drctl needs the secret exactly when the other site may be lost",
                    &format!("keep a copy in {site} and name that copy"),
                );
            }
        }
        SecretRef::EndpointOf(_) | SecretRef::Unread => {}
    }
}
