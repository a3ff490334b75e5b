//! Buckets on LocalStack, which stores replication rules but does not replicate. The tests make copies and publish metrics themselves.

use std::process::Command;

use serde_json::Value;

use super::{Estate, FAILOVER, localstack};

/// Calls one of LocalStack's services in a region.
fn curl(account: &str, (region, service): (&str, &str), args: &[&str]) -> String {
    let auth = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={account}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let done =
        Command::new("curl").args(["-sS", "--fail-with-body", "-H", &auth]).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&done.stderr));
    text
}

/// A bucket in each region.
struct Pair<'e> {
    estate: &'e Estate,
    west: String,
    east: String,
}

impl<'e> Pair<'e> {
    fn new(estate: &'e Estate) -> Self {
        let name = |side: &str| format!("uploads-{side}-{}", estate.account());
        let pair = Self { estate, west: name("west"), east: name("east") };
        let location = "<CreateBucketConfiguration><LocationConstraint>us-west-2</LocationConstraint></CreateBucketConfiguration>";
        pair.put("us-west-2", &pair.west, location);
        pair.put("us-east-1", &pair.east, "");
        pair
    }

    fn put(&self, region: &str, path: &str, body: &str) {
        let url = format!("{}/{path}", localstack());
        curl(
            self.estate.account(),
            (region, "s3"),
            &["-X", "PUT", "-H", "Content-Type: text/xml", "--data-binary", body, &url],
        );
    }

    fn west(&self, key: &str, body: &str) {
        self.put("us-west-2", &format!("{}/{key}", self.west), body);
    }

    fn east(&self, key: &str, body: &str) {
        self.put("us-east-1", &format!("{}/{key}", self.east), body);
    }

    /// Enables versioning and replication of the whole prefix, in both directions.
    fn copied(&self) {
        let both = [("us-west-2", &self.west, &self.east), ("us-east-1", &self.east, &self.west)];
        for (region, from, _) in both {
            let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
            self.put(region, &format!("{from}?versioning"), on);
        }
        for (region, from, to) in both {
            let rule = format!(
                "<ReplicationConfiguration><Role>arn:aws:iam::{}:role/copies</Role><Rule><ID>all</ID><Priority>1</Priority><Status>Enabled</Status><Filter><Prefix>up/</Prefix></Filter><DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication><Destination><Bucket>arn:aws:s3:::{to}</Bucket></Destination></Rule></ReplicationConfiguration>",
                self.estate.account()
            );
            self.put(region, &format!("{from}?replication"), &rule);
        }
    }

    /// Publishes a metric of S3 in the region of the copy.
    fn publish(&self, metric: &str, value: u32) {
        let mut fields = vec![
            "Action=PutMetricData".to_owned(),
            "Version=2010-08-01".to_owned(),
            "Namespace=AWS/S3".to_owned(),
            format!("MetricData.member.1.MetricName={metric}"),
            format!("MetricData.member.1.Value={value}"),
        ];
        let of = [("SourceBucket", self.west.as_str()), ("DestinationBucket", &self.east), ("RuleId", "all")];
        for (n, (name, value)) in of.iter().enumerate() {
            let at = format!("MetricData.member.1.Dimensions.member.{}", n + 1);
            fields.extend([format!("{at}.Name={name}"), format!("{at}.Value={value}")]);
        }
        let url = localstack().to_owned() + "/";
        let mut args = vec![url.as_str()];
        fields.iter().for_each(|field| args.extend(["--data-urlencode", field]));
        curl(self.estate.account(), ("us-east-1", "monitoring"), &args);
    }

    fn write_plan(&self, rpo: &str) {
        self.estate.write_plan("", "1s");
        let file = self.estate.path().join("plans/truststream.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let uploads = format!(
            "  uploads:\n    kind: aws.s3\n    prefix: up/\n    objectives: {{rto: 15m, rpo: {rpo}}}\n    at:\n      us-west-2: {{bucket: {}}}\n      us-east-1: {{bucket: {}}}\n",
            self.west, self.east
        );
        std::fs::write(&file, text.replace("  www:\n", &format!("{uploads}  www:\n"))).unwrap();
    }

