"""Words of other load balancers, and typing errors."""

import pytest

from kernelbal.config.document import Data
from kernelbal.config.terms import OtherSystem
from kernelbal.config.vocabulary import find_term, flow, key_hint, means, value_hint
from kernelbal.model.choices import AllDown, ForwardingName, Scheduler
from kernelbal.model.fields import Model
from kernelbal.model.node import Node
from kernelbal.model.site import KernelSettings, Network
from kernelbal.model.site.check import Check, HttpCheck, HttpsCheck, TlsCheck
from kernelbal.model.site.services import Persistence, RealServer, SourceIp, VirtualService

SCHEDULERS = tuple(scheduler.value for scheduler in Scheduler)
FORWARDING = tuple(method.value for method in ForwardingName)


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("lb_algo", "rr", "write `scheduler: rr`"),
        ("lvs_sched", "round-robin", "write `scheduler: rr`"),
        ("balance", "leastconn", "write `scheduler: wlc`"),
        ("balance", "roundrobin", "write `scheduler: wrr`"),
        ("Schedule", "fixed", "write `scheduler: fo`"),
        ("lb_kind", "DR", "write `forwarding: dsr`"),
        ("lvs-method", "TUN", "write `forwarding: tunnel`"),
        ("vip", "192.0.2.7", "write `address: 192.0.2.7`"),
        ("vip", "2001:db8::7", 'write `address: "2001:db8::7"`'),
        ("vip", ["192.0.2.7"], "write `address: 192.0.2.10`"),
        ("PORT", 8080, "write `ports: 8080`"),
        ("VSPort", "*", "write `ports: all`"),
        ("persistence_timeout", 600, "write `persistence: {source_ip: {timeout: 10m}}`"),
        ("PersistTimeout", "90", "write `persistence: {source_ip: {timeout: 90s}}`"),
        ("persistence_granularity", "255.255.255.0", "write `persistence: {source_ip: {prefix: 24}}`"),
        ("Persist", "src", "write `persistence: {source_ip: {}}`"),
        ("sorry_server", "10.0.0.99 80", None),
        ("fallback", "10.0.0.99:80", "write `sorry_server: {address: 10.0.0.99, port: 80}`"),
        ("StandbyAddr", "10.0.0.99", "write `sorry_server: {address: 10.0.0.99}`"),
        ("real_server", {}, "write `real_servers: [{address: 10.0.0.11}]`"),
        ("sh-port", None, "write `scheduler_flags: [sh-port]`"),
        ("ops", True, "write `one_packet: true`"),
        ("inhibit_on_failure", None, "write `on_down: quiesce`"),
        ("delay_loop", 6, "write `check: {interval: 6s}`"),
        ("delay_loop", 0.5, "write `check: {interval: 500ms}`"),
        ("inter", "2s", "write `check: {interval: 2s}`"),
        ("inter", 1500, "write `check: {interval: 1500ms}`"),
        ("rise", 2, "write `check: {rise: 2}`"),
        ("retry", 3, "write `check: {fall: 4}`"),
        ("failurecount", 3, "write `check: {fall: 3}`"),
        ("CheckType", "icmp", "write `check: icmp`"),
        ("httpchk", "GET /up HTTP/1.1", "write `check: {http: {path: /up}}`"),
        ("HTTP_GET", {}, "write `check: {http: {path: /health}}`"),
        ("agent-port", 9998, "write `adaptive: {text_agent: {port: 9998}}`"),
        ("slowstart", "30s", "write `slow_start: 30s`"),
        ("RsMinimum", 2, "write `quorum: 2`"),
        ("shceduler", "rr", "did you mean `scheduler`?"),
        ("one-armed", True, "did you mean `one_armed`?"),
        ("colour", "red", None),
    ],
)
def test_key_of_a_virtual_service(key: str, value: Data, hint: str | None) -> None:
    if key in VirtualService.model_fields:
        assert find_term(key, VirtualService) is None
    else:
        assert key_hint(key, value, VirtualService) == hint


