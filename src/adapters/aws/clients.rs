//! SDK clients, one set for each site or connection, created on first use.
//!
//! Credentials come from the SDK's own chain (environment, profiles, SSO, credential processes, instance roles). A place with a
//! role gets the role's credentials from the STS of its own region, so nothing depends on a region that is down. The SDK's
//! retries are off: attempts to change something are in the journal, and the caller repeats observations.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::future::ProvideCredentials as ProvidedCredentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use tokio::sync::OnceCell as AsyncOnceCell;

use super::between::between;
use super::body::Bounded;
use crate::adapters::process::inherited;
use crate::adapters::secrets::learn;
use crate::kinds::aws::services::{SERVICES, Service};
use crate::model::environment::{Endpoint, Source};
use crate::model::place::Place;

/// Limit on opening a connection.
pub const CONNECT: Duration = Duration::from_secs(3);
/// Limit on the answer after the request is sent.
const READ: Duration = Duration::from_secs(10);
/// Limit on a whole call, including its credentials.
const OPERATION: Duration = Duration::from_secs(15);

/// Shorter limits for an endpoint of routing controls, because there are four others.
const CLUSTER_CONNECT: Duration = Duration::from_secs(2);
const CLUSTER_READ: Duration = Duration::from_secs(4);

/// Limits on a sign of life, which is asked for every second: on the connection, and on the whole call.
const SIGN_CONNECT: Duration = Duration::from_secs(1);
const SIGN: Duration = Duration::from_secs(2);

/// The region that serves the API of a global service and whose name is in the signature (AWS, «Global services»).
const GLOBAL: &str = "us-east-1";

/// All clients of a process.
pub struct Clients {
    endpoints: BTreeMap<String, String>,
    /// The recovery region. Its STS is used if a place has no region of its own.
    recovery: Option<String>,
    /// The session name of assumed roles.
    session: String,
    base: AsyncOnceCell<SdkConfig>,
    sites: RefCell<BTreeMap<Place, Rc<AsyncOnceCell<Rc<Site>>>>>,
}

/// The clients of one place.
pub struct Site {
    sdk: SdkConfig,
    sts_region: Region,
    endpoints: BTreeMap<String, String>,
    made: RefCell<BTreeMap<&'static str, Rc<dyn Any>>>,
    clusters: RefCell<BTreeMap<String, aws_sdk_route53recoverycluster::Client>>,
}

impl Clients {
    /// Creates no client.
    pub fn new(endpoints: BTreeMap<String, String>, recovery: Option<String>, session: &str) -> Self {
        Self {
            endpoints,
            recovery,
            session: session_name(session),
            base: AsyncOnceCell::const_new(),
            sites: RefCell::new(BTreeMap::new()),
        }
    }

    async fn base(&self) -> &SdkConfig {
        self.base
            .get_or_init(|| async {
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .read_timeout(READ)
                    .operation_attempt_timeout(READ)
                    .operation_timeout(OPERATION)
                    .build();
                let config = aws_config::defaults(BehaviorVersion::latest())
                    .retry_config(RetryConfig::disabled())
                    .timeout_config(timeouts)
                    .region(Region::new(self.recovery.clone().unwrap_or_else(|| GLOBAL.to_owned())))
                    .load()
                    .await;
                match config.credentials_provider() {
                    Some(own) => config.into_builder().credentials_provider(learned(own)).build(),
                    None => config,
                }
            })
            .await
    }

    /// Service addresses that replace AWS's own. Reads them in the SDK's order: environment variables, then the profile, each
    /// first for the service and then for all services.
    pub async fn named(&self) -> BTreeSet<Endpoint> {
        let base = self.base().await;
        let mut all = between(inherited, &self.endpoints);
        for &Service { name, id, .. } in SERVICES {
            let Some(id) = id else { continue };
            let own = self.endpoints.get(name).map(|url| Endpoint::new(name, url, Source::Settings));
            let key = ServiceConfigKey::builder()
                .service_id(id)
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url")
                .build()
                .ok();
            let of_service = base.service_config().zip(key).and_then(|(config, key)| config.load_config(key));
            let url = of_service.or_else(|| base.endpoint_url().map(str::to_owned));
            let of_sdk = url.map(|url| Endpoint::new(name, &url, Source::Sdk));
            // Roles always use the SDK's address of STS.
            let hidden = own.is_some() && name != "sts";
            all.extend(own.into_iter().chain(of_sdk.filter(|_| !hidden)));
        }
        all
    }

    /// The clients of a place.
    pub async fn for_place(&self, place: &Place) -> Rc<Site> {
        let cell = Rc::clone(self.sites.borrow_mut().entry(place.clone()).or_default());
        Rc::clone(cell.get_or_init(|| async { Rc::new(self.site(place).await) }).await)
    }

