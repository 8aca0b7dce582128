"""VRRP (RFC 9568, RFC 5798, RFC 3768): packets and which of them count, the state machine, groups."""
