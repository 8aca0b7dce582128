"""Checks of real servers whose settings do not fit together."""

import pytest

from kernelbal.config.load import load_site
from tests.unit.config.spec import DSR, FILE, TUNNEL, UDP, V6, Case, messages, one, refused, service, text_of

CASES: dict[str, Case] = {
    "two protocols": one("check.tcp: a second protocol beside `icmp`", "check: {icmp: {}, tcp: {}}"),
    "no interval": one("check.interval: an interval of 0s", "check: {interval: 0s, timeout: 50ms}"),
    "timeout beyond interval": one(
        "check.timeout: a timeout of 4s with an interval of 3s", "check: {interval: 3s}"
    ),
    "no timeout": one("check.timeout: a timeout of 0s", "check: {timeout: 0s}"),
    "port of a ping": one("check.port: a port for check `icmp`", "check: {icmp: {}, port: 7}"),
    "port of a udp service's ping": one("check.port: a port for check `icmp`", "check: {port: 5000}", **UDP),
    "tcp without a port": one("check: check `tcp` of `ports: all` without a port", "check: tcp", ports="all"),
    "through the virtual address with nat": one(
        "check.through: a check through the virtual address with forwarding `nat`",
        "check: {through: virtual}",
    ),
    "ping through the virtual address": one(
        "check.through: check `icmp` through the virtual address",
        "check: {icmp: {}, through: virtual}",
        **DSR,
    ),
    "other address through the virtual one": one(
        "check.address: `address` in a check through the virtual address",
        "check: {address: 10.0.0.9, through: virtual}",
        **DSR,
    ),
    "mark through the virtual address": one(
        "check.mark: `mark` in a check through the virtual address",
        "check: {mark: 7, through: virtual}",
        **DSR,
    ),
    "mark of a service": one(
        "check.mark: mark 7 is that of a virtual service (web: line 2)",
        "check: {mark: 7}, mark: 7, port_following: true",
    ),
    "mark of a derived one": one(
        "check.mark: mark 0x4c000001 is one that kernelbal gives by itself", "check: {mark: 0x4c000001}"
    ),
    "source of the other family": one(
        "check.source: source 2001:db8::1 for probes of 10.0.0.11", 'check: {source: "2001:db8::1"}'
    ),
    "source and address": one(
        "check.source: source 10.0.0.1 for probes of 2001:db8::9",
        'check: {source: 10.0.0.1, address: "2001:db8::9"}',
    ),
    "contains of HEAD": one(
        "check.http.contains: `contains` with method HEAD, whose replies have no body",
        "check: {http: {method: HEAD, contains: x}}",
    ),
    "body of GET": one("check.https.body: a request body with method GET", "check: {https: {body: x}}"),
    "header of framing": one(
        "check.http.headers.Content-Length: header `Content-Length`, which the checker writes",
        'check: {http: {headers: {Content-Length: "3"}}}',
    ),
    "header twice": one(
        "check.http.headers.x-a: header `x-a`, twice, in other letters",
        "check: {http: {headers: {X-A: a, x-a: b}}}",
    ),
    "script without a path": one(
        "check.script.argv[0]: program `check_db`", "check: {script: {argv: [check_db]}}"
    ),
    "CA file without a path": one(
        "check.tls.ca_file: file `ca.pem`", "check: {tls: {verify: true, ca_file: ca.pem}}"
    ),
    "CA file without verify": one(
        "check.imap.tls.ca_file: CA certificates without `verify`",
        "check: {imap: {tls: {ca_file: /etc/ca.pem}}}",
    ),
    "unknown record type": one(
        "check.dns: `.` XYZ is not a valid DNS question",
        "check: {dns: {type: XYZ}}",
    ),
    "RADIUS password that no packet holds": one(
        "check.radius: a RADIUS password has at most 128 bytes",
        f"check: {{radius: {{secret: s, user: u, password: {'x' * 129}}}}}",
    ),
}

ACCEPTED: dict[str, str] = {
    "a protocol's name": service("check: icmp"),
    "no check": service("check: none"),
    "a mapping without a value": service("check: {tcp: }"),
    "interval and timeout alike": service("check: {interval: 4s}"),
    "single status": service("check: {http: {expect: 204}}"),
    "statuses": service("check: {http: {expect: [200-204, 3xx, 401]}}"),
    "http behind udp": service("check: https", base=UDP),
    "http of every port": service("check: http", base={"ports": "all"}),
    "tcp of every port": service("check: {tcp: {}, port: 80}", base={"ports": "all"}),
    "port for a script": service("check: {script: {argv: [/bin/true]}, port: 80}"),
    "through the virtual address": service("check: {through: virtual}", base=DSR),
    "mark of the author's": service("check: {mark: 7}"),
    "source of the tunnel's inside": service('check: {source: "2001:db8::1"}', base={**TUNNEL, **V6}),
    "other headers": service("check: {http: {headers: {Host: a.example, X-A: b}}}"),
    "POST": service("check: {http: {method: POST, body: x, contains: y}}"),
    "CA file": service("check: {https: {verify: true, ca_file: /etc/ca.pem}}"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_conflict_is_refused(case: Case) -> None:
    assert messages(case.document) == case.problems


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_what_fits_together_is_accepted(document: str) -> None:
    assert load_site(text_of(document), FILE).virtual_services


@pytest.mark.parametrize(
    ("check", "key"),
    [
        ('{http: {matches: "("}}', "check.http.matches"),
        ('{https: {matches: "[a"}}', "check.https.matches"),
        ('{udp: {expect: "*"}}', "check.udp.expect"),
    ],
)
def test_regular_expression_must_compile(check: str, key: str) -> None:
    (message,) = messages(service(f"check: {check}"))
    assert message.startswith(f"virtual_services[0].{key}: virtual service `web`: ")


def test_place_and_remedy_are_named() -> None:
    document = """
        virtual_services:
        - name: w
          address: 192.0.2.10
          ports: 80
          forwarding: nat
          check:
            interval: 3s
            timeout: 5s
        """
    assert refused(document).splitlines() == [
        "8:14 virtual_services[0].check.timeout: virtual service `w`: a timeout of 5s with an interval of 3s",
        "  = at most `3s`",
        "  ? shorten `timeout`, or lengthen `interval`",
    ]