    async fn site(&self, place: &Place) -> Site {
        let base = self.base().await;
        let own = if place.region == "global" { GLOBAL } else { place.region.as_str() };
        let sts = match place.region.as_str() {
            "global" => self.recovery.as_deref().unwrap_or(GLOBAL),
            region => region,
        };
        let sts_region = Region::new(sts.to_owned());
        let mut builder = base.clone().into_builder().region(Region::new(own.to_owned()));
        if let Some(role) = &place.role {
            let mut asked = base.clone().into_builder().region(sts_region.clone());
            asked.set_endpoint_url(
                self.endpoints.get("sts").cloned().or_else(|| base.endpoint_url().map(str::to_owned)),
            );
            let mut provider = AssumeRoleProvider::builder(arn(role, place.account.as_deref()))
                .session_name(&self.session)
                .region(sts_region.clone())
                .configure(&asked.build());
            if let Some(id) = &place.external_id {
                provider = provider.external_id(id);
            }
            builder = builder.credentials_provider(learned(provider.build().await));
        }
        Site {
            sdk: builder.build(),
            sts_region,
            endpoints: self.endpoints.clone(),
            made: RefCell::default(),
            clusters: RefCell::default(),
        }
    }
}

/// Credentials that drctl registers as secrets when it gets them, so that it removes them from every answer of a provider or a
/// command.
#[derive(Debug)]
struct Learned<P>(P);

fn learned(provider: impl ProvideCredentials + 'static) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Learned(provider))
}

impl<P: ProvideCredentials> ProvideCredentials for Learned<P> {
    fn provide_credentials<'a>(&'a self) -> ProvidedCredentials<'a>
    where
        Self: 'a,
    {
        ProvidedCredentials::new(async {
            let credentials = self.0.provide_credentials().await?;
            learn(credentials.secret_access_key());
            credentials.session_token().into_iter().for_each(learn);
            Ok(credentials)
        })
    }
}

/// A valid STS session name: letters, digits and `_+=,.@-`, 2 to 64 characters (AWS STS API Reference, `AssumeRole`).
fn session_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let name: String = text.chars().map(|c| if fits(c) { c } else { '-' }).take(64).collect();
    if name.len() < 2 { "drctl".to_owned() } else { name }
}

/// The ARN of a role in an account. An ARN is returned unchanged.
fn arn(role: &str, account: Option<&str>) -> String {
    match account {
        Some(account) if !role.starts_with("arn:") => format!("arn:aws:iam::{account}:role/{role}"),
        _ => role.to_owned(),
    }
}

/// A method that answers the client of a service.
macro_rules! client {
    ($method:ident, $name:literal, $sdk:ident) => {
        #[doc = concat!("The client of `", $name, "`.")]
        pub fn $method(&self) -> Rc<$sdk::Client> {
            self.client($name, |sdk, url| {
                let mut config = $sdk::config::Builder::from(sdk).interceptor(Bounded::DOCUMENTS);
                if url.is_some() {
                    config.set_endpoint_url(url);
                }
                $sdk::Client::from_conf(config.build())
            })
        }
    };
}

impl Site {
    client!(ec2, "ec2", aws_sdk_ec2);
    client!(rds, "rds", aws_sdk_rds);
    client!(autoscaling, "autoscaling", aws_sdk_autoscaling);
    client!(ecs, "ecs", aws_sdk_ecs);
    client!(ecr, "ecr", aws_sdk_ecr);
    client!(scalable_targets, "application-autoscaling", aws_sdk_applicationautoscaling);
    client!(route53, "route53", aws_sdk_route53);
    client!(iam, "iam", aws_sdk_iam);
    client!(cloudwatch, "cloudwatch", aws_sdk_cloudwatch);
    client!(secrets, "secretsmanager", aws_sdk_secretsmanager);

    /// The client of a service: made once, with its address from the settings.
    pub(super) fn client<C: Any>(
        &self,
        name: &'static str,
        make: impl FnOnce(&SdkConfig, Option<String>) -> C,
    ) -> Rc<C> {
        if let Some(made) = self.made.borrow().get(name).cloned()
            && let Ok(client) = made.downcast()
        {
            return client;
        }
        let client = Rc::new(make(&self.sdk, self.endpoints.get(name).cloned()));
        self.made.borrow_mut().insert(name, Rc::clone(&client) as Rc<dyn Any>);
        client
    }

    /// The client of one endpoint of a routing control cluster. Its timeouts are short, because others accept the same calls.
    pub fn cluster(&self, region: &str, url: &str) -> aws_sdk_route53recoverycluster::Client {
        let make = || {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(CLUSTER_CONNECT)
                .read_timeout(CLUSTER_READ)
                .operation_attempt_timeout(CLUSTER_READ)
                .operation_timeout(OPERATION)
                .build();
            let config = aws_sdk_route53recoverycluster::config::Builder::from(&self.sdk)
                .interceptor(Bounded::DOCUMENTS)
                .region(Some(Region::new(region.to_owned())))
                .endpoint_url(url.trim_end_matches('/'))
                .timeout_config(timeouts);
            aws_sdk_route53recoverycluster::Client::from_conf(config.build())
        };
        self.clusters.borrow_mut().entry(url.to_owned()).or_insert_with(make).clone()
    }

