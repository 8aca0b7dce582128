"""Translations and policy routes, as an explanation tells them."""

import pytest

from kernelbal.model.address import parse_address
from kernelbal.plan.desire import desired_state
from kernelbal.plan.explain.engine import explain
from kernelbal.plan.explain.query import ExplainQuery, KernelView
from kernelbal.plan.explain.result import ExplainOutcome, Explanation, StepTopic, StepVerdict
from kernelbal.plan.explain.translate import route_of, source_translation, whole_address
from kernelbal.plan.explain.views import site_view
from kernelbal.plan.reachability import RouteTable
from tests.support.builders import node, site

SITE = """
networks:
  outside: {shared_addresses: [192.0.2.10/24, "2001:db8:1::10/64"]}
  inside: {shared_addresses: [10.0.0.1/24, "fd00::1/64"]}
virtual_services: [{name: w, address: 192.0.2.10, ports: 80, forwarding: nat}]
edge:
  one_to_one:
    - {name: geo, outside: 192.0.2.51, inside: 10.0.0.11}
    - {name: geo6, outside: "2001:db8:1::51", inside: "fd00::11"}
  forward:
    - {name: a, outside: 192.0.2.10, ports: 2222, inside: 10.0.0.12, inside_port: 22}
    - {name: b, outside: 192.0.2.10, ports: [8000-8010], inside: 10.0.0.13}
  source_nat:
    - {name: c, inside: 10.0.0.12, outside: 192.0.2.10}
    - {name: d, inside: 10.0.0.0/24, masquerade: true}
  routes:
    - {name: e, source: 10.0.0.11, destination: 198.51.100.0/24, gateway: 192.0.2.254}
    - {name: f, source: 10.0.0.0/24, destination: 198.51.100.0/24, gateway: 192.0.2.253}
"""


def seen(text: str = SITE) -> KernelView:
    wanted = site(text)
    return site_view(wanted, desired_state(wanted, node()))


def ask(client: str, there: str, port: int = 80, text: str = SITE) -> Explanation:
    return explain(ExplainQuery(parse_address(client), parse_address(there), port), seen(text))


def step(found: Explanation, topic: StepTopic) -> tuple[StepVerdict, str]:
    return next((each.verdict, each.reason) for each in found.steps if each.topic is topic)


@pytest.mark.parametrize(
    ("there", "port", "to"),
    [
        ("192.0.2.51", 443, "10.0.0.11:443"),
        ("192.0.2.10", 2222, "10.0.0.12:22"),
        ("192.0.2.10", 8005, "10.0.0.13:8005"),
    ],
)
def test_translated_destination(there: str, port: int, to: str) -> None:
    found = ask("198.51.100.7", there, port)
    assert (found.outcome, found.translated_to) == (ExplainOutcome.TRANSLATED, to)
    assert found.answer == f"goes to inside machine {to}"
    assert f"rewrites the destination to {to}" in step(found, StepTopic.TRANSLATION)[1]
    assert "by eth1, on-link" in step(found, StepTopic.FORWARDING)[1]
    assert step(found, StepTopic.RETURN)[0] is StepVerdict.VIA_DIRECTOR


def test_ipv6() -> None:
    assert ask("2001:db8:7::1", "2001:db8:1::51", 443).translated_to == "[fd00::11]:443"


@pytest.mark.parametrize(("there", "port"), [("192.0.2.10", 80), ("192.0.2.10", 8011)])
def test_other_ports_of_the_address_are_no_affair_of_translation(there: str, port: int) -> None:
    found = ask("198.51.100.7", there, port)
    assert found.outcome is not ExplainOutcome.TRANSLATED
    assert StepTopic.TRANSLATION not in [each.topic for each in found.steps]


def test_hairpin_hides_the_client_with_a_reason() -> None:
    verdict, reason = step(ask("10.0.0.13", "192.0.2.51"), StepTopic.RETURN)
    assert verdict is StepVerdict.MASQUERADED
    assert "sees an address of this director as the client" in reason


def test_without_hairpin_the_reply_bypasses_the_director() -> None:
    found = ask("10.0.0.13", "192.0.2.51", text=SITE + "  hairpin: false\n")
    verdict, reason = step(found, StepTopic.RETURN)
    assert verdict is StepVerdict.STRAIGHT
    assert "`hairpin: true` helps" in reason


def test_director_as_client_of_its_own_public_address() -> None:
    assert step(ask("192.0.2.10", "192.0.2.51"), StepTopic.RETURN)[0] is StepVerdict.MASQUERADED


def test_director_that_does_not_hold_the_address() -> None:
    view = seen()
    query = ExplainQuery(parse_address("198.51.100.7"), parse_address("192.0.2.51"), 80)
    found = explain(query, KernelView(view.source, nft=view.nft, routes=view.routes))
    assert found.outcome is ExplainOutcome.ELSEWHERE
    assert "a director that holds the address would translate it" in found.answer


@pytest.mark.parametrize(
    ("client", "verdict", "words"),
    [
        ("10.0.0.11", StepVerdict.TRANSLATED, "leaves by eth0, on-link with source 192.0.2.51"),
        ("10.0.0.12", StepVerdict.TRANSLATED, "leaves by eth0, on-link with source 192.0.2.10"),
        ("10.0.0.13", StepVerdict.MASQUERADED, "with an address of this director as its source"),
    ],
)
def test_way_out(client: str, verdict: StepVerdict, words: str) -> None:
    found = ask(client, "192.0.2.200", 443)
    assert found.outcome is ExplainOutcome.ELSEWHERE
    assert found.answer.startswith("routed on: ")
    assert step(found, StepTopic.TRANSLATION)[0] is verdict
    assert words in step(found, StepTopic.TRANSLATION)[1]


def test_packets_that_stay_inside_keep_their_source() -> None:
    found = ask("10.0.0.12", "10.0.0.99")
    assert StepTopic.TRANSLATION not in [each.topic for each in found.steps]


@pytest.mark.parametrize(("client", "gateway"), [("10.0.0.11", "192.0.2.254"), ("10.0.0.12", "192.0.2.253")])
def test_policy_route_of_the_lowest_priority_that_fits(client: str, gateway: str) -> None:
    found = ask(client, "198.51.100.9")
    assert f"through gateway {gateway}" in step(found, StepTopic.TRANSLATION)[1]
    assert f"through {gateway} on eth0" in step(found, StepTopic.ADDRESS)[1]


def test_nobody_else_takes_it() -> None:
    view = seen()
    far, stranger = parse_address("198.51.100.9"), parse_address("203.0.113.1")
    assert route_of(view, RouteTable(view.routes), stranger, far) is None


def test_whole_addresses_have_no_ports() -> None:
    table = seen().nft
    assert whole_address(table, parse_address("192.0.2.51"))
    assert not whole_address(table, parse_address("192.0.2.10"))
    assert not whole_address(None, parse_address("192.0.2.51"))


def test_source_stays_on_another_device() -> None:
    assert source_translation(seen().nft, parse_address("10.0.0.11"), "eth1") is None
