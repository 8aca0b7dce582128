"""What the checks look at."""

from kernelbal.config.checks.context import context_of
from kernelbal.model.address import parse_address
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService

SITE = Site.model_validate(
    {
        "networks": {"outside": {"shared_addresses": ["192.0.2.10/24"]}},
        "virtual_services": [
            {"name": name, "address": "192.0.2.10", "ports": port, "forwarding": "nat"}
            for name, port in (("a", 80), ("b", 81))
        ],
    }
)


def test_first_service_of_an_address_stands_for_it() -> None:
    context = context_of(SITE)
    address = parse_address("192.0.2.10")
    assert context.virtual[address].title == "a"
    assert context.shared[address] == ("outside", ("networks", "outside", "shared_addresses", 0))
    assert context.taken == {address}


def without(*fields: str) -> Site:
    """The site whose first service has no valid value in some fields."""
    first, second = SITE.virtual_services
    values = {key: value for key, value in first.__dict__.items() if key not in fields}
    return Site(virtual_services=(VirtualService.model_construct(**values), second))


def test_service_without_a_valid_address_takes_none() -> None:
    context = context_of(without("address", "name"))
    assert context.virtual[parse_address("192.0.2.10")].title == "b"
    assert context.subjects[0].title == "virtual_services[0]"


def test_address_of_several_services_is_crowded() -> None:
    address = parse_address("192.0.2.10")
    assert context_of(SITE).crowded == {address}
    assert context_of(without("address")).crowded == frozenset()
