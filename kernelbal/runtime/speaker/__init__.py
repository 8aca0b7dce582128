"""The speaker: the process that owns the addresses which the active node has, and speaks VRRP about them."""
