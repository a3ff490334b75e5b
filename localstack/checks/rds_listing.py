"""RDS DescribeDBInstances: filters, pages, and the fields that drctl reads."""

from checks.harness import EAST, OTHER, WEST, Server, check, equal, refused
from checks.rds import database, knob, replica, show


def names(answer: dict) -> list[str]:
    return [db["DBInstanceIdentifier"] for db in answer["DBInstances"]]


def by_name(*values: str) -> list[dict]:
    return [{"Name": "db-instance-id", "Values": list(values)}]


@check
def filters(server: Server) -> None:
    """the filter db-instance-id takes several names and ARNs; unknown ones are left out; other filters are refused"""
    rds = server.client("rds", WEST)
    arns = [database(server, f"filter-{letter}") for letter in "abc"]
    a, b, c = (arn.split(":")[-1] for arn in arns)
    equal(names(rds.describe_db_instances(Filters=by_name(a, arns[2], "nobody"))), [a, c], "two of three")
    equal(names(rds.describe_db_instances(Filters=by_name(b.upper()))), [b], "by another case")
    equal(names(rds.describe_db_instances(Filters=by_name("nobody"))), [], "nobody")
    wrong = [{"Name": "db-instance-name", "Values": [a]}]
    refused("InvalidParameterValue", lambda: rds.describe_db_instances(Filters=wrong))


@check
def pages(server: Server) -> None:
    """instances page by MaxRecords (20 to 100) and Marker, also when the instance at the end of a page is gone"""
    rds = server.client("rds", WEST, OTHER)
    made = [database(server, f"page-{n:02}", account=OTHER).split(":")[-1] for n in range(42)]
    chosen = {"Filters": by_name(*made)}
    found = list(rds.get_paginator("describe_db_instances").paginate(**chosen, PaginationConfig={"PageSize": 20}))
    equal([len(page["DBInstances"]) for page in found], [20, 20, 2], "sizes")
    equal([name for page in found for name in names(page)], made, "all pages together")
    equal(len(names(rds.describe_db_instances())), 42, "without MaxRecords: up to 100")
    marker = rds.describe_db_instances(**chosen, MaxRecords=20)["Marker"]
    rds.delete_db_instance(DBInstanceIdentifier=made[19], SkipFinalSnapshot=True)
    rest = rds.describe_db_instances(**chosen, MaxRecords=100, Marker=marker)
    equal((names(rest), "Marker" in rest), (made[20:], False), "after one is gone")
    for wrong in ({"MaxRecords": 19}, {"MaxRecords": 101}, {"Marker": "bogus"}):
        refused("InvalidParameterValue", lambda: rds.describe_db_instances(**wrong))
    for name in set(made) - {made[19]}:
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


@check
def members(server: Server) -> None:
    """an instance and its replica show database name, endpoint, groups with status, restore point and source"""
    arn = database(server, "members", DBName="ledger")
    source, name = arn.split(":")[-1], replica(server, "members-r", arn)
    for found, region in ((source, WEST), (name, EAST)):
        db = show(server, found, region)
        equal(db["DBName"], "ledger", f"database of {found}")
        address = db["Endpoint"]["Address"]
        assert address.startswith(f"{found}.") and f".{region}.rds." in address, f"endpoint of {found}: {address}"
        equal(db["Endpoint"]["Port"], 5432, f"port of {found}")
        equal([g["Status"] for g in db["VpcSecurityGroups"]], ["active"], f"groups of {found}")
        equal("LatestRestorableTime" in db, found == source, f"{found} has a restore point")
        equal(db.get("ReadReplicaSourceDBInstanceIdentifier"), arn if found == name else None, f"source of {found}")
    knob(server, name, endpoint={"address": "127.0.0.1", "port": 15432})
    listed = server.client("rds", EAST).describe_db_instances(Filters=by_name(name))["DBInstances"][0]
    equal((listed["Endpoint"]["Address"], listed["Endpoint"]["Port"]), ("127.0.0.1", 15432), "endpoint as set")
    plain = show(server, database(server, "nameless").split(":")[-1], WEST)
    equal(plain.get("DBName"), None, "a database name nobody gave")


@check
def quotas(server: Server) -> None:
    """an account has its quotas of instances and storage, with how much of each there is, by region"""
    rds = server.client("rds", WEST)

    def held() -> dict:
        answer = rds.describe_account_attributes()["AccountQuotas"]
        return {quota["AccountQuotaName"]: (quota["Used"], quota["Max"]) for quota in answer}

    before = held()
    database(server, "quota")
    after = held()
    equal(after["DBInstances"], (before["DBInstances"][0] + 1, 40), "one instance more")
    assert after["AllocatedStorage"][0] > before["AllocatedStorage"][0], f"{before} {after}"
