//! The meaning of an SDK error: whether a call may have had an effect, and what an observation shows.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::adapters::client::http_date;
use crate::adapters::secrets::{NoLogin, excerpt};
use crate::inventory::Observation;
use crate::model::again::Again;
use crate::model::time::{Dur, Timestamp};
use crate::run::outcome::{CLOCK, CallOutcome, NO_CREDENTIALS};

/// A classified error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The service answered with a code.
    Code {
        /// The code.
        code: String,
        /// The call that was rejected, for example `rds:DescribeEvents`; empty if drctl itself rejected it.
        call: String,
        /// The message.
        why: String,
        /// The HTTP status.
        status: u16,
    },
    /// There are no credentials, or they are not valid.
    Unauthenticated(String),
    /// The service rejects the time of the signature: this machine's clock is wrong. The message says by how much.
    Clock(String),
    /// No connection was opened, so the request was not sent.
    NotSent(String),
    /// The request may have arrived.
    Unclear(String),
}

/// Codes for expired or unknown credentials (AWS, «Common errors» of each service).
const UNAUTHENTICATED: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "RequestExpired",
    "InvalidAccessKeyId",
    "TokenRefreshRequired",
];

/// Codes for too many calls.
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "PriorRequestNotComplete",
    "BandwidthLimitExceeded",
];

/// Codes for a resource that is busy: the same call may succeed later.
const BUSY: &[&str] = &[
    "InvalidDBInstanceState",
    "InvalidDBClusterStateFault",
    "InvalidGlobalClusterStateFault",
    // Perhaps an earlier call created it; the next observation shows that.
    "DBInstanceAlreadyExists",
    "DBInstanceAlreadyExistsFault",
    "ScalingActivityInProgress",
    "ResourceContention",
    "ConditionalRequestConflict",
    // S3 did not receive the whole request in time (Amazon S3 API Reference, «Error responses»).
    "RequestTimeout",
    "OperationAborted",
    // Another process made a different version of the secret current in the meantime.
    "SecretChanged",
    // A safety rule of routing controls, which may require some time between two changes (Amazon ARC, «Safety rules»).
    "ConflictException",
];

/// Codes for a batch with an invalid element (Route 53 API Reference, `ChangeResourceRecordSets`).
const BATCH: &[&str] = &["InvalidChangeBatch", "InvalidInput"];

/// Codes for a service that failed: the request may still have had an effect.
const BROKEN: &[&str] = &["InternalFailure", "InternalError", "ServiceUnavailable", "Unavailable"];

/// Clocks that differ by less than this count as equal.
const CLOCKS_AGREE: Dur = Dur::mins(1);

/// The status for an operation that the service does not implement (RFC 9110, 15.6.2): it had no effect and never will.
const NOT_IMPLEMENTED: u16 = 501;
/// The status for too many calls (RFC 6585, 4).
const TOO_MANY: u16 = 429;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { code, why, .. } => write!(f, "{code}: {why}"),
            Self::Unauthenticated(why) | Self::Clock(why) | Self::NotSent(why) | Self::Unclear(why) => {
                f.write_str(why)
            }
        }
    }
}

impl Failure {
    /// A rejection by drctl itself: nothing was sent.
    pub fn never(code: &str, why: impl Into<String>) -> Self {
        Self::Code { code: code.to_owned(), call: String::new(), why: why.into(), status: 400 }
    }

