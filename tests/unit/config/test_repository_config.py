"""The configuration of a repository as a value and as a document."""

import copy
import os
import pickle

import pytest

import frazil
from frazil.config import (
    CachingConfig,
    CompressionAlgorithm,
    CompressionConfig,
    ManifestConfig,
    ManifestPreloadCondition,
    ManifestPreloadConfig,
    ManifestSplitCondition,
    ManifestSplitDimCondition,
    ManifestSplittingConfig,
    ManifestVirtualChunkLocationCompressionConfig,
    RepositoryConfig,
    RepoUpdateRetryConfig,
    from_dict,
    to_dict,
)
from frazil.errors import ErrorKind, FormatError
from frazil.storage import StorageConcurrencySettings, StorageRetriesSettings, StorageSettings
from frazil.storage import local_filesystem_store as store
from frazil.virtual import VirtualChunkContainer

SPLITTING = ManifestSplittingConfig.from_dict(
    {
        ManifestSplitCondition.path_matches("x"): {ManifestSplitDimCondition.Axis(0): 3},
        ManifestSplitCondition.AnyArray(): {ManifestSplitDimCondition.DimensionName("t"): 4},
    }
)


def full() -> RepositoryConfig:
    """A configuration in which nothing is unset."""
    return RepositoryConfig(
        inline_chunk_threshold_bytes=1,
        get_partial_values_concurrency=2,
        compression=CompressionConfig(CompressionAlgorithm.Zstd, 3),
        max_concurrent_requests=4,
        caching=CachingConfig(1, 2, 3, 4, 5),
        storage=StorageSettings(concurrency=StorageConcurrencySettings(6, 7)),
        virtual_chunk_containers={
            "file:///a/": VirtualChunkContainer("file:///a/", store("/a"), "n")
        },
        manifest=ManifestConfig(
            preload=ManifestPreloadConfig(1, ManifestPreloadCondition.true(), 2),
            splitting=SPLITTING,
            virtual_chunk_location_compression=ManifestVirtualChunkLocationCompressionConfig(1),
            max_concurrent_manifest_fetches_during_commit=2,
        ),
        repo_update_retries=RepoUpdateRetryConfig(StorageRetriesSettings(5)),
        num_updates_per_repo_info_file=6,
        max_concurrent_decodes=7,
    )


def test_documents_hold_every_key_in_order() -> None:
    assert RepositoryConfig().to_document() == dict.fromkeys(
        [
            "inline_chunk_threshold_bytes",
            "get_partial_values_concurrency",
            "compression",
            "max_concurrent_requests",
            "max_concurrent_decodes",
            "caching",
            "storage",
            "virtual_chunk_containers",
            "manifest",
            "previous_file",
            "repo_update_retries",
            "num_updates_per_repo_info_file",
        ]
    )
    assert list(full().to_document()) == list(RepositoryConfig().to_document())


def test_documents_spell_enumerations_as_stored() -> None:
    document = full().to_document()
    assert document["compression"] == {"algorithm": "zstd", "level": 3}
    assert document["virtual_chunk_containers"] == {
        "file:///a/": {
            "name": "n",
            "url_prefix": "file:///a/",
            "store": {"local_file_system": "/a"},
        }
    }
    assert document["manifest"]["splitting"] == {
        "split_sizes": [
            [{"path_matches": {"regex": "x"}}, [{"condition": {"Axis": 0}, "num_chunks": 3}]],
            ["any_array", [{"condition": {"DimensionName": "t"}, "num_chunks": 4}]],
        ]
    }
    assert document["manifest"]["preload"]["preload_if"] == "true"


@pytest.mark.parametrize("config", [RepositoryConfig(), full()], ids=["empty", "full"])
def test_round_trips(config: RepositoryConfig) -> None:
    assert RepositoryConfig.from_document(config.to_document()) == config
    assert pickle.loads(pickle.dumps(config)) == config
    assert copy.deepcopy(config) == config


def test_documents_may_lack_keys_and_have_more() -> None:
    assert RepositoryConfig.from_document({}) == RepositoryConfig()
    assert RepositoryConfig.from_document({"new": 1, "caching": {"newer": 2}}) == (
        RepositoryConfig(caching=CachingConfig())
    )


