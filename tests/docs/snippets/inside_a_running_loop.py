"""Inside an event loop (Flask, some Jupyter setups) nothing needs `nest_asyncio`."""

import asyncio

import icechunk

repo = icechunk.Repository.create(icechunk.in_memory_storage())


async def handler():
    session = repo.writable_session("main")
    session.commit("empty", allow_empty=True)
    return repo.list_branches()


assert asyncio.run(handler()) == {"main"}
