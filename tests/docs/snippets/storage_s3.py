"""Where a repository in S3 is."""

import icechunk

# From environment (EC2, etc.)
storage = icechunk.s3_storage(bucket="my-bucket", prefix="my-prefix", from_env=True)

# Explicit credentials
storage = icechunk.s3_storage(
    bucket="my-bucket",
    prefix="my-prefix",
    region="us-east-1",
    access_key_id="...",
    secret_access_key="...",
    session_token=None,
    endpoint_url=None,
    allow_http=False,
)

# Anonymous
storage = icechunk.s3_storage(
    bucket="my-bucket", prefix="my-prefix", region="us-east-1", anonymous=True
)
