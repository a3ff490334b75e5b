//! IAM: every call is allowed.

use super::router::{Call, Service};
use super::wire::{ACCOUNT, Fault};
use super::xml::Xml;

pub const SERVICE: Service = Service {
    name: "iam",
    namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
    operations: &["GetRole", "SimulatePrincipalPolicy"],
};

pub fn handle(operation: &str, call: &Call<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let needed = |key: &str| {
        let missing = || Fault::new(400, "ValidationError", format!("{key} must not be null"));
        call.form.filled(key).ok_or_else(missing)
    };
    if operation == "GetRole" {
        let role = needed("RoleName")?;
        xml.raw("<Role><Path>/</Path>").element("RoleName", role).element("RoleId", "AROASTUB");
        xml.element("Arn", &format!("arn:aws:iam::{ACCOUNT}:role/{role}")).time("CreateDate", call.now);
        xml.close("Role");
        return Ok(());
    }
    needed("PolicySourceArn")?;
    let resource = call.form.filled("ResourceArns.member.1").unwrap_or("*");
    xml.raw("<IsTruncated>false</IsTruncated>").open("EvaluationResults");
    for action in call.form.list("ActionNames.member.") {
        xml.open("member").element("EvalActionName", action).element("EvalResourceName", resource);
        xml.element("EvalDecision", "allowed").close("member");
    }
    xml.close("EvaluationResults");
    Ok(())
}
