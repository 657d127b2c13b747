"""Configurations mean the same to the real library and to Frazil, and look the same stored."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import frazil
from frazil import RepositoryConfig, S3Options
from frazil.format.config_yaml import dump_config, load_config
from frazil.format.repo_info import decode_repo_info, encode_repo_info
from frazil.settings import Settings, _kinds
from tests.interop.libraries import SPECS, every_spec, icechunk


def all_settings(cls: type[Settings]) -> Iterator[type[Settings]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from all_settings(sub)


Make = Callable[[ModuleType], Any]

pytestmark = pytest.mark.skipif(
    SPECS == [1], reason="configurations have more keys since icechunk 2.3"
)


def _store(m: ModuleType) -> Any:
    return m.s3_store(
        region="us-east-1",
        endpoint_url="http://x",
        allow_http=True,
        anonymous=True,
        s3_compatible=True,
        force_path_style=True,
        requester_pays=True,
        checksum_algorithm=m.ChecksumAlgorithm.Crc64Nvme,
    )


def _preload(m: ModuleType) -> Any:
    c = m.ManifestPreloadCondition
    return m.RepositoryConfig(
        manifest=m.ManifestConfig(
            preload=m.ManifestPreloadConfig(
                max_total_refs=10,
                preload_if=c.and_conditions(
                    [
                        c.or_conditions([c.path_matches("a.*"), c.name_matches("^b$")]),
                        c.num_refs(1, 5),
                        c.num_refs(None, 7) | c.num_refs(3, None) | c.num_refs(None, None),
                        c.true(),
                        c.false(),
                    ]
                ),
                max_arrays_to_scan=9,
            )
        )
    )


def _splitting(m: ModuleType) -> Any:
    s, d = m.ManifestSplitCondition, m.ManifestSplitDimCondition
    return m.RepositoryConfig(
        manifest=m.ManifestConfig(
            splitting=m.ManifestSplittingConfig.from_dict(
                {
                    s.path_matches("x") & s.name_matches("y"): {d.Axis(0): 3, d.Any(): 5},
                    s.or_conditions([s.AnyArray()]): {d.DimensionName("t.*"): 4294967295},
                }
            ),
            max_concurrent_manifest_fetches_during_commit=4,
        )
    )


CONFIGS: dict[str, Make] = {
    "numbers": lambda m: m.RepositoryConfig(
        inline_chunk_threshold_bytes=65535,
        get_partial_values_concurrency=0,
        max_concurrent_requests=3,
        max_concurrent_decodes=4,
        num_updates_per_repo_info_file=5,
    ),
    "one number": lambda m: m.RepositoryConfig(inline_chunk_threshold_bytes=512),
    "compression": lambda m: m.RepositoryConfig(
        compression=m.CompressionConfig(m.CompressionAlgorithm.Zstd, 7)
    ),
    "compression level": lambda m: m.RepositoryConfig(compression=m.CompressionConfig(level=1)),
    "caching": lambda m: m.RepositoryConfig(caching=m.CachingConfig(1, 2, 3, 4, 2**64 - 1)),
    "storage": lambda m: m.RepositoryConfig(
        storage=m.StorageSettings(
            concurrency=m.StorageConcurrencySettings(3, 4096),
            retries=m.StorageRetriesSettings(5, 6, 7),
            unsafe_use_conditional_create=True,
            unsafe_use_metadata=False,
            storage_class="standard",
            metadata_storage_class="hot",
            chunks_storage_class="cold",
            minimum_size_for_multipart_upload=99,
            timeouts=m.StorageTimeoutSettings(1, 2, 3, 4),
        )
    ),
    "some storage": lambda m: m.RepositoryConfig(
        storage=m.StorageSettings(
            concurrency=m.StorageConcurrencySettings(None, 4097), unsafe_use_conditional_update=True
        )
    ),
    "containers": lambda m: m.RepositoryConfig(
        virtual_chunk_containers={
            c.url_prefix: c
            for c in (
                m.VirtualChunkContainer("s3://bucket/pre/", _store(m)),
                m.VirtualChunkContainer("file:///data/", m.local_filesystem_store("/data"), "loc"),
                m.VirtualChunkContainer("gs://b/", m.gcs_store({"k": "v"})),
                m.VirtualChunkContainer("https://h/", m.http_store({"k": "v"}, {"a": "b"})),
            )
        }
    ),
    "no containers": lambda m: m.RepositoryConfig(virtual_chunk_containers={}),
    "preload": _preload,
    "preload limits": lambda m: m.RepositoryConfig(
        manifest=m.ManifestConfig(preload=m.ManifestPreloadConfig(max_total_refs=0))
    ),
    "splitting": _splitting,
    "no splitting": lambda m: m.RepositoryConfig(
        manifest=m.ManifestConfig(splitting=m.ManifestSplittingConfig.from_dict({}))
    ),
    "locations": lambda m: m.RepositoryConfig(
        manifest=m.ManifestConfig(
            virtual_chunk_location_compression=m.ManifestVirtualChunkLocationCompressionConfig(
                1, dictionary_max_size_bytes=3, compression_level=-4
            )
        )
    ),
    "retries": lambda m: m.RepositoryConfig(
        repo_update_retries=import_module(f"{m.__name__}._icechunk_python").RepoUpdateRetryConfig(
            m.StorageRetriesSettings(max_tries=4)
        )
    ),
}
every_config = pytest.mark.parametrize("make", CONFIGS.values(), ids=CONFIGS)


def view(value: Any) -> Any:
    """A configuration of either library as dicts of numbers, texts and the spelling of values."""
    if type(value) in (type(None), bool, int, str):
        return value
    if isinstance(value, dict):
        return {key: view(one) for key, one in value.items()}
    if (group := GROUPS.get(type(value).__name__)) is not None:
        return {name: view(getattr(value, name)) for name in group}
    # Module names, spaces and the marks of present options differ.
    plain = re.sub(r"(icechunk|frazil)\.((config|storage)\.)?|[\s_]", "", repr(value)).lower()
    return re.sub(r"some\((.*?)\)", r"\1", plain.replace(",}", "}"))


GROUPS = {
    cls.__name__: [
        name.lstrip("_") for name in _kinds(cls) if name not in {"packs", "verify_reads"}
    ]
    for cls in all_settings(Settings)
    if cls is not S3Options
}


@every_config
def test_the_same_call_makes_the_same_configuration(make: Make) -> None:
    assert view(make(frazil)) == view(make(icechunk))


def _stored(folder: Path, spec: int) -> Any:
    if spec == 1:
        return load_config((folder / "config.yaml").read_bytes(), where="config.yaml")
    return decode_repo_info((folder / "repo").read_bytes(), where="repo").config


@every_spec
@every_config
def test_frazil_reads_what_the_real_library_stores(make: Make, spec: int, tmp_path: Path) -> None:
    icechunk.Repository.create(
        icechunk.local_filesystem_storage(str(tmp_path)), make(icechunk), spec_version=spec
    )
    document = _stored(tmp_path, spec)
    config = RepositoryConfig.from_document(document)
    assert config.to_document() == document
    # What is stored has the storage's own settings below those that were given.
    config.storage = make(frazil).storage
    assert config == make(frazil)


@every_spec
@every_config
def test_the_real_library_reads_what_frazil_stores(make: Make, spec: int, tmp_path: Path) -> None:
    storage = icechunk.local_filesystem_storage(str(tmp_path))
    icechunk.Repository.create(storage, CONFIGS["one number"](icechunk), spec_version=spec)
    document = make(frazil).to_document()
    if spec == 1:
        (tmp_path / "config.yaml").write_bytes(dump_config(document))
    else:
        info = decode_repo_info((tmp_path / "repo").read_bytes(), where="repo")
        (tmp_path / "repo").write_bytes(encode_repo_info(replace(info, config=document)))
    assert view(icechunk.Repository.fetch_config(storage)) == view(make(icechunk))


@pytest.mark.parametrize(
    ("mine", "theirs"), itertools.permutations(CONFIGS, 2), ids=lambda name: name.replace(" ", "-")
)
def test_merging_follows_the_same_rules(mine: str, theirs: str) -> None:
    def merged(m: ModuleType) -> Any:
        return CONFIGS[mine](m).merge(CONFIGS[theirs](m))

    assert view(merged(frazil)) == view(merged(icechunk))


BAD: list[Callable[[ModuleType], Any]] = [
    lambda m: m.RepositoryConfig(inline_chunk_threshold_bytes=-1),
    lambda m: m.RepositoryConfig(inline_chunk_threshold_bytes=65536),
    lambda m: m.RepositoryConfig(inline_chunk_threshold_bytes=1.0),
    lambda m: m.RepositoryConfig(inline_chunk_threshold_bytes="1"),
    lambda m: m.RepositoryConfig(get_partial_values_concurrency=65536),
    lambda m: m.RepositoryConfig(max_concurrent_requests=65536),
    lambda m: m.RepositoryConfig(max_concurrent_decodes=65536),
    lambda m: m.RepositoryConfig(num_updates_per_repo_info_file=65536),
    lambda m: setattr(m.RepositoryConfig(), "max_concurrent_requests", 65536),
    lambda m: setattr(m.RepositoryConfig(), "previous_file", "x"),
    lambda m: setattr(m.RepositoryConfig(), "virtual_chunk_containers", {}),
    lambda m: m.RepositoryConfig(caching=3),
    lambda m: m.RepositoryConfig(virtual_chunk_containers={"a": 3}),
    lambda m: m.CompressionConfig(level=256),
    lambda m: m.CompressionConfig(level=-1),
    lambda m: m.CompressionConfig(algorithm="zstd"),
    lambda m: m.CachingConfig(num_chunk_refs=2**64),
    lambda m: m.CachingConfig(-1),
    lambda m: m.ManifestPreloadConfig(max_total_refs=2**32),
    lambda m: m.ManifestPreloadConfig(max_arrays_to_scan=2**32),
    lambda m: m.ManifestVirtualChunkLocationCompressionConfig(65536),
    lambda m: m.ManifestVirtualChunkLocationCompressionConfig(1, 2),
    lambda m: m.ManifestVirtualChunkLocationCompressionConfig(compression_level=2**31),
    lambda m: m.ManifestConfig(max_concurrent_manifest_fetches_during_commit=65536),
    lambda m: m.ManifestPreloadCondition.num_refs(-1, 3),
    lambda m: m.ManifestPreloadCondition.num_refs(1, 2**32),
    lambda m: m.ManifestPreloadCondition.path_matches(3),
    lambda m: m.ManifestPreloadCondition.or_conditions([3]),
    lambda m: m.ManifestSplitDimCondition.Axis(-1),
    lambda m: m.ManifestSplitDimCondition.Axis(2**64),
    lambda m: m.ManifestSplittingConfig.from_dict(
        {m.ManifestSplitCondition.AnyArray(): {m.ManifestSplitDimCondition.Any(): 2**32}}
    ),
    lambda m: m.ManifestSplittingConfig({}),
    lambda m: m.ManifestSplittingConfig(3),
    lambda m: m.VirtualChunkSpec([-1], "a", 0, 1),
    lambda m: m.VirtualChunkSpec([1], "a", -1, 1),
    lambda m: m.VirtualChunkSpec([1], "a", 0, 2**64),
    lambda m: m.Attribution(client="a b"),
    lambda m: m.Attribution(client="a/b/c"),
    lambda m: m.Attribution(client=""),
    lambda m: m.Attribution(client="é"),
    lambda m: m.Attribution(client="x" * 129),
    lambda m: m.Attribution(workload="a(b"),
    lambda m: m.Attribution(principal="a\tb"),
    lambda m: m.Attribution(principal="\\"),
    lambda m: m.BasicConflictSolver(m.VersionSelection.Fail),
    lambda m: m.ConflictSolver(),
]


@pytest.mark.parametrize("make", BAD)
def test_unfit_values_raise_the_same_exceptions(make: Make) -> None:
    def raised(m: ModuleType) -> type[BaseException]:
        with pytest.raises((TypeError, ValueError, OverflowError, AttributeError)) as caught:
            make(m)
        return caught.type

    assert raised(frazil) is raised(icechunk)
