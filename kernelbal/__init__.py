"""One YAML document describes a load-balancing site; kernelbal makes the Linux kernel match it."""