    /// The readiness of an area for the copy in the east.
    fn ready(&self, area: &str, about: &str) -> (String, String) {
        let (_, told) = self.estate.json(&["ready", "truststream"]);
        let all = told["checks"].as_array().unwrap();
        let found = all.iter().find(|c| c["area"] == area && c["about"] == about);
        let found = found.unwrap_or_else(|| panic!("{area} {about}: {told:#}"));
        let text = |name: &str| found[name].as_str().unwrap().to_owned();
        (text("standing"), text("facts"))
    }
}

fn is(found: (String, String), standing: &str, words: &str) {
    assert!(found.0 == standing && found.1.contains(words), "{found:?}, not {standing} `{words}`");
}

#[test]
fn what_a_copy_lacks_is_found_before_and_told_after() {
    let estate = Estate::new();
    let pair = Pair::new(&estate);
    pair.write_plan("5m");
    let (copy, objects) = ("uploads in us-east-1", "objects of uploads in us-east-1");
    is(pair.ready("replica", copy), "not_ready", "is never enabled; S3 replicates nothing without it");
    is(pair.ready("replica", objects), "unknown", "compared 0 of 0 objects");
    pair.copied();
    is(pair.ready("replica", copy), "ready", "rule all replicates");
    is(pair.ready("lag", copy), "unknown", "S3 publishes no replication delay");
    for (metric, value) in
        [("ReplicationLatency", 42), ("OperationsPendingReplication", 7), ("BytesPendingReplication", 4096)]
    {
        pair.publish(metric, value);
    }
    super::until("what was published is there", || {
        let (standing, facts) = pair.ready("lag", copy);
        standing == "ready" && facts.contains("at most 42s behind, operations waiting: 7 (4096 bytes)")
    });

    pair.west("up/same", "one");
    pair.east("up/same", "one");
    // A key that a listing must encode.
    pair.west("up/a%20b%2Bc%25d", "zero");
    pair.east("up/a%20b%2Bc%25d", "zero");
    is(pair.ready("replica", objects), "ready", "compared 2 of 2 objects: 2 identical");
    pair.west("up/missing", "two");
    pair.west("up/other", "three");
    pair.east("up/other", "drei");
    pair.west("elsewhere", "four");
    is(pair.ready("replica", objects), "ready", "2 identical, 1 missing, 1 different from their source");
    pair.write_plan("1s");
    super::until("they were written longer ago than the RPO", || {
        pair.ready("replica", objects).0 == "not_ready"
    });

    estate.proxy.take_calls();
    let (_, report) = estate.json(FAILOVER);
    assert_eq!(report["outcome"], "recovered", "{report:#}");
    let found = &report["buckets"]["uploads"];
    assert_eq!(found["arriving"][0]["behind_ms"], 42_000, "{found:#}");
    let gaps: Vec<_> = found["compared"]["gaps"].as_array().unwrap().iter().collect();
    let of = |key: &str| gaps.iter().find(|g| g["key"] == key).map_or(Value::Null, |g| g["what"].clone());
    assert!(gaps.len() == 2 && of("up/missing") == "missing" && of("up/other") == "other", "{found:#}");
    for call in super::mutating(&estate.proxy.take_calls()) {
        assert!(!format!("{call:?}").contains(&pair.west), "{call:?}: buckets are only looked at");
        assert!(!format!("{call:?}").contains(&pair.east), "{call:?}: buckets are only looked at");
    }
    let md = estate.run(&["report", "run", report["run_id"].as_str().unwrap()]).1;
    assert!(
        md.contains("## Copies of uploads") && md.contains("- \\`up/missing\\`: missing, written"),
        "{md}"
    );
}
