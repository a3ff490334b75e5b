"""Route 53's rules for one change batch, as a pure function from existing sets and changes to the resulting sets.

A record set is a dict in the API's own shape. A batch is accepted or refused as a whole; all reasons are given at once.
"""

import ipaddress
import re

POLICIES = (
    "Weight",
    "Region",
    "Failover",
    "GeoLocation",
    "MultiValueAnswer",
    "CidrRoutingConfig",
    "GeoProximityLocation",
)
POLICY_WORDS = {"Weight": "weighted", "Region": "latency", "MultiValueAnswer": "multivalue answer"}
MOST_ELEMENTS = 1000
MOST_CHARACTERS = 32_000


class Refused(Exception):
    def __init__(self, code: str, messages: list[str]) -> None:
        super().__init__(code, messages)
        self.code = code
        self.messages = messages


def fqdn(name: str) -> str:
    """Lower case, with a final dot, and with the octal escape that the API uses for a wildcard."""
    name = name.lower().rstrip(".") + "."
    return name.replace("*", "\\052")


def identity(record_set: dict) -> tuple[str, str, str | None]:
    return record_set["Name"], record_set["Type"], record_set.get("SetIdentifier")


def normal(record_set: dict) -> dict:
    """A canonical form, so that equal sets compare as equal."""
    clean = {key: value for key, value in record_set.items() if value is not None and value != []}
    clean["Name"] = fqdn(clean["Name"])
    if "AliasTarget" in clean:
        target = clean["AliasTarget"]
        clean["AliasTarget"] = {**target, "DNSName": fqdn(target["DNSName"])}
    if "ResourceRecords" in clean:
        clean["ResourceRecords"] = [{"Value": str(r["Value"])} for r in clean["ResourceRecords"]]
    for number in ("TTL", "Weight"):
        if number in clean:
            clean[number] = int(clean[number])
    return clean


def same_values(a: dict, b: dict) -> bool:
    """Whether everything that DELETE must repeat is the same. The order of the values within a set does not matter."""

    def key(record_set: dict) -> dict:
        return {**record_set, "ResourceRecords": sorted(r["Value"] for r in record_set.get("ResourceRecords", []))}

    return key(a) == key(b)


def check_size(changes: list[dict]) -> None:
    """The documented limits of one request; an UPSERT counts twice because it deletes and creates."""
    elements = characters = 0
    for change in changes:
        times = 2 if change["Action"] == "UPSERT" else 1
        values = [str(r["Value"]) for r in change["ResourceRecordSet"].get("ResourceRecords") or []]
        elements += times * max(1, len(values))  # an alias has no values but counts as one element
        characters += times * sum(len(value) for value in values)
    if elements > MOST_ELEMENTS:
        raise Refused("InvalidChangeBatch", [f"Number of records limit of {MOST_ELEMENTS} exceeded."])
    if characters > MOST_CHARACTERS:
        message = f"Number of characters in value elements limit of {MOST_CHARACTERS} exceeded."
        raise Refused("InvalidChangeBatch", [message])


def _malformed(what: str) -> Refused:
    return Refused("InvalidInput", [f"Invalid request: {what}"])


def check_shape(action: str, record_set: dict) -> None:
    """What makes a request invalid whatever the zone contains."""
    shown = (
        f"Change with [Action={action}, Name={record_set['Name']}, Type={record_set['Type']}, "
        f"SetIdentifier={record_set.get('SetIdentifier', 'null')}]"
    )
    alias, plain = "AliasTarget" in record_set, "TTL" in record_set and "ResourceRecords" in record_set
    half = ("TTL" in record_set) != ("ResourceRecords" in record_set)
    if alias == plain or half:
        found = "more than one" if alias else "none"
        options = "[AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId]"
        raise _malformed(f"Expected exactly one of {options}, but found {found} in {shown}")
    policies = [name for name in POLICIES if name in record_set]
    if "SetIdentifier" in record_set and len(policies) != 1:
        found = "more than one" if policies else "none"
        options = "[Weight, Region, Failover, GeoLocation, MultiValueAnswer, or CidrRoutingConfig]"
        raise _malformed(f"Expected exactly one of {options}, but found {found} in {shown}")
    if policies and "SetIdentifier" not in record_set:
        raise _malformed(f"Missing field 'SetIdentifier' in {shown}")
    if not 0 <= record_set.get("Weight", 0) <= 255:
        raise _malformed(f"Weight must be between 0 and 255 in {shown}")


def _labelled(record_set: dict) -> str:
    label = f"name='{record_set['Name']}', type='{record_set['Type']}'"
    if "SetIdentifier" in record_set:
        label += f", set identifier='{record_set['SetIdentifier']}'"
    return f"[{label}]"


