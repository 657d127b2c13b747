"""What a repository is: its storage, its configuration."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any
from uuid import UUID

from frazil.arguments import instance_of
from frazil.config import Attribution, FeatureFlag, RepositoryConfig
from frazil.format.jsonvalue import normalize
from frazil.format.updates import Status
from frazil.model.flags import flag_id, flags_of
from frazil.model.refs import change_metadata, change_status, set_flag
from frazil.repository.base import RepositoryBase
from frazil.status import RepoStatus
from frazil.storage import Storage
from frazil.twins import twin
from frazil.types import SpecVersion

if TYPE_CHECKING:
    from frazil.ops import ConfigChange


class Settings(RepositoryBase):
    """Properties of a `Repository`, and those of them that can be changed."""

    @property
    def config(self) -> RepositoryConfig:
        """A copy of the effective configuration."""
        return RepositoryConfig.from_document(self._core.config.to_document())

    @property
    def storage(self) -> Storage:
        """Where the repository lives."""
        return self._core.storage

    @property
    def attribution(self) -> Attribution:
        """What requests say of who makes them."""
        return self._core.attribution

    @property
    def id(self) -> UUID:
        """Which repository this is, wherever it lies: copies and backups have the same id.

        Made when the repository is, or, by Icechunk, it follows from when that was. Asking
        takes a request only for format 1, once.
        """
        return self._core.catalog.identity()

    @property
    def spec_version(self) -> SpecVersion:
        """The version of the format that the repository has."""
        return SpecVersion(self._core.spec)

    @property
    def authorized_virtual_container_prefixes(self) -> set[str]:
        """URL prefixes of the virtual chunk containers that may be read."""
        return set(self._core.access)

    def save_config(self, config: RepositoryConfig | None = None) -> None:
        """Store the effective configuration with the repository.

        config: goes over the effective one first. In a spec 1 repository this raises
        `ConflictError` (`config-updated`) if the stored one has changed since it was opened.
        """
        core = self._core
        effective = core.config if config is None else core.config.merge(config)
        core.catalog.save_config(effective.to_document())
        core.configure(effective)

    save_config_async = twin(save_config)

    def config_history(self) -> list[ConfigChange]:
        """When which settings of the stored configuration changed, newest first.

        Spec 2 only (`FormatError`). It is read from the log of operations and the states that
        it keeps, which tell by which program, but not by whom.
        """
        from frazil.engine.ops_log import config_history

        return config_history(self._core.library, self._v2("the history of the configuration"))

    config_history_async = twin(config_history)

    def set_default_commit_metadata(self, metadata: dict[str, Any]) -> None:
        """Add these values to every commit made through this object, under its own ones."""
        given = normalize(metadata)
        self._core.default_metadata.clear()
        self._core.default_metadata.update(given)

    def default_commit_metadata(self) -> dict[str, Any]:
        """What `set_default_commit_metadata` has set."""
        return deepcopy(self._core.default_metadata)

    def get_metadata(self) -> dict[str, Any]:
        """The repository's own metadata, JSON values by name; spec 2 only (`FormatError`)."""
        return deepcopy(self._v2("repository metadata").info().metadata)

    get_metadata_async = twin(get_metadata)

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        """Replace the repository's metadata.

        Names that begin with `frazil.`, such as that of the hooks, stay unless they are given.
        """

        def replaced(old: dict[str, Any]) -> dict[str, Any]:
            return {k: v for k, v in old.items() if k.startswith("frazil.")} | metadata

        self._v2("repository metadata").update(change_metadata(replaced))

    set_metadata_async = twin(set_metadata)

    def update_metadata(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """Set these names of the repository's metadata, leave the others; returns all of it."""
        edit = change_metadata(lambda old: old | metadata)
        return deepcopy(self._v2("repository metadata").update(edit).metadata)

    update_metadata_async = twin(update_metadata)

    @property
    def metadata(self) -> dict[str, Any]:
        """As `get_metadata`."""
        return self.get_metadata()

    def get_status(self) -> RepoStatus:
        """Whether the repository takes changes; spec 2 only (`FormatError`)."""
        from frazil.engine.ops_log import public_status

        return public_status(self._v2("the repository status").info().status)

    get_status_async = twin(get_status)

    def set_status(self, status: RepoStatus) -> None:
        """Set whether the repository takes changes; this itself is always possible."""
        from frazil.engine.times import microseconds

        instance_of(RepoStatus, "status", status)
        edit = change_status(
            Status(
                int(status.availability),
                microseconds("set_at", status.set_at),
                status.limited_availability_reason,
            )
        )
        self._v2("the repository status").update(edit, even_if_read_only=True)

    set_status_async = twin(set_status)

    @property
    def status(self) -> RepoStatus:
        """As `get_status`."""
        return self.get_status()

    def feature_flags(self) -> list[FeatureFlag]:
        """All feature flags; spec 2 only (`FormatError`)."""
        return flags_of(self._v2("feature flags").info())

    feature_flags_async = twin(feature_flags)

    def enabled_feature_flags(self) -> list[FeatureFlag]:
        """The feature flags that are on, set so or by default."""
        return [flag for flag in self.feature_flags() if flag.enabled]

    enabled_feature_flags_async = twin(enabled_feature_flags)

    def disabled_feature_flags(self) -> list[FeatureFlag]:
        """The feature flags that are off."""
        return [flag for flag in self.feature_flags() if not flag.enabled]

    disabled_feature_flags_async = twin(disabled_feature_flags)

    def set_feature_flag(self, name: str, setting: bool | None) -> None:
        """Turn a feature flag on or off; None removes the setting, so that the default holds.

        Raises `InvalidInputError` (`invalid-feature-flag`) for a name that is not known.
        """
        if setting is not None:
            instance_of(bool, "setting", setting)
        self._v2("feature flags").update(set_flag(flag_id(name), setting))

    set_feature_flag_async = twin(set_feature_flag)
