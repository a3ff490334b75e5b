//! EC2: security groups without rules. Every group that is asked for exists.

use super::form::Form;
use super::wire::{Fault, Reply};
use super::xml::Xml;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

pub fn operation(form: &Form<'_>) -> &'static str {
    match form.get("Action") {
        Some("DescribeSecurityGroups") => "DescribeSecurityGroups",
        _ => "Unknown",
    }
}

/// Answers with the groups that the first filter names.
pub fn handle(form: &Form<'_>, request_id: &str) -> Result<Reply, Fault> {
    if operation(form) == "Unknown" {
        return Err(Fault::new(400, "InvalidAction", "The stub does not know this action."));
    }
    if form.get("Filter.1.Name") != Some("group-id") {
        return Err(Fault::new(400, "InvalidParameterValue", "The stub knows the filter group-id alone."));
    }
    let mut xml = Xml::new();
    xml.raw("<DescribeSecurityGroupsResponse xmlns=\"").raw(NAMESPACE).raw("\">");
    xml.element("requestId", request_id).open("securityGroupInfo");
    for id in form.list("Filter.1.Value.") {
        xml.open("item").element("groupId", id).element("groupName", id);
        xml.raw("<ipPermissions/><ipPermissionsEgress/>").close("item");
    }
    xml.close("securityGroupInfo").raw("</DescribeSecurityGroupsResponse>");
    Ok(Reply::xml(200, xml))
}

/// EC2's own form of an error (Amazon EC2 Developer Guide, «Error codes for the Amazon EC2 API»).
pub fn failed(fault: &Fault, request_id: &str) -> Reply {
    let mut xml = Xml::new();
    xml.raw("<Response><Errors><Error>").element("Code", fault.code).element("Message", &fault.message);
    xml.raw("</Error></Errors>").element("RequestID", request_id).raw("</Response>");
    Reply::xml(fault.status, xml)
}
