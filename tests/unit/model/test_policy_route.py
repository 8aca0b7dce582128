"""Rules and routes as `ip` words them."""

from kernelbal.model.address import parse_address
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey


def test_rules_in_words() -> None:
    source = parse_address("10.0.0.11")
    rule = Rule(2, 19200, 300, source, 32, ANYWHERE[2], 0)
    assert str(rule) == "19200: from 10.0.0.11/32 to all lookup 300"
    other = Rule(10, 500, 300, ANYWHERE[10], 0, parse_address("2001:db8::"), 32)
    assert str(other) == "-6 500: from all to 2001:db8::/32 lookup 300"


def test_routes_in_words() -> None:
    assert str(TableRouteKey(300, ANYWHERE[2], 0)) == "default table 300"
    assert str(TableRouteKey(300, ANYWHERE[10], 0)) == "-6 default table 300"
    assert str(TableRouteKey(300, parse_address("10.0.0.0"), 8)) == "10.0.0.0/8 table 300"
    assert str(NextHop(parse_address("192.0.2.1"), "eth0")) == "via 192.0.2.1 dev eth0"
    assert str(NextHop(None, "eth0")) == "dev eth0"
