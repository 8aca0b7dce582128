"""What a virtual service asks its real servers, before any address is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.probe_templates import (
    MAX_PORTS,
    agent_template,
    cause_template,
    check_templates,
    checked_ports,
    uses_virtual_address,
)
from kernelbal.model.health import Timing
from kernelbal.model.site.services import VirtualService


def service(ports: object = 80, **more: object) -> VirtualService:
    """A virtual service."""
    base = {"name": "web", "address": "192.0.2.10", "ports": ports, "forwarding": "nat"}
    return VirtualService.model_validate({**base, **more})


def asked(ports: object = 80, **more: object) -> list[tuple[str, int]]:
    """Protocol and port of each template."""
    return [(template.protocol.kind, template.port) for template in check_templates(service(ports, **more))]


@pytest.mark.parametrize(
    ("ports", "more", "templates"),
    [
        (80, {}, [("http", 80)]),
        ([80, 443], {}, [("http", 80), ("https", 443)]),
        (["8000-8010", 22], {}, [("tcp", 8000), ("ssh", 22)]),
        ("all", {}, [("icmp", 0)]),
        (53, {"protocol": "udp"}, [("dns", 53)]),
        ([5060, 5061], {"protocol": "udp"}, [("icmp", 0)]),
        ([80, 443], {"check": "icmp"}, [("icmp", 0)]),
        ([80, 443], {"check": "none"}, []),
        ([80, 443], {"check": "tcp"}, [("tcp", 80), ("tcp", 443)]),
        ([80, 443], {"check": "https"}, [("https", 443)]),
        ([80, 8080, 443], {"check": "http"}, [("http", 80), ("http", 8080)]),
        (443, {"check": "http"}, [("http", 443)]),
        ([143, 993], {"check": "tls"}, [("tls", 143), ("tls", 993)]),
        ([25, 465], {"check": "smtp"}, [("smtp", 25), ("smtp", 465)]),
        ("all", {"check": "http"}, [("http", 80)]),
        ([80, 443], {"check": {"port": 9000}}, [("tcp", 9000)]),
        ([80, 443], {"check": {"port": 443}}, [("https", 443)]),
        ([80, 443], {"check": {"port": 9000, "http": {}}}, [("http", 9000)]),
        ([80, 443], {"check": {"script": {"argv": ["/bin/true"]}}}, [("script", 80)]),
        (443, {"protocol": "udp", "check": "https"}, [("https", 443)]),
    ],
)
def test_ports_and_protocols(
    ports: object, more: dict[str, object], templates: list[tuple[str, int]]
) -> None:
    assert asked(ports, **more) == templates


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=40, unique=True))
def test_number_of_ports_is_bounded(ports: list[int]) -> None:
    assert checked_ports(service(ports)) == tuple(ports[:MAX_PORTS])


def test_timing_in_seconds() -> None:
    check = {"interval": "10s", "timeout": "2s", "rise": 2, "fall": 4, "jitter": 20}
    (template,) = check_templates(service(check=check))
    assert template.timing == Timing(10.0, 2.0, 2, 4, 2.0)


def test_definition_distinguishes_templates_and_nothing_else() -> None:
    checks: list[object] = ["http", {"http": {"path": "/x"}}, {"http": {}}, {"http": {}, "interval": "5s"}]
    asked = [check_templates(service(check=check))[0].definition for check in checks]
    plain, with_path, again, later = asked
    assert plain == again
    assert len({plain, with_path, later}) == 3


def test_slower_question_counts_each_answer() -> None:
    (template,) = check_templates(service(check={"interval": "5s", "jitter": 10, "timeout": "3s"}))
    beside = cause_template(template)
    assert beside.timing == Timing(15.0, 3.0, 1, 1, 1.5)
    assert (beside.protocol, beside.port) == (template.protocol, template.port)
    assert beside.definition != template.definition


@pytest.mark.parametrize(
    ("forwarding", "check", "through"),
    [
        ("nat", {}, False),
        ("dsr", {}, True),
        ("tunnel", {}, True),
        ("dsr", "icmp", False),
        ("dsr", {"script": {"argv": ["/bin/true"]}}, False),
        ("dsr", {"through": "real"}, False),
        ("dsr", {"port": 9000}, True),
        ("dsr", {"address": "10.0.0.9"}, False),
        ("dsr", {"mark": 7}, False),
        ("tunnel", {"tcp": {}, "through": "virtual"}, True),
    ],
)
def test_which_checks_go_through_the_virtual_address(forwarding: str, check: object, through: bool) -> None:
    pair = service(forwarding=forwarding, check=check)
    assert [uses_virtual_address(pair, template) for template in check_templates(pair)] == [through]


@pytest.mark.parametrize(
    ("adaptive", "agent", "port"),
    [({"http_agent": {}}, "http", 80), ({"text_agent": {"port": 9999}}, "text", 9999)],
)
def test_agent_is_probed_at_its_own_interval(adaptive: dict[str, object], agent: str, port: int) -> None:
    template = agent_template(service(adaptive={**adaptive, "interval": "10s", "timeout": "1s"}))
    assert template is not None
    assert (template.agent, template.port, template.own_port) == (agent, port, False)
    assert template.timing == Timing(10.0, 1.0, 1, 3, 0.5)


@pytest.mark.parametrize("adaptive", [None, {"response_time": {}}])
def test_no_agent_no_question(adaptive: dict[str, object] | None) -> None:
    assert agent_template(service(adaptive=adaptive)) is None


def test_a_definition_hides_a_secret_and_changes_with_it() -> None:
    def defined(secret: str) -> str:
        check = {"radius": {"secret": secret, "password": "pass-1"}}
        (template,) = check_templates(service(1812, protocol="udp", check=check))
        return template.definition

    assert defined("secret-1") == defined("secret-1") != defined("secret-2")
    assert "secret-1" not in defined("secret-1")
    assert "pass-1" not in defined("secret-1")
