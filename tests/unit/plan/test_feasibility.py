"""Whether documents would work on this machine."""

import pytest

from kernelbal.errors import PlanRefused
from kernelbal.model.answers import Remark
from kernelbal.plan.feasibility import remarks_on
from kernelbal.plan.kinds.services import IPVS, IpvsInfo
from kernelbal.plan.kinds.sysctls import ROUTES
from kernelbal.plan.reachability import reachability_problems
from tests.support.builders import link, node, route, site
from tests.support.states import observed_of

OBSERVED = observed_of(
    links=(link("eth0"), link("eth1")),
    routes=(route("192.0.2.0/24", "eth0"), route("10.0.0.0/24", "eth1")),
)
GOOD = site("""
virtual_services:
- {name: web, address: 192.0.2.10, ports: 80, forwarding: nat, real_servers: [{address: 10.0.0.11}]}
""")
TWO_BAD = site("""
virtual_services:
- {name: web, address: 192.0.2.10, ports: 80, forwarding: nat, real_servers: [{address: 192.0.2.98}]}
- {name: mail, address: 192.0.2.10, ports: 25, forwarding: nat, real_servers: [{address: 192.0.2.99}]}
""")


def test_every_service_that_would_not_work_is_named() -> None:
    with pytest.raises(PlanRefused) as caught:
        remarks_on(TWO_BAD, node(), OBSERVED, force=False)
    for name in ("web", "mail"):
        assert f"\n  virtual service `{name}`: " in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.count("one_armed: true") == 1, "a hint that fits both is given once"
    assert caught.value.hint.endswith(" (--force makes this a warning)")


def test_force_remarks_on_each() -> None:
    remarks = remarks_on(TWO_BAD, node(), OBSERVED, force=True)
    assert [each.message[:23] for each in remarks] == ["virtual service `web`: ", "virtual service `mail`:"]


def test_what_holds_of_the_documents_in_force_is_a_remark() -> None:
    first, *others = reachability_problems(TWO_BAD, node(), OBSERVED)
    assert remarks_on(TWO_BAD, node(), OBSERVED, force=False, known=(first, *others))
    with pytest.raises(PlanRefused, match="mail"):
        remarks_on(TWO_BAD, node(), OBSERVED, force=False, known=(first,))


def test_a_site_that_works_gets_no_remark() -> None:
    assert remarks_on(GOOD, node(), OBSERVED, force=False) == []


def test_a_kernel_without_ipvs_and_a_missing_route_are_remarks() -> None:
    bare = OBSERVED.having(IPVS, IpvsInfo(available=False)).having(ROUTES, OBSERVED.of(ROUTES)[:1])
    remarks = remarks_on(GOOD, node(), bare, force=False)
    assert remarks[0] == Remark(
        message="this kernel has no IPVS, or did not load its module", hint="modprobe ip_vs"
    )
    assert "10.0.0.11: no route" in remarks[1].message
