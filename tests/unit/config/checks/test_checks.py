"""Settings that do not fit together, as `rows.txt` lists them, and the table of the checks that find them.

A row is a document, or what it has beside a plain one, and after `=>` each problem that it leads to; a silent
row leads to none. A section names the module whose checks look.
"""

import re
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import yaml

from kernelbal.config.checks import (
    addresses,
    advice,
    edge,
    edge_routes,
    pool,
    probing,
    servers,
    services,
    site,
)
from kernelbal.config.checks.context import SiteContext, context_of
from kernelbal.config.checks.table import (
    ADVICE,
    CROSS_CHECKS,
    SERVICE_CHECKS,
    SITE_ADVICE,
    SITE_CHECKS,
    find_conflicts,
)
from kernelbal.config.document import compose
from kernelbal.config.load import load_site, site_warnings
from kernelbal.config.secrets import key_path
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService
from tests.unit.config.spec import DSR, FILE, expect, refused, service, text_of

ROWS = (Path(__file__).parent / "rows.txt").read_text(encoding="utf-8")
MODULES: tuple[ModuleType, ...] = (
    *(addresses, advice, edge, edge_routes, pool, probing, servers, services, site),
)
EDGE = """\
networks:
  outside: {shared_addresses: [192.0.2.10/24]}
  inside: {shared_addresses: [10.0.0.1/24, "fd00::1/64"]}
virtual_services:
  - {name: web, address: 192.0.2.80, ports: [80, 8000-8010], forwarding: nat, \
     real_servers: [{address: 10.0.0.8}]}
edge:
"""
ROUTES = """\
networks:
  outside: {shared_addresses: [192.0.2.10/24]}
  inside: {shared_addresses: [10.0.0.1/24]}
edge:
  routes:
"""
PLAIN = {
    "name": "web", "address": "192.0.2.10", "ports": "80", "forwarding": "nat",
    "real_servers": "[{address: 10.0.0.11}]",
}  # fmt: skip


class Row(NamedTuple):
    module: str
    document: str
    problems: tuple[str, ...]


def row_of(module: str, lines: list[str], problems: list[str]) -> Row:
    """The whole document of a row, and its problems with their whole keys."""
    if module == "edge":
        return Row(
            module,
            EDGE + "".join(f"  {line}\n" for line in lines),
            tuple(f"edge.{each}" for each in problems),
        )
    if module == "edge_routes":
        document = ROUTES + "".join(f"    - {line}\n" for line in lines)
        return Row(module, document, tuple(f"edge.routes{each}" for each in problems))
    if re.match("networks:|virtual_services:|kernel:", lines[0]):
        return Row(module, "".join(f"{line}\n" for line in lines), tuple(problems))
    (own,) = lines
    given = yaml.safe_load(f"{{{own}}}")
    keys = [f"{key}: {value}" for key, value in PLAIN.items() if key not in given]
    document = f"virtual_services:\n- {{{', '.join([*keys, *filter(None, [own])])}}}\n"
    texts = (each.partition(": ") for each in problems)
    return Row(
        module,
        document,
        tuple(f"virtual_services[0].{key}: virtual service `web`: {said}" for key, _, said in texts),
    )


def rows(kind: str) -> list[Row]:
    """The rows of all sections of a kind."""
    found = []
    for module, section in re.findall(
        rf"^\[{kind} (\w+)\]\n(.*?)(?=\n\n|\Z)", ROWS, re.MULTILINE | re.DOTALL
    ):
        if kind == "silent":
            found += [row_of(module, [line], []) for line in section.splitlines()]
            continue
        for lines, problems in re.findall(r"((?:(?!=>).*\n)+)((?:=> .*(?:\n|\Z))+)", section):
            found.append(
                row_of(module, lines.splitlines(), problems.removeprefix("=> ").rstrip().split("\n=> "))
            )
    return found


REFUSED, DOUBTFUL, SILENT = rows("refused"), rows("doubtful"), rows("silent")


def warnings(document: str) -> tuple[str, ...]:
    text = text_of(document)
    return tuple(f"{each.key}: {each.message}" for each in site_warnings(load_site(text, FILE), text, FILE))


def ids(row: Row) -> str:
    return f"{row.module} {row.problems[0].partition(': ')[0] if row.problems else 'silent'}"


@pytest.mark.parametrize("row", REFUSED, ids=ids)
def test_conflict_is_refused(row: Row) -> None:
    lines = [line for line in refused(row.document).splitlines() if not line.startswith("  ")]
    assert tuple(line.partition(" ")[2] for line in lines) == row.problems


@pytest.mark.parametrize("row", [*DOUBTFUL, *SILENT], ids=ids)
def test_doubtful_setting_alone_is_warned_about(row: Row) -> None:
    assert warnings(row.document) == row.problems