    /// Classifies an SDK error. `shown` is the time of this machine's clock, which signed the request.
    pub fn from_sdk<E>(error: &SdkError<E, HttpResponse>, shown: Timestamp) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let text = || causes(error);
        if let Some(failure) = of_credentials(error, shown) {
            return failure;
        }
        match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                let code = context.err().code().unwrap_or_default().to_owned();
                let why = excerpt(context.err().message().unwrap_or_default());
                if is_of_the_clock(&code, &why) {
                    let date = context.raw().headers().get("date").and_then(http_date);
                    return Self::Clock(clock(date, shown, &format!("{code}: {why}")));
                }
                if UNAUTHENTICATED.contains(&code.as_str()) {
                    return Self::Unauthenticated(format!("{code}: {why}"));
                }
                let call = call_of(std::any::type_name::<E>());
                // An error answer to HEAD has no body, and so no code (Amazon S3 API Reference, `HeadObject`).
                if code.is_empty() && status == 403 && error.request_id().is_some() {
                    return Self::Code { code: "Forbidden".to_owned(), call, why, status };
                }
                // An answer without a code does not come from the service but from something on the way.
                if code.is_empty() || status < 300 {
                    return Self::Unclear(format!("HTTP {status} without a code; {}", text()));
                }
                Self::Code { code, call, why, status }
            }
            SdkError::ConstructionFailure(_) => Self::NotSent(text()),
            SdkError::DispatchFailure(_) => {
                if never_connected(error) {
                    Self::NotSent(text())
                } else {
                    Self::Unclear(text())
                }
            }
            _ => Self::Unclear(text()),
        }
    }

    /// The code in the service's answer.
    pub fn code(&self) -> Option<&str> {
        if let Self::Code { code, .. } = self { Some(code) } else { None }
    }

    /// Whether the service reported too many calls.
    pub fn is_throttling(&self) -> bool {
        // PriorRequestNotComplete is about one zone, not about the number of calls.
        matches!(self, Self::Code { code, .. } if THROTTLED.contains(&code.as_str()) && code != "PriorRequestNotComplete")
    }

    /// Whether the same observation may succeed a moment later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::Unclear(_) => true,
            Self::Code { code, status, .. } => is_broken(code, *status) || code == "RequestTimeout",
            Self::Unauthenticated(_) | Self::Clock(_) => false,
        }
    }

    /// Whether the service answered, and will keep giving this answer until somebody changes something. Answers of a busy
    /// resource, or of a service that is busy or failing, may change by themselves.
    pub fn is_final(&self) -> bool {
        let Self::Code { code, status, .. } = self else { return false };
        let passes = |codes: &[&str]| codes.contains(&code.as_str());
        !passes(THROTTLED) && !passes(BUSY) && *status != TOO_MANY && !is_broken(code, *status)
    }

    /// Whether the service says that the resource does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Code { code, status, .. }
            if *status == 404 || code == "ResourceNotFoundException" || code.ends_with("NotFound") || code.ends_with("NotFoundFault") || code.starts_with("NoSuch"))
    }

    /// The outcome of a call that changes something.
    pub fn outcome(self) -> CallOutcome {
        match self {
            Self::Unauthenticated(why) => {
                CallOutcome::Refused { code: NO_CREDENTIALS.to_owned(), why, again: Again::Later }
            }
            Self::Clock(why) => CallOutcome::Refused { code: CLOCK.to_owned(), why, again: Again::Later },
            Self::NotSent(why) => CallOutcome::NotSent { why },
            Self::Unclear(why) => CallOutcome::InDoubt { why },
            Self::Code { code, why, status, .. } => {
                let known = |codes: &[&str]| codes.contains(&code.as_str());
                if known(THROTTLED) || known(BUSY) || status == TOO_MANY {
                    CallOutcome::Refused { code, why, again: Again::Later }
                } else if is_broken(&code, status) {
                    CallOutcome::InDoubt { why: format!("{code}: {why}") }
                } else {
                    let again = if known(BATCH) { Again::InParts } else { Again::Never };
                    CallOutcome::Refused { code, why, again }
                }
            }
        }
    }

    /// The error for a caller that needs the login in a secret. A missing secret means that the login cannot be read, not that
    /// the database is missing.
    pub fn unread(self, secret: &str) -> NoLogin {
        let is_final = self.is_final();
        match self {
            Self::Code { code, call, why, .. } if is_final => {
                NoLogin::Refused { code, call, why: format!("{secret}: {why}") }
            }
            Self::Unauthenticated(why) => NoLogin::Locked { why: format!("{secret}: {why}"), clock: false },
            Self::Clock(why) => NoLogin::Locked { why: format!("{secret}: {why}"), clock: true },
            other => NoLogin::Passing(format!("{secret}: {other}")),
        }
    }

    /// The observation that this error leads to.
    pub fn observation(self, now: Timestamp) -> Observation {
        if self.is_not_found() {
            return Observation::NotFound { observed_at: now };
        }
        let is_final = self.is_final();
        match self {
            Self::Unauthenticated(why) => Observation::Unauthenticated { why, clock: false },
            Self::Clock(why) => Observation::Unauthenticated { why, clock: true },
            Self::Code { code, call, why, .. } if is_final => {
                Observation::Refused { code, call, why, login: false }
            }
            Self::Code { code, why, .. } => {
                Observation::Unobservable { since: now, why: format!("{code}: {why}") }
            }
            Self::NotSent(why) | Self::Unclear(why) => Observation::Unobservable { since: now, why },
        }
    }
}

/// Whether a service rejected the time of a signature as too old or in the future (IAM User Guide, «Troubleshoot signed
/// requests»; Amazon S3 API Reference, «Error responses»).
fn is_of_the_clock(code: &str, why: &str) -> bool {
    const WORDS: [&str; 4] =
        ["Signature expired", "Signature not yet current", "is now earlier than", "later than"];
    let signature =
        ["SignatureDoesNotMatch", "InvalidSignatureException", "InvalidSignature", "RequestExpired"];
    code == "RequestTimeTooSkewed" || signature.contains(&code) && WORDS.iter().any(|w| why.contains(w))
}

