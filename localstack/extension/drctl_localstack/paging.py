"""Pages of at most MaxRecords with an opaque Marker. moto's paging fails if the marker's instance was deleted."""

import base64

from localstack.aws.api import CommonServiceException

LEAST, MOST = 20, 100
_PREFIX = "after:"


def _invalid(message: str) -> CommonServiceException:
    return CommonServiceException("InvalidParameterValue", message, 400, sender_fault=True)


def _position(marker: str) -> str:
    try:
        text = base64.urlsafe_b64decode(marker).decode()
    except ValueError:
        text = ""
    if not text.startswith(_PREFIX):
        raise _invalid(f"Invalid marker: {marker}")
    return text.removeprefix(_PREFIX)


def page(keyed: dict[str, object], request: dict) -> tuple[list, str | None]:
    """One page in key order, and the next marker. Items deleted meanwhile only disappear; no other item is skipped."""
    size = request.get("MaxRecords") or MOST
    if not LEAST <= size <= MOST:
        raise _invalid(f"Invalid value {size} for MaxRecords. Must be between {LEAST} and {MOST}")
    marker = request.get("Marker")
    keys = sorted(keyed)
    if marker:
        position = _position(marker)
        keys = [key for key in keys if key > position]
    shown = keys[:size]
    more = base64.urlsafe_b64encode(f"{_PREFIX}{shown[-1]}".encode()).decode() if len(keys) > size else None
    return [keyed[key] for key in shown], more
