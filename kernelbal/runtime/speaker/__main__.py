"""Speaks for the role plan in a file: `python -m kernelbal.runtime.speaker PLAN`."""

import logging
import sys
from pathlib import Path

from kernelbal.errors import KernelbalError
from kernelbal.runtime.speaker.loop import read_plan, serve


def main() -> int:
    """Run the speaker; return 0 when a signal ended it."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        serve(read_plan(Path(sys.argv[1])))
    except (KernelbalError, OSError) as error:
        logging.getLogger(__name__).critical("vrrp.cannot_speak error=%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
