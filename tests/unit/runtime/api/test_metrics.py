"""Metrics: complete, escaped, named as documented, fast."""

import re
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kernelbal.runtime.api.metrics import METRICS, MODES, SERVER_STATES, render
from tests.support.fake_control import (
    check_status,
    director_status,
    down_server_status,
    server_status,
    service_status,
)


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_status_becomes_samples() -> None:
    found = samples(render(director_status()))
    server = (("address", "10.0.0.12"), ("name", "rs2"), ("port", "0"), ("service", "web"))
    assert found["kernelbal_server_up", server] == 0
    assert found["kernelbal_server_weight", server] == 0
    assert found["kernelbal_server_configured_weight", server] == 100
    assert found["kernelbal_server_connections_total", server] == 4321
    assert found["kernelbal_server_state", tuple(sorted((*server, ("state", "down"))))] == 1
    assert found["kernelbal_repairs_total", ()] == 1
    assert found["kernelbal_counters_age_seconds", ()] == 1.5
    assert found["kernelbal_last_round_seconds", ()] == 0.012
    modes = {key[1][0][1]: value for key, value in found.items() if key[0] == "kernelbal_service_mode"}
    assert modes == {mode: float(mode == "serving") for mode in MODES}
    checks = {key[0]: value for key, value in found.items() if ("key", "key-10.0.0.12") in key[1]}
    assert checks == {
        "kernelbal_check_up": 0,
        "kernelbal_check_change_age_seconds": 61,
        "kernelbal_check_probe_age_seconds": 2.5,
        "kernelbal_check_warning": 0,
    }


def test_each_metric_has_a_sample_and_only_the_known_ones() -> None:
    names = {name for name, _ in samples(render(director_status()))}
    assert names == {each.name for each in METRICS}


def test_what_is_not_known_has_no_sample() -> None:
    status = director_status([]).model_copy(update={"counters_s": None})
    assert not any(name == "kernelbal_counters_age_seconds" for name, _ in samples(render(status)))


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", 'x"} 1\nevil 1\n', "ü", "a\\n"])
def test_labels_are_escaped(name: str) -> None:
    server = server_status("10.0.0.1", name).model_copy(
        update={"checks": [check_status().model_copy(update={"check": name})]}
    )
    found = samples(render(director_status([service_status(servers=[server])])))
    names = {dict(labels)["name"] for metric, labels in found if metric == "kernelbal_server_up"}
    checks = {dict(labels)["check"] for metric, labels in found if metric == "kernelbal_check_up"}
    assert (names, checks) == ({name}, {name})
    assert not any(metric == "evil" for metric, _ in found)


@pytest.mark.parametrize("each", METRICS, ids=lambda each: each.name)
def test_names_follow_the_rules_of_prometheus(each: object) -> None:
    assert each in METRICS
    name = getattr(each, "name")  # noqa: B009 - a parameter of any type
    assert re.fullmatch(r"kernelbal(_[a-z]+)+", name)
    assert name.endswith("_total") == getattr(each, "counter")  # noqa: B009 - a parameter of any type


def test_states_are_those_of_the_status() -> None:
    assert {"serving", "draining", "down"} < set(SERVER_STATES)
    assert down_server_status().state in SERVER_STATES


def test_five_thousand_real_servers_are_rendered_in_one_go() -> None:
    services = [
        service_status(f"s{i}", [server_status(f"10.0.{i}.{j}", f"rs{i}-{j}") for j in range(50)])
        for i in range(100)
    ]
    status = director_status(services)
    began = time.process_time()
    text = render(status)
    assert time.process_time() - began < 10  # about 0.5 s; what grows with the square would take minutes
    assert text.count(b"\nkernelbal_server_up{") == 5000