    /// The client of RDS for signs of life.
    pub fn rds_sign(&self) -> Rc<aws_sdk_rds::Client> {
        self.client("sign of rds", |sdk, _| {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(SIGN_CONNECT)
                // It counts from the start of the request, so it includes the connection.
                .read_timeout(SIGN)
                .operation_attempt_timeout(SIGN)
                .operation_timeout(SIGN)
                .build();
            let mut config = aws_sdk_rds::config::Builder::from(sdk)
                .interceptor(Bounded::DOCUMENTS)
                .timeout_config(timeouts);
            if let Some(url) = self.endpoints.get("rds") {
                config.set_endpoint_url(Some(url.clone()));
            }
            aws_sdk_rds::Client::from_conf(config.build())
        })
    }

    /// The client of STS, in the region whose STS issues credentials for this place.
    pub fn sts(&self) -> Rc<aws_sdk_sts::Client> {
        self.client("sts", |sdk, url| {
            let mut config = aws_sdk_sts::config::Builder::from(sdk)
                .interceptor(Bounded::DOCUMENTS)
                .region(Some(self.sts_region.clone()));
            if url.is_some() {
                config.set_endpoint_url(url);
            }
            aws_sdk_sts::Client::from_conf(config.build())
        })
    }

    /// The client of S3. Other implementations rarely have a host name for each bucket.
    pub fn s3(&self) -> Rc<aws_sdk_s3::Client> {
        self.client("s3", |sdk, url| {
            let mut config = aws_sdk_s3::config::Builder::from(sdk).interceptor(Bounded::OBJECTS);
            config = config.force_path_style(url.is_some() || sdk.endpoint_url().is_some());
            if url.is_some() {
                config.set_endpoint_url(url);
            }
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use aws_credential_types::Credentials;

    use super::*;
    use crate::model::time::Dur;
    use crate::world::World;

    /// The clients of a place whose services are all at this address.
    fn site(url: String) -> Site {
        let credentials = SharedCredentialsProvider::new(Credentials::new("id", "key", None, None, "test"));
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .retry_config(RetryConfig::disabled())
            .credentials_provider(credentials)
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(READ).build())
            .endpoint_url(url)
            .build();
        let sts_region = Region::new("us-east-1");
        Site {
            sdk,
            sts_region,
            endpoints: BTreeMap::new(),
            made: RefCell::default(),
            clusters: RefCell::default(),
        }
    }

    /// Answers 500 with a body that does not end.
    fn endless() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 8192]);
                let _ = stream
                    .write_all(b"HTTP/1.1 500 Internal Server Error\r\ntransfer-encoding: chunked\r\n\r\n");
                let chunk = [b"10000\r\n", [b'x'; 0x10000].as_slice(), b"\r\n"].concat();
                while stream.write_all(&chunk).is_ok() {}
            }
        });
        url
    }

    #[test]
    fn an_error_that_does_not_end_is_not_collected() {
        let site = site(endless());
        World::live().unwrap().block_on(async {
            let error = site.sts().get_caller_identity().send().await.unwrap_err();
            assert!(format!("{error:?}").contains("LengthLimit"), "{error:?}");
            let error = site.rds_sign().describe_db_instances().send().await.unwrap_err();
            assert!(format!("{error:?}").contains("LengthLimit"), "{error:?}");
            let error = site.s3().get_object().bucket("b").key("k").send().await.unwrap_err();
            assert!(format!("{error:?}").contains("LengthLimit"), "{error:?}");
        });
    }

    /// Asked every second, it may not wait as long as another call.
    #[test]
    fn a_sign_of_life_is_not_waited_for_longer_than_two_seconds() {
        // It accepts the connection and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let site = site(url);
        let world = World::live().unwrap();
        let began = world.now();
        let answer = world.block_on(site.rds_sign().describe_db_instances().send());
        assert!(answer.is_err() && silent.accept().is_ok(), "{answer:?}");
        let took = world.now().since(began);
        assert!(took < Dur::secs(5), "{took}");
    }

    #[test]
    fn a_session_is_named_in_the_alphabet_of_sts() {
        assert_eq!(session_name("drctl-failover-alice@host.example"), "drctl-failover-alice@host.example");
        assert_eq!(session_name("drctl-failover-Jörg (a:b)"), "drctl-failover-J-rg--a-b-");
        assert_eq!(session_name(&"x".repeat(80)).len(), 64);
        assert_eq!(session_name(""), "drctl");
    }
}