def test_a_previous_file_is_kept_but_cannot_be_set() -> None:
    config = RepositoryConfig.from_document({"previous_file": "f"})
    assert config.previous_file == "f"
    assert config.to_document()["previous_file"] == "f"
    assert RepositoryConfig().merge(config).previous_file == "f"
    with pytest.raises(AttributeError):
        config.previous_file = "g"  # type: ignore[misc]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"inline_chunk_threshold_bytes": 1.0},
        {"inline_chunk_threshold_bytes": True},
        {"inline_chunk_threshold_bytes": 65536},
        {"inline_chunk_threshold_bytes": "1"},
        {"caching": 3},
        {"compression": {"algorithm": "gzip"}},
        {"compression": {"level": -1}},
        {"storage": {"retries": {"max_tries": 0}}},
        {"previous_file": 3},
        {"virtual_chunk_containers": []},
        {"virtual_chunk_containers": {"a": {}}},
        {"virtual_chunk_containers": {"a": None}},
        {"manifest": {"splitting": {"split_sizes": "x"}}},
        {"manifest": {"splitting": {"split_sizes": [["any_array"]]}}},
        {"manifest": {"splitting": {"split_sizes": [["any_array", {}]]}}},
        {"manifest": {"splitting": {"split_sizes": [["any_array", [{"num_chunks": 1}]]]}}},
        {"manifest": {"splitting": {"split_sizes": [["any_array", [{"condition": "Any"}]]]}}},
        {"manifest": {"preload": {"preload_if": "sometimes"}}},
    ],
    ids=str,
)
def test_unfit_documents_are_refused(document: object) -> None:
    with pytest.raises(FormatError) as caught:
        RepositoryConfig.from_document(document)  # type: ignore[arg-type]
    assert caught.value.kind == ErrorKind.CONFIG_DESERIALIZATION


def test_a_refusal_names_the_key() -> None:
    with pytest.raises(FormatError, match=r"RepositoryConfig\.caching\.num_chunk_refs .*integer"):
        RepositoryConfig.from_document({"caching": {"num_chunk_refs": "many"}})


def test_deeply_nested_conditions_are_refused_without_overflow() -> None:
    condition: object = "true"
    for _ in range(100_000):
        condition = {"or": [condition]}
    with pytest.raises(FormatError):
        RepositoryConfig.from_document({"manifest": {"preload": {"preload_if": condition}}})


def test_containers_are_set_by_prefix_and_name() -> None:
    config = RepositoryConfig()
    assert config.virtual_chunk_containers is None

    def put(prefix: str, name: str | None = None) -> None:
        config.set_virtual_chunk_container(VirtualChunkContainer(prefix, store("/a"), name))

    def names() -> dict[str, str | None]:
        return {prefix: c.name for prefix, c in (config.virtual_chunk_containers or {}).items()}

    put("file:///a/", "n")
    put("file:///b/", "n")
    assert names() == {"file:///b/": "n"}
    put("file:///b/")
    put("file:///c/")
    assert names() == {"file:///b/": None, "file:///c/": None}
    assert config.get_virtual_chunk_container("file:///c/") == VirtualChunkContainer(
        "file:///c/", store("/a")
    )
    assert config.get_virtual_chunk_container("file:///d/") is None
    (config.virtual_chunk_containers or {}).clear()
    assert len(names()) == 2
    config.clear_virtual_chunk_containers()
    assert config.virtual_chunk_containers == {}
    assert config != RepositoryConfig()


def test_merging_takes_the_other_side_where_it_is_set() -> None:
    assert RepositoryConfig().merge(full()) == full() == full().merge(RepositoryConfig())
    merged = full().merge(
        RepositoryConfig(
            inline_chunk_threshold_bytes=9,
            caching=CachingConfig(num_chunk_refs=9),
            storage=StorageSettings(concurrency=StorageConcurrencySettings(None, 9)),
            manifest=ManifestConfig(preload=ManifestPreloadConfig(max_arrays_to_scan=9)),
            repo_update_retries=RepoUpdateRetryConfig(StorageRetriesSettings(max_backoff_ms=9)),
            virtual_chunk_containers={},
        )
    )
    assert merged.inline_chunk_threshold_bytes == 9
    assert merged.max_concurrent_requests == 4
    assert merged.caching == CachingConfig(1, 9, 3, 4, 5)
    assert merged.storage == StorageSettings(concurrency=StorageConcurrencySettings(6, 9))
    assert merged.manifest is not None
    assert merged.manifest.preload == ManifestPreloadConfig(max_arrays_to_scan=9)
    assert merged.manifest.splitting == SPLITTING
    assert merged.repo_update_retries == RepoUpdateRetryConfig(StorageRetriesSettings(5, None, 9))
    assert merged.virtual_chunk_containers == {}


