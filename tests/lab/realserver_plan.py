"""Plans of real servers in namespaces, without the files that bring them back at boot."""

from kernelbal.kernel.interface import Kernel
from kernelbal.plan.action import Action
from kernelbal.plan.kind import Ownership
from kernelbal.plan.planning import claim, make_plan, scopes
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.host import read_host
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.run import KINDS


def plan(
    kernel: Kernel, preparations: tuple[Preparation, ...], owned: Ownership
) -> tuple[tuple[Action, ...], Ownership]:
    """What `apply` would do now, and what the record would claim before it."""
    desired = setup_for(preparations, read_host(kernel)).desired
    observed = kernel.observe(scopes(KINDS, desired, owned))
    made = make_plan(KINDS, desired, observed, owned, 0.0)
    return made.actions, claim(KINDS, owned, made, desired, observed)
