"""Stores without conditional writes may need the unsafe settings."""

import icechunk

storage = icechunk.in_memory_storage()

config = icechunk.RepositoryConfig(
    storage=icechunk.StorageSettings(
        unsafe_use_conditional_update=False,
        unsafe_use_conditional_create=False,
    )
)
repo = icechunk.Repository.create(storage, config=config)

assert repo.config.storage.unsafe_use_conditional_create is False
