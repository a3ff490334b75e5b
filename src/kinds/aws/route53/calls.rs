//! The calls that move names: to Route 53, to the bucket of an object that health checks watch, and to a cluster of routing controls.

use crate::kinds::shared::names::controls::SetRoutingControls;
use crate::kinds::shared::names::health_object::SetHealthObject;
use crate::kinds::shared::names::records::{RecordAnswer, RecordPolicy, RecordSet};
use crate::kinds::shared::names::switch::Switch;
use crate::model::call::{Call, asked, call, quoted};
use crate::model::ids::SiteName;

/// Changes record sets.
pub(crate) fn switch(s: &Switch) -> Vec<Call> {
    let mut batch = Vec::new();
    for change in &s.changes {
        if let Some(before) = &change.before {
            batch.push(format!("{{\"Action\":\"DELETE\",\"ResourceRecordSet\":{}}}", record_json(before)));
        }
        // CREATE fails if another set exists already; an UPSERT would replace it unseen.
        if let Some(after) = &change.after {
            batch.push(format!("{{\"Action\":\"CREATE\",\"ResourceRecordSet\":{}}}", record_json(after)));
        }
    }
    let at = &s.zone.place.name;
    let look = (!s.is_swap()).then(|| {
        let zone = quoted(&s.zone.zone);
        let text = format!(
            "aws route53 list-resource-record-sets --hosted-zone-id {zone}   # these sets were never observed: continue only if they match the DELETEs"
        );
        call("route53", "ListResourceRecordSets", at, false, text)
    });
    let changes = [
        call(
            "route53",
            "ChangeResourceRecordSets",
            at,
            true,
            format!(
                "aws route53 change-resource-record-sets --hosted-zone-id {} --change-batch '{{\"Changes\":[{}]}}'",
                quoted(&s.zone.zone),
                batch.join(",").replace('\'', "'\\''")
            ),
        ),
        call(
            "route53",
            "GetChange",
            at,
            false,
            format!(
                "aws route53 get-change --id {}   # until INSYNC",
                asked("CHANGE_ID", "the Id in the answer")
            ),
        ),
    ];
    look.into_iter().chain(changes).collect()
}

fn record_json(set: &RecordSet) -> String {
    let mut json = serde_json::json!({"Name": set.name, "Type": set.rtype});
    if let Some(id) = &set.set_identifier {
        json["SetIdentifier"] = id.as_str().into();
    }
    match &set.policy {
        RecordPolicy::Simple => {}
        RecordPolicy::Weighted { weight } => json["Weight"] = (*weight).into(),
        RecordPolicy::Failover { primary } => {
            json["Failover"] = if *primary { "PRIMARY" } else { "SECONDARY" }.into();
        }
    }
    match &set.answer {
        RecordAnswer::Values { ttl_s, values } => {
            json["TTL"] = (*ttl_s).into();
            json["ResourceRecords"] = values.iter().map(|v| serde_json::json!({"Value": v})).collect();
        }
        RecordAnswer::Alias { name, zone, evaluate_health } => {
            json["AliasTarget"] = serde_json::json!({
                "HostedZoneId": zone, "DNSName": name, "EvaluateTargetHealth": evaluate_health,
            });
        }
    }
    if let Some(check) = &set.health_check {
        json["HealthCheckId"] = check.as_str().into();
    }
    json.to_string()
}

/// Creates or removes the object.
pub(crate) fn object(s: &SetHealthObject) -> Vec<Call> {
    let (url, region) = (quoted(&s.object.url), quoted(&s.object.place.region));
    let (bucket, key) = s.object.parts().unwrap_or_default();
    let of = |operation, mutates, text| call("s3", operation, &s.object.place.name, mutates, text);
    let get = format!(
        "aws s3api get-object --region {region} --bucket {} --key {} /dev/stdout",
        quoted(bucket),
        quoted(key)
    );
    match s.present {
        true => {
            // Nobody without credentials can read an object that is encrypted with a KMS key, which may be the bucket's default.
            let put = format!(
                "printf '%s' {} | aws s3 cp --region {region} --content-type text/plain --sse AES256 - {url}",
                quoted(&s.holder)
            );
            vec![
                of("PutObject", true, put),
                of("GetObject", false, format!("{get}   # until it shows the content")),
            ]
        }
        false => vec![
            of("DeleteObject", true, format!("aws s3 rm --region {region} {url}")),
            of("GetObject", false, format!("{get}   # until it fails with NoSuchKey")),
        ],
    }
}

/// Turns the routing controls.
pub(crate) fn controls(r: &SetRoutingControls) -> Vec<Call> {
    let state = |on: bool| if on { "On" } else { "Off" };
    let arn = |site: &SiteName| r.controls.controls.get(site).map_or("", String::as_str);
    let wanted = r.wanted();
    let entry = |(site, on): (&SiteName, &bool)| {
        let (arn, state) = (arn(site), state(*on));
        format!("{{\"RoutingControlArn\":\"{arn}\",\"RoutingControlState\":\"{state}\"}}")
    };
    let entries: Vec<_> = wanted.iter().map(entry).collect();
    let (region, url) = r.controls.endpoints.iter().next().map_or(("", ""), |(r, u)| (r, u));
    let endpoint = format!("--region {} --endpoint-url {}", quoted(region), quoted(url));
    let of = |operation, mutates, text| {
        call("route53-recovery-cluster", operation, &r.controls.place.name, mutates, text)
    };
    let update = format!(
        "aws route53-recovery-cluster update-routing-control-states {endpoint} --update-routing-control-state-entries {}   # or at any other endpoint of the cluster",
        quoted(&format!("[{}]", entries.join(",")))
    );
    let get = |(site, on): (&SiteName, &bool)| {
        let text = format!(
            "aws route53-recovery-cluster get-routing-control-state {endpoint} --routing-control-arn {}   # until {}",
            quoted(arn(site)),
            state(*on)
        );
        of("GetRoutingControlState", false, text)
    };
    let update = of("UpdateRoutingControlStates", true, update);
    std::iter::once(update).chain(wanted.iter().map(get)).collect()
}
