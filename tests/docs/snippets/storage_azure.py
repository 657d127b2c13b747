"""Where a repository in Azure Blob Storage is."""

import icechunk

# From environment
storage = icechunk.azure_storage(account="...", container="...", prefix="...", from_env=True)

# Explicit credentials
storage = icechunk.azure_storage(
    account_name="...",
    container="...",
    prefix="...",
    account_key="...",
    access_token=None,
    sas_token=None,
    bearer_token=None,
)
