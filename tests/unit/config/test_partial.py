"""What is left of a faulty document for the checks."""

from kernelbal.config.checks.subject import Context
from kernelbal.config.document import compose
from kernelbal.config.faults import find_faults
from kernelbal.config.partial import valid_part
from kernelbal.model.site import Site
from tests.unit.config.spec import text_of


def salvaged(document: str) -> Context | None:
    data = compose(text_of(document), "x")
    return valid_part(data, list(find_faults(Site, data)))


def test_faulty_real_server_is_left_out_and_the_others_keep_their_places() -> None:
    context = salvaged("""
        virtual_services:
        - {name: a, address: 192.0.2.1, ports: 80, forwarding: nat, real_servers: [
            {address: x}, {address: 10.0.0.2, wieght: 1}, 5, {address: 10.0.0.4}]}
    """)
    assert context is not None
    (subject,) = context.subjects
    assert [server.address[3] for server in subject.service.real_servers] == [2, 4]
    assert subject.server_path(1, "weight") == ("virtual_services", 0, "real_servers", 3, "weight")
    assert not subject.invalid


def test_faulty_fields_are_named() -> None:
    context = salvaged("""
        virtual_services:
        - {name: a, vip: 192.0.2.1, ports: 80, forwarding: nat, mark: x,
           persistence: {source_ip: {prefix: 0}}}
        - 5
        - {name: b, address: 192.0.2.2, ports: 81, forwarding: nat}
    """)
    assert context is not None
    first, second, third = context.subjects
    assert first.invalid == {"address", "mark", "persistence"}
    assert first.service.name == "a"
    assert "name" in second.invalid
    assert second.title == "virtual_services[1]"
    assert (third.index, third.invalid, third.service.name) == (2, set(), "b")


def test_valid_networks_stay_beside_a_faulty_one() -> None:
    context = salvaged("networks: {outside: {shared_addresses: [192.0.2.1/24]}, inside: 5}\nkernel: 7")
    assert context is not None
    assert list(context.site.networks) == ["outside"]
    assert context.invalid == {"networks", "kernel"}


def test_nothing_is_left_of_a_list_or_of_text() -> None:
    assert salvaged("- a") is None
    assert salvaged("text") is None
