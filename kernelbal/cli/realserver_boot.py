"""Who brings a real server's preparations back at boot, and by which files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernelbal.cli.output import say
from kernelbal.realserver.persist.manager import Manager

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernelbal.realserver.preparation import Preparation
    from kernelbal.realserver.setup import Record, Setup


def choose_manager(persist: Manager | None, preparations: tuple[Preparation, ...], record: Record) -> str:
    """Return the name of who brings the preparations back; empty where none of them is to be.

    Without a manager that stays whoever it was before; at first it is whoever configures the interfaces.

    Raises:
        PlanRefused: nobody is known who could, or the one that is named would not read our files.
    """
    from kernelbal.realserver.persist.detect import check, detect
    from kernelbal.realserver.persist.observe import read_network_configuration

    kept = [each for each in preparations if each.at_boot]
    if not kept:
        return ""
    if persist is not None and persist is not Manager.NONE:
        check(read_network_configuration(), persist)
        return str(persist.value)
    if record.persist:
        return record.persist
    interfaces = tuple(sorted({name for each in kept for name in each.interfaces}))
    found = detect(read_network_configuration(), interfaces)
    say(f"  note: brought back at boot by {found.manager.value}: {found.reason}")
    return found.manager.value


def check_boot(files: Mapping[str, str]) -> None:
    """Find out whether files by path would do their work at boot.

    Raises:
        PlanRefused: a program that they call is missing.
    """
    from kernelbal.realserver.persist.detect import check_programs
    from kernelbal.realserver.persist.observe import read_network_configuration

    if files:
        check_programs(read_network_configuration(), files)


def files_at_boot(setup: Setup, manager: str, sysctls: Mapping[str, str | None]) -> Mapping[str, str]:
    """Return the text by path of the files that bring a setup back at boot.

    Args:
        setup: what the kernel must hold then.
        manager: name of who reads them.
        sysctls: as they are.
    """
    from kernelbal.realserver.persist.files import files_for
    from kernelbal.realserver.persist.observe import read_network_configuration
    from kernelbal.render import render

    return files_for(
        setup, Manager(manager), render, lo_network=read_network_configuration().lo_network, values=sysctls
    )
