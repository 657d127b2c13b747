"""config.yaml: the text that Icechunk writes, and what it tolerates."""

from __future__ import annotations

import pytest

from frazil.errors import FormatError
from frazil.format.config_yaml import dump_config, load_config

# Written by icechunk 2.3.0.
DEFAULT = b"""\
inline_chunk_threshold_bytes: null
get_partial_values_concurrency: null
compression: null
max_concurrent_requests: null
max_concurrent_decodes: null
caching: null
storage:
  concurrency:
    max_concurrent_requests_for_object: 5
    ideal_concurrent_request_size: 4096
  retries:
    max_tries: 1
    initial_backoff_ms: 0
    max_backoff_ms: 0
  timeouts: null
  unsafe_use_conditional_update: false
  unsafe_use_conditional_create: null
  unsafe_use_metadata: false
  storage_class: null
  metadata_storage_class: null
  chunks_storage_class: null
  minimum_size_for_multipart_upload: null
virtual_chunk_containers: null
manifest: null
previous_file: null
repo_update_retries: null
num_updates_per_repo_info_file: null
"""

FULL = b"""\
inline_chunk_threshold_bytes: 512
get_partial_values_concurrency: 10
compression:
  algorithm: zstd
  level: 3
max_concurrent_requests: 100
max_concurrent_decodes: 12
caching:
  num_snapshot_nodes: 1
  num_chunk_refs: 2
  num_transaction_changes: 3
  num_bytes_attributes: 4
  num_bytes_chunks: 1099511627776
storage:
  concurrency:
    max_concurrent_requests_for_object: 5
    ideal_concurrent_request_size: 6
  retries:
    max_tries: 3
    initial_backoff_ms: 7
    max_backoff_ms: 8
  timeouts:
    connect_timeout_ms: 1
    read_timeout_ms: 2
    operation_timeout_ms: 3
    operation_attempt_timeout_ms: 4
  unsafe_use_conditional_update: true
  unsafe_use_conditional_create: true
  unsafe_use_metadata: false
  storage_class: a
  metadata_storage_class: 'b: c'
  chunks_storage_class: 'true'
  minimum_size_for_multipart_upload: 9
virtual_chunk_containers:
  s3://bucket/pre/:
    name: null
    url_prefix: s3://bucket/pre/
    store: !s3_compatible
      region: us-east-1
      endpoint_url: http://x
      anonymous: true
      allow_http: true
      force_path_style: true
      network_stream_timeout_seconds: 60
      requester_pays: true
      checksum_algorithm: crc32c
  gs://x/:
    name: null
    url_prefix: gs://x/
    store: !gcs
      k: v
      'true': '1'
  file:///data/:
    name: '1e5'
    url_prefix: file:///data/
    store: !local_file_system /data
  memory://x/:
    name: null
    url_prefix: memory://x/
    store: in_memory
manifest:
  preload:
    max_total_refs: 10
    preload_if: !and
    - !or
      - !path_matches
        regex: a.*
      - !name_matches
        regex: 'b: #.*'
    - !num_refs
      from: !Included 1
      to: !Excluded 5
    - !num_refs
      from: Unbounded
      to: Unbounded
    - 'true'
    - 'false'
    max_arrays_to_scan: 9
  splitting:
    split_sizes:
    - - any_array
      - - condition: !Axis 0
          num_chunks: 3
        - condition: Any
          num_chunks: 5
        - condition: !DimensionName '1'
          num_chunks: 4
        - condition: !DimensionName x.*
          num_chunks: 4
    - - !or
        - !path_matches
          regex: p
        - !and
          - !name_matches
            regex: 'true'
          - !name_matches
            regex: ''
      - - condition: Any
          num_chunks: 1
    - - !name_matches
        regex: it's "q"
      - - condition: Any
          num_chunks: 2
  virtual_chunk_location_compression:
    min_num_chunks: 1
    dictionary_max_training_samples: 2
    dictionary_max_size_bytes: 3
    compression_level: -4
  max_concurrent_manifest_fetches_during_commit: null
previous_file: null
repo_update_retries:
  default:
    max_tries: 3
    initial_backoff_ms: 7
    max_backoff_ms: 8
num_updates_per_repo_info_file: 7
"""


