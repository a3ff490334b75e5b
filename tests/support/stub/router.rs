//! From a request to its answer: authentication, rate limit, handler, and count.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::clock::{self, Clock, Micros, SECOND};
use super::cloudwatch;
use super::control;
use super::estate::{Estate, Region};
use super::form::Form;
use super::http::Request;
use super::limits::{Limited, Limits};
use super::options::Options;
use super::route53::{self, Operation};
use super::s3;
use super::stats::Stats;
use super::wire::{Fault, Reply};
use super::xml::Xml;
use super::{autoscaling, controls, ec2, ecs, iam, rds, secrets, sts};

/// A service of the query protocol, or of the JSON protocol.
pub struct Service {
    pub name: &'static str,
    /// Of its answers, or, in JSON, the part of `X-Amz-Target` before the operation.
    pub namespace: &'static str,
    /// The ones that the stub knows.
    pub operations: &'static [&'static str],
}

/// One call of the query protocol.
pub struct Call<'a> {
    pub form: &'a Form<'a>,
    /// None for a region without contents.
    pub region: Option<Region>,
    pub access_key: &'a str,
    pub now: Micros,
}

/// One call of the JSON protocol.
pub struct Asked<'a> {
    pub operation: &'static str,
    pub input: &'a serde_json::Value,
    /// None for a region without contents.
    pub region: Option<Region>,
    pub now: Micros,
}

impl<'a> Asked<'a> {
    /// A text field of the input; empty if it is not there.
    pub fn text(&self, key: &str) -> &'a str {
        self.input[key].as_str().unwrap_or("")
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.input[key].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str)
    }
}

/// The whole stub; connections share it.
pub struct Stub {
    clock: Clock,
    options: Options,
    state: Mutex<State>,
}

/// What calls read and change. It is locked for the microseconds of one call, never during a wait.
pub struct State {
    pub estate: Estate,
    pub limits: Limits,
    pub stats: Stats,
    answered: u64,
    date: Date,
}

impl Stub {
    pub fn new(options: Options) -> Self {
        let clock = Clock::start();
        let state = State::new(&options, clock.now());
        Self { clock, options, state: Mutex::new(state) }
    }

    /// Handles a request and appends its answer to `out`.
    pub fn answer(&self, request: &Request<'_>, out: &mut Vec<u8>) {
        let now = self.clock.now();
        // A panic in another call leaves at most a half-applied change; the benchmark should still get answers.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answered += 1;
        let mut request_id = String::with_capacity(36);
        let _ = write!(request_id, "00000000-0000-4000-8000-{:012}", state.answered);
        let reply = match request.path.strip_prefix("/_stub/") {
            Some(path) => control::answer(path, request, &self.options, &mut state, now),
            None => state.call(request, &request_id, now),
        };
        reply.write(&request_id, state.date.at(now), out);
    }
}

/// The credential scope of a request. Signatures are not checked.
struct Scope<'a> {
    access_key: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Scope<'a> {
    /// Reads `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...`.
    fn of(authorization: &'a str) -> Option<Self> {
        let (_, scope) = authorization.split_once("Credential=")?;
        let mut parts = scope.split(',').next()?.trim().split('/');
        let (access_key, _date) = (parts.next()?, parts.next()?);
        Some(Self { access_key, region: parts.next()?, service: parts.next()? })
    }
}

impl State {
    pub fn new(options: &Options, now: Micros) -> Self {
        Self {
            estate: Estate::new(options, now),
            limits: Limits::new(options),
            stats: Stats::default(),
            answered: 0,
            date: Date::default(),
        }
    }

