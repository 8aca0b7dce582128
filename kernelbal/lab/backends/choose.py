"""Which back end to use: the first that can be, in an order that prefers the fast and the real."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kernelbal.lab.backends.netns import NetnsBackend
from kernelbal.lab.backends.qemu import QemuBackend
from kernelbal.lab.backends.uml import UmlBackend
from kernelbal.lab.errors import BackendUnavailable
from kernelbal.lab.names import BackendName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernelbal.lab.backends.base import Backend, Unavailable


class Candidate(NamedTuple):
    """A back end and why it cannot be used (None: it can)."""

    backend: Backend
    refusal: Unavailable | None


def all_backends() -> tuple[Backend, ...]:
    """Return every back end, the preferred first."""
    return (NetnsBackend(), UmlBackend(), QemuBackend())


def candidates(backends: Iterable[Backend] | None = None) -> list[Candidate]:
    """Return every back end with its refusal; asking may load the module `ip_vs`."""
    return [Candidate(backend, backend.refusal()) for backend in backends or all_backends()]


def choose(wanted: BackendName = BackendName.AUTO, backends: Iterable[Backend] | None = None) -> Backend:
    """Return the first usable back end, or the wanted one.

    Raises:
        BackendUnavailable: there is none; the message holds every reason.
    """
    reasons = []
    for backend in backends or all_backends():
        if wanted not in (BackendName.AUTO, backend.name):
            continue
        refusal = backend.refusal()
        if refusal is None:
            return backend
        reasons.append(f"{backend.name}: {refusal}")
    raise BackendUnavailable(
        "no kernel with IPVS: " + "; ".join(reasons), "`kernelbal lab kernel` builds one"
    )
