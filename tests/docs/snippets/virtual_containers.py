"""Declare where virtual chunks may come from, and allow their use."""

import icechunk

storage = icechunk.in_memory_storage()

# Define virtual chunk containers
s3_store_config = icechunk.s3_store(region="us-east-1")
container = icechunk.VirtualChunkContainer(
    url_prefix="s3://source-bucket", store_config=s3_store_config
)

config = icechunk.RepositoryConfig.default()
config.set_virtual_chunk_container(container)

# Define credentials for reading virtual chunks
credentials = icechunk.containers_credentials(
    {"s3://source-bucket": icechunk.s3_credentials(access_key_id="...", secret_access_key="...")}
)

# Create repo with virtual chunk support
repo = icechunk.Repository.create(
    storage=storage, config=config, authorize_virtual_chunk_access=credentials
)

# Opening repo requires authorizing virtual chunk access
repo = icechunk.Repository.open(
    storage=storage,
    authorize_virtual_chunk_access=credentials,  # Required
)
