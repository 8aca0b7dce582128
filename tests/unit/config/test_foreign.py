"""Names of other load balancers, and typing errors."""

import pytest

from kernelbal.config.foreign import CHECK_KEYS, KEYS, VALUES, key_hint, meant_key, value_hint
from kernelbal.config.wording import describe, setting_at
from kernelbal.model.choices import AllDown, ForwardingName, Scheduler
from kernelbal.model.fields import Model
from kernelbal.model.node import Node
from kernelbal.model.site import KernelSettings, Network, Site, TimeoutSettings
from kernelbal.model.site.check import KINDS, Adaptive, Check, HttpAgent, HttpCheck, TextAgent
from kernelbal.model.site.services import RealServer, VirtualService

SERVICE = tuple(VirtualService.model_fields)
SCHEDULERS = tuple(scheduler.value for scheduler in Scheduler)
FORWARDING = tuple(method.value for method in ForwardingName)
MODELS: tuple[type[Model], ...] = (
    Site,
    Network,
    KernelSettings,
    TimeoutSettings,
    VirtualService,
    RealServer,
    Node,
    Check,
    Adaptive,
    HttpAgent,
    TextAgent,
    *KINDS.values(),
)


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("lb_algo", "rr", "write `scheduler: rr`"),
        ("lvs_sched", "round-robin", "write `scheduler: rr`"),
        ("lb_kind", "DR", "write `forwarding: dsr`"),
        ("lvs_method", "TUN", "write `forwarding: tunnel`"),
        ("lvs-method", "NAT", "write `forwarding: nat`"),
        ("vip", "192.0.2.7", "write `address: 192.0.2.7`"),
        ("vip", ["192.0.2.7"], "write `address: 192.0.2.10`"),
        ("persistence_timeout", 50, "write `persistence: {source_ip: {timeout: 5m}}`"),
        ("real_server", {}, "write `real_servers: [...]`"),
        ("PORT", 8080, "write `ports: 8080`"),
        ("shceduler", "rr", "did you mean `scheduler`?"),
        ("one-armed", True, "did you mean `one_armed`?"),
        ("delay_loop", 6, "write `check: {interval: 9s}`"),
        ("HTTP_GET", {}, "write `check: {http: {path: /health}}`"),
        ("agent-port", 9999, "write `adaptive: {text_agent: {port: 9999}}`"),
        ("colour", "red", None),
    ],
)
def test_hint_for_a_key(key: str, value: object, hint: str | None) -> None:
    assert key_hint(key, value, SERVICE) == hint


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("delay_loop", 6, "write `interval: 6s`"),
        ("inter", 2000, "write `interval: 2000ms`"),
        ("connect_timeout", "5s", "write `timeout: 5s`"),
        ("retry", 3, "write `fall: 3`"),
        ("bindto", "10.0.0.5", "write `source: 10.0.0.5`"),
        ("HTTP_GET", {}, "write `http: {path: /health}`"),
        ("MISC_CHECK", {}, "write `script: {argv: [/full/path]}`"),
        ("htpp", {}, "did you mean `http`?"),
    ],
)
def test_hint_for_a_key_of_a_check(key: str, value: object, hint: str) -> None:
    assert key_hint(key, value, tuple(Check.model_fields)) == hint


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("status_code", 204, "write `expect: [200, 301]`"),
        ("url", "/up", "write `path: /up`"),
        ("virtualhost", "a.example", "write `host: a.example`"),
    ],
)
def test_hint_for_a_key_of_http(key: str, value: object, hint: str) -> None:
    assert key_hint(key, value, tuple(HttpCheck.model_fields)) == hint


def test_foreign_key_counts_only_where_its_meaning_exists() -> None:
    assert meant_key("uthreshold", SERVICE) is None
    assert meant_key("uthreshold", tuple(RealServer.model_fields)) == "upper_threshold"
    assert meant_key("shceduler", SERVICE) is None


@pytest.mark.parametrize(
    ("field", "value", "known", "hint"),
    [
        ("forwarding", "DR", FORWARDING, "write `dsr`"),
        ("forwarding", "masq", FORWARDING, "write `nat`"),
        ("forwarding", "Tunnel", FORWARDING, "write `tunnel`"),
        ("scheduler", "least connection", SCHEDULERS, "write `lc`"),
        ("scheduler", "WLC", SCHEDULERS, "write `wlc`"),
        ("scheduler", "wlcc", SCHEDULERS, "did you mean `wlc`?"),
        ("scheduler", "fastest", SCHEDULERS, None),
        ("all_down", "fallback", tuple(each.value for each in AllDown), "write `sorry`"),
        ("through", "VIP", ("real", "virtual"), "write `virtual`"),
        ("encryption", "STARTTLS", ("none", "starttls", "implicit"), "write `starttls`"),
    ],
)
def test_hint_for_a_value(field: str, value: str, known: tuple[str, ...], hint: str | None) -> None:
    assert value_hint(field, value, known) == hint


@pytest.mark.parametrize("key", KEYS | CHECK_KEYS)
def test_every_key_leads_to_a_field_that_exists(key: str) -> None:
    assert key == key.lower().replace("-", "_")
    assert any(meant_key(key, tuple(model.model_fields)) for model in MODELS)


def test_foreign_key_is_no_key_of_the_same_mapping() -> None:
    for model in MODELS:
        fields = tuple(model.model_fields)
        assert [key for key in fields if meant_key(key, fields)] == []


def test_every_value_leads_to_one_that_exists() -> None:
    for field, values in VALUES.items():
        model = next(model for model in MODELS if field in model.model_fields)
        setting = setting_at(model, (field,))
        for ours in set(values.values()):
            assert f"`{ours}`" in describe(setting)
