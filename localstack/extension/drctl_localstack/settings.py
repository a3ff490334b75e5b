"""Durations and switches that tests change while the server runs, and the one lock for all state of the extension."""

import threading

# moto does not support concurrent writers, and a promotion touches two regions at once: one lock, held briefly.
LOCK = threading.RLock()

DEFAULTS: dict[str, int | float | bool] = {
    # RDS. A promotion is accepted, still shows `available`, then `modifying` (the reboot), then `available` for good.
    "promote_lag_before_modifying_ms": 500,
    "promote_modifying_ms": 2000,
    "db_create_ms": 0,
    "db_modify_ms": 0,
    "db_reboot_ms": 2000,
    "db_rename_ms": 1000,
    "db_delete_ms": 0,
    "db_snapshot_ms": 0,
    "db_stop_ms": 500,
    "db_start_ms": 500,
    "sg_apply_ms": 1000,
    "sg_status_modifying": False,
    # How much later an event appears in DescribeEvents, and whether the reboot of a Single-AZ instance has the shutdown event too (AWS's
    # support articles show it for Multi-AZ only).
    "event_delay_ms": 0,
    "single_az_shutdown_event": True,
    # AWS ships transaction logs every five minutes, so that is the delay of LatestRestorableTime.
    "restorable_lag_ms": 300_000,
    # CloudWatch ReplicaLag of a replica without a configured one, and how late a data point becomes visible.
    "replica_lag_s": 1.0,
    "metric_delay_ms": 0,
    # Aurora global databases: first a verification, then the writer moves; after a failover the others must be rebuilt.
    "global_pending_ms": 500,
    "global_switchover_ms": 2000,
    "global_failover_ms": 2000,
    "global_resync_ms": 1000,
    "global_remove_ms": 500,
    "global_lag_ms": 100,
    # Auto Scaling: each instance of a batch takes this much longer than the one before it.
    "instance_ready_ms": 500,
    "instance_terminate_ms": 500,
    "launch_retry_ms": 30_000,
    # Route 53: propagation, and for how long a zone refuses a second change (0: never).
    "insync_ms": 1000,
    "zone_apply_ms": 0,
    # Health checks: how long a second of RequestInterval lasts.
    "health_second_ms": 1000,
    # Routing controls: the time until a new cluster, control or rule is DEPLOYED, the time until a changed state shows in health checks,
    # and the number of changes a second that an endpoint accepts (0: any).
    "arc_deploy_ms": 0,
    "arc_apply_ms": 100,
    "arc_changes_per_s": 0,
}

_values = dict(DEFAULTS)


def get(name: str) -> int | float | bool:
    return _values[name]


def seconds(name: str) -> float:
    return _values[name] / 1000


def snapshot() -> dict:
    return dict(_values)


def update(changes: dict) -> None:
    """Changes all or none. An unknown name is an error, because a misspelt setting would let a test pass wrongly."""
    for name, value in changes.items():
        if name not in DEFAULTS:
            raise ValueError(f"unknown setting {name!r}; known: {', '.join(sorted(DEFAULTS))}")
        wants_bool = isinstance(DEFAULTS[name], bool)
        if isinstance(value, bool) != wants_bool or not isinstance(value, (int, float)) or value < 0:
            raise ValueError(f"{name} must be {'true or false' if wants_bool else 'a number, not negative'}")
    _values.update(changes)


def reset() -> None:
    _values.update(DEFAULTS)
