"""The site document (`site.yaml`): shared by all directors of a site, byte for byte.

These models are the vocabulary that users write. They check one value at a time; what concerns several
values at once is in `kernelbal.config.checks`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import FailFast, Field

from kernelbal.model.fields import Duration, Few, Model, Name, SharedAddress, SysctlValue
from kernelbal.model.site.edge import Edge
from kernelbal.model.site.services import VirtualService


class Network(Model):
    """A network of the site; `node.yaml` says which device leads to it."""

    shared_addresses: Annotated[tuple[SharedAddress, ...], Few] = Field(
        (), description="Addresses that the active director holds, with the subnet's prefix length."
    )


class TimeoutSettings(Model):
    """IPVS connection timeouts."""

    tcp: Duration = Field(900.0, description="Established TCP connections.")
    tcp_fin: Duration = Field(120.0, description="TCP after the first FIN.")
    udp: Duration = Field(300.0, description="UDP.")


class KernelSettings(Model):
    """Settings of the kernel that hold for the whole site."""

    timeouts: TimeoutSettings = Field(
        default_factory=TimeoutSettings, description="IPVS connection timeouts."
    )
    sysctls: Annotated[dict[str, SysctlValue], Few] = Field(
        default_factory=dict,
        description="`net.ipv4.vs.*` values that replace the recommended ones, by name without the prefix.",
    )


class Site(Model):
    """One load-balancing site."""

    networks: Annotated[dict[Name, Network], Few] = Field(
        default_factory=dict, description="Networks by name."
    )
    kernel: KernelSettings = Field(default_factory=KernelSettings, description="Kernel settings.")
    virtual_services: Annotated[tuple[VirtualService, ...], FailFast()] = Field(
        (), description="Virtual services."
    )
    edge: Edge | None = Field(None, description="Address translation and policy routes of a router host.")
