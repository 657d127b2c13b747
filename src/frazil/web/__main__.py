"""`python -m frazil.web URL`."""

from __future__ import annotations

import argparse

from frazil.errors import IcechunkError
from frazil.web.serving import PORT, serve


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m frazil.web", description=__doc__)
    parser.add_argument("url", help="a repository, as for frazil.open")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=PORT, help="0: any that is free")
    parser.add_argument("--write", action="store_true", help="branches and tags can be changed")
    parser.add_argument("--token", help="what visitors have to know; made up unless on loopback")
    parser.add_argument("--open-browser", action="store_true", help="open the page")
    given = parser.parse_args()
    try:
        serve(
            given.url,
            host=given.host,
            port=given.port,
            write=given.write,
            token=given.token,
            open_browser=given.open_browser,
        )
    except (IcechunkError, OSError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
