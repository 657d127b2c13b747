"""Forget old snapshots and remove what nothing refers to."""

from datetime import UTC, datetime, timedelta

import icechunk

repo = icechunk.Repository.create(icechunk.in_memory_storage())

# Expire old snapshots (keep only recent commits)
expiry_time = datetime.now(UTC) - timedelta(days=30)
results = repo.expire_snapshots(older_than=expiry_time)

# Run garbage collection (cleanup unreferenced chunks)
results = repo.garbage_collect(expiry_time)
