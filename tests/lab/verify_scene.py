"""A prepared real server behind a director, and what verification says of it."""

from collections.abc import Collection

from kernelbal.lab.namespaces import Host
from kernelbal.realserver.host import LinuxHost
from kernelbal.realserver.plan import make_plan
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.setup import Record
from kernelbal.realserver.verify.facts import Facts
from kernelbal.realserver.verify.gather import Outside, gather
from kernelbal.realserver.verify.report import judge
from kernelbal.realserver.verify.row import Row, Verdict
from kernelbal.realserver.wanted import setup_for


def prepare(host: Host, *preparations: Preparation) -> None:
    """Bring preparations into force, without a record."""
    with host.inside(), LinuxHost() as linux:
        found = linux.observe()
        setup = setup_for(preparations, found)
        paths = {path for each in setup.sysctls for path in each.needed}
        found = linux.observe_more(found, paths, tables=True)
        outcomes = linux.perform(make_plan(setup, {}, found, Record()))
    assert [each for each in outcomes if not each.ok] == []


def read(host: Host, *preparations: Preparation, outside: Outside) -> Facts:
    """Everything that verification knows."""
    with host.inside(), LinuxHost() as linux:
        return gather(linux, preparations, outside)


def verify(host: Host, *preparations: Preparation, outside: Outside) -> tuple[Row, ...]:
    """Everything that verification says."""
    return judge(preparations, read(host, *preparations, outside=outside))


def shown(rows: Collection[Row]) -> str:
    """All rows as text, for the message of an assertion."""
    return "\n".join(f"{row.requirement}: {row.finding}" for row in rows)


def faults(rows: Collection[Row]) -> set[str]:
    """The requirements that fail of themselves."""
    return {
        row.requirement for row in rows if row.finding.verdict is Verdict.FAIL and not row.finding.because
    }


def unclear(rows: Collection[Row]) -> list[str]:
    """The requirements that could not be told."""
    return [row.requirement for row in rows if row.finding.verdict is Verdict.SKIPPED]