/// What is wrong with this machine's clock, judged by the date in the service's answer.
fn clock(date: Option<Timestamp>, shown: Timestamp, said: &str) -> String {
    let Some(there) = date else {
        return format!("the clock of this machine is wrong; the answer does not say by how much ({said})");
    };
    let (off, way) = match there > shown {
        true => (there.since(shown), "behind"),
        false => (shown.since(there), "ahead of"),
    };
    // The date has whole seconds, and the round trip took time.
    if off < CLOCKS_AGREE {
        return format!(
            "the service refuses the time of the signature, although the clock of this machine agrees with the service. Something delays requests ({said})"
        );
    }
    let minutes = Dur::secs((off.millis() + 30_000) / 60_000 * 60);
    format!(
        "the clock of this machine is {minutes} {way} the clock of the service, which shows {there}. The service refuses requests signed with the wrong time ({said})"
    )
}

/// Whether the service failed, so that the request may or may not have had an effect.
fn is_broken(code: &str, status: u16) -> bool {
    status != NOT_IMPLEMENTED && (status >= 500 || BROKEN.contains(&code))
}

/// The call that an error type of the SDK belongs to, by its IAM name:
/// `aws_sdk_rds::operation::describe_events::DescribeEventsError` belongs to `rds:DescribeEvents`. Used only in messages, never
/// for decisions.
fn call_of(error: &str) -> String {
    let service = error.strip_prefix("aws_sdk_").and_then(|rest| rest.split("::").next());
    let operation = error.rsplit("::").next().and_then(|name| name.strip_suffix("Error"));
    match (service, operation) {
        (Some("route53recoverycluster"), Some(name)) => format!("route53-recovery-cluster:{name}"),
        (Some(service), Some(name)) => format!("{service}:{name}"),
        _ => String::new(),
    }
}

