"""Checks as documents write them."""

import pytest
from pydantic import ValidationError

from kernelbal.model.site.check import (
    KINDS,
    Check,
    CheckProtocol,
    HttpCheck,
    LdapCheck,
    RadiusCheck,
    TcpCheck,
)
from kernelbal.model.site.services import VirtualService

REQUIRED: dict[str, dict[str, object]] = {"radius": {"secret": "s"}, "script": {"argv": ["/bin/true"]}}


def check(value: object) -> Check:
    """The check of a virtual service."""
    base = {"name": "web", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"}
    return VirtualService.model_validate({**base, "check": value}).check


@pytest.mark.parametrize("kind", KINDS)
def test_every_protocol_is_a_key_with_settings(kind: str) -> None:
    (protocol,) = check({kind: REQUIRED.get(kind, {})}).protocols
    assert type(protocol) is KINDS[kind]
    assert kind in Check.model_fields


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - REQUIRED.keys()))
def test_name_alone_stands_for_its_defaults(kind: str) -> None:
    assert check(kind) == check({kind: None}) == check({kind: {}})


def test_without_a_protocol_there_is_only_timing() -> None:
    assert check({"interval": "5s"}).protocols == ()
    assert (Check().interval, Check().timeout, Check().rise, Check().fall) == (9.0, 4.0, 1, 3)


def test_order_of_protocols_is_that_of_the_vocabulary() -> None:
    assert check({"tcp": None, "icmp": None}).protocols == (KINDS["icmp"](), TcpCheck())


@pytest.mark.parametrize("value", ["htp", 5, ["icmp"], {"icmp": 5}, {"script": {}}, {"script": {"argv": []}}])
def test_other_checks_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        check(value)


@pytest.mark.parametrize(
    ("expect", "statuses"),
    [
        (200, ("200",)),
        ("2xx", ("2xx",)),
        ([200, "300-303"], ("200", "300-303")),
    ],
)
def test_statuses_are_written_in_several_ways(expect: object, statuses: tuple[str, ...]) -> None:
    assert HttpCheck.model_validate({"expect": expect}).expect == statuses


@pytest.mark.parametrize("expect", [True, 99, 600, "2x", "200-", "300-200", [], [None], {}])
def test_other_statuses_are_refused(expect: object) -> None:
    with pytest.raises(ValidationError):
        HttpCheck.model_validate({"expect": expect})


@pytest.mark.parametrize("name", ["", "X A", "X:", "X\n", "Ü", "(x)"])
def test_header_is_a_token(name: str) -> None:
    with pytest.raises(ValidationError):
        HttpCheck.model_validate({"headers": {name: "x"}})


@pytest.mark.parametrize("value", ["a\r\nX: b", "\x00", "\x1b[2J", "\x7f"])
def test_header_is_one_line(value: str) -> None:
    with pytest.raises(ValidationError):
        HttpCheck.model_validate({"headers": {"X-A": value}})


@pytest.mark.parametrize("path", ["", "health", "/a b", "/ü", "/\n", "http://a.example/"])
def test_path_is_one_that_can_be_sent(path: str) -> None:
    with pytest.raises(ValidationError):
        HttpCheck.model_validate({"path": path})


@pytest.mark.parametrize(
    "protocol",
    [
        RadiusCheck(secret="hunter2", user="u", password="hunter2"),
        LdapCheck(dn="cn=probe", password="hunter2"),
        HttpCheck(headers={"Authorization": "hunter2"}),
    ],
)
def test_secrets_are_not_shown(protocol: CheckProtocol) -> None:
    assert "hunter2" not in repr(protocol) + str(protocol)
