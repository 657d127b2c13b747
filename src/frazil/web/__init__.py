"""The explorer: a repository in the browser.

    frazil.web.serve("data/weather.frazil")     # until interrupted
    frazil.web.app(repository)                  # the same pages, for a server of your own

Needs `pip install "frazil[web]"`. See docs/explorer.md.
"""

from frazil.web.application import app
from frazil.web.serving import serve

__all__ = ["app", "serve"]
