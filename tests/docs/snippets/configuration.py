"""Set, store and fetch a configuration."""

import icechunk

storage = icechunk.in_memory_storage()

# Get default config
config = icechunk.RepositoryConfig.default()

# Configure compression
config.compression = icechunk.CompressionConfig(
    level=3, algorithm=icechunk.CompressionAlgorithm.Zstd
)

# Configure caching
config.caching = icechunk.CachingConfig(
    num_snapshot_nodes=500000,  # default increased in 1.1.7
    num_chunk_refs=100,
    num_transaction_changes=100,
    num_bytes_attributes=10_000,
    num_bytes_chunks=100_000_000,  # increased in 1.1.7
)

# Configure storage settings
config.storage = icechunk.StorageSettings(
    concurrency=icechunk.StorageConcurrencySettings(
        max_concurrent_requests_for_object=10,
        ideal_concurrent_request_size=1_000_000,
    ),
    storage_class="STANDARD",
    metadata_storage_class="STANDARD_IA",
    chunks_storage_class="STANDARD_IA",
)

# Configure inline chunk threshold
config.inline_chunk_threshold_bytes = 4096

# Configure concurrency
config.get_partial_values_concurrency = 8
config.max_concurrent_requests = 100

# Create/open repo with custom config
repo = icechunk.Repository.create(storage, config=config)

# Save modified config to repo
config.inline_chunk_threshold_bytes = 2048
repo.save_config(config)
assert repo.config.inline_chunk_threshold_bytes == 2048

# Or fetch from existing repo
config = icechunk.Repository.fetch_config(storage)
assert config.inline_chunk_threshold_bytes == 2048
assert config.storage.chunks_storage_class == "STANDARD_IA"
assert icechunk.Repository.open(storage).config.max_concurrent_requests == 100