@pytest.mark.parametrize(
    ("key", "value", "model", "hint"),
    [
        ("delay_loop", 30, Check, "write `interval: 30s`"),
        ("connect_timeout", "5s", Check, "write `timeout: 5s`"),
        ("bindto", "10.0.0.5", Check, "write `source: 10.0.0.5`"),
        ("fwmark", 5, Check, "write `mark: 5`"),
        ("fwmark", 5, VirtualService, "write `mark: 5`"),
        ("url", "/up", Check, "write `http: {path: /up}`"),
        ("MISC_CHECK", {}, Check, "write `script: {argv: [/full/path]}`"),
        ("ping", {}, Check, "write `icmp: {}`"),
        ("htpp", {}, Check, "did you mean `http`?"),
        ("url", "/up", HttpCheck, "write `path: /up`"),
        ("url", "/up", HttpsCheck, "write `path: /up`"),
        ("status_code", 204, HttpCheck, "write `expect: [204]`"),
        ("CheckCodes", "200 301", HttpCheck, "write `expect: [200, 301]`"),
        ("virtualhost", "a.example", HttpCheck, "write `host: a.example`"),
        ("sni", "a.example", TlsCheck, "write `server_name: a.example`"),
        ("persistence_timeout", 600, Persistence, "write `source_ip: {timeout: 10m}`"),
        ("persistence_timeout", 600, SourceIp, "write `timeout: 10m`"),
        ("uthreshold", 50, RealServer, "write `upper_threshold: 50`"),
        ("maxconn", 50, RealServer, "write `upper_threshold: 50`"),
        ("interface", "eth1", Node, "write `interfaces: {outside: eth1}`"),
        ("state", "MASTER", Node, "write `role: first`"),
        ("virtual_ipaddress", ["192.0.2.1/24 dev eth0"], Network, "write `shared_addresses: [192.0.2.1/24]`"),
        (
            "lvs_timeouts",
            "tcp 7200 tcpfin 90",
            KernelSettings,
            "write `timeouts: {tcp: 2h, tcp_fin: 90s}`",
        ),
    ],
)
def test_key_in_its_place(key: str, value: Data, model: type[Model], hint: str) -> None:
    assert key_hint(key, value, model) == hint


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("balance", "uri",
         "that is `scheduler` here; `uri` does not convert: IPVS balances connections, not requests"),
        ("Schedule", "dl", "that is `scheduler` here; `dl` does not convert: "
         "write `scheduler: wlc` and `adaptive: {response_time: {}}`"),
        ("inter", "500us", "that is `check.interval` here; `500us` does not convert: "
         "`500us` is not a duration such as `300ms`, `9s`, `5m`, `1h`"),
        ("fwmark", 0, "that is `mark` here; `0` does not convert: expected a whole number 1-4294967295"),
        ("CheckHost", "x" * 300, "that is `check.http.host` here"),
    ],
)  # fmt: skip
def test_value_without_equivalent_is_said_to_have_none(key: str, value: Data, hint: str) -> None:
    assert key_hint(key, value, VirtualService) == hint


def test_word_counts_only_where_its_meaning_exists() -> None:
    assert find_term("uthreshold", VirtualService) is None
    assert find_term("shceduler", VirtualService) is None
    assert means("uthreshold", RealServer, "upper_threshold")
    assert not means("delay_loop", VirtualService, "address")


def test_word_of_one_system_can_be_asked_for() -> None:
    retry = find_term("retry", VirtualService, OtherSystem.KEEPALIVED)
    assert retry is not None
    assert find_term("retry", VirtualService, OtherSystem.HAPROXY) is None


@pytest.mark.parametrize(
    ("field", "value", "known", "hint"),
    [
        ("forwarding", "DR", FORWARDING, "write `dsr`"),
        ("forwarding", "masq", FORWARDING, "write `nat`"),
        ("forwarding", "Tunnel", FORWARDING, "write `tunnel`"),
        ("forwarding", "nut", FORWARDING, "did you mean `nat`?"),
        ("scheduler", "least connection", SCHEDULERS, "write `lc`"),
        ("scheduler", "WLC", SCHEDULERS, "write `wlc`"),
        ("scheduler", "wlcc", SCHEDULERS, "did you mean `wlc`?"),
        ("scheduler", "fastest", SCHEDULERS, None),
        (
            "scheduler",
            "random",
            SCHEDULERS,
            "no equivalent: IPVS has no such scheduler; `wlc` is the usual one",
        ),
        ("all_down", "fallback", tuple(each.value for each in AllDown), "write `sorry`"),
        ("through", "VIP", ("real", "virtual"), "write `virtual`"),
        ("encryption", "STARTTLS", ("none", "starttls", "implicit"), "write `starttls`"),
        ("protocol", "TCP", ("tcp", "udp", "sctp"), "write `tcp`"),
    ],
)
def test_hint_for_a_value(field: str, value: str, known: tuple[str, ...], hint: str | None) -> None:
    assert value_hint(field, value, known) == hint


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"a": {"b": [1, True, None, "x"]}}, "a: {b: [1, true, null, x]}"),
        ({"a": ["80", "yes", "true", "", "- x", "a: b", "2001:db8::1"]},
         'a: ["80", yes, "true", "", "- x", "a: b", "2001:db8::1"]'),
    ],
)  # fmt: skip
def test_flow_is_yaml_in_one_line(data: Data, text: str) -> None:
    assert flow(data) == text