    fn call(&mut self, request: &Request<'_>, request_id: &str, now: Micros) -> Reply {
        let Some(scope) = Scope::of(request.header("authorization")) else {
            let fault =
                Fault::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
            self.stats.call("unsigned", "Unknown", now);
            self.stats.fault("unsigned", fault.code);
            return fault.bare(request_id);
        };
        match scope.service {
            "rds" => self.query(&rds::SERVICE, request, &scope, request_id, now),
            "autoscaling" => self.query(&autoscaling::SERVICE, request, &scope, request_id, now),
            "ec2" => self.ec2(request, &scope, request_id, now),
            "sts" => self.query(&sts::SERVICE, request, &scope, request_id, now),
            "iam" => self.query(&iam::SERVICE, request, &scope, request_id, now),
            "ecs" => self.json(&ecs::SERVICE, request, &scope, now),
            "ecr" => self.json(&ecs::REGISTRY, request, &scope, now),
            "application-autoscaling" => self.json(&ecs::SCALABLE_TARGETS, request, &scope, now),
            "secretsmanager" => self.json(&secrets::SERVICE, request, &scope, now),
            "route53-recovery-cluster" => self.json(&controls::SERVICE, request, &scope, now),
            "route53" => self.route53(request, request_id, now),
            "s3" => self.s3(request, request_id, now),
            "monitoring" => self.cloudwatch(request, &scope, now),
            _ => {
                let fault = Fault::new(501, "NotImplemented", "The stub does not know this service.");
                self.stats.call("other", "Unknown", now);
                self.stats.fault("other", fault.code);
                fault.bare(request_id)
            }
        }
    }

    /// A call of the query protocol: a form in, XML out.
    fn query(
        &mut self,
        service: &Service,
        request: &Request<'_>,
        scope: &Scope<'_>,
        request_id: &str,
        now: Micros,
    ) -> Reply {
        let Service { name: service, namespace, operations } = *service;
        let form = Form::parse(std::str::from_utf8(&request.body).unwrap_or(""));
        let action = form.get("Action").unwrap_or("");
        let known = operations.iter().copied().find(|operation| *operation == action);
        let operation = known.unwrap_or("Unknown");
        self.stats.call(service, operation, now);
        let region = Region::named(scope.region);
        let call = Call { form: &form, region, access_key: scope.access_key, now };
        let mut xml = Xml::new();
        xml.raw("<")
            .raw(operation)
            .raw("Response xmlns=\"")
            .raw(namespace)
            .raw("\"><")
            .raw(operation)
            .raw("Result>");
        let begun = xml.len();
        let limited = Limited::call(service, operation);
        // IAM has no regions.
        let within = if service == "iam" { "" } else { scope.region };
        let done = if limited.is_some_and(|of| !self.limits.take(of, within, 1, now)) {
            Err(Fault::throttled(service))
        } else if known.is_none() {
            Err(Fault::new(400, "InvalidAction", format!("The stub does not know the action {action}.")))
        } else {
            match service {
                "rds" => self.estate.databases.handle(operation, &call, &mut xml),
                "autoscaling" => self.estate.groups.handle(operation, &call, &mut xml),
                "iam" => iam::handle(operation, &call, &mut xml),
                _ => self.estate.identities.handle(operation, &call, &mut xml),
            }
        };
        if let Err(fault) = done {
            self.stats.fault(service, fault.code);
            return fault.wrapped(namespace, request_id);
        }
        if xml.len() == begun {
            // Operations without a result have no result element.
            xml.truncate(begun - operation.len() - "<Result>".len());
        } else {
            xml.raw("</").raw(operation).raw("Result>");
        }
        xml.open("ResponseMetadata").element("RequestId", request_id).close("ResponseMetadata");
        xml.raw("</").raw(operation).raw("Response>");
        Reply::xml(200, xml)
    }

