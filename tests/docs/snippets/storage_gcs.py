"""Where a repository in Google Cloud Storage is."""

import icechunk

# From environment
storage = icechunk.gcs_storage(bucket="...", prefix="...", from_env=True)

# Service account file
storage = icechunk.gcs_storage(
    bucket="...", prefix="...", service_account_file="/path/to/service-account.json"
)

# Application default credentials
storage = icechunk.gcs_storage(
    bucket="...", prefix="...", application_credentials="/path/to/adc.json"
)

# Bearer token
storage = icechunk.gcs_storage(bucket="...", prefix="...", bearer_token="...")