/// The first error of this type in the chain of causes.
fn cause<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn never_connected(error: &(dyn Error + 'static)) -> bool {
    cause::<hyper_util::client::legacy::Error>(error)
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

/// The meaning of a request that could not be signed. If STS does not answer, its region is dark, which says nothing about the
/// credentials. If STS or the credential chain refuses, the credentials are not valid.
fn of_credentials(error: &(dyn Error + 'static), shown: Timestamp) -> Option<Failure> {
    let text = causes(error);
    if text.contains("identity resolver timed out") {
        return Some(Failure::NotSent(text));
    }
    let credentials = cause::<CredentialsError>(error)?;
    let Some(sts) = cause::<SdkError<AssumeRoleError, HttpResponse>>(credentials) else {
        return Some(Failure::Unauthenticated(causes(credentials)));
    };
    Some(match Failure::from_sdk(sts, shown) {
        failure @ (Failure::Unauthenticated(_) | Failure::Clock(_)) => failure,
        failure if failure.is_final() => Failure::Unauthenticated(format!("STS: {failure}")),
        other => Failure::NotSent(format!("STS: {other}")),
    })
}

/// An error and its causes, each once.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push(text);
        }
        next = error.source();
    }
    excerpt(&words.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: &str, status: u16) -> Failure {
        Failure::Code { code: code.to_owned(), call: String::new(), why: String::new(), status }
    }

    #[test]
    fn an_answer_says_whether_the_call_may_have_had_its_effect() {
        let refused =
            |f: Failure, wanted| matches!(f.outcome(), CallOutcome::Refused { again, .. } if again == wanted);
        assert!(refused(code("Throttling", 400), Again::Later));
        assert!(refused(code("SlowDown", 503), Again::Later));
        assert!(refused(code("InvalidDBInstanceState", 400), Again::Later));
        assert!(refused(code("RequestTimeout", 400), Again::Later) && code("RequestTimeout", 400).may_pass());
        assert!(refused(code("InvalidParameterValue", 400), Again::Never));
        assert!(refused(code("AccessDenied", 403), Again::Never));
        assert!(matches!(code("ServiceUnavailable", 503).outcome(), CallOutcome::InDoubt { .. }));
        assert!(matches!(code("Whatever", 500).outcome(), CallOutcome::InDoubt { .. }));
        assert!(matches!(Failure::Unclear(String::new()).outcome(), CallOutcome::InDoubt { .. }));
        assert!(matches!(Failure::NotSent(String::new()).outcome(), CallOutcome::NotSent { .. }));
    }

    #[test]
    fn no_answer_is_never_an_absence() {
        let now = Timestamp::from_millis(5);
        assert!(matches!(code("DBInstanceNotFound", 404).observation(now), Observation::NotFound { .. }));
        assert!(matches!(code("ServiceUnavailable", 503).observation(now), Observation::Unobservable { .. }));
        assert!(matches!(
            Failure::Unauthenticated(String::new()).observation(now),
            Observation::Unauthenticated { .. }
        ));
    }

    #[test]
    fn a_login_that_is_refused_is_told_with_its_code_and_is_no_silence_and_no_absence() {
        let now = Timestamp::from_millis(5);
        let of = |name: &str, status| Failure::Code {
            code: name.to_owned(),
            call: "secretsmanager:GetSecretValue".to_owned(),
            why: "Access to KMS is not allowed".to_owned(),
            status,
        };
        for (name, status) in
            [("AccessDeniedException", 400), ("DecryptionFailure", 400), ("ResourceNotFoundException", 400)]
        {
            let unread = of(name, status).unread("secret s in west");
            let seen = unread.clone().observation(now);
            assert!(!seen.answered(), "the server itself said nothing");
            let Observation::Refused { code, login: true, why, .. } = seen else {
                panic!("{name}: {seen:?}")
            };
            assert!(code == name && why.starts_with("secret s in west: Access to KMS"), "{code} {why}");
            assert!(matches!(unread.outcome(), CallOutcome::Refused { again: Again::Never, .. }), "{name}");
        }
        let passing = of("InternalServiceError", 500).unread("s").observation(now);
        assert!(matches!(passing, Observation::Unobservable { .. }), "{passing:?}");
        let clock = Failure::Clock("20m behind".to_owned()).unread("secret s");
        assert_eq!(clock, NoLogin::Locked { why: "secret s: 20m behind".to_owned(), clock: true });
        assert!(
            matches!(clock.outcome(), CallOutcome::Refused { again: Again::Later, code, .. } if code == CLOCK)
        );
    }

    #[test]
    fn what_will_never_be_answered_is_told_from_what_may_pass() {
        let now = Timestamp::from_millis(5);
        for (name, status) in [
            ("AccessDenied", 403),
            ("InvalidAction", 400),
            ("InvalidParameterValue", 400),
            ("NotImplemented", 501),
            ("InternalFailure", 501),
            ("PermanentRedirect", 301),
        ] {
            let failure = code(name, status);
            assert!(failure.is_final() && !failure.may_pass(), "{name} {status}");
            let never = matches!(failure.clone().outcome(), CallOutcome::Refused { again: Again::Never, .. });
            assert!(never, "{name} {status}");
            let seen = failure.observation(now);
            assert!(matches!(&seen, Observation::Refused { code, .. } if code == name), "{seen:?}");
        }
        for (name, status) in [
            ("Throttling", 400),
            ("Whatever", 429),
            ("RequestTimeout", 400),
            ("InternalFailure", 500),
            ("ServiceUnavailable", 503),
            ("Whatever", 502),
        ] {
            assert!(!code(name, status).is_final(), "{name} {status}");
            let seen = code(name, status).observation(now);
            assert!(matches!(seen, Observation::Unobservable { .. }), "{name} {status}: {seen:?}");
        }
        assert!(!Failure::Unauthenticated(String::new()).is_final());
    }

    #[test]
    fn a_time_that_is_not_taken_is_this_machines_clock_and_by_how_much() {
        let says = "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z";
        assert!(is_of_the_clock("SignatureDoesNotMatch", says));
        assert!(is_of_the_clock(
            "InvalidSignatureException",
            "Signature not yet current: a is still later than b"
        ));
        assert!(is_of_the_clock("RequestTimeTooSkewed", "The difference is too large."));
        assert!(!is_of_the_clock("SignatureDoesNotMatch", "Check your key and signing method."));
        assert!(!is_of_the_clock("AccessDenied", says));
        let at = |secs: i64| Timestamp::from_millis(1_767_225_600_000 + secs * 1_000);
        let told = |secs| clock(Some(at(secs)), at(0), says);
        assert!(
            told(1_199).starts_with("the clock of this machine is 20m behind the clock of the service"),
            "{}",
            told(1_199)
        );
        assert!(
            told(-600).starts_with("the clock of this machine is 10m ahead of the clock of the service"),
            "{}",
            told(-600)
        );
        assert!(told(2).contains("Something delays requests"), "{}", told(2));
        assert!(clock(None, at(0), says).contains("does not say by how much"));
        let seen = Failure::Clock("x".to_owned()).observation(at(0));
        assert!(matches!(seen, Observation::Unauthenticated { clock: true, .. }));
        assert!(matches!(
            Failure::Clock(String::new()).outcome(),
            CallOutcome::Refused { again: Again::Later, .. }
        ));
    }

    #[test]
    fn a_call_is_named_as_iam_names_it() {
        use aws_sdk_rds::operation::describe_events::DescribeEventsError;
        let name = call_of(std::any::type_name::<DescribeEventsError>());
        assert_eq!(name, "rds:DescribeEvents");
    }
}