def test_a_merged_configuration_is_independent_of_its_sources() -> None:
    mine, theirs = RepositoryConfig(caching=CachingConfig(1)), full()
    merged = mine.merge(theirs)
    assert merged.caching is not None
    assert merged.manifest is not None
    merged.caching.num_chunk_refs = 99
    merged.manifest.splitting = None
    assert mine == RepositoryConfig(caching=CachingConfig(1))
    assert theirs == full()


def test_groups_are_shared_with_whoever_set_them() -> None:
    caching = CachingConfig()
    config = RepositoryConfig(caching=caching)
    caching.num_chunk_refs = 5
    assert config.caching is caching
    assert config == RepositoryConfig(caching=CachingConfig(num_chunk_refs=5))


def test_defaults_apply_but_do_not_show_as_values() -> None:
    config = RepositoryConfig(caching=CachingConfig(num_chunk_refs=7))
    assert config.inline_chunk_threshold_bytes is None
    assert config.effective("inline_chunk_threshold_bytes") == 512
    assert config.effective("caching").effective("num_chunk_refs") == 7
    assert config.effective("caching").effective("num_snapshot_nodes") == 500_000
    assert config.effective("max_concurrent_decodes") == os.cpu_count()
    retries = config.effective("repo_update_retries").effective("default")
    assert retries == StorageRetriesSettings(100, 50, 30_000)
    config.effective("manifest").preload = ManifestPreloadConfig(max_total_refs=1)
    assert RepositoryConfig().effective("manifest").preload is None


def test_the_text_shows_defaults() -> None:
    lines = str(RepositoryConfig(compression=CompressionConfig(level=4))).splitlines()
    assert lines[:3] == [
        "<frazil.config.RepositoryConfig>",
        "inline_chunk_threshold_bytes: 512 (default)",
        "get_partial_values_concurrency: 10 (default)",
    ]
    at = lines.index("compression:")
    assert lines[at + 1 : at + 4] == [
        "    <frazil.config.CompressionConfig>",
        "    algorithm: Zstd (default)",
        "    level: 4",
    ]
    assert "storage: None" in lines
    assert lines[-1] == "virtual_chunk_containers: None"


def test_the_constructor_form_makes_the_same_value() -> None:
    assert eval(repr(full()), {"frazil": frazil}) == full()


def test_values_are_compared_by_content() -> None:
    assert RepositoryConfig() == RepositoryConfig.default()
    assert CompressionConfig() == CompressionConfig.default() != CompressionConfig(level=3)
    assert CachingConfig() == CachingConfig.default()
    assert RepositoryConfig() != "RepositoryConfig()"
    assert CompressionConfig() != CachingConfig()
    with pytest.raises(TypeError, match="unhashable"):
        hash(RepositoryConfig())


def test_unknown_attributes_are_refused() -> None:
    with pytest.raises(AttributeError):
        RepositoryConfig().inline_threshold = 3  # type: ignore[attr-defined]


def test_split_sizes_are_pairs_and_dicts() -> None:
    any_array, axis = ManifestSplitCondition.AnyArray(), ManifestSplitDimCondition.Axis(0)
    config = ManifestSplittingConfig(((any_array, ((axis, 3),)),))
    assert config.split_sizes == [(any_array, [(axis, 3)])]
    assert config.to_dict() == to_dict(config) == {any_array: {axis: 3}}
    assert from_dict({any_array: {axis: 3}}) == config
    assert ManifestSplittingConfig().to_dict() == {}


@pytest.mark.parametrize(
    "sizes", [3, {}, "ab", [3], [(3, [])], [(ManifestSplitCondition.AnyArray(), 3)]]
)
def test_other_split_sizes_are_refused(sizes: object) -> None:
    with pytest.raises(TypeError):
        ManifestSplittingConfig(sizes)  # type: ignore[arg-type]
