"""The API of Aurora global databases. AWS does not document the error codes of some refusals; the README lists them."""

import time

from localstack.aws.api import CommonServiceException, RequestContext
from localstack.services.moto import call_moto
from moto.rds.models import DBCluster, rds_backends

from drctl_localstack import paging, rds_global
from drctl_localstack.rds_global import GlobalCluster, Member
from drctl_localstack.rds_rules import combination, invalid

ENGINES = ("aurora-mysql", "aurora-postgresql")


def _fault(code: str, message: str, status: int = 400) -> CommonServiceException:
    return CommonServiceException(code, message, status, sender_fault=True)


def _global_state(message: str) -> CommonServiceException:
    return _fault("InvalidGlobalClusterStateFault", message)


def _cluster_state(message: str) -> CommonServiceException:
    return _fault("InvalidDBClusterStateFault", message)


def _find(context: RequestContext, request: dict) -> GlobalCluster:
    """The global cluster. A region without a member does not know it."""
    name = request["GlobalClusterIdentifier"]
    each = rds_global.get(context.account_id, name)
    if each is None or not each.seen_in(context.region):
        raise _fault("GlobalClusterNotFoundFault", f"Global cluster {name} not found.", 404)
    return each


def _cluster(context: RequestContext, arn: str) -> DBCluster:
    parts = arn.split(":")
    if len(parts) != 7 or parts[2] != "rds" or parts[5] != "cluster":
        raise invalid(f"Malformed db cluster arn {arn}")
    known = rds_backends[parts[4]][parts[3]].clusters if parts[4] == context.account_id else {}
    if parts[6] not in known:
        raise _fault("DBClusterNotFoundFault", f"DBCluster {arn} not found.", 404)
    return known[parts[6]]


def _member(context: RequestContext, each: GlobalCluster, arn: str) -> Member:
    member = each.member(_cluster(context, arn).db_cluster_arn)
    if member is None:
        raise _fault("DBClusterNotFoundFault", f"DBCluster {arn} is not a member of {each.identifier}.", 404)
    return member


def _require_idle(each: GlobalCluster) -> None:
    if each.operation or any(member.removed_since is not None for member in each.members):
        raise _global_state(f"Global cluster {each.identifier} is not in available state.")


def _answer(each: GlobalCluster) -> dict:
    return {"GlobalCluster": rds_global.shown(each, time.time())}


def create(context: RequestContext, request: dict) -> dict:
    name = request["GlobalClusterIdentifier"].lower()
    if rds_global.get(context.account_id, name):
        raise _fault("GlobalClusterAlreadyExistsFault", f"Global cluster {name} already exists.")
    arn = request.get("SourceDBClusterIdentifier")
    source = _source(context, request, arn) if arn else None
    engine = source.engine if source else request.get("Engine")
    if engine not in ENGINES:
        raise invalid("When creating standalone global cluster, value for engineName should be specified")
    each = GlobalCluster(
        context.account_id,
        name,
        context.region,
        engine,
        source.engine_version if source else request.get("EngineVersion") or DBCluster.default_engine_version(engine),
        source.database_name if source else request.get("DatabaseName"),
        bool(source.storage_encrypted if source else request.get("StorageEncrypted")),
        bool(request.get("DeletionProtection")),
        list(request.get("Tags") or []),
    )
    if source:
        rds_global.join(each, source, forwards=False)
    rds_global.put(each)
    return _answer(each)


def _source(context: RequestContext, request: dict, arn: str) -> DBCluster:
    given = {"Engine", "EngineVersion", "DatabaseName", "StorageEncrypted"} & set(request)
    if given:
        raise combination(
            "When creating global cluster from existing db cluster, value for engineName should not be specified since "
            "it will be inherited from source cluster"
        )
    source = _cluster(context, arn)
    if source.region != context.region or source.engine not in ENGINES:
        raise _fault("DBClusterNotFoundFault", f"DBCluster {arn} not found.", 404)
    if rds_global.of_cluster(source):
        raise _cluster_state(f"DBCluster {arn} is already a member of a global cluster.")
    return source


def describe(context: RequestContext, request: dict) -> dict:
    now = time.time()
    if request.get("GlobalClusterIdentifier"):
        return {"GlobalClusters": [rds_global.shown(_find(context, request), now)]}
    wanted = {each["Name"]: each.get("Values") or [] for each in request.get("Filters") or []}
    if set(wanted) - {"region"}:
        raise invalid(f"Unrecognized filter name: {', '.join(sorted(set(wanted) - {'region'}))}")
    regions = wanted.get("region")
    found = {
        each.identifier: rds_global.shown(each, now)
        for each in rds_global.known(context.account_id)
        if each.seen_in(context.region) and (not regions or any(map(each.seen_in, regions)))
    }
    page, marker = paging.page(found, request)
    return {"GlobalClusters": page, **({"Marker": marker} if marker else {})}


def modify(context: RequestContext, request: dict) -> dict:
    each = _find(context, request)
    name = (request.get("NewGlobalClusterIdentifier") or each.identifier).lower()
    if name != each.identifier and rds_global.get(context.account_id, name):
        raise _fault("GlobalClusterAlreadyExistsFault", f"Global cluster {name} already exists.")
    rds_global.drop(each)
    each.identifier = name
    rds_global.put(each)
    for member in each.members:
        member.cluster.global_cluster_identifier = name
    if request.get("DeletionProtection") is not None:
        each.protected = request["DeletionProtection"]
    return _answer(each)


