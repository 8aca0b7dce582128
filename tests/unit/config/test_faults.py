"""What the model says against data, and that it says all of it."""

from kernelbal.config.document import Data, compose
from kernelbal.config.faults import find_faults
from kernelbal.config.finding import key_path
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.site import Node, Site
from tests.unit.config.spec import service, text_of


def paths(data: Data) -> list[str]:
    return [key_path(finding.path) for finding in find_faults(Site, data)]


def test_valid_data_has_no_faults() -> None:
    assert paths(compose(text_of(service()), "x")) == []


def test_faults_behind_the_first_one_of_a_long_list_are_found() -> None:
    servers: list[Data] = [{"address": "10.0.0.1"}, {}, {"address": 5}, {"address": "10.0.0.2"}, None]
    web: Data = {
        "name": "a",
        "address": "192.0.2.1",
        "ports": 80,
        "forwarding": "nat",
        "real_servers": servers,
    }
    assert paths({"virtual_services": [web, 5, {**web, "real_servers": [{}]}]}) == [
        "virtual_services[0].real_servers[1].address",
        "virtual_services[0].real_servers[2].address",
        "virtual_services[0].real_servers[4]",
        "virtual_services[1]",
        "virtual_services[2].real_servers[0].address",
    ]


def test_faults_of_a_service_and_of_its_real_servers_are_found_together() -> None:
    assert paths({"virtual_services": [{"real_servers": [{}], "name": 5}]}) == [
        "virtual_services[0].name",
        "virtual_services[0].address",
        "virtual_services[0].ports",
        "virtual_services[0].forwarding",
        "virtual_services[0].real_servers[0].address",
    ]


def test_key_under_a_foreign_name_is_not_missing_too() -> None:
    (finding,) = find_faults(Node, {"name": "a", "interface": "eth0"})
    assert finding.hint == "write `interfaces: {outside: eth0}`"
    assert "virtual_services[0].address" not in paths({"virtual_services": [{"vip": "192.0.2.1"}]})


def test_short_lists_are_limited() -> None:
    networks: Data = {f"n{number}": {} for number in range(257)}
    (finding,) = find_faults(Site, {"networks": networks})
    assert finding.message == "257 entries; at most 256 are possible"


def test_ports_are_limited() -> None:
    web: Data = {"name": "a", "address": "192.0.2.1", "ports": list(range(1, 1002)), "forwarding": "nat"}
    (finding,) = find_faults(Site, {"virtual_services": [web]})
    assert finding.message == "1001 ports and ranges; at most 1000 are possible"


def test_the_same_model_accepts_what_has_no_faults() -> None:
    data: Data = {"virtual_services": [], "networks": {}, "kernel": {}}
    assert paths(data) == []
    assert Site.model_validate(data, context=DOCUMENT) == Site()