class Batch:
    """The zone's sets, to which the changes of the batch are applied in turn."""

    def __init__(self, zone_name: str, existing: list[dict]) -> None:
        self.zone = fqdn(zone_name)
        self.sets = {identity(record_set): record_set for record_set in existing}
        self.messages: list[str] = []
        self.touched: dict[tuple, list[str]] = {}

    def apply(self, action: str, record_set: dict) -> None:
        name, kind, _ = key = identity(record_set)
        self.touched.setdefault(key, []).append(action)
        current = self.sets.get(key)
        if name != self.zone and not name.endswith("." + self.zone):
            self.messages.append(f"RRSet with DNS name {name} is not permitted in zone {self.zone}")
        elif action == "DELETE":
            self._delete(key, current, record_set)
        elif action == "CREATE" and current is not None:
            self.messages.append(f"Tried to create resource record set {_labelled(record_set)} but it already exists")
        else:
            self._check_values(record_set)
            self.sets[key] = record_set

    def _delete(self, key: tuple, current: dict | None, record_set: dict) -> None:
        tried = f"Tried to delete resource record set {_labelled(record_set)}"
        if current is None:
            self.messages.append(f"{tried} but it was not found")
        elif not same_values(current, record_set):
            self.messages.append(f"{tried} but the values provided do not match the current values")
        elif key[0] == self.zone and key[1] in ("NS", "SOA"):
            self.messages.append(f"A HostedZone must contain at least one {key[1]} record for the zone itself.")
        else:
            del self.sets[key]

    def _check_values(self, record_set: dict) -> None:
        version = {"A": ipaddress.IPv4Address, "AAAA": ipaddress.IPv6Address}.get(record_set["Type"])
        for record in record_set.get("ResourceRecords", []) if version else []:
            try:
                version(record["Value"])
            except ValueError:
                number = record_set["Type"].replace("AAAA", "6").replace("A", "4")
                self.messages.append(
                    f"Invalid Resource Record: 'FATAL problem: {record_set['Type']}RRDATAIllegalIPv{number}Address "
                    f"(Value is not a valid IPv{number} address) encountered with '{record['Value']}''"
                )

    def check_repeats(self) -> None:
        """DELETE followed by CREATE of the same set is allowed; any other repetition is refused."""
        for (name, kind, _), actions in self.touched.items():
            if len(actions) > 1 and sorted(actions) != ["CREATE", "DELETE"]:
                self.messages.append(
                    f"The request contains an invalid set of changes for a resource record set '{kind} {name}'"
                )

    def check_neighbours(self) -> None:
        """Sets with the same name must be consistent after the whole batch is applied."""
        changed = {key[0] for key in self.touched}
        by_name: dict[str, dict[str, list[dict]]] = {}
        for (name, kind, _), record_set in self.sets.items():
            if name in changed:
                by_name.setdefault(name, {}).setdefault(kind, []).append(record_set)
        for name, kinds in by_name.items():
            if "CNAME" in kinds and name == self.zone:
                self.messages.append(
                    f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {self.zone}"
                )
            elif "CNAME" in kinds and len(kinds) > 1:
                self.messages.append(
                    f"RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records "
                    f"with the same DNS name in zone {self.zone}"
                )
            for kind, sets in kinds.items():
                self._check_group(name, kind, sets)

    def _check_group(self, name: str, kind: str, sets: list[dict]) -> None:
        if len(sets) < 2:
            return
        changed = next((s for s in sets if identity(s) in self.touched), sets[0])
        identifier = changed.get("SetIdentifier")
        if identifier is None:
            self.messages.append(
                f"RRSet with DNS name {name}, type {kind} cannot be created as other RRSets exist with the same name "
                "and type."
            )
            return
        this = f"RRSet with DNS name {name}, type {kind}, SetIdentifier {identifier} cannot be created as"
        policies = {next((p for p in POLICIES if p in s), None) for s in sets}
        own = next(p for p in POLICIES if p in changed)
        if len(policies) > 1:
            word = POLICY_WORDS.get(own, own.lower())
            self.messages.append(f"{this} a non-{word} set exists with the same name and type.")
        elif own == "Weight" and len({s["TTL"] for s in sets if "TTL" in s}) > 1:
            self.messages.append(f"{this} weighted sets must contain the same TTL.")
        elif own == "Failover" and len({s.get("Failover") for s in sets}) < len(sets):
            role = changed["Failover"].lower()
            self.messages.append(f"{this} a {role} failover set exists with the same name and type.")


def apply_batch(zone_name: str, existing: list[dict], changes: list[dict]) -> list[dict]:
    check_size(changes)
    batch = Batch(zone_name, existing)
    for change in changes:
        record_set = normal(change["ResourceRecordSet"])
        check_shape(change["Action"], record_set)
        batch.apply(change["Action"], record_set)
    batch.check_repeats()
    if not batch.messages:
        batch.check_neighbours()
    if batch.messages:
        raise Refused("InvalidChangeBatch", batch.messages)
    return list(batch.sets.values())


def order(record_set: dict) -> tuple:
    """The sort key of a listing: labels from the right, then type, then set identifier."""
    return listing_key(record_set["Name"], record_set["Type"], record_set.get("SetIdentifier"))


def listing_key(name: str, kind: str | None = None, identifier: str | None = None) -> tuple:
    return tuple(reversed(re.split(r"\.", fqdn(name).rstrip(".")))), kind or "", identifier or ""
