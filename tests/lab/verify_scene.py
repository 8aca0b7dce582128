"""A prepared real server behind a director, and what verification says of it."""

from collections.abc import Collection
from dataclasses import replace

from kernelbal.kernel.addresses import observe_addresses
from kernelbal.kernel.fou import observe_listeners
from kernelbal.kernel.links import observe_links
from kernelbal.kernel.network import NetworkDrivers
from kernelbal.kernel.routes import observe_routes
from kernelbal.kernel.sysctl import read_sysctls
from kernelbal.lab.namespaces import Host
from kernelbal.plan.actions import Result
from kernelbal.realserver.plan import make_plan
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.setup import TABLES, HostState, Record
from kernelbal.realserver.steps import RemoveFile, WriteFile
from kernelbal.realserver.verify.facts import Facts
from kernelbal.realserver.verify.gather import Asked, gather
from kernelbal.realserver.verify.report import judge
from kernelbal.realserver.verify.row import Row, Verdict
from kernelbal.realserver.wanted import setup_for


class DriverReader:
    """Reads the host of the calling thread."""

    def __init__(self, drivers: NetworkDrivers) -> None:
        self._drivers = drivers

    def observe(self) -> HostState:
        socket = self._drivers.rtnetlink
        links = observe_links(socket)
        return HostState(
            links=links,
            addresses=observe_addresses(socket, links),
            routes=observe_routes(socket, links),
            listeners=observe_listeners(),
        )

    def observe_more(
        self, host: HostState, sysctls: Collection[str], files: Collection[str], *, tables: bool
    ) -> HostState:
        found = [self._drivers.nftables.observe(each) for each in TABLES] if tables else []
        return replace(
            host, sysctls=read_sysctls(sysctls), tables=tuple(each for each in found if each is not None)
        )


def prepare(host: Host, *preparations: Preparation) -> None:
    """Bring preparations into force by the drivers."""
    with host.inside():
        drivers = NetworkDrivers()
        reader = DriverReader(drivers)
        found = reader.observe()
        setup = setup_for(preparations, found)
        paths = {path for each in setup.sysctls for path in each.needed}
        steps = make_plan(setup, {}, reader.observe_more(found, paths, (), tables=True), Record())
        actions = [step for step in steps if not isinstance(step, WriteFile | RemoveFile)]
        outcomes = drivers.perform(actions)
        drivers.close()
    assert [each for each in outcomes if each.result is Result.FAILED] == []


def read(host: Host, *preparations: Preparation, asked: Asked) -> Facts:
    """Everything that verification knows."""
    with host.inside():
        drivers = NetworkDrivers()
        try:
            return gather(DriverReader(drivers), preparations, asked)
        finally:
            drivers.close()


def verify(host: Host, *preparations: Preparation, asked: Asked) -> tuple[Row, ...]:
    """Everything that verification says."""
    return judge(preparations, read(host, *preparations, asked=asked))


def shown(rows: Collection[Row]) -> str:
    """All rows as text, for the message of an assertion."""
    return "\n".join(f"{row.requirement}: {row.finding}" for row in rows)


def faults(rows: Collection[Row]) -> set[str]:
    """The requirements that fail of themselves."""
    return {
        row.requirement
        for row in rows
        if row.finding.verdict is Verdict.FAIL and not row.finding.because
    }


def unclear(rows: Collection[Row]) -> list[str]:
    """The requirements that could not be told."""
    return [row.requirement for row in rows if row.finding.verdict is Verdict.SKIPPED]
