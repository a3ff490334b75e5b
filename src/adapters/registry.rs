//! The one table of providers. A build contains those whose feature it has; `Unbuilt` takes the place of the others.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::local::Local;
use super::provider::{ControlPlane, ObjectStore, Provider};
#[cfg(not(all(feature = "aws", feature = "gcp", feature = "postgres", feature = "dns")))]
use super::unbuilt::Unbuilt;
use crate::model::place::Place;
use crate::model::provider::ProviderName;
use crate::plan::Settings;
use crate::plan::settings::SqlSettings;
use crate::world::World;

/// The providers that this build contains.
pub const BUILT: &[ProviderName] = &[
    #[cfg(feature = "aws")]
    ProviderName::Aws,
    #[cfg(feature = "postgres")]
    ProviderName::Postgres,
    #[cfg(feature = "dns")]
    ProviderName::Dns,
    ProviderName::Local,
];

/// All providers of a process.
pub struct Providers {
    /// Each by its name.
    pub by_name: BTreeMap<ProviderName, Rc<dyn Provider>>,
    /// The control plane of the cloud.
    pub control: Rc<dyn ControlPlane>,
}

impl Providers {
    /// `recovery` is the recovery site: drctl reaches global services, and reads secrets, in its region. Opens no connection.
    #[cfg_attr(
        not(any(feature = "aws", feature = "postgres", feature = "dns")),
        expect(unused_variables, reason = "only a provider reads the settings")
    )]
    pub fn new(world: &World, settings: &Settings, recovery: Option<Place>) -> Self {
        #[cfg(feature = "aws")]
        let control = Rc::new(super::aws::Aws::new(world.clone(), settings, recovery));
        #[cfg(not(feature = "aws"))]
        let control = {
            drop(recovery);
            Rc::new(Unbuilt::new(world.clone(), ProviderName::Aws.id()))
        };
        #[cfg(feature = "postgres")]
        let sql = {
            let control: Rc<dyn ControlPlane> = control.clone();
            Rc::new(super::postgres::sql::Sql::new(world.clone(), settings.sql.clone(), control))
        };
        #[cfg(not(feature = "postgres"))]
        let sql = Rc::new(Unbuilt::new(world.clone(), ProviderName::Postgres.id()));
        #[cfg(feature = "aws")]
        let aws: Rc<dyn Provider> =
            Rc::new(super::aws::provider::Managed { aws: control.clone(), databases: sql.clone() });
        #[cfg(not(feature = "aws"))]
        let aws: Rc<dyn Provider> = control.clone();
        #[cfg(feature = "dns")]
        let dns: Rc<dyn Provider> = Rc::new(super::dns::Dns::new(world.clone(), settings.resolvers.clone()));
        #[cfg(not(feature = "dns"))]
        let dns: Rc<dyn Provider> = Rc::new(Unbuilt::new(world.clone(), ProviderName::Dns.id()));
        let local: Rc<dyn Provider> = Rc::new(Local::new(world.clone()));
        let by_name = BTreeMap::from([
            (ProviderName::Aws, aws),
            (ProviderName::Postgres, sql),
            (ProviderName::Dns, dns),
            (ProviderName::Local, local),
        ]);
        Self { by_name, control }
    }
}

/// Amazon S3.
#[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "only a provider reads the settings"))]
pub fn s3(world: &World, settings: &Settings) -> Box<dyn ObjectStore> {
    #[cfg(feature = "aws")]
    return Box::new(super::aws::Aws::new(world.clone(), settings, None));
    #[cfg(not(feature = "aws"))]
    return Box::new(Unbuilt::new(world.clone(), ProviderName::Aws.id()));
}

/// Google Cloud Storage.
#[cfg_attr(feature = "gcp", expect(unused_variables, reason = "only a build without it needs the time"))]
#[cfg_attr(not(feature = "gcp"), expect(unused_variables, reason = "only a provider reads the settings"))]
pub fn gcs(world: &World, settings: &Settings) -> Box<dyn ObjectStore> {
    #[cfg(feature = "gcp")]
    return Box::new(super::gcp::Gcs::new(settings));
    #[cfg(not(feature = "gcp"))]
    return Box::new(Unbuilt::new(world.clone(), "gcp"));
}

/// What is wrong with the certificates in the settings for SQL, if anything. A build without PostgreSQL uses none.
#[cfg_attr(
    not(feature = "postgres"),
    expect(unused_variables, reason = "only a provider reads the settings")
)]
pub fn sql_trouble(settings: &SqlSettings) -> Option<String> {
    #[cfg(feature = "postgres")]
    return super::postgres::trouble(settings);
    #[cfg(not(feature = "postgres"))]
    return None;
}
