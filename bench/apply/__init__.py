"""How long a whole site takes to get into the kernel: kernelbal, ipvsadm and keepalived in the same run."""
