"""RDS: which properties a replica takes from its source and from the call, how it is created, and how it is deleted."""

from checks import rds
from checks.bridges import Told, shown
from checks.harness import EAST, MAIN, RUN, WEST, Server, check, equal, eventually, refused
from checks.rds import STATE, database, knob, pair, promote, show

NOT_FOUND, TAKEN, TOGETHER = "DBInstanceNotFound", "DBInstanceAlreadyExists", "InvalidParameterCombination"
KEY = "arn:aws:kms:{}:999999999901:key/11111111-2222-3333-4444-555555555555"


def replicate(server: Server, name: str, source: str, region: str = EAST, **more) -> dict:
    name = f"{name}-{RUN}"
    asked = {"DBInstanceIdentifier": name, "SourceDBInstanceIdentifier": source, **more}
    made = server.client("rds", region).create_db_instance_read_replica(**asked)["DBInstance"]
    rds._made.append((region, made["DBInstanceIdentifier"]))
    return made


def expect(server: Server, name: str, region: str = EAST, expected: bool = True, **knobs) -> dict:
    body = {"account": MAIN, "region": region, "instance": name, "expected": expected, **knobs}
    return server.control("rds", body)


@check
def creation(server: Server) -> None:
    """a replica that is being created has no endpoint and can do nothing, but both ends name each other"""
    arn = database(server, "making")
    equal(show(server, arn.split(":")[-1], WEST)["DBInstanceStatus"], "available", "status of the source")
    with server.settings(db_create_ms=60_000):
        made = replicate(server, "making-r", arn)
        name = made["DBInstanceIdentifier"]
        for found in (made, show(server, name)):
            equal(found["DBInstanceStatus"], "creating", "status")
            early = {"Endpoint", "InstanceCreateTime", "LatestRestorableTime"} & set(found)
            equal((early, found.get("StatusInfos", [])), (set(), []), "what is not there yet")
            equal(found["ReadReplicaSourceDBInstanceIdentifier"], arn, "source")
        listed = show(server, arn.split(":")[-1], WEST)["ReadReplicaDBInstanceIdentifiers"]
        equal(listed, [made["DBInstanceArn"]], "replicas of the source")
        refused(STATE, lambda: promote(server, name))
        refused(STATE, lambda: server.client("rds", EAST).reboot_db_instance(DBInstanceIdentifier=name))
        refused(TAKEN, lambda: replicate(server, "making-r", arn))
    now = show(server, name)
    equal((now["DBInstanceStatus"], now["Endpoint"]["Port"]), ("available", 5432), "status and port")
    equal(now["StatusInfos"][0]["Status"], "replicating", "StatusInfos")


