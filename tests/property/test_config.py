"""Any text is a site or a refusal, and what is written out reads back."""

import json
from collections.abc import Callable
from typing import TypeVar

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kernelbal.config.document import Data, compose
from kernelbal.config.load import load_node, load_site, site_warnings
from kernelbal.config.places import find_places
from kernelbal.errors import ConfigError
from kernelbal.model.address import format_address, parse_address
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService
from kernelbal.model.units import MAX_DURATION_S, format_duration, parse_duration

KEYS = (
    *VirtualService.model_fields,
    "networks",
    "kernel",
    "timeouts",
    "sysctls",
    "weight",
    "vip",
    "source_ip",
    "http",
    "interval",
    "expect",
    "headers",
    "radius",
    "secret",
    "text_agent",
)
ADDRESS_TEXTS = ("192.0.2.1", "192.0.2.1/24", "2001:db8::1", "10.0.0.1", "10.0.0.1\x1b")
TEXTS = ("nat", "dsr", "all", "80-90", "5m", "sh", "wlc", "udp", "sip", "", "<<", "a\nb", "\x1b", "yes", "~")
WORDS = st.sampled_from((*KEYS, *ADDRESS_TEXTS, *TEXTS))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=20)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=30,
)
ADDRESSES = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
REQUIRED = ("name", "address", "ports", "forwarding")
SERVICES = st.fixed_dictionaries(
    {
        "name": WORDS,
        "address": ADDRESSES | WORDS,
        "ports": st.integers(0, 65536) | st.lists(st.integers(1, 100) | WORDS, max_size=3) | WORDS,
        "forwarding": st.sampled_from(["nat", "dsr", "tunnel", "DR"]),
    },
    optional={field: TREES for field in VirtualService.model_fields if field not in REQUIRED}
    | {
        "real_servers": st.lists(
            st.fixed_dictionaries({"address": ADDRESSES}, optional={"weight": st.integers(-1, 9)}) | TREES,
            max_size=4,
        ),
        "scheduler": st.sampled_from(["sh", "mh", "wlc", "WLC"]),
        "check": st.sampled_from(
            ["icmp", "none", "HTTP_GET", {"port": 80}, {"tcp": None, "through": "virtual"}]
        )
        | st.fixed_dictionaries(
            {},
            optional={
                "http": st.fixed_dictionaries(
                    {}, optional={"matches": WORDS, "headers": TREES, "expect": TREES}
                ),
                "dns": st.fixed_dictionaries({}, optional={"query": WORDS, "type": WORDS}),
                "script": TREES,
                "interval": st.sampled_from(["1s", "0s", "9s"]),
                "source": ADDRESSES,
            },
        ),
        "scheduler_flags": st.lists(st.sampled_from(["sh-port", "mh-port", "x"]), max_size=3),
    },
)
SITES = st.fixed_dictionaries({"virtual_services": st.lists(SERVICES | TREES, max_size=3)}, optional={
    "networks": TREES, "kernel": TREES, "extra": TREES})  # fmt: skip


Outcome = TypeVar("Outcome")


def outcome(text: bytes, load: Callable[[bytes, str], Outcome]) -> Outcome | ConfigError:
    """The document, or the refusal; anything else is a fault of ours."""
    try:
        return load(text, "site.yaml")
    except ConfigError as error:
        return error


def require_complete(error: ConfigError, text: bytes) -> None:
    """Every problem has its place inside of the text, and words that are fit for a terminal."""
    lines = text.count(b"\n") + text.count(b"\r") + text.count(b"\xc2\x85") + text.count(b"\xe2\x80") + 2
    assert error.problems
    for problem in error.problems:
        assert problem.span is not None
        assert 1 <= problem.span.line <= lines
        assert problem.span.column >= 1
        assert problem.message
        for words in (problem.key, problem.message, problem.expected or "", problem.hint or ""):
            assert words.isprintable(), words


