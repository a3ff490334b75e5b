//! The servers of a database, each at its place.

use super::plan::Database;
use super::server::DatabaseRef;
use crate::kinds::aws::arn;
use crate::kinds::kind::Role;
use crate::kinds::shared::secret::login::ClientWay;
use crate::kinds::surroundings::Surroundings;
use crate::kinds::target::Target;
use crate::model::ids::{ComponentName, SiteName};
use crate::model::readiness::Needs;

impl Database {
    /// The server in a site.
    pub fn server(
        &self,
        plan: &dyn Surroundings,
        name: &ComponentName,
        site: &SiteName,
    ) -> Option<DatabaseRef> {
        let at = self.at.get(site)?;
        Some(DatabaseRef {
            component: name.clone(),
            place: plan.site(site)?.clone(),
            id: at.id.clone(),
            engine: self.engine,
            endpoint: at.endpoint.clone(),
            fence_group: at.fence_group.clone(),
            admin_secret: at.admin.as_ref().and_then(|a| a.value.reference().cloned()),
            host: at.host.clone(),
            global: self.global.clone(),
            harmless: self.harmless.clone(),
            expendable: self.expendable.clone(),
            clients: self.ways_of_clients(plan, name, site),
        })
    }

    /// The servers of all sites.
    pub fn servers(&self, plan: &dyn Surroundings, name: &ComponentName) -> Vec<DatabaseRef> {
        self.at.keys().filter_map(|site| self.server(plan, name, site)).collect()
    }

    /// Whether drctl has a login to it.
    pub fn has_login(&self) -> bool {
        self.at.values().any(|at| at.admin.is_some())
    }

    /// What drctl observes of it: each server, and the proof of each fence.
    pub fn targets(&self, plan: &dyn Surroundings, name: &ComponentName) -> Vec<Target> {
        let each = |db: DatabaseRef| {
            let fences = self.fence.iter().map(|&method| Target::fence(&db, method)).collect::<Vec<_>>();
            std::iter::once(Target::Database(db)).chain(fences)
        };
        self.servers(plan, name).into_iter().flat_map(each).collect()
    }

    /// The administrators' secrets: every site must be able to read those of all sites.
    pub fn logins(&self, plan: &dyn Surroundings, needs: &mut Needs) {
        let ids =
            self.at.values().filter_map(|at| at.admin.as_ref()?.value.reference()?.strip_prefix("aws-sm:"));
        let places = self.at.keys().filter_map(|site| plan.site(site));
        for (place, id) in places.flat_map(|place| ids.clone().map(move |id| (place, id))) {
            needs.add(place, arn::secret(place, id), &["secretsmanager:GetSecretValue"]);
        }
    }

    /// How clients in a site connect to it, as far as their login is known there.
    fn ways_of_clients(
        &self,
        plan: &dyn Surroundings,
        name: &ComponentName,
        site: &SiteName,
    ) -> Vec<ClientWay> {
        if !self.fence.iter().any(|m| m.tells_the_end()) {
            return Vec::new();
        }
        let ours = |(clients, spec): (&ComponentName, &crate::kinds::list::Spec)| match spec.role() {
            Role::Clients(of) if of.of.value == *name => of.way(plan, clients, site),
            _ => None,
        };
        plan.components().into_iter().filter_map(ours).collect()
    }
}
