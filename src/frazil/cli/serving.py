"""The command that shows a repository in the browser: serve."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from frazil.cli.arguments import Url, Virtual, open_repository
from frazil.cli.commands import Group, command


@command("serve", Group.SERVE, "frazil serve weather", "frazil serve weather --write --port 0")
def serve(
    url: Url,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; by default, to this machine only.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", help="8642 unless given; 0 for any that is free.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Let branches and tags be made and deleted.")
    ] = False,
    token: Annotated[
        str | None,
        typer.Option("--token", help="What visitors must know; made up where others can connect."),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    virtual: Virtual = None,
) -> None:
    """Show a repository in the browser until interrupted.

    See docs/explorer.md.
    """
    repo = open_repository(url, virtual)
    try:
        from frazil.web.serving import PORT
        from frazil.web.serving import serve as run
    except ModuleNotFoundError as error:
        raise typer.BadParameter(
            f"this needs {error.name}: pip install jinja2 starlette uvicorn", param_hint="serve"
        ) from None
    with suppress(KeyboardInterrupt):
        run(
            repo,
            host=host,
            port=PORT if port is None else port,
            write=write,
            token=token,
            open_browser=open_browser,
        )