@check
def as_asked(server: Server) -> None:
    """a replica is as the call says; else of its source's class and port, and in its own region's network and groups"""
    client = server.client("rds", EAST)
    for region, group in ((WEST, f"west-{RUN}"), (EAST, f"east-{RUN}")):
        family = {"DBParameterGroupFamily": "postgres16", "Description": "of a check"}
        server.client("rds", region).create_db_parameter_group(DBParameterGroupName=group, **family)
    network = server.client("ec2", EAST)
    vpc = network.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    zones = [network.create_subnet(VpcId=vpc, CidrBlock=f"10.77.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)]
    about = {"DBSubnetGroupDescription": "of a check", "SubnetIds": zones}
    client.create_db_subnet_group(DBSubnetGroupName=f"net-{RUN}", **about)
    source = database(server, "asked", Port=5499, Tags=[{"Key": "a", "Value": "1"}], DBParameterGroupName=f"west-{RUN}")
    plain = show(server, replicate(server, "asked-plain", source)["DBInstanceIdentifier"])
    equal((plain["DBInstanceClass"], plain["Endpoint"]["Port"]), ("db.r6g.large", 5499), "class and port of the source")
    equal((plain.get("TagList", []), plain["MultiAZ"], plain["BackupRetentionPeriod"]), ([], False, 0), "not of the source")
    assert "west" not in plain["DBParameterGroups"][0]["DBParameterGroupName"], plain["DBParameterGroups"]
    more = {"DBInstanceClass": "db.t3.micro", "Port": 5501, "MultiAZ": True, "PubliclyAccessible": False}
    more |= {"CopyTagsToSnapshot": True, "DBSubnetGroupName": f"net-{RUN}", "DBParameterGroupName": f"east-{RUN}"}
    name = replicate(server, "asked-r", source, Tags=[{"Key": "b", "Value": "2"}], **more)["DBInstanceIdentifier"]
    now = show(server, name)
    for member in ("DBInstanceClass", "MultiAZ", "PubliclyAccessible", "CopyTagsToSnapshot"):
        equal(now[member], more[member], member)
    equal(now["Endpoint"]["Port"], 5501, "port")
    equal(now["TagList"], [{"Key": "b", "Value": "2"}], "tags")
    equal(now["DBParameterGroups"][0]["DBParameterGroupName"], f"east-{RUN}", "parameter group")
    equal(now["DBSubnetGroup"]["VpcId"], vpc, "network")
    groups = network.describe_security_groups(GroupIds=[g["VpcSecurityGroupId"] for g in now["VpcSecurityGroups"]])
    equal([g["VpcId"] for g in groups["SecurityGroups"]], [vpc], "network of its default group")
    west = show(server, source.split(":")[-1], WEST)
    equal((west["TagList"], west["MultiAZ"]), ([{"Key": "a", "Value": "1"}], True), "the source, afterwards")


@check
def refusals(server: Server) -> None:
    """what cannot be: a taken or impossible name, a zone of a Multi-AZ, groups that are not there, no or a wrong source"""
    arn = database(server, "nope")

    def asking(code: str, *containing: str, name: str = "nope-r", source: str = arn, region: str = EAST, **more) -> None:
        refused(code, lambda: replicate(server, name, source, region, **more), *containing)

    asking(TAKEN, name="nope", region=WEST)
    asking("InvalidParameterValue", "not a valid identifier", name="no--pe")
    asking(TOGETHER, "availability zone", MultiAZ=True, AvailabilityZone="us-east-1b")
    asking("DBParameterGroupNotFound", DBParameterGroupName="nobodys")
    asking("DBSubnetGroupNotFoundFault", DBSubnetGroupName="nobodys")
    wrong = show(server, arn.split(":")[-1], WEST)["VpcSecurityGroups"][0]["VpcSecurityGroupId"]
    asking("InvalidParameterValue", wrong, VpcSecurityGroupIds=[wrong])
    asking(NOT_FOUND, source=arn.split(":")[-1])
    asking(NOT_FOUND, source=arn.replace(MAIN, "999999999902"))
    asking("InvalidParameterValue", source=arn.replace(":db:", ":cluster:"))
    refused(NOT_FOUND, lambda: show(server, f"nope-r-{RUN}"))
    equal(show(server, arn.split(":")[-1], WEST)["ReadReplicaDBInstanceIdentifiers"], [], "replicas of the source")


@check
def keys(server: Server) -> None:
    """an encrypted source needs a key of the replica's region, and no other, and a replica next to its source none"""
    locked = database(server, "locked", StorageEncrypted=True, KmsKeyId=KEY.format(WEST))
    refused(TOGETHER, lambda: replicate(server, "locked-r", locked), "Cannot create a cross region unencrypted")
    refused("KMSKeyNotAccessibleFault", lambda: replicate(server, "locked-r", locked, KmsKeyId=KEY.format(WEST)))
    east = replicate(server, "locked-r", locked, KmsKeyId=KEY.format(EAST))
    equal((east["StorageEncrypted"], east["KmsKeyId"]), (True, KEY.format(EAST)), "key of the replica")
    near = locked.split(":")[-1]
    refused(TOGETHER, lambda: replicate(server, "locked-n", near, WEST, KmsKeyId=KEY.format(WEST)), "remove the KMS key")
    equal(replicate(server, "locked-n", near, WEST)["KmsKeyId"], KEY.format(WEST), "key of a replica nearby")
    plain = database(server, "unlocked")
    refused(TOGETHER, lambda: replicate(server, "unlocked-r", plain, KmsKeyId=KEY.format(EAST)))


@check
def expected(server: Server) -> None:
    """a bridge set for a name that nobody has yet is told of the creation, and the instance is there when it has ended"""
    arn, told = database(server, "hoped"), Told("created")
    name = f"hoped-r-{RUN}"
    equal(expect(server, name, bridge=told.argv, endpoint={"address": "10.0.0.9", "port": 5444})["expected"], True, "answer")
    equal(shown(server, name)["expected"], True, "it is listed")
    replicate(server, "hoped-r", arn)
    eventually(told, "the bridge is told")
    found = [(t["event"], t["account"], t["region"], t["instance"], t["source"]) for t in told()]
    source = {"region": WEST, "instance": arn.split(":")[-1]}
    source["resource"] = show(server, source["instance"], WEST)["DbiResourceId"]
    equal(found, [("created", MAIN, EAST, name, source)], "told")
    now = show(server, name)
    equal((now["DBInstanceStatus"], "Endpoint" in now), ("creating", False), "while the bridge works")
    equal(len(told()[0]["groups"]), 1, "its groups")
    told.go()
    eventually(lambda: show(server, name)["DBInstanceStatus"] == "available", "available")
    equal(show(server, name)["Endpoint"]["Port"], 5444, "the endpoint as it was set")
    expect(server, name, expected=False)
    expect(server, "*", bridge=["sh", "-c", "echo no server left >&2; exit 1"])
    try:
        other = replicate(server, "hoped-o", arn)["DBInstanceIdentifier"]
        made = eventually(lambda: [b for b in bridges(server, other) if b["failed"]], "a failure")
        equal(made[0]["error"], "exit 1: no server left", "what is shown")
        equal(show(server, other)["DBInstanceStatus"], "creating", "status after a failure")
        plain = Told("plain")
        expect(server, f"hoped-p-{RUN}", bridge=plain.argv)  # takes precedence over the expectation for any name
        database(server, "hoped-p", EAST)
        equal(eventually(plain, "the bridge of a plain instance is told")[0]["source"], None, "source of a plain one")
        plain.go()
    finally:
        expect(server, "*", expected=False)
        expect(server, f"hoped-p-{RUN}", expected=False)
    knob(server, other, bridge=None)
    equal(show(server, other)["DBInstanceStatus"], "available", "status without the bridge")
    body = {"account": MAIN, "region": EAST, "instance": "x"}
    yes, no = {"expected": True}, {"expected": False}
    for wrong in ({"expected": 1}, {**yes, "bridge": "x"}, {**yes, "no": 1}, {**no, "status": "x"}):
        equal(server.status("rds", body | wrong), 400, f"{wrong}")
    equal(bridges(server, "x"), [], "a wrong one is not kept")


def bridges(server: Server, name: str) -> list[dict]:
    return [bridge for bridge in server.control("bridges")["bridges"] if bridge.get("instance") == name]


@check
def deletion(server: Server) -> None:
    """an instance that is being deleted keeps its name until its bridge has done it, and cannot be deleted again"""
    source, name = pair(server, "going")
    told, client = Told("deleted"), server.client("rds", EAST)
    knob(server, name, bridge=told.argv)
    answer = client.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)["DBInstance"]
    equal(answer["DBInstanceStatus"], "deleting", "status of the answer")
    equal([(t["event"], t["instance"]) for t in eventually(told, "the bridge is told")], [("deleted", name)], "told")
    equal(show(server, name)["DBInstanceStatus"], "deleting", "status while the bridge works")
    again = {"DBInstanceIdentifier": name, "SkipFinalSnapshot": True}
    refused(STATE, lambda: client.delete_db_instance(**again), "already being deleted")
    refused(STATE, lambda: promote(server, name))
    refused(TAKEN, lambda: database(server, "going-r", EAST))
    told.go()
    eventually(lambda: name not in [d["DBInstanceIdentifier"] for d in client.describe_db_instances()["DBInstances"]], "gone")
    rds._made.remove((EAST, name))
    with server.settings(db_delete_ms=60_000):
        server.client("rds", WEST).delete_db_instance(DBInstanceIdentifier=source, SkipFinalSnapshot=True)
        equal(show(server, source, WEST)["DBInstanceStatus"], "deleting", "status without a bridge")
    rds._made.remove((WEST, source))
    refused(NOT_FOUND, lambda: show(server, source, WEST))
