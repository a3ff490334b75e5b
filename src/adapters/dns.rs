//! DNS names as users see them: asks the zone's own name servers, which have the current answer, and resolvers, which cache
//! answers.
//!
//! drctl asks every server directly and caches nothing between two observations (RFC 1034, section 4.3; RFC 8499, «authoritative server»).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all, ready};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use super::provider::Provider;
use crate::inventory::Observation;
use crate::kinds::shared::names::{AnswersState, ServerAnswer, Wanted};
use crate::kinds::{State, Target};
use crate::model::again::Again;
use crate::record::action::Action;
use crate::run::outcome::CallOutcome;
use crate::world::World;

/// Limit on one answer of one server.
const PATIENCE: Duration = Duration::from_secs(2);
/// Maximum number of name servers that are asked for a zone; Route 53 gives a zone four.
const MOST_SERVERS: usize = 8;

/// Name servers and resolvers.
pub struct Dns {
    world: World,
    /// The resolvers that the settings name.
    resolvers: Vec<IpAddr>,
}

impl Provider for Dns {
    fn observe<'a>(&'a self, targets: &'a [Target]) -> LocalBoxFuture<'a, Vec<Observation>> {
        Box::pin(join_all(targets.iter().map(|target| async move {
            match target {
                Target::Answers { names } => self.answers(names).await,
                other => {
                    let why = format!("name servers do not know {}", other.service());
                    Observation::Unobservable { since: self.world.now(), why }
                }
            }
        })))
    }

    fn perform<'a>(&'a self, action: &'a Action, _: &'a str) -> LocalBoxFuture<'a, CallOutcome> {
        let (code, why) = ("NotDns".to_owned(), format!("name servers cannot do this: {action}"));
        Box::pin(ready(CallOutcome::Refused { code, why, again: Again::Never }))
    }
}

impl Dns {
    /// Sends no query.
    pub const fn new(world: World, resolvers: Vec<IpAddr>) -> Self {
        Self { world, resolvers }
    }

    /// The answers of all servers for these names.
    pub async fn answers(&self, names: &[Wanted]) -> Observation {
        let (system, _) = match read_system_conf() {
            Ok(read) => read,
            Err(e) => {
                let why = format!("the resolvers of this machine are unknown: {e}");
                return Observation::Unobservable { since: self.world.now(), why };
            }
        };
        let own = system.name_servers().iter().map(|s| s.ip);
        let own: BTreeSet<IpAddr> = own.chain(self.resolvers.iter().copied()).collect();
        let way = resolver(system.clone(), true);
        let asked = names.iter().map(|name| self.name(name, way.as_ref(), &own));
        let servers = join_all(asked).await.into_iter().flatten().collect();
        let (observed_at, source) = (self.world.now(), "dns".to_owned());
        Observation::Value { state: State::Answers(AnswersState { servers }), observed_at, source }
    }

    async fn name(
        &self,
        wanted: &Wanted,
        way: Result<&TokioResolver, &String>,
        own: &BTreeSet<IpAddr>,
    ) -> Vec<ServerAnswer> {
        let silent = |server: &str, authoritative: bool, said: String| ServerAnswer {
            server: server.to_owned(),
            authoritative,
            name: asked(wanted),
            right: None,
            said,
        };
        let way = match way {
            Ok(way) => way,
            Err(why) => return vec![silent("this machine", true, why.clone())],
        };
        let right = match right_values(wanted, way).await {
            Ok(right) => right,
            Err(why) => return vec![silent("this machine", true, why)],
        };
        let of_zone = match zone_servers(&wanted.name, way).await {
            Ok(servers) => servers,
            Err(why) => return vec![silent("this machine", true, why)],
        };
        let of_zone = of_zone.into_iter().map(|(name, ips)| (name, ips, true));
        let others = own.iter().map(|ip| (ip.to_string(), vec![*ip], false));
        let asks = of_zone.chain(others).map(|(server, ips, authoritative)| {
            let right = &right;
            async move {
                let (right, said) = ask(wanted, &ips, authoritative, right).await;
                let span = tracing::debug_span!("dns", server, name = wanted.name);
                span.in_scope(|| tracing::debug!(right, said, "answered"));
                ServerAnswer { server, authoritative, name: asked(wanted), right, said }
            }
        });
        join_all(asks).await
    }
}

/// Name and type together: the answers of one type say nothing about another.
fn asked(wanted: &Wanted) -> String {
    format!("{} {}", wanted.name, wanted.rtype)
}

fn resolver(config: ResolverConfig, recursive: bool) -> Result<TokioResolver, String> {
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options: &mut ResolverOpts = builder.options_mut();
    options.cache_size = 0;
    options.timeout = PATIENCE;
    options.attempts = 1;
    options.ndots = 0;
    // An entry in the hosts file, perhaps made during an incident, is not the answer of a server.
    options.use_hosts_file = ResolveHosts::Never;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.recursion_desired = recursive;
    builder.build().map_err(|e| e.to_string())
}

