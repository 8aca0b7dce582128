"""Whatever `check` accepts, runs: the daemon starts, probes begin, an event of each topic is handed over.

What is drawn has odd values everywhere. Those that `check` refuses are left out until it accepts the rest.
For more of them, in some minutes:

    KERNELBAL_PAIRS=10000 make test ARGS="tests/property/test_accepted.py -o faulthandler_timeout=0"
"""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from kernelbal.errors import ConfigError, PlanRefused
from kernelbal.health.checks.table import ENTROPY_BYTES, method_of
from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.node import Hook
from kernelbal.model.site import Site
from kernelbal.runtime.api import metrics
from kernelbal.runtime.api.documents import status_json
from kernelbal.runtime.director.documents import Paths, parse
from kernelbal.runtime.director.hooks import name_of
from kernelbal.store.daemon import GoodDocuments
from tests.property.strategies import sites
from tests.support.director_harness import DirectorHarness, new_kernel, play

PATHS_IN_MESSAGES = Paths(Path("site.yaml"), Path("node.yaml"))
PAIRS = int(os.environ.get("KERNELBAL_PAIRS", "150"))

URLS = st.sampled_from(
    (
        "http://[",
        "http://[::1]/",
        "http://[::ffff:192.0.2.1]:8080/",
        "http://[fe80::1%25eth0]/",
        "http://hooks.example.net:99999/",
        "http://hooks.example.net:port/",
        "http://hooks.example.net:0/",
        "https://user:p%40ss@hooks.example.net/a?b=%zz#c",
        "http://a..b/",
        "http://.a/",
        "http://-a/",
        "http://a_b./",
        "http://1.2.3/",
        "http://192.0.2.1:80",
        "http://xn--/",
        "http://xn--a/",
        "http://@",
        "http://:80",
        "http://?",
        "http://\\a",
        f"http://{'a' * 64}/",
        f"http://{'a.' * 130}/",
    )
) | st.from_regex(r"https?://[!-~]{1,20}", fullmatch=True)
PATTERNS = st.sampled_from(
    (".", "^(a+)+$", "(", "[", "\\", "(?i)up", "(?P<a>x)(?P=a)", "a{1000}", "\\d+ ok", "*")
)
TEXTS = st.sampled_from(
    ("", "ok", "\\x00\\xff", "\\x", "größer", "a\tb", "'\"", "{}%s", "a" * 1024)
) | st.text(max_size=9)
NAMES = st.sampled_from(("example.net", ".", "a..b", "a" * 64, "größer.example", "a b", "x." * 200, "-"))
PATHS = st.sampled_from(("/", "/a?b=c", "/%zz", "/#", "/a//b", "//x"))
FILES = st.sampled_from(("/etc/ca.pem", "ca.pem", "/", "/a/../b", "/dev/null"))
DURATIONS = st.sampled_from(("1ms", "300ms", "5s", "1h", "3650d", "0s"))


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return mappings with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


TLS = some(server_name=NAMES, verify=st.booleans(), ca_file=FILES, warn_days=st.integers(0, 3650))
ENCRYPTION = st.sampled_from(("none", "starttls", "implicit"))
HTTP = {
    "method": st.sampled_from(("GET", "HEAD", "POST")),
    "path": PATHS,
    "host": NAMES | TEXTS,
    "headers": st.dictionaries(st.sampled_from(("Host", "X-A", "host", "Content-Length")), TEXTS, max_size=2),
    "body": TEXTS,
    "expect": st.sampled_from((200, "2xx", "200-204", [200, "3xx"])),
    "contains": TEXTS,
    "matches": PATTERNS,
}
PROTOCOLS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "icmp": some(),
    "tcp": some(),
    "tls": TLS,
    "http": some(**HTTP),
    "https": some(**HTTP, server_name=NAMES, verify=st.booleans(), ca_file=FILES),
    "dns": some(
        query=NAMES | TEXTS,
        type=st.sampled_from(("A", "SOA", "ANY", "TYPE65535", "TYPE65536", "NONE", "HTTPS")),
        transport=st.sampled_from(("udp", "tcp")),
        rcode=st.sampled_from(("NOERROR", "NXDOMAIN")),
        answer=TEXTS,
    ),
    "udp": some(send=TEXTS, expect=PATTERNS),
    "smtp": some(hello=NAMES | TEXTS, encryption=ENCRYPTION, tls=TLS),
    "imap": some(encryption=ENCRYPTION, tls=TLS),
    "pop3": some(encryption=ENCRYPTION, tls=TLS),
    "ldap": some(dn=TEXTS, password=TEXTS, encryption=ENCRYPTION, tls=TLS),
    "ftp": some(),
    "ssh": some(),
    "rdp": some(),
    "radius": st.fixed_dictionaries(
        {"secret": TEXTS}, optional={"user": TEXTS, "password": TEXTS, "nas_identifier": TEXTS}
    ),
    "script": st.fixed_dictionaries(
        {"command": st.lists(FILES | TEXTS, min_size=1, max_size=3)},
        optional={"user": st.sampled_from(("nobody", "no-such-user"))},
    ),
    "none": some(),
}
TIMING = {
    "interval": DURATIONS,
    "timeout": DURATIONS,
    "port": st.integers(1, 65535),
    "source": st.sampled_from(("10.0.0.1", "fd00::1")),
    "mark": st.integers(1, 0xFFFFFFFF),
    "through": st.sampled_from(("real", "virtual")),
}


