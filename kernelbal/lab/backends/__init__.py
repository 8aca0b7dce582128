"""Where a lab runs: the running kernel, User-mode Linux, or QEMU.

Every back end answers the same call: run this command in an environment that is root, has IPVS, and whose
network and mounts are its own.
"""
