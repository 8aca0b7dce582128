"""`python -m bench.apply.netlink_part SERVICES`: the IPVS driver alone, in this network namespace.

Prints one JSON list: seconds and processor seconds of programming an empty table, the same of reading it
back, and whether what was read is what was programmed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from bench.apply.workload import Workload, service_table
from kernelbal.kernel.ipvs.table import IpvsTable
from kernelbal.model.ipvs import ServiceTable
from kernelbal.plan.action import Result
from kernelbal.plan.kinds.service_actions import AddDestination, AddService, DestinationAction, ServiceAction

T = TypeVar("T")


def main(argv: list[str]) -> None:
    """Program a workload of as many services as `argv` says, read it back, and print how long both took."""
    wanted = service_table(Workload(int(argv[0])))
    actions = actions_for(wanted)
    with IpvsTable.open() as ipvs:
        outcomes, *programming = _timed(lambda: ipvs.perform(actions))
        done = all(outcome.result is Result.DONE for outcome in outcomes)
        (found, _), *reading = _timed(ipvs.read)
    sys.stdout.write(json.dumps([*programming, *reading, done and found == wanted]) + "\n")


def actions_for(table: ServiceTable) -> list[ServiceAction | DestinationAction]:
    """Return the actions that fill an empty kernel, in the order of a plan: services first."""
    actions: list[ServiceAction | DestinationAction] = [
        AddService(key, server.attributes) for key, server in table.items()
    ]
    for key, server in table.items():
        actions += [AddDestination(key, name, values) for name, values in server.destinations.items()]
    return actions


def _timed(work: Callable[[], T]) -> tuple[T, float, float]:
    cpu_from, wall_from = time.process_time(), time.perf_counter()
    result = work()
    return result, time.perf_counter() - wall_from, time.process_time() - cpu_from


if __name__ == "__main__":
    main(sys.argv[1:])
