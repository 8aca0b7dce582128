"""From what was decided to the kernel that it wants."""

import pytest

from kernelbal.model.address import parse_address
from kernelbal.model.health import PathCheck
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey, ServiceFlag, ServicePolicy
from kernelbal.model.overlay import AS_CONFIGURED, DesiredServer, Mode, Overlay
from kernelbal.model.site.services import ServerKey
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.services import SERVICES
from tests.support.builders import by_mark, node, real, service, site, weighing

TWO = "{address: 10.0.0.11}, {address: 10.0.0.12, port: 8080, upper_threshold: 50, lower_threshold: 40}"
WEB = service("192.0.2.10", 80)
SORRY = "sorry_server: {address: 10.0.0.99}"


def text(more: str = "ports: 80", servers: str = TWO, address: str = "192.0.2.10", name: str = "web") -> str:
    return f"{{name: {name}, address: {address}, forwarding: nat, {more}, real_servers: [{servers}]}}"


def overlaid(overlay: Overlay, *services: str, networks: str = "{}") -> DesiredState:
    document = f"{{networks: {networks}, virtual_services: [{', '.join(services or (text(),))}]}}"
    return desired_state(site(document), node(), overlay)


def standing(first: DesiredServer | None = None, second: DesiredServer | None = None) -> Overlay:
    names = (ServerKey("web", parse_address("10.0.0.11")), ServerKey("web", parse_address("10.0.0.12"), 8080))
    return Overlay({key: s for key, s in zip(names, (first, second), strict=True) if s is not None})


def test_what_is_not_named_is_as_configured() -> None:
    everything = standing(DesiredServer(100), DesiredServer(100))
    modes = Overlay(everything.servers, {"web": Mode.SERVING})
    assert overlaid(everything) == overlaid(modes) == overlaid(AS_CONFIGURED)


def test_weights() -> None:
    state = overlaid(standing(DesiredServer(7), DesiredServer(0)))
    assert state.of(SERVICES).table[WEB].destinations == {
        real("10.0.0.11", 80): weighing(7),
        real("10.0.0.12", 8080): weighing(0, upper_threshold=50, lower_threshold=40),
    }


def test_every_port_is_weighed() -> None:
    state = overlaid(standing(DesiredServer(7)), text("ports: [80, 443]"))
    assert [next(iter(each.destinations.values())).weight for each in state.of(SERVICES).table.values()] == [
        7,
        7,
    ]


def test_who_is_absent_has_its_own_deadline() -> None:
    state = overlaid(
        standing(DesiredServer(0, present=False, cut_at=1060.0), DesiredServer(0, present=False))
    )
    assert state.of(SERVICES).table[WEB].destinations == {}
    assert state.of(SERVICES).policies[WEB] == ServicePolicy("web", 60.0, ((real("10.0.0.11", 80), 1060.0),))


def test_thresholds_of_agents() -> None:
    state = overlaid(standing(second=DesiredServer(100, upper_threshold=30)))
    assert state.of(SERVICES).table[WEB].destinations[real("10.0.0.12", 8080)] == weighing(
        100, upper_threshold=30
    )
    state = overlaid(standing(second=DesiredServer(100, upper_threshold=45)))
    limited = state.of(SERVICES).table[WEB].destinations[real("10.0.0.12", 8080)]
    assert (limited.upper_threshold, limited.lower_threshold) == (45, 40)


def test_the_sorry_server_answers_by_mode_only() -> None:
    sorry = real("10.0.0.99", 80)
    closed = Overlay(services={"web": Mode.SORRY})
    assert overlaid(closed, text(f"ports: 80, {SORRY}")).of(SERVICES).table[WEB].destinations[
        sorry
    ] == weighing(1)
    for mode in (Mode.SERVING, Mode.REFUSING, Mode.KEPT, Mode.WITHDRAWN):
        without = text(f"ports: 80, {SORRY}", "{address: 10.0.0.11, weight: 0}")
        state = overlaid(Overlay(services={"web": mode}), without)
        assert sorry not in state.of(SERVICES).table[WEB].destinations


def test_a_withdrawn_address_leaves() -> None:
    withdrawn = Overlay(services={"web": Mode.WITHDRAWN})
    assert overlaid(withdrawn).of(ADDRESSES) == {}
    assert WEB in overlaid(withdrawn).of(SERVICES).table


def test_a_withdrawn_address_stays_while_somebody_serves_by_it() -> None:
    withdrawn = Overlay(services={"web": Mode.WITHDRAWN})
    other = text("ports: 443", name="secure")
    assert len(overlaid(withdrawn, text(), other).of(ADDRESSES)) == 1
    both = Overlay(services={"web": Mode.WITHDRAWN, "secure": Mode.WITHDRAWN})
    assert overlaid(both, text(), other).of(ADDRESSES) == {}
    shared = "{outside: {shared_addresses: [192.0.2.10/24]}}"
    assert len(overlaid(withdrawn, networks=shared).of(ADDRESSES)) == 1


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_hashes_fall_back_from_who_is_quiesced(scheduler: str) -> None:
    more = f"ports: 80, scheduler: {scheduler}"
    quiesced = overlaid(standing(DesiredServer(0)), text(more)).of(SERVICES).table[WEB].attributes
    assert quiesced.flags == ServiceFlag.SCHED1
    for overlay in (AS_CONFIGURED, standing(DesiredServer(7)), standing(DesiredServer(0, present=False))):
        assert overlaid(overlay, text(more)).of(SERVICES).table[WEB].attributes.flags == 0


def test_other_schedulers_have_nothing_to_fall_back_by() -> None:
    attributes = (
        overlaid(standing(DesiredServer(0)), text("ports: 80, scheduler: dh"))
        .of(SERVICES)
        .table[WEB]
        .attributes
    )
    assert attributes.flags == 0


def test_paths_of_probes_are_services_by_mark_that_keep_no_connections() -> None:
    path = PathCheck(2, 77, DestinationKey(parse_address("10.0.0.11"), 0), DestinationAttributes(3, 1))
    state = overlaid(Overlay(paths=(path,)))
    assert state.of(SERVICES).table[by_mark(77)].destinations == {path.destination: path.attributes}
    assert state.of(SERVICES).table[by_mark(77)].attributes.scheduler == "rr"
    assert state.of(SERVICES).policies[by_mark(77)].drain_s == 0.0
