"""The stand-in for Google Cloud Storage, as a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from obstore.store import GCSStore

from tests.servers.process import HOST, free_port, listens, running

BUCKET = "frazil"


@dataclass(frozen=True)
class Gcs:
    """A bucket of the stand-in, and how to reach it."""

    name: str
    address: str

    def through(self, address: str) -> Gcs:
        """The same bucket behind a proxy."""
        return replace(self, address=address)

    @property
    def key(self) -> str:
        """A service account's key that says where the stand-in is, and to ask nobody for tokens."""
        return json.dumps(
            {
                "gcs_base_url": f"http://{self.address}",
                "disable_oauth": True,
                "client_email": "",
                "private_key": "",
                "private_key_id": "",
            }
        )

    def storage(self, library: Any, prefix: str) -> Any:
        """The storage of `frazil` or `icechunk` at a prefix."""
        return library.gcs_storage(
            bucket=BUCKET,
            prefix=prefix,
            service_account_key=self.key,
            config={"allow_http": "true"},
        )

    def client(self, prefix: str | None = None) -> GCSStore:
        """A client that knows nothing of Frazil."""
        return GCSStore(
            BUCKET,
            prefix=prefix,
            service_account_key=self.key,
            client_options={"allow_http": True},
        )


@contextmanager
def gcs_standin(folder: Path) -> Iterator[Gcs]:
    """See `gcs_standin`: a stand-in, not the real one."""
    port = free_port()
    script = Path(__file__).with_name("gcs_standin.py")
    with running([sys.executable, str(script), str(port)], folder, lambda: listens(port)):
        yield Gcs("gcs-standin", f"{HOST}:{port}")