@st.composite
def checks(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(PROTOCOLS)))
    return {kind: draw(PROTOCOLS[kind]), **draw(some(**TIMING) if draw(st.booleans()) else some())}


AGENTS = some(
    http_agent=some(path=PATHS),
    text_agent=st.fixed_dictionaries({"port": st.just(9000)}, optional={"send": TEXTS}),
)
HOOKS = st.fixed_dictionaries(
    {"webhook": URLS}, optional={"topics": st.just(["config"])}
) | st.fixed_dictionaries(
    {"script": st.lists(FILES | TEXTS, min_size=1, max_size=3)},
    optional={"user": st.just("no-such-user"), "timeout": DURATIONS, "per_minute": st.integers(1, 6000)},
)
NODES = st.fixed_dictionaries(
    {
        "name": st.just("d1"),
        "interfaces": st.just({"outside": "eth0", "inside": "eth1"}),
        "notify": st.lists(HOOKS, max_size=2),
    },
    optional={
        "api": some(
            socket=FILES | st.just("/" + "a" * 200),
            change_groups=st.just(["no-such-group"]),
        )
    },
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both documents; `check` may refuse parts of them."""
    site: Site = draw(sites())
    document = site.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    for service in document["virtual_services"]:
        if draw(st.integers(0, 2)):
            service["check"] = draw(checks())
        if not draw(st.integers(0, 3)):
            service["adaptive"] = draw(AGENTS)
    return document, draw(NODES)


def accepted_part(site: dict[str, Any], node: dict[str, Any]) -> GoodDocuments | None:
    """Return both as text without what `check` refuses; None when they do not fit together even so."""
    for _ in range(20):
        text = GoodDocuments(*(yaml.safe_dump(each, allow_unicode=True).encode() for each in (site, node)))
        try:
            parse(text, PATHS_IN_MESSAGES)
        except PlanRefused:
            return None
        except ConfigError as error:
            for problem in error.problems:
                assert problem.span is not None
                _leave_out(site if problem.span.file == "site.yaml" else node, problem.key)
        else:
            return text
    return None


def _leave_out(document: object, key: str) -> None:
    """Remove the deepest part of a key path that is there."""
    parent: Any = None
    last: int | str = ""
    for step in re.findall(r"[^.\[\]]+", key):
        inner = int(step) if isinstance(document, list) else step
        if not (isinstance(document, list) and inner < len(document)) and not (
            isinstance(document, dict) and inner in document
        ):
            break
        parent, last, document = document, inner, document[inner]
    if parent is not None:
        del parent[last]


async def hand_over(hook: Hook, _document: bytes) -> str:
    """Do with a hook all that precedes its first packet or process."""
    assert name_of(hook)
    if hook.webhook is not None:
        url = URL(hook.webhook.url)
        assert url.host
        url.host.encode("idna")
    else:
        for word in hook.script:
            os.fsencode(word)
    return ""


async def run(harness: DirectorHarness) -> None:
    harness.context.hooks._deliver = hand_over
    await harness.begin()
    for topic in Topic:
        harness.context.reporter.emit(Event(topic, Severity.NOTICE, "Something happened."))
    await harness.until(harness.loop.now + 1)
    snapshot = harness.director.status()
    status_json(snapshot)
    metrics.render(snapshot)
    assert snapshot.summary().internal_errors == 0
    assert not [event for event in harness.events("hook.failed") if event.severity is Severity.WARNING]
    assert harness.director.loop.fatal is None


REFUSED: list[object] = []


@settings(max_examples=PAIRS, suppress_health_check=list(HealthCheck), deadline=None)
@given(pairs())
def test_what_check_accepts_runs(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    text = accepted_part(*pair)
    if text is None:
        REFUSED.append(pair)
        return
    for probe in parse(text, PATHS_IN_MESSAGES).probes.probes.values():
        dialogue = method_of(probe).new_dialogue
        if dialogue is not None:
            dialogue(bytes(ENTROPY_BYTES)).begin()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "site.yaml").write_bytes(text.site)
        (folder / "node.yaml").write_bytes(text.node)
        play(run, folder, new_kernel())


def test_nearly_all_pairs_are_accepted() -> None:
    assert len(REFUSED) < PAIRS / 10, REFUSED[:3]
