"""A repository that a web server offers for reading."""

import icechunk

storage = icechunk.http_storage(
    "https://example.com/path/to/repo", opts={"timeout": "30s", "connect_timeout": "5s"}
)
