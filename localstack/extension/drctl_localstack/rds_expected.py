"""Settings for an instance that does not exist yet: they apply from its first moment, so that a bridge can also carry
out its creation.
"""

from types import SimpleNamespace

from moto.rds.models import DBInstance, rds_backends

from drctl_localstack import rds_overlay as overlays

ANY = "*"
_expected: dict[tuple[str, str, str], dict] = {}


def expect(account: str, region: str, name: str, knobs: dict | None) -> None:
    """Applies to every future instance created, replicated or restored under this name. None: removes the settings."""
    key = (account, rds_backends[account][region].region_name, name.lower())
    _expected.pop(key, None)
    if knobs is not None:
        overlays.configure(SimpleNamespace(), knobs)  # refuse settings now that could not be applied later
        _expected[key] = knobs


def apply(db: DBInstance) -> None:
    names = (db.db_instance_identifier, ANY)
    known = (_expected.get((db.account_id, db.region, name)) for name in names)
    knobs = next((found for found in known if found is not None), None)
    if knobs:
        overlays.configure(db, knobs)


def bridged() -> list[dict]:
    return [
        {"account": account, "region": region, "instance": name, "expected": True, "argv": knobs["bridge"]}
        for (account, region, name), knobs in _expected.items()
        if knobs.get("bridge")
    ]


def forget() -> None:
    _expected.clear()
