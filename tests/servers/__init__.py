"""Real servers on the loopback interface, for tests and measurements.

| for | server | module |
|---|---|---|
| S3 | ministack; moto, made atomic | `s3` |
| S3 that ignores conditions | `rclone serve s3` | `s3` |
| Azure | Azurite | `azurite` |
| Google Cloud Storage | a stand-in of our own | `gcs`, `gcs_standin` |
| HTTP, redirects | nginx | `nginx` |
| a bad network | a reverse proxy of our own | `proxy` |

`make servers` installs those that are not our own. Each server is a context manager; it raises
`NotInstalled` where it can't be started, for which the fixtures of `tests.servers.fixtures` skip.
"""