def delete(context: RequestContext, request: dict) -> dict:
    each = _find(context, request)
    if each.protected:
        raise combination("Cannot delete protected Cluster, please disable deletion protection and try again.")
    if each.members:
        raise _global_state(f"Global Cluster {each.arn} is not empty")
    rds_global.drop(each)
    return _answer(each)


def switch_over(context: RequestContext, request: dict) -> dict:
    return _move(context, request, loses_data=False)


def fail_over(context: RequestContext, request: dict) -> dict:
    """Without AllowDataLoss it is a switchover."""
    if request.get("AllowDataLoss") and request.get("Switchover"):
        raise combination("AllowDataLoss and Switchover can't be specified together.")
    return _move(context, request, loses_data=bool(request.get("AllowDataLoss")))


def _move(context: RequestContext, request: dict, loses_data: bool) -> dict:
    each = _find(context, request)
    target = _member(context, each, request["TargetDbClusterIdentifier"])
    _require_idle(each)
    if target is each.writer:
        raise _cluster_state(f"{target.arn} is the primary cluster already.")
    if not target.cluster._members:
        raise _cluster_state(f"{target.arn} has no DB instance.")
    if target.cluster._status not in ("available", "creating"):  # moto's `creating` ends with the first read
        raise _cluster_state(f"{target.arn} is not in available state.")
    if rds_global.synchronization(target) != rds_global.CONNECTED:
        raise _global_state(f"{target.arn} is not synchronized.")
    rds_global.begin(each, target, loses_data)
    return _answer(each)


def remove(context: RequestContext, request: dict) -> dict:
    each = _find(context, request)
    member = _member(context, each, request["DbClusterIdentifier"])
    _require_idle(each)
    if member is each.writer and len(each.members) > 1:
        raise _global_state(f"{member.arn} is the primary cluster, and others follow it.")
    member.removed_since = time.time()
    return _answer(each)


def create_cluster(context: RequestContext, request: dict) -> dict:
    """Creates a cluster, which may join a global cluster."""
    if request["DBClusterIdentifier"].lower() in rds_backends[context.account_id][context.region].clusters:
        raise _fault("DBClusterAlreadyExistsFault", "DB Cluster already exists")
    name = request.get("GlobalClusterIdentifier")
    if not name:
        return call_moto(context)
    each = rds_global.get(context.account_id, name)
    if each is None:
        raise _fault("GlobalClusterNotFoundFault", f"Global cluster {name} not found.", 404)
    _require_fitting(context, request, each)
    response = call_moto(context)
    cluster = rds_backends[context.account_id][context.region].clusters[request["DBClusterIdentifier"]]
    rds_global.join(each, cluster, bool(request.get("EnableGlobalWriteForwarding")))
    return response


def _require_fitting(context: RequestContext, request: dict, each: GlobalCluster) -> None:
    _require_idle(each)
    if request.get("Engine") != each.engine:
        raise combination(f"The engine of global cluster {each.identifier} is {each.engine}.")
    if request.get("EngineVersion") not in (None, each.version):
        raise combination(f"The engine version of global cluster {each.identifier} is {each.version}.")
    if each.writer is None:
        if not request.get("MasterUsername"):
            raise invalid("The parameter MasterUsername must be provided and must not be blank.")
        return
    if request.get("MasterUsername"):
        raise combination("Cannot specify user name for cross region replication cluster")
    if context.region in [member.region for member in each.members]:
        raise invalid(f"Global cluster {each.identifier} has a cluster in {context.region} already.")


def delete_cluster(context: RequestContext, request: dict) -> dict:
    cluster = rds_backends[context.account_id][context.region].clusters.get(request["DBClusterIdentifier"])
    if cluster is not None and rds_global.of_cluster(cluster):
        message = "This cluster is a part of a global cluster, please remove it from globalcluster first"
        raise _cluster_state(message)
    return call_moto(context)


def decorate(context: RequestContext, shown: dict) -> None:
    """Adds the global cluster to a response. The instances of a secondary cluster are all readers."""
    cluster = rds_backends[context.account_id][context.region].clusters.get(shown["DBClusterIdentifier"])
    found = cluster is not None and rds_global.of_cluster(cluster)
    if not found:
        return
    each, member = found
    shown["GlobalClusterIdentifier"] = each.identifier
    if member is not each.writer:
        shown["GlobalWriteForwardingStatus"] = "enabled" if member.forwards else "disabled"
        for instance in shown.get("DBClusterMembers") or []:
            instance["IsClusterWriter"] = False


OPERATIONS = {
    "CreateDBCluster": create_cluster,
    "CreateGlobalCluster": create,
    "DeleteDBCluster": delete_cluster,
    "DeleteGlobalCluster": delete,
    "DescribeGlobalClusters": describe,
    "FailoverGlobalCluster": fail_over,
    "ModifyGlobalCluster": modify,
    "RemoveFromGlobalCluster": remove,
    "SwitchoverGlobalCluster": switch_over,
}
