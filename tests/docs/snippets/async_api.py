"""Everything has a twin with the suffix `_async`."""

import asyncio

import icechunk
from icechunk import Repository

storage = icechunk.in_memory_storage()
Repository.create(storage)


async def get_branches(storage):
    repo = await Repository.open_async(storage)
    return await repo.list_branches_async()


# Run async code
branches = asyncio.run(get_branches(storage))
assert branches == {"main"}
