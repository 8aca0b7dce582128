"""The lab: a whole load-balancing site on one machine, on a kernel that has IPVS.

A topology is data (`topology`); `namespaces` builds it from network namespaces; a back end (`backends`)
provides a kernel to build it in: the running one, User-mode Linux, or QEMU. Nothing in here touches the
network namespace or the mounts of the machine that it runs on.
"""
