"""Take the names that are there by now off the list of missing ones:  python -m tests.parity.update

The list only shrinks: if a name that is not on it is missing or different, this says so and
changes nothing.
"""

from __future__ import annotations

import sys

from tests.parity.compare import MISSING, faults, listed


def main() -> int:
    now = faults()
    grown = sorted(now.keys() - listed())
    if grown:
        print("not on the list of missing names, and it must not grow:", file=sys.stderr)
        for name in grown:
            print(f"  {name}: {now[name]}", file=sys.stderr)
        return 1
    gone = listed() - now.keys()
    MISSING.write_text("".join(f"{name}\n" for name in sorted(now)))
    print(f"{len(gone)} names taken off, {len(now)} left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
