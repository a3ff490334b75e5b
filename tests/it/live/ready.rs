//! Readiness against LocalStack: its IAM, its quotas, and changes since the last proven recovery.

use std::process::Command;

use serde_json::Value;

use super::{Estate, FAILOVER, localstack};

fn of<'a>(told: &'a Value, area: &str, about: &str) -> &'a Value {
    let all = told["checks"].as_array().unwrap();
    all.iter()
        .find(|c| c["area"] == area && c["about"] == about)
        .unwrap_or_else(|| panic!("{area} {about}: {told:#}"))
}

fn said(check: &Value) -> (&str, &str) {
    (check["standing"].as_str().unwrap(), check["facts"].as_str().unwrap())
}

impl Estate {
    fn ready(&self) -> (i32, Value) {
        self.json(&["ready", "truststream"])
    }

    fn asks(&self, account: &str, (service, version): (&str, &str), fields: &[(&str, &str)]) {
        let auth = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "-H", &auth, "--data-urlencode", &format!("Version={version}")]);
        for (name, value) in fields {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let done = curl.arg(localstack()).output().unwrap();
        assert!(done.status.success(), "{fields:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn allow(&self, account: &str, role: &str, statements: &str) {
        let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
        let of = [
            ("Action", "PutRolePolicy"),
            ("RoleName", role),
            ("PolicyName", "p"),
            ("PolicyDocument", &policy),
        ];
        self.asks(account, ("iam", "2010-05-08"), &of);
    }
}

/// LocalStack's simulation matches a resource literally, and does not expand patterns.
fn allowed(resource: &str, actions: &[&str]) -> String {
    serde_json::json!({"Effect": "Allow", "Resource": resource, "Action": actions}).to_string()
}

/// The permissions that docs/src/deploy/permissions.md lists for the role of a site, and nothing more.
fn site(account: &str, (region, id, group): (&str, &str, &str), bucket: &str) -> String {
    let looks = [
        "ec2:DescribeSecurityGroups",
        "rds:DescribeDBInstances",
        "rds:DescribeEvents",
        "cloudwatch:GetMetricData",
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
    ];
    let instance = [
        "rds:PromoteReadReplica",
        "rds:ModifyDBInstance",
        "rds:RebootDBInstance",
        "rds:CreateDBInstanceReadReplica",
        "rds:AddTagsToResource",
    ];
    let scales =
        ["autoscaling:UpdateAutoScalingGroup", "autoscaling:ResumeProcesses", "autoscaling:SuspendProcesses"];
    let all = [
        allowed("*", &looks),
        allowed(&format!("arn:aws:rds:{region}:{account}:db:{id}"), &instance),
        allowed(
            &format!(
                "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{group}"
            ),
            &scales,
        ),
        allowed(&format!("arn:aws:s3:::{bucket}"), &["s3:ListBucket"]),
    ];
    let guard = |name| {
        let object = format!("arn:aws:s3:::{bucket}/prod/truststream/{name}.json");
        allowed(&object, &["s3:GetObject", "s3:PutObject", "s3:DeleteObject"])
    };
    all.into_iter().chain(["db", "nodes", "www"].map(guard)).collect::<Vec<_>>().join(",")
}

fn names(zone: &str) -> String {
    let zone = format!("arn:aws:route53:::hostedzone/{zone}");
    let changes = allowed("arn:aws:route53:::change/*", &["route53:GetChange"]);
    [allowed(&zone, &["route53:ListResourceRecordSets", "route53:ChangeResourceRecordSets"]), changes]
        .join(",")
}

#[test]
fn what_a_role_may_not_do_is_found_before_the_day_and_so_is_what_changed_since() {
    let estate = Estate::new();
    estate.write_plan("", "1s");
    let s = |path: &str| estate.seed.pointer(path).and_then(Value::as_str).unwrap().to_owned();
    let (account, dns, zone) = (s("/accounts/west"), s("/accounts/dns"), s("/dns/zone_id"));
    let (code, told) = estate.ready();
    let (standing, facts) = said(of(&told, "permissions", "us-east-1"));
    assert!(code == 3 && standing == "not_ready" && told["standing"] == "not_ready", "{told:#}");
    let promote =
        format!("rds:PromoteReadReplica on arn:aws:rds:us-east-1:{account}:db:truststream-replica-1");
    assert!(facts.contains(&promote) && facts.contains("role/drctl-east may not"), "{facts}");
    let bucket = s("/guard/bucket");
    let west = ("us-west-2", "truststream-db", "truststream-nodes");
    let east = ("us-east-1", "truststream-replica-1", "truststream-nodes-dr");
    for (role, of) in [("drctl-west", west), ("drctl-east", east)] {
        estate.allow(&account, role, &site(&account, of, &bucket));
    }
    // Allowed, but for another zone.
    estate.allow(&dns, "drctl-dns", &names("ZANOTHER"));
    let (code, told) = estate.ready();
    let (standing, facts) = said(of(&told, "permissions", "dns"));
    let change = format!("route53:ChangeResourceRecordSets on arn:aws:route53:::hostedzone/{zone}");
    assert!(
        code == 3 && standing == "not_ready" && facts.contains(&change) && !facts.contains("GetChange"),
        "{facts}"
    );
    estate.allow(&dns, "drctl-dns", &names(&zone));
    let (code, told) = estate.ready();
    for place in ["us-west-2", "us-east-1", "dns", &format!("s3://{bucket}/prod/truststream")] {
        assert_eq!(said(of(&told, "permissions", place)).0, "ready", "{told:#}");
    }
    for (area, about) in [
        ("replica", "db in us-east-1"),
        ("capacity", "nodes in us-east-1"),
        ("parity", "db in us-east-1"),
        ("ttl", "www"),
    ] {
        assert_eq!(said(of(&told, area, about)).0, "ready", "{told:#}");
    }
    let (standing, facts) = said(of(&told, "quotas", "us-east-1"));
    assert!(standing == "ready" && facts.contains("DBInstances 1 of 40"), "{facts}");
    assert_eq!(said(of(&told, "drift", "truststream")).0, "unknown", "nothing was ever moved: {told:#}");
    assert_eq!(code, 5);

    let (_, report) = estate.json(FAILOVER);
    assert_eq!(report["outcome"], "recovered", "{report:#}");
    let (_, told) = estate.ready();
    let (standing, facts) = said(of(&told, "drift", "truststream"));
    assert!(standing == "ready" && facts.contains("unchanged since before run"), "{facts}");
    // Nothing follows the new primary; that is not drift.
    let (standing, facts) = said(of(&told, "replica", "db in us-west-2"));
    assert!(
        standing == "not_ready" && facts.contains("it does not replicate from truststream-replica-1"),
        "{facts}"
    );
    let modify = [
        ("Action", "ModifyDBInstance"),
        ("DBInstanceIdentifier", "truststream-replica-1"),
        ("DBInstanceClass", "db.t3.micro"),
        ("ApplyImmediately", "true"),
    ];
    estate.asks(&account, ("rds", "2014-10-31"), &modify);
    super::until("the class is another one", || {
        let (_, told) = estate.ready();
        let (standing, facts) = said(of(&told, "drift", "truststream"));
        standing == "degraded"
            && facts.contains("class of database/us-east-1/truststream-replica-1")
            && facts.ends_with("db.t3.micro")
    });
}