@given(st.binary(max_size=200))
def test_any_bytes_are_a_site_or_a_refusal(text: bytes) -> None:
    found = outcome(text, load_site)
    if isinstance(found, ConfigError):
        require_complete(found, text)


@given(st.text(alphabet="abk:-[]{},&*!|>'\"#%@`?~<= \n\t0123x\\\u00e4\x00", max_size=80))
def test_any_marks_of_yaml_are_a_site_or_a_refusal(text: str) -> None:
    found = outcome(text.encode(), load_site)
    if isinstance(found, ConfigError):
        require_complete(found, text.encode())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(SITES | TREES)
@example({"[key]": None})
def test_any_tree_is_a_site_or_a_refusal_with_every_place(tree: Data) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True).encode()
    found = outcome(text, load_site)
    if isinstance(found, ConfigError):
        require_complete(found, text)
    else:
        site_warnings(found, text, "site.yaml")


@given(TREES)
def test_any_tree_is_a_node_or_a_refusal(tree: Data) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True).encode()
    found = outcome(text, load_node)
    if isinstance(found, ConfigError):
        require_complete(found, text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=30,
    )
)
@example("\x85")
@example({"\u2028": ["\u2029"]})
def test_json_is_read_as_json(tree: Data) -> None:
    text = json.dumps(tree, ensure_ascii=False)
    found = outcome(text.encode(errors="surrogatepass"), compose)
    assert isinstance(found, ConfigError) or found == tree
    if text.isprintable() and "<<" not in text:
        assert found == tree


VALID = st.builds(
    lambda services, timeout: Site.model_validate(
        {
            "kernel": {"timeouts": {"tcp": timeout}},
            "virtual_services": [
                {"name": f"s{index}", "address": f"192.0.2.{index + 1}", **service}
                for index, service in enumerate(services)
            ],
        },
        context=DOCUMENT,
    ),
    st.lists(
        st.fixed_dictionaries(
            {
                "ports": st.integers(1, 65535) | st.just("all") | st.just(["80", "90-99"]),
                "forwarding": st.sampled_from(["nat", "dsr", "tunnel"]),
                "drain": st.integers(0, 10**6).map(lambda ms: f"{ms}ms"),
                "scheduler": st.sampled_from(["rr", "sh", "mh"]),
            },
            optional={
                "persistence": st.builds(
                    lambda s, p: {"source_ip": {"timeout": f"{s}s", "prefix": p}},
                    st.integers(1, 9999),
                    st.integers(1, 32),
                ),
                "real_servers": st.lists(
                    st.builds(
                        lambda host, weight: {"address": f"10.0.0.{host}", "weight": weight},
                        st.integers(1, 254),
                        st.integers(0, 65535),
                    ),
                    max_size=5,
                    unique_by=lambda server: server["address"],
                ),
            },
        ),
        max_size=5,
    ),
    st.integers(1, 2_000_000).map(lambda s: f"{s}s"),
)


@pytest.mark.parametrize("style", ["yaml", "json"])
@given(VALID)
def test_site_reads_back_what_it_writes(style: str, site: Site) -> None:
    document = site.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(document) if style == "yaml" else json.dumps(document)
    assert load_site(text.encode(), "site.yaml") == site


@given(st.integers(0, int(MAX_DURATION_S * 1000)))
def test_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.ip_addresses())
def test_address_reads_back(address: object) -> None:
    packed = parse_address(str(address))
    assert parse_address(format_address(packed)) == packed


@given(TREES)
def test_every_path_of_a_tree_is_found(tree: Data) -> None:
    text = yaml.safe_dump(tree).encode()
    paths = [path for path in walk(tree) if all(isinstance(step, str | int) for step in path)]
    assert find_places(text, paths).keys() == {(), *paths}


def walk(tree: Data, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every path of a tree."""
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(found for step, inner in steps for found in walk(inner, (*path, step)))]


def test_node_reads_back() -> None:
    node = Node.model_validate({"name": "lb1", "interfaces": {"outside": "eth0"}})
    assert load_node(yaml.safe_dump(node.model_dump(mode="json")).encode(), "x") == node
