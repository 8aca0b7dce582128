"""What is left of a faulty document for the checks, whatever its shape."""

from typing import Annotated

from pydantic import FailFast, Field

from kernelbal.config.document import compose
from kernelbal.config.model_errors import find_model_errors
from kernelbal.config.salvage import ValidPart, salvage
from kernelbal.config.violation import Path
from kernelbal.model.fields import Model, Name, Whole
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService
from tests.unit.config.spec import text_of


def salvaged(document: str) -> ValidPart[Site] | None:
    data = compose(text_of(document), "x")
    return salvage(Site, data, [fault.path for fault in find_model_errors(Site, data)], (VirtualService,))


def test_faulty_real_server_is_left_out_and_the_others_keep_their_places() -> None:
    part = salvaged("""
        virtual_services:
        - {name: a, address: 192.0.2.1, ports: 80, forwarding: nat, real_servers: [
            {address: x}, {address: 10.0.0.2, wieght: 1}, 5, {address: 10.0.0.4}]}
    """)
    assert part is not None
    (service,) = part.document.virtual_services
    assert [server.address[3] for server in service.real_servers] == [2, 4]
    path: Path = ("virtual_services", 0, "real_servers")
    assert part.original((*path, 1, "weight")) == (*path, 3, "weight")
    assert service.__dict__.keys() == VirtualService.model_fields.keys()


def test_item_that_is_kept_by_field_lacks_the_faulty_ones() -> None:
    part = salvaged("""
        virtual_services:
        - {name: a, vip: 192.0.2.1, ports: 80, forwarding: nat, mark: x,
           persistence: {source_ip: {prefix: 0}}}
        - 5
        - {name: b, address: 192.0.2.2, ports: 81, forwarding: nat}
    """)
    assert part is not None
    first, second, third = part.document.virtual_services
    fields = VirtualService.model_fields.keys()
    assert fields - first.__dict__.keys() == {"address", "mark", "persistence"}
    assert (first.name, first.quorum) == ("a", 1)
    assert second.__dict__ == {}
    assert third.__dict__.keys() == fields


def test_valid_networks_stay_beside_a_faulty_one() -> None:
    part = salvaged("networks: {outside: {shared_addresses: [192.0.2.1/24]}, inside: 5}\nkernel: 7")
    assert part is not None
    assert list(part.document.networks) == ["outside"]
    assert part.incomplete == {"networks", "kernel"}
    assert part.document.kernel == Site().kernel


def test_nothing_is_left_of_a_list_or_of_text() -> None:
    assert salvaged("- a") is None
    assert salvaged("text") is None


class Record(Model):
    """An item that may lack a name."""

    name: Name | None = None
    ttl: Whole = Field(ge=1, le=60)


class Zone(Model):
    """An item with a long list of its own."""

    name: Name
    records: Annotated[tuple[Record, ...], FailFast()] = ()


class Geo(Model):
    """A section around mappings and lists."""

    zones: Annotated[tuple[Zone, ...], FailFast()] = ()
    by_name: dict[Name, Zone] = Field(default_factory=dict)


class Atlas(Model):
    """A document of another shape than a site."""

    geo: Geo = Field(default_factory=Geo)
    limits: dict[str, Whole] = Field(default_factory=dict)


ATLAS = """
geo:
  zones:
  - {name: a, records: [{ttl: 0}, {ttl: 5}, {tll: 5}, {name: x, ttl: 7}]}
  - {records: []}
  - {name: c}
  by_name: {d: {name: d}, e: {name: e, records: 5}}
limits: {x: 1, y: z}
"""


def test_other_models_are_salvaged_as_deep_as_they_go() -> None:
    data = compose(ATLAS.encode(), "x")
    faults = [fault.path for fault in find_model_errors(Atlas, data)]
    assert set(faults) == {
        ("geo", "zones", 0, "records", 0, "ttl"),
        ("geo", "zones", 0, "records", 2, "ttl"),
        ("geo", "zones", 0, "records", 2, "tll"),
        ("geo", "zones", 1, "name"),
        ("geo", "by_name", "e", "records"),
        ("limits", "y"),
    }
    part = salvage(Atlas, data, faults, ())
    assert part is not None
    first, _ = part.document.geo.zones
    assert [record.ttl for record in first.records] == [5, 7]
    assert list(part.document.geo.by_name) == ["d"]
    assert part.document.limits == {}
    zones: Path = ("geo", "zones")
    assert part.original((*zones, 1, "name")) == (*zones, 2, "name")
    assert part.original((*zones, 0, "records", 1, "ttl")) == (*zones, 0, "records", 3, "ttl")
