"""Quorum, sorry servers, slow start and adaptive weights that do not fit together."""

import pytest

from kernelbal.config.load import load_site, site_warnings
from tests.unit.config.spec import FILE, Case, messages, one, service, text_of

TWO = "{address: 10.0.0.1}, {address: 10.0.0.2}"
SORRY = "sorry_server: {address: 10.0.0.9}"

CASES: dict[str, Case] = {
    "hysteresis as large as the quorum": one(
        "hysteresis: hysteresis 1 with quorum 1: it would never go down", "hysteresis: 1", TWO
    ),
    "quorum beyond the real servers": one(
        "quorum: quorum 2 with 1 real server: it would always be down", "quorum: 2"
    ),
    "quorum that cannot be regained": one(
        "quorum: quorum 2 and hysteresis 1 with 2 real servers: once down, it would never come back",
        "quorum: 2, hysteresis: 1",
        TWO,
    ),
    "sorry without a sorry server": one(
        "all_down: `all_down: sorry` without a sorry server", "all_down: sorry"
    ),
    "adaptive without a source": one(
        "adaptive: adaptive weights without a source", "adaptive: {smoothing: 5s}"
    ),
    "two sources": one(
        "adaptive.response_time: a second source beside `text_agent`",
        "adaptive: {response_time: {}, text_agent: {port: 99}}",
    ),
    "agent that may take too long": one(
        "adaptive.timeout: a timeout of 3s with an interval of 1s",
        "adaptive: {http_agent: {}, interval: 1s}",
    ),
    "response time of nothing": one(
        "adaptive.response_time: weights by response time with `check: none`: nothing is measured",
        "check: none, adaptive: {response_time: {}}",
    ),
}

DOUBTFUL: dict[str, Case] = {
    "sorry server that never answers": one(
        "all_down: `all_down: withdraw` leaves the sorry server unused", f"all_down: withdraw, {SORRY}"
    ),
    "slow start of rr": one(
        "slow_start: slow start with scheduler `rr`, which ignores weights",
        "scheduler: rr, slow_start: 30s",
    ),
    "slow start of fo": one(
        "slow_start: slow start with scheduler `fo`, which gives everything to the highest weight",
        "scheduler: fo, slow_start: 30s",
    ),
    "adaptive weights of sh": one(
        "adaptive: adaptive weights with scheduler `sh`, which moves clients to other real servers when "
        "weights change",
        "scheduler: sh, adaptive: {response_time: {}}",
    ),
    "withdrawn address of others": Case(
        """
        virtual_services:
        - name: web
          address: 192.0.2.10
          ports: 80
          forwarding: nat
          all_down: withdraw
          real_servers: [{address: 10.0.0.1}]
        - {name: dns, address: 192.0.2.10, ports: 53, forwarding: nat, real_servers: [{address: 10.0.0.1}]}
        """,
        (
            "virtual_services[0].all_down: virtual service `web`: `all_down: withdraw` withdraws "
            "192.0.2.10 from other virtual services as well (dns: line 8)",
        ),
    ),
}

ACCEPTED: dict[str, str] = {
    "quorum of all": service("quorum: 2", servers=TWO),
    "quorum with hysteresis": service("quorum: 2, hysteresis: 1", servers=f"{TWO}, {{address: 10.0.0.3}}"),
    "keep, with a sorry server for when there is nobody to keep": service(f"all_down: keep, {SORRY}"),
    "sorry": service(f"all_down: sorry, {SORRY}"),
    "slow start": service("slow_start: 30s"),
    "http agent": service("adaptive: {http_agent: {port: 8080}}"),
    "response time of the default check": service("adaptive: {response_time: {}}"),
    "withdraw alone": service("all_down: withdraw"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_conflict_is_refused(case: Case) -> None:
    assert messages(case.document) == case.problems


@pytest.mark.parametrize("case", DOUBTFUL.values(), ids=DOUBTFUL)
def test_doubtful_setting_is_warned_about(case: Case) -> None:
    text = text_of(case.document)
    problems = site_warnings(load_site(text, FILE), text, FILE)
    assert tuple(f"{problem.key}: {problem.message}" for problem in problems) == case.problems


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_what_fits_together_is_accepted_without_a_word(document: str) -> None:
    text = text_of(document)
    assert site_warnings(load_site(text, FILE), text, FILE) == ()
