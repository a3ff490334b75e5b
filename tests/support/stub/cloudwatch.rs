//! CloudWatch's GetMetricData over rpc-v2-cbor: the lag of the replicas, and nothing else.

use super::cbor::{self, Value, Writer};
use super::clock::{Micros, SECOND};
use super::estate::Region;
use super::http::Request;
use super::rds::Databases;
use super::wire::{Fault, Reply};

/// AWS rejects more queries in one call.
const MOST_QUERIES: usize = 500;
/// The lag of every replica, in seconds.
const LAG: f64 = 1.0;

/// The operation that a request asks for, by its name in AWS's words.
pub fn operation(request: &Request<'_>) -> &'static str {
    match request.path {
        "/service/GraniteServiceVersion20100801/operation/GetMetricData" => "GetMetricData",
        _ => "Unknown",
    }
}

pub fn handle(
    operation: &str,
    databases: &Databases,
    region: Option<Region>,
    request: &Request<'_>,
    now: Micros,
) -> Result<Reply, Fault> {
    if operation != "GetMetricData" || request.header("smithy-protocol") != "rpc-v2-cbor" {
        let message = "The stub knows GetMetricData over rpc-v2-cbor only.";
        return Err(Fault::new(400, "InvalidAction", message));
    }
    let broken =
        || Fault::new(400, "SerializationException", "The request is not the CBOR of GetMetricData.");
    let input = cbor::read(&request.body).ok_or_else(broken)?;
    let (start, end) = (input.number("StartTime"), input.number("EndTime"));
    let (start, end) = (start.ok_or_else(broken)?, end.ok_or_else(broken)?);
    let queries = input.list("MetricDataQueries");
    if queries.is_empty() || queries.len() > MOST_QUERIES {
        return Err(Fault::new(400, "ValidationError", format!("MetricDataQueries: 1 to {MOST_QUERIES}")));
    }
    // The current minute has no data point yet; a point has the time at the start of its minute.
    let minute = (now / SECOND / 60).saturating_sub(1) * 60;
    let within = start <= minute as f64 && (minute as f64) < end;
    let returned = queries.iter().filter(|query| query.get("ReturnData") != Some(&Value::Truth(false)));
    let returned: Vec<&Value> = returned.collect();
    let mut writer = Writer::default();
    writer.map(2).text("MetricDataResults").list(returned.len());
    for query in returned {
        let has_point = within && asks_for_lag(query, databases, region, now);
        result(query, if has_point { Some(minute) } else { None }, &mut writer);
    }
    writer.text("Messages").list(0);
    Ok(Reply::cbor(200, writer.into_bytes()))
}

fn result(query: &Value, point: Option<u64>, writer: &mut Writer) {
    writer.map(5).text("Id").text(query.text("Id").unwrap_or(""));
    writer.text("Label").text(query.text("Label").unwrap_or("ReplicaLag"));
    writer.text("StatusCode").text("Complete");
    writer.text("Timestamps").list(usize::from(point.is_some()));
    if let Some(seconds) = point {
        writer.timestamp(seconds);
    }
    writer.text("Values").list(usize::from(point.is_some()));
    if point.is_some() {
        writer.double(LAG);
    }
}

fn asks_for_lag(query: &Value, databases: &Databases, region: Option<Region>, now: Micros) -> bool {
    let Some(metric) = query.get("MetricStat").and_then(|stat| stat.get("Metric")) else { return false };
    let [dimension] = metric.list("Dimensions") else { return false };
    let of_instance = dimension.text("Name") == Some("DBInstanceIdentifier");
    metric.text("Namespace") == Some("AWS/RDS")
        && metric.text("MetricName") == Some("ReplicaLag")
        && of_instance
        && dimension.text("Value").is_some_and(|name| databases.is_replica(region, name, now))
}
