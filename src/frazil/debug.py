"""What to tell when something goes wrong: versions of everything that takes part."""

from __future__ import annotations

import platform
from importlib import metadata

from frazil._version import __version__

_COMPANIONS = ("zarr", "numcodecs", "numpy", "xarray", "virtualizarr")


def user_agent() -> str:
    """How this package names itself to servers."""
    return f"frazil/{__version__}"


def print_debug_info() -> None:
    """Print the versions of the platform, of Python, of this package and of its companions."""
    print(f"platform:  {platform.platform()}")
    print(f"python:  {platform.python_version()}")
    print(f"frazil:  {__version__}")
    for name in _COMPANIONS:
        try:
            print(f"{name}:  {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
