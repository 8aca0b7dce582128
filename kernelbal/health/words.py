"""The words for how a real server stands, as the status shows them."""

from __future__ import annotations

from typing import Final

SERVING: Final = "serving"
RAMPING: Final = "ramping"
"""In service, with less than its weight yet."""
DRAINING: Final = "draining"
DRAINED: Final = "drained"
DISABLED: Final = "disabled"
DOWN: Final = "down"
UNKNOWN: Final = "unknown"
"""Not checked yet."""
STANDBY: Final = "standby"
"""It could serve, but its virtual service is not serving by it."""
QUIESCED: Final = "quiesced"
"""It gets no new connections, because the site file or its agent says so."""

IN_SERVICE: Final = frozenset({SERVING, RAMPING, STANDBY})
"""Words for a real server that could take connections."""
SENT_AWAY: Final = frozenset({DRAINING, DRAINED, DISABLED, QUIESCED})
"""Words for a real server that somebody wants to take none."""
