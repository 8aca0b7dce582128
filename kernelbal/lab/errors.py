"""What can go wrong in the lab, named for what the catcher can do."""

from __future__ import annotations

from kernelbal.errors import KernelbalError


class LabError(KernelbalError):
    """Base of the lab's errors."""


class TopologyError(LabError):
    """A topology file is not usable; the message names the file and the setting."""


class BackendUnavailable(LabError):
    """No back end can provide a kernel with IPVS here; the message holds each one's reason."""


class GuestFailed(LabError):
    """The guest did not come up, or ended without a result; the message quotes what it said last."""


class GuestTimeout(LabError):
    """The command in the guest outlived its time limit and was ended."""


class KernelBuildError(LabError):
    """The lab kernel could not be fetched or built; the message quotes the failing step."""


class SessionError(LabError):
    """`lab up` has not been run, or its lab has gone."""
