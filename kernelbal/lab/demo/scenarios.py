"""The scenarios as data: which example, on which topology, and what must be seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab.demo.names import ScenarioName
from kernelbal.lab.errors import LabError
from kernelbal.lab.topology import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kernelbal.lab.namespaces import Host

EXAMPLES: Final = "examples"


class Replies(Enum):
    """The way of the replies."""

    THROUGH = "through the director"
    AROUND = "past the director"


def nothing_to_prepare(host: Host, virtual_addresses: tuple[str, ...]) -> None:
    """Leave a real server as it is."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """An example and what it must show.

    Attributes:
        site: file name of the site document in the examples.
        node: file name of the node document.
        prepare: does something to a real server before all else.
        replies: the way that replies must take.
        seen_client: whom real servers must take for the client.
        silent: only the director may answer ARP for the virtual address.
        routeless: real servers must not need a route through the director.
        watched: the daemon keeps the site, and what it does is played.
        realserver: options of `kernelbal realserver apply` on the real servers; None: they stay as they are.
    """

    name: ScenarioName
    title: str
    topology: str
    site: str
    node: str
    prepare: Callable[[Host, tuple[str, ...]], None]
    replies: Replies
    seen_client: Role
    silent: bool = False
    routeless: bool = False
    watched: bool = False
    realserver: tuple[str, ...] | None = None


SCENARIOS: Final = (
    Scenario(
        ScenarioName.NAT,
        "NAT: the director rewrites addresses, replies come back through it",
        "two-arm",
        "nat.yaml",
        "node-two-arm.yaml",
        nothing_to_prepare,
        Replies.THROUGH,
        Role.CLIENT,
    ),
    Scenario(
        ScenarioName.ONE_ARMED,
        "One-armed NAT: the director masquerades too, real servers need no preparation at all",
        "one-arm",
        "one-armed-nat.yaml",
        "node-one-arm.yaml",
        nothing_to_prepare,
        Replies.THROUGH,
        Role.DIRECTOR,
        routeless=True,
    ),
    Scenario(
        ScenarioName.DSR,
        "Direct server return: real servers answer the client themselves",
        "one-arm",
        "dsr.yaml",
        "node-one-arm.yaml",
        nothing_to_prepare,
        Replies.AROUND,
        Role.CLIENT,
        silent=True,
        realserver=(),
    ),
    Scenario(
        ScenarioName.TUNNEL,
        "Tunnel: packets travel wrapped to the real servers, which answer the client themselves",
        "one-arm",
        "tunnel.yaml",
        "node-one-arm.yaml",
        nothing_to_prepare,
        Replies.AROUND,
        Role.CLIENT,
        silent=True,
        realserver=("--forwarding", "tunnel"),
    ),
    Scenario(
        ScenarioName.DAEMON,
        "The daemon: real servers fail, drain and return, others meddle, it crashes, and nobody is cut",
        "two-arm",
        "daemon.yaml",
        "node-two-arm.yaml",
        nothing_to_prepare,
        Replies.THROUGH,
        Role.CLIENT,
        watched=True,
    ),
)


def select(wanted: Iterable[ScenarioName]) -> tuple[Scenario, ...]:
    """Return the wanted scenarios in the demo's order; all of them when none is named."""
    names = frozenset(wanted) or frozenset(ScenarioName)
    return tuple(scenario for scenario in SCENARIOS if scenario.name in names)


def checkout() -> Path:
    """Return the directory that holds `examples/`.

    Raises:
        LabError: kernelbal was installed without them.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / EXAMPLES).is_dir():
        raise LabError(
            f"the examples are not in {root}: the demo plays them from a checkout",
            "clone the project and run `make demo` there",
        )
    return root
