"""Credentials for Google Cloud Storage that are asked for again when they expire."""

from datetime import UTC, datetime, timedelta

import icechunk
from icechunk import GcsBearerCredential


def get_credentials() -> GcsBearerCredential:
    return icechunk.GcsBearerCredential(
        bearer="...", expires_after=datetime.now(UTC) + timedelta(hours=1)
    )


storage = icechunk.gcs_storage(bucket="...", prefix="...", get_credentials=get_credentials)
