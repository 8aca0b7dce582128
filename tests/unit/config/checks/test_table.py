"""The table of checks: complete, honest about what it reads, and silent about what is faulty itself."""

import pytest

from kernelbal.config.checks.context import SiteContext, context_of
from kernelbal.config.checks.table import ADVICE, CROSS_CHECKS, SERVICE_CHECKS, SITE_CHECKS, find_conflicts
from kernelbal.config.document import compose
from kernelbal.config.violation import key_path
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService
from tests.unit.config.checks import (
    test_addresses,
    test_advice,
    test_edge,
    test_edge_routes,
    test_pool,
    test_probing,
    test_servers,
    test_services,
    test_site,
)
from tests.unit.config.spec import DSR, FILE, service, text_of

MODULES = (
    *(test_addresses, test_advice, test_edge, test_edge_routes, test_pool, test_probing),
    *(test_servers, test_services, test_site),
)
DOCUMENTS = {
    f"{module.__name__}: {name}": case.document for module in MODULES for name, case in module.CASES.items()
} | {f"doubtful: {name}": case.document for name, case in test_pool.DOUBTFUL.items()}


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


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_checks_declare_what_they_read(document: str) -> None:
    """A check that reads an undeclared field would guess about a faulty value."""
    seen = context(document)
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


def test_every_check_is_seen_to_find_something() -> None:
    found = set()
    for document in DOCUMENTS.values():
        seen = context(document)
        for check in (*SERVICE_CHECKS, *ADVICE):
            if any(list(check.run(subject, seen)) for subject in seen.subjects):
                found.add(check.run)
        found |= {check.run for check in CROSS_CHECKS if list(check.run(seen.subjects, seen))}
        found |= {check for check in SITE_CHECKS if list(check(seen))}
    rows = (*SERVICE_CHECKS, *ADVICE, *CROSS_CHECKS)
    assert found == {check.run for check in rows} | set(SITE_CHECKS)


def test_faulty_field_silences_its_checks_alone() -> None:
    site = context(service("one_armed: true, one_packet: true", base=DSR)).site
    del site.virtual_services[0].__dict__["one_armed"]
    seen = context_of(site)
    assert [key_path(violation.path) for violation in find_conflicts(seen)] == [
        "virtual_services[0].one_packet"
    ]


def test_faulty_networks_silence_the_search_for_a_network() -> None:
    site = context("""
        networks: {outside: {}}
        virtual_services: [{name: a, address: 192.0.2.10, ports: 80, forwarding: nat, network: inside}]
    """).site
    assert list(find_conflicts(context_of(site, frozenset({"networks"})))) == []
    assert len(list(find_conflicts(context_of(site)))) == 1