    /// A call of the JSON protocol.
    fn json(&mut self, service: &Service, request: &Request<'_>, scope: &Scope<'_>, now: Micros) -> Reply {
        let target = request.header("x-amz-target");
        let asked = target.strip_prefix(service.namespace).and_then(|rest| rest.strip_prefix('.'));
        let known = service.operations.iter().copied().find(|operation| Some(*operation) == asked);
        let operation = known.unwrap_or("Unknown");
        self.stats.call(service.name, operation, now);
        let limited = Limited::call(service.name, operation);
        let done = if limited.is_some_and(|of| !self.limits.take(of, scope.region, 1, now)) {
            Err(Fault::throttled(service.name))
        } else if known.is_none() {
            let message = format!("The stub does not know the target {target}.");
            Err(Fault::new(400, "UnknownOperationException", message))
        } else {
            let input = serde_json::from_slice(&request.body).unwrap_or_default();
            let asked = Asked { operation, input: &input, region: Region::named(scope.region), now };
            match service.name {
                "secretsmanager" => self.estate.secrets.handle(&asked),
                "route53-recovery-cluster" => self.estate.controls.handle(&asked),
                _ => self.estate.services.handle(service.name, &asked),
            }
        };
        match done {
            Ok(answer) => {
                Reply { kind: "application/x-amz-json-1.1", ..Reply::json(200, answer.to_string()) }
            }
            Err(fault) => {
                self.stats.fault(service.name, fault.code);
                fault.json()
            }
        }
    }

    fn ec2(&mut self, request: &Request<'_>, scope: &Scope<'_>, request_id: &str, now: Micros) -> Reply {
        let form = Form::parse(std::str::from_utf8(&request.body).unwrap_or(""));
        self.stats.call("ec2", ec2::operation(&form), now);
        let done = match self.limits.take(Limited::Ec2, scope.region, 1, now) {
            true => ec2::handle(&form, request_id),
            false => Err(Fault::throttled("ec2")),
        };
        done.unwrap_or_else(|fault| {
            self.stats.fault("ec2", fault.code);
            ec2::failed(&fault, request_id)
        })
    }

    fn route53(&mut self, request: &Request<'_>, request_id: &str, now: Micros) -> Reply {
        let operation = Operation::of(request);
        self.stats.call("route53", operation.name(), now);
        let done = self.estate.zones.handle(&operation, request, &mut self.limits, now);
        done.unwrap_or_else(|fault| {
            self.stats.fault("route53", fault.code);
            fault.wrapped(route53::NAMESPACE, request_id)
        })
    }

    fn s3(&mut self, request: &Request<'_>, request_id: &str, now: Micros) -> Reply {
        let operation = s3::operation(request);
        self.stats.call("s3", operation, now);
        let of = if operation == "PutObject" || operation == "DeleteObject" {
            Limited::S3Write
        } else {
            Limited::S3Read
        };
        let done = match self.limits.take(of, &s3::prefix(request), 1, now) {
            true => self.estate.objects.handle(operation, request, now),
            false => Err(Fault::throttled("s3")),
        };
        done.unwrap_or_else(|fault| {
            self.stats.fault("s3", fault.code);
            fault.bare(request_id)
        })
    }

    fn cloudwatch(&mut self, request: &Request<'_>, scope: &Scope<'_>, now: Micros) -> Reply {
        let operation = cloudwatch::operation(request);
        self.stats.call("cloudwatch", operation, now);
        let region = Region::named(scope.region);
        let done = match self.limits.take(Limited::Monitoring, scope.region, 1, now) {
            true => cloudwatch::handle(operation, &self.estate.databases, region, request, now),
            false => Err(Fault::throttled("cloudwatch")),
        };
        done.unwrap_or_else(|fault| {
            self.stats.fault("cloudwatch", fault.code);
            fault.cbor()
        })
    }
}

/// The HTTP date, formatted once a second.
#[derive(Default)]
struct Date {
    second: u64,
    text: String,
}

impl Date {
    fn at(&mut self, now: Micros) -> &str {
        if self.second != now / SECOND {
            self.second = now / SECOND;
            self.text.clear();
            clock::http_date(&mut self.text, now);
        }
        &self.text
    }
}
