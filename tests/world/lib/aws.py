"""The world's resources in AWS: an RDS instance and its fence for each region, and the zone, with bridges. Usage: aws.py WORLD LOCALSTACK

API requests are built by hand, because nothing else here needs an SDK.
"""

import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

REGIONS = {"west": "us-west-2", "east": "us-east-1"}
VERSIONS = {"rds": "2014-10-31", "ec2": "2016-11-15"}
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Account:
    def __init__(self, endpoint: str, number: str) -> None:
        self.endpoint, self.number = endpoint, number

    def send(self, service: str, region: str, path: str, body: str) -> str:
        """LocalStack reads account, region and service from the signature, but does not verify it."""
        scope = f"{self.number}/20260101/{region}/{service}/aws4_request"
        kind = "application/x-www-form-urlencoded" if service in VERSIONS else "application/xml"
        signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        headers = {"Authorization": signed, "Content-Type": kind}
        request = urllib.request.Request(f"{self.endpoint}/{path}", body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{service} in {region}: {error.code}: {error.read().decode()}") from error

    def query(self, service: str, region: str, action: str, **more: str) -> str:
        form = {"Action": action, "Version": VERSIONS[service]} | {key.replace("_", "."): more[key] for key in more}
        return self.send(service, region, "", urllib.parse.urlencode(form))

    def control(self, path: str, body: dict) -> dict:
        request = urllib.request.Request(f"{self.endpoint}/_drctl/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def bridges(self) -> list[dict]:
        """The bridges of this account's instances."""
        with urllib.request.urlopen(f"{self.endpoint}/_drctl/bridges", timeout=10) as answer:
            return [b for b in json.load(answer)["bridges"] if b["account"] == self.number and "instance" in b]

    def group(self, region: str, name: str) -> str:
        group = tag(self.query("ec2", region, "CreateSecurityGroup", GroupName=name, GroupDescription=name), "groupId")
        # A group that fences has no rule; AWS gives each new one an outbound rule.
        rule = {"IpPermissions_1_IpProtocol": "-1", "IpPermissions_1_IpRanges_1_CidrIp": "0.0.0.0/0"}
        self.query("ec2", region, "RevokeSecurityGroupEgress", GroupId=group, **rule)
        return group

    def record(self, zone: str, name: str, address: str, ttl: int) -> str:
        """Sets an A record. Returns the ID of the change."""
        values = f"<ResourceRecords><ResourceRecord><Value>{address}</Value></ResourceRecord></ResourceRecords>"
        record_set = f"<Name>{name}</Name><Type>A</Type><TTL>{ttl}</TTL>{values}"
        change = f"<Change><Action>UPSERT</Action><ResourceRecordSet>{record_set}</ResourceRecordSet></Change>"
        batch = f"<ChangeBatch><Changes>{change}</Changes></ChangeBatch>"
        body = f"<ChangeResourceRecordSetsRequest>{batch}</ChangeResourceRecordSetsRequest>"
        return tag(self.send("route53", "us-east-1", f"2013-04-01/hostedzone/{zone}/rrset/", body), "Id")


def tag(xml: str, name: str) -> str:
    return re.search(f"<{name}>([^<]*)</{name}>", xml)[1]


def databases(aws: Account, world: dict, folder: str) -> dict:
    common = {"DBInstanceClass": "db.t3.micro", "VpcSecurityGroupIds_VpcSecurityGroupId_1": ""}
    source = {"Engine": "postgres", "EngineVersion": "15.4", "MasterUsername": "drctl", "MasterUserPassword": "not-a-secret"}
    source |= {"AllocatedStorage": "20", "BackupRetentionPeriod": "7", "DBName": world["database"]}
    made, arn = {}, ""
    for site, region in REGIONS.items():
        name, here = f"{world['database']}-{site}", {"region": region}
        here |= {"instance": name, "group": aws.group(region, "open"), "fence_group": aws.group(region, "fence")}
        common["VpcSecurityGroupIds_VpcSecurityGroupId_1"] = here["group"]
        # An instance that is created in the region gets a server of its own; the first gets the existing one.
        bridge = [f"{HERE}/rds", folder, site, here["fence_group"]]
        where = {"account": aws.number, "region": region, "instance": "*"}
        aws.control("rds", {**where, "expected": True, "bridge": bridge})
        if site == world["home"]:
            answer = aws.query("rds", region, "CreateDBInstance", DBInstanceIdentifier=name, **common, **source)
            arn = tag(answer, "DBInstanceArn")
        else:
            replica = {"SourceDBInstanceIdentifier": arn, "SourceRegion": REGIONS[world["home"]]}
            aws.query("rds", region, "CreateDBInstanceReadReplica", DBInstanceIdentifier=name, **common, **replica)
        available(aws, here)
        made[site] = here
    return made


def available(aws: Account, site: dict) -> None:
    end = time.monotonic() + 30
    while "<DBInstanceStatus>available<" not in aws.query(
        "rds", site["region"], "DescribeDBInstances", DBInstanceIdentifier=site["instance"]
    ):
        if time.monotonic() > end:
            raise SystemExit(f"{site['instance']} is not available: {aws.bridges()}")
        time.sleep(0.05)


def zone(aws: Account, world: dict, folder: str) -> str:
    name = f"<Name>{world['zone']}</Name><CallerReference>world</CallerReference>"
    request = f"<CreateHostedZoneRequest>{name}</CreateHostedZoneRequest>"
    made = aws.send("route53", "us-east-1", "2013-04-01/hostedzone", request)
    number = tag(made, "Id").rsplit("/", 1)[-1]
    home = world["regions"][world["home"]]
    for name, role in (("www", "web"), ("db", "db")):
        aws.record(number, world["names"][name], home[role], world["ttl"])
    aws.control("route53", {"account": aws.number, "zone": number, "bridge": [f"{HERE}/dns", folder, "sync"]})
    return number


def main() -> None:
    with open(sys.argv[1]) as file:
        world = json.load(file)
    folder = os.path.dirname(os.path.abspath(sys.argv[1]))
    # A new account for each world, so that many worlds can share one LocalStack.
    aws = Account(sys.argv[2].rstrip("/"), f"9{int(time.time()) % 10**8:08d}{world['id']:03d}")
    made = {"account": aws.number, "zone": zone(aws, world, folder), "sites": databases(aws, world, folder)}
    with open(f"{folder}/aws.json", "w") as file:
        json.dump(made, file, indent=2)


if __name__ == "__main__":
    main()
