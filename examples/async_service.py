"""A web service that answers from any version, and takes corrections: an ASGI application.

    uvicorn --app-dir examples async_service:app     to serve the repository in ./climate
    python examples/async_service.py [FOLDER]        to try it without a server

    GET  /versions                                   the history of the branch main
    GET  /values?array=t&index=0,3&tag=v1            a value of an array, of main without a tag
    POST /values?array=t&index=0,3&value=280&by=me   a commit that corrects it

Nothing here blocks the event loop for long: each method of Frazil has a twin that ends in `_async`,
and Zarr's asynchronous arrays read and write on stores of sessions.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import zarr.api.asynchronous as zarr_async

import frazil

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class App:
    """The service, for a repository at a path or URL."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._repo: frazil.Repository | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        query = {
            name: value for name, (value, *_) in parse_qs(scope["query_string"].decode()).items()
        }
        try:
            status, answer = 200, await self._answer(scope["method"], scope["path"], query)
        except (frazil.NotFoundError, FileNotFoundError, IndexError) as error:
            status, answer = 404, {"error": str(error)}
        except frazil.ConflictError as error:
            status, answer = 409, {"error": str(error)}
        except (KeyError, ValueError) as error:
            status, answer = 400, {"error": repr(error)}
        body = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, method: str, path: str, query: dict[str, str]) -> Any:
        if self._repo is None:
            self._repo = await frazil.Repository.open_async(frazil.storage_from_url(self._place))
        repo = self._repo
        if (method, path) == ("GET", "/versions"):
            infos = repo.async_ancestry(branch="main")
            return [{"id": info.id, "message": info.message} async for info in infos]
        if path != "/values":
            raise frazil.NotFoundError(f"there is nothing at {path}")
        index = tuple(int(part) for part in query["index"].split(","))
        if method == "GET":
            session = await repo.at_async(tag=query.get("tag"))
            array = await zarr_async.open_array(store=session.store, path=query["array"], mode="r")
            return {"value": float(np.asarray(await array.getitem(index)))}
        message = f"Correct {query['array']}[{query['index']}]"
        options = {"metadata": {"by": query["by"]}, "rebase_with": frazil.ConflictDetector()}
        async with repo.edit("main", message, **options) as tree:
            array = await zarr_async.open_array(store=tree.store, path=query["array"], mode="r+")
            await array.setitem(index, float(query["value"]))
        return {"id": await repo.lookup_branch_async("main")}


app = App("climate")


async def request(app: App, method: str, target: str) -> tuple[int, Any]:
    """What a server would do with a request."""
    path, _, query = target.partition("?")
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


async def main(folder: Path) -> None:
    place = str(folder / "climate")
    repo = await frazil.Repository.create_async(frazil.local_filesystem_storage(place))
    async with repo.edit("main", "First values") as tree:
        values = np.full((10, 10), 280.0)
        await zarr_async.create_array(tree.store, name="t", data=values, chunks=(1, 10))
    await repo.create_tag_async("v1", await repo.lookup_branch_async("main"))

    service = App(place)
    # Ten corrections at the same time: all of them are in the history in the end.
    corrections = [f"/values?array=t&index={i},0&value={300 + i}&by=me" for i in range(10)]
    answers = await asyncio.gather(*(request(service, "POST", target) for target in corrections))
    statuses = sorted(status for status, _ in answers)
    _, versions = await request(service, "GET", "/versions")
    print(len(versions), "versions; answers:", statuses)
    new = await asyncio.gather(
        *(request(service, "GET", f"/values?array=t&index={i},0") for i in range(10))
    )
    old = await request(service, "GET", "/values?array=t&index=3,0&tag=v1")
    print("now", [answer["value"] for _, answer in new], "before", old[1]["value"])

    assert statuses == [200] * 10
    assert len(versions) == 12
    assert [answer["value"] for _, answer in new] == list(range(300, 310))
    assert old == (200, {"value": 280.0})
    for target, status in [("/nowhere", 404), ("/values?array=t&index=x", 400),
                           ("/values?array=u&index=0", 404), ("/values?index=0", 400)]:  # fmt: skip
        assert (await request(service, "GET", target))[0] == status, target


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(main(Path(folder)))
