"""Calls every service that drctl uses once in each region, because the first call loads code and is slow. Run by `up`.

It uses an account that nobody else uses and clears the counters afterwards, so it leaves no trace.
"""

import sys
import urllib.request
from datetime import UTC, datetime, timedelta

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGIONS = ("us-east-1", "us-west-2")
ONLY_IN = {"route53-recovery-control-config": "us-west-2"}


def _refused(client) -> None:
    """No cluster exists whose endpoint could answer, but the refusal loads the same code."""
    try:
        client.list_routing_controls()
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise


def calls() -> dict:
    now = datetime.now(UTC)
    stat = {"Metric": {"Namespace": "Warm", "MetricName": "Up"}, "Period": 60, "Stat": "Average"}
    query = {
        "MetricDataQueries": [{"Id": "a", "MetricStat": stat}],
        "StartTime": now - timedelta(hours=1),
        "EndTime": now,
    }
    return {
        "sts": lambda client: client.get_caller_identity(),
        "ec2": lambda client: client.describe_security_groups(),
        "rds": lambda client: client.describe_db_instances(),
        "autoscaling": lambda client: client.describe_auto_scaling_groups(),
        "route53": lambda client: client.list_hosted_zones(),
        "route53-recovery-control-config": lambda client: client.list_clusters(),
        "route53-recovery-cluster": _refused,
        "s3": lambda client: client.list_buckets(),
        "iam": lambda client: client.list_roles(),
        "cloudwatch": lambda client: client.get_metric_data(**query),
        "secretsmanager": lambda client: client.list_secrets(),
        "ssm": lambda client: client.describe_parameters(),
    }


def main(endpoint: str) -> int:
    config = Config(read_timeout=60, connect_timeout=5, retries={"total_max_attempts": 1})
    for region in REGIONS:
        session = boto3.Session("000000000001", "test", region_name=region)
        for name, call in calls().items():
            if region not in ONLY_IN.get(name, region):
                continue
            try:
                call(session.client(name, endpoint_url=endpoint, config=config))
            except Exception as error:  # after any error, the server is not ready for use
                print(f"{name} in {region}: {error}", file=sys.stderr)
                return 1
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/_drctl/calls", method="DELETE")).close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
