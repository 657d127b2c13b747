"""A stand-in for Google Cloud Storage: what its XML API is documented to do, in memory.

It is written from the documentation (https://cloud.google.com/storage/docs/xml-api), and is not
Google's; what passes here has not been seen to pass there. It knows buckets of any name, whole
and partial reads with their conditions, generations, `x-goog-if-generation-match`, metadata,
copies, lists in pages, and multipart uploads. Signatures are not looked at.

    python gcs_standin.py PORT
"""

from __future__ import annotations

import hashlib
import itertools
import re
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

KEPT = re.compile(r"(?i)^(content-type|cache-control|content-disposition|x-goog-meta-.*)$")
PAGE = 1000


@dataclass(frozen=True)
class Stored:
    """One generation of an object."""

    data: bytes
    generation: int
    written: datetime
    headers: dict[str, str]

    @property
    def etag(self) -> str:
        """GCS gives the MD5 for objects in one piece."""
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


class Refused(Exception):
    """A response other than success."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


class Cloud:
    """All buckets. Every change is atomic."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[tuple[str, str], Stored] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.generations = itertools.count(1_700_000_000_000_000)
        self.uploads = itertools.count(1)

    def get(self, bucket: str, key: str) -> Stored:
        """The newest generation."""
        found = self.objects.get((bucket, key))
        if found is None:
            raise Refused(404, "NoSuchKey")
        return found

    def put(
        self, bucket: str, key: str, data: bytes, headers: dict[str, str], expected: str | None
    ) -> Stored:
        """A new generation, if the newest one is the expected one; 0 stands for none."""
        with self.lock:
            there = self.objects.get((bucket, key))
            if expected is not None and int(expected) != (there.generation if there else 0):
                raise Refused(412, "PreconditionFailed")
            stored = Stored(data, next(self.generations), datetime.now(UTC), headers)
            self.objects[bucket, key] = stored
            return stored

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; that it is missing is an error here, other than on S3."""
        with self.lock:
            self.get(bucket, key)
            del self.objects[bucket, key]

    def keys(self, bucket: str) -> list[str]:
        """In the order of a list."""
        with self.lock:
            found = [key for name, key in self.objects if name == bucket]
        return sorted(found, key=str.encode)


CLOUD = Cloud()


class Handler(BaseHTTPRequestHandler):
    """One request of the XML API."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def handle_one(self) -> None:
        """Answer any request."""
        self.body = self._read()
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            if not key:
                self._bucket(bucket, query)
            elif self.command in ("GET", "HEAD"):
                self._read_object(CLOUD.get(bucket, key))
            elif self.command == "DELETE":
                CLOUD.delete(bucket, key)
                self._answer(204)
            elif "uploads" in query or "uploadId" in query:
                self._multipart(bucket, key, query)
            elif self.command == "PUT":
                self._write_object(bucket, key)
            else:
                raise Refused(405, "MethodNotAllowed")
        except Refused as refused:
            self._answer(refused.status, f"<Error><Code>{refused.code}</Code></Error>".encode())

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        empty = status in (204, 304)
        if not empty and "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not empty and self.command != "HEAD":
            self.wfile.write(body)

    def _bucket(self, bucket: str, query: dict[str, str]) -> None:
        if self.command != "GET":
            raise Refused(405, "MethodNotAllowed")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token", query.get("start-after", ""))
        entries: list[str] = []
        last, seen, truncated = "", set(), False
        for key in CLOUD.keys(bucket):
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            folder = prefix + head + delimiter if found else None
            if folder in seen:
                last = key
                continue
            if len(entries) == int(query.get("max-keys", PAGE)):
                truncated = True
                break
            last = key
            if folder is not None:
                seen.add(folder)
                entries.append(
                    f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
                )
            elif (stored := CLOUD.objects.get((bucket, key))) is not None:
                entries.append(
                    f"<Contents><Key>{escape(key)}</Key><Generation>{stored.generation}"
                    f"</Generation><LastModified>{stored.written:%Y-%m-%dT%H:%M:%S.%f}Z"
                    f"</LastModified><ETag>{escape(stored.etag)}</ETag>"
                    f"<Size>{len(stored.data)}</Size></Contents>"
                )
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" * truncated
        body = (
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>"
            f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{token}{''.join(entries)}"
            "</ListBucketResult>"
        )
        self._answer(200, body.encode(), Content_Type="application/xml")

    def _read_object(self, stored: Stored) -> None:
        self._check(stored)
        headers = {
            "ETag": stored.etag,
            "Last_Modified": format_datetime(stored.written, usegmt=True),
            "x_goog_generation": str(stored.generation),
            "x_goog_metageneration": "1",
            "x_goog_stored_content_length": str(len(stored.data)),
            "Accept_Ranges": "bytes",
            **stored.headers,
        }
        size = len(stored.data)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._answer(200, stored.data, Content_Length=str(size), **headers)
            return
        first, last = asked.groups()
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start >= size:
            raise Refused(416, "InvalidRange")
        piece = stored.data[start:end]
        headers["Content_Range"] = f"bytes {start}-{end - 1}/{size}"
        self._answer(206, piece, Content_Length=str(len(piece)), **headers)

    def _check(self, stored: Stored) -> None:
        """The conditions of a read: https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2"""
        given = self.headers
        written = stored.written.replace(microsecond=0)
        generation = given.get("x-goog-if-generation-match")
        if generation is not None and int(generation) != stored.generation:
            raise Refused(412, "PreconditionFailed")
        if "If-Match" in given:
            if not _matches(given["If-Match"], stored.etag):
                raise Refused(412, "PreconditionFailed")
        elif "If-Unmodified-Since" in given and written > _time(given["If-Unmodified-Since"]):
            raise Refused(412, "PreconditionFailed")
        if "If-None-Match" in given:
            if _matches(given["If-None-Match"], stored.etag):
                raise Refused(304, "NotModified")
        elif "If-Modified-Since" in given and written <= _time(given["If-Modified-Since"]):
            raise Refused(304, "NotModified")

    def _write_object(self, bucket: str, key: str) -> None:
        expected = self.headers.get("x-goog-if-generation-match")
        source = self.headers.get("x-goog-copy-source")
        if source is None:
            stored = CLOUD.put(bucket, key, self.body, self._kept(), expected)
            self._answer(200, **_written(stored))
            return
        from_bucket, _, from_key = unquote(source).lstrip("/").partition("/")
        original = CLOUD.get(from_bucket, from_key)
        wanted = self.headers.get("x-goog-copy-source-if-generation-match")
        if wanted is not None and int(wanted) != original.generation:
            raise Refused(412, "PreconditionFailed")
        match = self.headers.get("x-goog-copy-source-if-match")
        if match is not None and not _matches(match, original.etag):
            raise Refused(412, "PreconditionFailed")
        stored = CLOUD.put(bucket, key, original.data, original.headers, expected)
        body = f"<CopyObjectResult><ETag>{escape(stored.etag)}</ETag></CopyObjectResult>"
        self._answer(200, body.encode(), **_written(stored))

    def _multipart(self, bucket: str, key: str, query: dict[str, str]) -> None:
        name = query.get("uploadId", "")
        if "uploads" in query:
            name = str(next(CLOUD.uploads))
            CLOUD.parts[name] = {}
            body = (
                f"<InitiateMultipartUploadResult><Bucket>{escape(bucket)}</Bucket>"
                f"<Key>{escape(key)}</Key><UploadId>{name}</UploadId>"
                "</InitiateMultipartUploadResult>"
            )
            self._answer(200, body.encode())
        elif name not in CLOUD.parts:
            raise Refused(404, "NoSuchUpload")
        elif self.command == "PUT":
            CLOUD.parts[name][int(query["partNumber"])] = self.body
            digest = hashlib.md5(self.body, usedforsecurity=False).hexdigest()
            self._answer(200, ETag=f'"{digest}"')
        else:
            numbers = [int(n) for n in re.findall(rb"<PartNumber>(\d+)</PartNumber>", self.body)]
            parts = CLOUD.parts.pop(name)
            data = b"".join(parts[number] for number in numbers)
            expected = self.headers.get("x-goog-if-generation-match")
            stored = CLOUD.put(bucket, key, data, self._kept(), expected)
            body = (
                f"<CompleteMultipartUploadResult><Location>{quote(key)}</Location>"
                f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
                f"<ETag>{escape(stored.etag)}</ETag></CompleteMultipartUploadResult>"
            )
            self._answer(200, body.encode(), **_written(stored))

    def _kept(self) -> dict[str, str]:
        return {
            name.replace("-", "_"): value
            for name, value in self.headers.items()
            if KEPT.match(name)
        }


def _written(stored: Stored) -> dict[str, str]:
    return {"ETag": stored.etag, "x_goog_generation": str(stored.generation)}


def _matches(given: str, etag: str) -> bool:
    return given.strip() == "*" or etag.strip('"') in [
        item.strip().removeprefix("W/").strip('"') for item in given.split(",")
    ]


def _time(given: str) -> datetime:
    return parsedate_to_datetime(given)


class Server(ThreadingHTTPServer):
    """Takes as many connections at once as there are."""

    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