def test_two_routes_may_share_a_table() -> None:
    route = "    - {{name: {}, source: 10.0.0.{}, table: 9, gateway: 192.0.2.1}}\n"
    assert warnings(ROUTES + route.format("a", 1) + route.format("b", 2)) == ()


def test_source_nat_within_the_subnet_or_by_another_network_hides_nobody() -> None:
    forward = "  forward: [{name: a, outside: 192.0.2.10, ports: 53, inside: 10.0.0.11}]\n"
    for inside in ("10.0.0.0/25, network: inside", "0.0.0.0/0"):
        assert (
            warnings(f"{EDGE}{forward}  source_nat: [{{name: a, inside: {inside}, masquerade: true}}]\n")
            == ()
        )


def test_place_expectation_and_hint() -> None:
    assert refused(EDGE + "  one_to_one: [{name: a, outside: 192.0.2.80, inside: 10.0.0.11}]\n") == expect(
        """
        7:35 edge.one_to_one[0].outside: one to one `a`: 192.0.2.80 belongs to \
virtual service `web` (there: line 5)
          = an outside address of its own
          ? take another address, or forward single ports of one that several use
        """
    )


@pytest.mark.parametrize(
    ("check", "key"),
    [
        ('{http: {matches: "("}}', "check.http.matches"),
        ('{https: {matches: "[a"}}', "check.https.matches"),
        ('{udp: {expect: "*"}}', "check.udp.expect"),
    ],
)
def test_regular_expression_must_compile(check: str, key: str) -> None:
    first = refused(service(f"check: {check}")).splitlines()[0]
    assert first.partition(" ")[2].startswith(f"virtual_services[0].{key}: virtual service `web`: ")


def context(document: str) -> SiteContext:
    """What the checks see of a document that the model accepts."""
    return context_of(Site.model_validate(compose(text_of(document), FILE), context=DOCUMENT))


class Spy:
    """A service that notes which of its fields are read."""

    def __init__(self, service: VirtualService, read: set[str]) -> None:
        self._service, self._read = service, read

    def __getattr__(self, name: str) -> object:
        self._read.add(name)
        return getattr(self._service, name)


VALID = [row for row in (*REFUSED, *DOUBTFUL) if "192.0.2.x" not in row.document]
"""What the model has nothing against."""


@pytest.mark.parametrize("row", VALID, ids=ids)
def test_checks_declare_what_they_read(row: Row) -> None:
    """A check that reads an undeclared field would guess about a faulty value."""
    seen = context(row.document)
    for check in (*SERVICE_CHECKS, *ADVICE):
        for subject in seen.subjects:
            read: set[str] = set()
            spied = type(subject)(
                subject.index,
                Spy(subject.service, read),  # type: ignore[arg-type]  # stands for a service
                subject.addresses,
            )
            list(check.run(spied, seen))
            assert read <= check.reads, check.run.__name__


def finding(seen: SiteContext) -> set[object]:
    """The checks that find something."""
    found = {
        check.run
        for check in (*SERVICE_CHECKS, *ADVICE)
        if any(list(check.run(subject, seen)) for subject in seen.subjects)
    }
    found |= {check.run for check in CROSS_CHECKS if list(check.run(seen.subjects, seen))}
    return found | {check for check in (*SITE_CHECKS, *SITE_ADVICE) if list(check(seen))}


def test_every_check_is_seen_to_find_something() -> None:
    found = {check for row in VALID for check in finding(context(row.document))}
    rows = (*SERVICE_CHECKS, *ADVICE, *CROSS_CHECKS)
    assert found == {check.run for check in rows} | {*SITE_CHECKS, *SITE_ADVICE}


@pytest.mark.parametrize("row", VALID, ids=ids)
def test_row_stands_under_the_module_that_finds_it(row: Row) -> None:
    assert row.module in {check.__module__.rpartition(".")[2] for check in finding(context(row.document))}
    assert row.module in [module.__name__.rpartition(".")[2] for module in MODULES]


def test_faulty_field_silences_its_checks_alone() -> None:
    site = context(service("one_armed: true, one_packet: true", base=DSR)).site
    del site.virtual_services[0].__dict__["one_armed"]
    found = find_conflicts(context_of(site))
    assert [key_path(violation.path) for violation in found] == ["virtual_services[0].one_packet"]


def test_faulty_networks_silence_the_search_for_a_network() -> None:
    site = context("""
        networks: {outside: {}}
        virtual_services: [{name: a, address: 192.0.2.10, ports: 80, forwarding: nat, network: inside}]
    """).site
    assert list(find_conflicts(context_of(site, frozenset({"networks"})))) == []
    assert len(list(find_conflicts(context_of(site)))) == 1