/// An absolute name, so that the resolver tries no search list.
fn absolute(name: &str) -> Result<Name, String> {
    Name::from_utf8(format!("{}.", name.trim_end_matches('.'))).map_err(|e| format!("{name}: {e}"))
}

/// The expected answer: the values that were asked for, or what the alias resolves to now.
async fn right_values(wanted: &Wanted, way: &TokioResolver) -> Result<BTreeSet<String>, String> {
    match &wanted.alias {
        None => Ok(wanted.values.iter().map(|v| plain(v, &wanted.rtype)).collect()),
        Some(alias) => {
            let kind = wanted.rtype.parse::<RecordType>().map_err(|e| e.to_string())?;
            values(way, alias, kind).await.map(|(found, _)| found).map_err(|e| format!("{alias}: {e}"))
        }
    }
}

/// The addresses of the name servers of the zone that a name is in.
async fn zone_servers(name: &str, way: &TokioResolver) -> Result<Vec<(String, Vec<IpAddr>)>, String> {
    let mut zone = absolute(name)?;
    while !zone.is_root() {
        let names: Vec<Name> = match way.lookup(zone.clone(), RecordType::NS).await {
            Ok(found) => {
                // Only those of this very name: an alias may add those of another one.
                let of_zone = found.answers().iter().filter(|r| r.name == zone);
                let names = of_zone.filter_map(|r| match &r.data {
                    RData::NS(server) => Some(server.0.clone()),
                    _ => None,
                });
                names.take(MOST_SERVERS).collect()
            }
            Err(none) if none.is_no_records_found() => Vec::new(),
            // It is unknown whether the name is a zone of its own, so do not fall back to its parent.
            Err(error) => return Err(format!("name servers of {zone}: {error}")),
        };
        if !names.is_empty() {
            let addresses = names.iter().map(|server| async move {
                let found = way.lookup_ip(server.clone()).await;
                let ips: Vec<IpAddr> = found.map(|ips| ips.iter().collect()).unwrap_or_default();
                (server.to_utf8().trim_end_matches('.').to_owned(), ips)
            });
            return Ok(join_all(addresses).await);
        }
        zone = zone.base_name();
    }
    Err(format!("no name servers found for the zone of {name}"))
}

async fn ask(
    wanted: &Wanted,
    ips: &[IpAddr],
    authoritative: bool,
    right: &BTreeSet<String>,
) -> (Option<bool>, String) {
    // All addresses of one server: it may be reachable at only one of them.
    let servers = ips.iter().copied().map(NameServerConfig::udp_and_tcp).collect();
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let kind = wanted.rtype.parse::<RecordType>().map_err(|e| e.to_string());
    let (server, kind) = match resolver(config, !authoritative).and_then(|r| Ok((r, kind?))) {
        Ok(pair) => pair,
        Err(why) => return (None, why),
    };
    match values(&server, &wanted.name, kind).await {
        // A cache on the way answered instead of the server, so this is not the zone's answer.
        Ok((found, false)) if authoritative => {
            (None, format!("the answer is not authoritative: {}", listed(&found)))
        }
        Ok((found, _)) => {
            // A load balancer has more addresses than one answer holds.
            let same = match wanted.alias {
                Some(_) => !found.is_disjoint(right),
                None => found == *right,
            };
            (Some(same), listed(&found))
        }
        Err(error) if error.is_no_records_found() => (Some(false), "nothing".to_owned()),
        Err(error) => (None, error.to_string()),
    }
}

fn listed(values: &BTreeSet<String>) -> String {
    values.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The values that a server answers, and whether the answer is authoritative (RFC 1035, section 4.1.1, «AA»).
async fn values(
    server: &TokioResolver,
    name: &str,
    kind: RecordType,
) -> Result<(BTreeSet<String>, bool), NetError> {
    let name = absolute(name).map_err(NetError::from)?;
    let found = server.lookup(name, kind).await?;
    let of_kind = found.answers().iter().filter(|r| r.record_type() == kind);
    let authority = found.message().metadata.authoritative;
    Ok((of_kind.map(|r| plain(&r.data.to_string(), &kind.to_string())).collect(), authority))
}

/// Normalizes values that can be written in several ways: addresses (RFC 5952), names, and texts.
fn plain(value: &str, kind: &str) -> String {
    match value.parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) if kind == "TXT" => value.trim_matches('"').to_owned(),
        Err(_) => value.trim_end_matches('.').to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn one_value_has_one_form() {
        assert_eq!(plain("2001:DB8:0:0::0002", "AAAA"), "2001:db8::2");
        assert_eq!(plain("Target.Example.com.", "CNAME"), "target.example.com");
        assert_eq!(plain("\"Some Text\"", "TXT"), "Some Text");
    }
}
