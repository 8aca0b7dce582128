"""A prepared real server behind a director, and what verification says of it."""

from collections.abc import Collection

from kernelbal.lab.namespaces import Host
from kernelbal.model.verification import RequirementResult, ResultStatus
from kernelbal.plan.action import Result
from kernelbal.plan.kind import Ownership
from kernelbal.realserver.host import LinuxHost
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.verify.evidence import HostEvidence
from kernelbal.realserver.verify.gather import Outside, gather
from kernelbal.realserver.verify.requirements import verify_addresses
from tests.lab.realserver_plan import plan


def prepare(host: Host, *preparations: Preparation) -> None:
    """Bring preparations into force, without a record."""
    with host.inside(), LinuxHost() as linux:
        outcomes = linux.perform(plan(linux, preparations, Ownership())[0])
    assert [each for each in outcomes if each.result is Result.FAILED] == []


def read(host: Host, *preparations: Preparation, outside: Outside) -> HostEvidence:
    """Everything that verification knows."""
    with host.inside(), LinuxHost() as linux:
        return gather(linux, preparations, outside)


def verify(host: Host, *preparations: Preparation, outside: Outside) -> tuple[RequirementResult, ...]:
    """Everything that verification says."""
    reports = verify_addresses(preparations, read(host, *preparations, outside=outside))
    return tuple(result for report in reports for result in report.results)


def shown(results: Collection[RequirementResult]) -> str:
    """All results as text, for the message of an assertion."""
    return "\n".join(f"{result.requirement}: {result}" for result in results)


def faults(results: Collection[RequirementResult]) -> set[str]:
    """The requirements that fail of themselves."""
    return {
        result.requirement
        for result in results
        if result.status is ResultStatus.FAIL and not result.consequence_of
    }


def unclear(results: Collection[RequirementResult]) -> list[str]:
    """The requirements that could not be told."""
    return [result.requirement for result in results if result.status is ResultStatus.UNKNOWN]
