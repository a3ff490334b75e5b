//! STS: all credentials are accepted, and every role can be assumed.

use super::clock::SECOND;
use super::router::{Call, Service};
use super::wire::{ACCOUNT, Fault};
use super::xml::Xml;

pub const SERVICE: Service = Service {
    name: "sts",
    namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    operations: &["AssumeRole", "GetCallerIdentity"],
};

/// The prefix of access keys of assumed roles; their number follows.
const PREFIX: &str = "ASIASTUB";

/// The owners of issued credentials: the `role/session` of key number n is at n - 1.
#[derive(Default)]
pub struct Identities(Vec<String>);

impl Identities {
    pub fn handle(&mut self, operation: &str, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        match operation {
            "AssumeRole" => self.assume(call, xml),
            _ => {
                self.identity(call.access_key, xml);
                Ok(())
            }
        }
    }

    fn assume(&mut self, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
        let missing = |what: &str| {
            Fault::new(
                400,
                "ValidationError",
                format!("1 validation error detected: {what} must not be null"),
            )
        };
        let role = call.form.filled("RoleArn").ok_or_else(|| missing("roleArn"))?;
        let session = call.form.filled("RoleSessionName").ok_or_else(|| missing("roleSessionName"))?;
        let role = role.rsplit('/').next().unwrap_or(role);
        let seconds =
            call.form.filled("DurationSeconds").and_then(|text| text.parse::<u64>().ok()).unwrap_or(3_600);
        self.0.push(format!("{role}/{session}"));
        let key = format!("{PREFIX}{:012}", self.0.len());
        xml.open("Credentials").element("AccessKeyId", &key);
        xml.raw("<SecretAccessKey>stub</SecretAccessKey><SessionToken>stub</SessionToken>");
        xml.time("Expiration", call.now.saturating_add(seconds.saturating_mul(SECOND))).close("Credentials");
        xml.open("AssumedRoleUser").element("AssumedRoleId", &format!("AROASTUB:{session}"));
        xml.element("Arn", &assumed(role, session)).close("AssumedRoleUser");
        Ok(())
    }

    fn identity(&self, access_key: &str, xml: &mut Xml) {
        let number = access_key.strip_prefix(PREFIX).and_then(|digits| digits.parse::<usize>().ok());
        let given = number.and_then(|number| self.0.get(number.checked_sub(1)?));
        match given.and_then(|given| given.split_once('/')) {
            Some((role, session)) => {
                xml.element("Arn", &assumed(role, session));
                xml.element("UserId", &format!("AROASTUB:{session}"));
            }
            None => {
                xml.element("Arn", &format!("arn:aws:iam::{ACCOUNT}:user/stub"))
                    .element("UserId", "AIDASTUB");
            }
        }
        xml.element("Account", ACCOUNT);
    }
}

fn assumed(role: &str, session: &str) -> String {
    format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}")
}
