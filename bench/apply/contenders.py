"""The contenders: each programs one workload in a fresh network namespace and is measured doing it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.apply import workload as documents
from bench.apply.samples import Measure, Sample
from bench.apply.workload import Workload
from bench.keepalived import running_keepalived
from bench.measured import Usage, family_of, run_measured
from bench.place import open_counter
from kernelbal.lab import process
from kernelbal.model.address import format_endpoint

PROGRAM_LIMIT_S: Final = 300.0
"""Most seconds of one program; more is a failure, not a figure."""
POLL_S: Final = 0.005
"""How often the kernel is asked whether keepalived is through; one question takes some 50 microseconds."""
_SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Trial:
    """One turn of one contender.

    Attributes:
        repeat: from 1 on.
        files: directory with the documents of `write_documents`.
    """

    workload: Workload
    repeat: int
    files: Path

    @property
    def output(self) -> Path:
        """Where programs print."""
        return self.files / "output"

    def sample(self, measure: Measure, usage: Usage, fault: str = "") -> Sample:
        """Return a finished program's measurement; a program that failed gives no figure."""
        if usage.status != 0:
            said = self.output.read_text(encoding="utf-8", errors="replace").strip()
            fault = f"exit status {usage.status}: {said[-_SHOWN_CHARACTERS:]}"
        return Sample(
            measure,
            self.workload.services,
            self.repeat,
            usage.wall_s,
            usage.cpu_s,
            usage.peak_rss_mib,
            fault,
        )


def write_documents(workload: Workload, files: Path) -> None:
    """Write the site in every contender's language."""
    changed = Workload(workload.services, changed=True)
    for name, text in (
        ("site.yaml", documents.site_yaml(workload)),
        ("changed.yaml", documents.site_yaml(changed)),
        ("node.yaml", documents.node_yaml()),
        ("ipvsadm.rules", documents.ipvsadm_rules(workload)),
        ("keepalived.conf", documents.keepalived_conf(workload)),
    ):
        (files / name).write_text(text, encoding="utf-8")


def netlink_part(trial: Trial) -> Iterator[Sample]:
    """Measure our driver alone, in a process of its own; what comes before its first call is not counted."""
    argv = [sys.executable, "-m", "bench.apply.netlink_part", str(trial.workload.services)]
    usage = run_measured(argv, trial.output, PROGRAM_LIMIT_S)
    said = trial.output.read_text(encoding="utf-8") if usage.status == 0 else "[0, 0, 0, 0, false]"
    program_s, program_cpu_s, read_s, read_cpu_s, as_wanted = json.loads(said)
    fault = _count_fault(trial) or ("" if as_wanted else "what was read is not what was programmed")
    yield trial.sample(Measure.NETLINK_PROGRAM, usage._replace(wall_s=program_s, cpu_s=program_cpu_s), fault)
    yield trial.sample(Measure.NETLINK_READ, usage._replace(wall_s=read_s, cpu_s=read_cpu_s), fault)


def ipvsadm(trial: Trial) -> Iterator[Sample]:
    """Measure restoring from a file, and saving with numbers."""
    restored = run_measured(["ipvsadm", "-R"], trial.output, PROGRAM_LIMIT_S, trial.files / "ipvsadm.rules")
    yield trial.sample(Measure.IPVSADM_RESTORE, restored, _count_fault(trial))
    saved = run_measured(["ipvsadm", "-Sn"], trial.output, PROGRAM_LIMIT_S)
    with trial.output.open(encoding="utf-8") as lines:
        found = sum(1 for _ in lines)
    wanted = trial.workload.services + trial.workload.real_servers
    yield trial.sample(Measure.IPVSADM_SAVE, saved, "" if found == wanted else f"{found} lines, not {wanted}")


def kernelbal_apply(trial: Trial) -> Iterator[Sample]:
    """Measure `kernelbal apply` on an empty kernel, and again after one weight was changed in the file."""
    yield _apply(trial, Measure.APPLY, "site.yaml", Workload(trial.workload.services))
    yield _apply(
        trial, Measure.APPLY_CHANGE_ONE, "changed.yaml", Workload(trial.workload.services, changed=True)
    )


def _apply(trial: Trial, measure: Measure, site: str, wanted: Workload) -> Sample:
    argv = [sys.executable, "-m", "kernelbal", "apply", str(trial.files / site)]
    argv += [
        "--node",
        str(trial.files / "node.yaml"),
        "--state-dir",
        str(trial.files / f"state{trial.repeat}"),
    ]
    usage = run_measured(argv, trial.output, PROGRAM_LIMIT_S)
    return trial.sample(measure, usage, _count_fault(trial) or _weight_fault(wanted))


def _weight_fault(wanted: Workload) -> str:
    """Ask `ipvsadm` for the one service whose weight differs between the two documents."""
    service = wanted.service(wanted.changed_service)
    server = service.servers[0]
    row = format_endpoint(server.address, service.port)
    listed = process.run(["ipvsadm", "-Ln", "-t", format_endpoint(service.address, service.port)]).stdout
    weights = [line.split()[3] for line in listed.splitlines() if line.split()[1:2] == [row]]
    return "" if weights == [str(server.weight)] else f"{row} has weight {weights}, not {server.weight}"


def keepalived(trial: Trial) -> Iterator[Sample]:
    """Measure from the start of keepalived until the kernel holds everything."""
    with open_counter() as counter:
        began_at = time.perf_counter()
        with running_keepalived(trial.files, trial.output) as started:
            while not counter.is_full(trial.workload) and started.poll() is None:
                if time.perf_counter() > began_at + PROGRAM_LIMIT_S:
                    break
                time.sleep(POLL_S)
            wall_s = time.perf_counter() - began_at
            family = family_of(started.pid)
            fault = counter.fault(trial.workload)
    usage = Usage(0, wall_s, family.cpu_s, family.peak_rss_mib)
    yield trial.sample(Measure.KEEPALIVED_START, usage, fault)


def _count_fault(trial: Trial) -> str:
    with open_counter() as counter:
        return counter.fault(trial.workload)


Contender = Callable[[Trial], Iterator[Sample]]
CONTENDERS: Final[Sequence[Contender]] = (netlink_part, ipvsadm, keepalived, kernelbal_apply)
