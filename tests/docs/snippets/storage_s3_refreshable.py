"""Credentials for S3 that are asked for again when they expire."""

import icechunk
from icechunk import S3StaticCredentials


def get_credentials() -> S3StaticCredentials:
    return icechunk.S3StaticCredentials(
        access_key_id="...", secret_access_key="...", expires_after=None
    )


storage = icechunk.s3_storage(bucket="...", prefix="...", get_credentials=get_credentials)