@pytest.mark.parametrize("text", [DEFAULT, FULL])
def test_writes_the_text_that_it_read(text: bytes) -> None:
    assert dump_config(load_config(text, where="config.yaml")).decode() == text.decode()


def test_the_document_has_the_form_of_json() -> None:
    document = load_config(FULL, where="config.yaml")
    assert document["manifest"]["preload"]["preload_if"] == {
        "and": [
            {"or": [{"path_matches": {"regex": "a.*"}}, {"name_matches": {"regex": "b: #.*"}}]},
            {"num_refs": {"from": {"Included": 1}, "to": {"Excluded": 5}}},
            {"num_refs": {"from": "Unbounded", "to": "Unbounded"}},
            "true",
            "false",
        ]
    }
    assert document["manifest"]["splitting"]["split_sizes"][0] == [
        "any_array",
        [
            {"condition": {"Axis": 0}, "num_chunks": 3},
            {"condition": "Any", "num_chunks": 5},
            {"condition": {"DimensionName": "1"}, "num_chunks": 4},
            {"condition": {"DimensionName": "x.*"}, "num_chunks": 4},
        ],
    ]
    stores = {k: v["store"] for k, v in document["virtual_chunk_containers"].items()}
    assert stores["gs://x/"] == {"gcs": {"k": "v", "true": "1"}}
    assert stores["file:///data/"] == {"local_file_system": "/data"}
    assert stores["memory://x/"] == "in_memory"
    assert stores["s3://bucket/pre/"]["s3_compatible"]["region"] == "us-east-1"


def test_missing_keys_are_written_as_null() -> None:
    document = {"storage": {"unsafe_use_metadata": True}}
    loaded = load_config(dump_config(document), where="config.yaml")
    assert list(loaded) == list(load_config(DEFAULT, where="config.yaml"))
    assert loaded["manifest"] is None
    assert loaded["storage"]["unsafe_use_metadata"] is True
    assert loaded["storage"]["retries"] is None


@pytest.mark.parametrize("text", ["no", "yes", "1e5", "012", "0x10", "1:30", "~", "", "a\nb", "é"])
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    container = {"name": text, "url_prefix": text, "store": {"local_file_system": text}}
    document = {"virtual_chunk_containers": {text: container}}
    loaded = load_config(dump_config(document), where="config.yaml")
    assert loaded["virtual_chunk_containers"] == {text: container}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("012", "012"),
        ("0x10", 16),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("Null", None),
        ("True", True),
        ("!!str 5", "5"),
        ("!Axis 5", {"Axis": 5}),
        ("!Axis", "Axis"),
        ("[1, &x [2], *x]", [1, [2], [2]]),
        ("9" * 30, float("9" * 30)),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert load_config(f"key: {text}".encode(), where="config.yaml") == {"key": value}


@pytest.mark.parametrize("text", ["true", "'true'", "!true"])
def test_preload_conditions_may_be_written_as_booleans(text: str) -> None:
    data = f"manifest:\n  preload:\n    preload_if: {text}\n".encode()
    document = load_config(data, where="config.yaml")
    assert document["manifest"]["preload"]["preload_if"] == "true"


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"---\n...\n", b"null"])
def test_an_empty_file_is_an_empty_document(data: bytes) -> None:
    assert load_config(data, where="config.yaml") == {}


@pytest.mark.parametrize(
    "data",
    [
        b"- 1",
        b"text",
        b"{",
        b"\xff",
        b"a: \x00",
        b"a: 1\na: 2",
        b"a: 1\n---\nb: 2",
        b"? [a]\n: 1",
        b"a: *missing",
        b"a: &a [*a]",
        b"[" * 100_000,
        b"- " * 10_000 + b"1",
        b"a: " + b"x" * (1 << 20),
        b"%YAML 3.0\n---\na: 1",
    ],
)
def test_damage_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^config\.yaml: ") as caught:
        load_config(data, where="config.yaml")
    assert caught.value.kind == "config-deserialization"


def test_aliases_cannot_expand_without_bound() -> None:
    lines = ["k0: &k0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(FormatError, match="more than 100000 values"):
        load_config("\n".join(lines).encode(), where="config.yaml")
