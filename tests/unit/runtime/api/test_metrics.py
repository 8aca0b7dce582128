"""Metrics: complete, escaped, named as documented, read back by the library of Prometheus itself."""

import re

import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from kernelbal.model.overlay import Mode
from kernelbal.model.status import DirectorStatus
from kernelbal.model.text import one_line
from kernelbal.runtime.api.metrics import METRICS, render
from tests.support.fake_control import (
    FakeSnapshot,
    check_status,
    director_status,
    server_status,
    service_status,
)


def text_of(status: DirectorStatus) -> str:
    return b"".join(render(FakeSnapshot(status, []))).decode()


def samples(status: DirectorStatus) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text_of(status))
        for sample in family.samples
    }


def test_status_becomes_samples() -> None:
    found = samples(director_status())
    server = (("address", "10.0.0.12"), ("name", "rs2"), ("port", "0"), ("service", "web"))
    assert found["kernelbal_server_up", server] == 0
    assert found["kernelbal_server_weight", server] == 0
    assert found["kernelbal_server_configured_weight", server] == 100
    assert found["kernelbal_server_connections_total", server] == 4321
    assert found["kernelbal_server_state", tuple(sorted((*server, ("state", "down"))))] == 1
    assert found["kernelbal_reverts_total", ()] == 1
    assert found["kernelbal_counters_age_seconds", ()] == 1.5
    assert found["kernelbal_last_round_seconds", ()] == 0.012
    modes = {key[1][0][1]: value for key, value in found.items() if key[0] == "kernelbal_service_mode"}
    assert modes == {mode.value: float(mode is Mode.SERVING) for mode in Mode}
    checks = {key[0]: value for key, value in found.items() if ("key", "key-10.0.0.12") in key[1]}
    assert checks == {
        "kernelbal_check_up": 0,
        "kernelbal_check_change_age_seconds": 61,
        "kernelbal_check_probe_age_seconds": 2.5,
        "kernelbal_check_warning": 0,
    }


def test_each_metric_has_a_sample_and_only_the_known_ones() -> None:
    names = {name for name, _ in samples(director_status())}
    assert names == {each.name for each in METRICS}


def test_what_is_not_known_has_no_sample() -> None:
    status = structs.replace(director_status([]), counters_s=None)
    assert not any(name == "kernelbal_counters_age_seconds" for name, _ in samples(status))


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", 'x"} 1\nevil 1\n', "ü", "a\\n"])
def test_labels_are_escaped(name: str) -> None:
    server = structs.replace(
        server_status("10.0.0.1", name), checks=[structs.replace(check_status(), check=name)]
    )
    found = samples(director_status([service_status(servers=[server])]))
    names = {dict(labels)["name"] for metric, labels in found if metric == "kernelbal_server_up"}
    checks = {dict(labels)["check"] for metric, labels in found if metric == "kernelbal_check_up"}
    assert (names, checks) == ({one_line(name)}, {one_line(name)})
    assert not any(metric == "evil" for metric, _ in found)


@pytest.mark.parametrize("each", METRICS, ids=lambda each: each.name)
def test_names_follow_the_rules_of_prometheus(each: object) -> None:
    assert each in METRICS
    name = getattr(each, "name")  # noqa: B009 - a parameter of any type
    assert re.fullmatch(r"kernelbal(_[a-z]+)+", name)
    assert name.endswith("_total") == getattr(each, "counter")  # noqa: B009 - a parameter of any type


def test_states_are_those_of_the_status() -> None:
    (text,) = (each.help for each in METRICS if each.name == "kernelbal_server_state")
    assert "serving, ramping, draining" in text


def test_samples_of_a_metric_stand_together_below_its_kind_and_meaning() -> None:
    services = [service_status(name, [server_status(f"10.0.0.{i}") for i in range(9)]) for name in ("a", "b")]
    text = text_of(director_status(services))
    families = list(text_string_to_metric_families(text))
    kinds = {each.name.removesuffix("_total"): "counter" if each.counter else "gauge" for each in METRICS}
    assert {each.name: each.type for each in families} == kinds
    assert [each.documentation for each in families] == [each.help for each in METRICS]
    (up,) = (each for each in families if each.name == "kernelbal_server_up")
    assert [sample.labels["service"] for sample in up.samples] == ["a"] * 9 + ["b"] * 9
