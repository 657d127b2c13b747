"""The files in which the tools of AWS keep a user's keys and region, by profile.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

from __future__ import annotations

import configparser
import os
from pathlib import Path

_OTHER_SOURCES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def keys() -> dict[str, str | None] | None:
    """The profile's keys, as `obstore` names them; None if the environment has others, or none."""
    if any(os.environ.get(name) for name in _OTHER_SOURCES):
        return None
    profile = _profile()
    for section in (
        _section("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile),
        _section("AWS_CONFIG_FILE", "config", _in_config(profile)),
    ):
        key, secret = section.get("aws_access_key_id"), section.get("aws_secret_access_key")
        if key and secret:
            return {
                "access_key_id": key,
                "secret_access_key": secret,
                "token": section.get("aws_session_token"),
            }
    return None


def region() -> str | None:
    """The profile's region."""
    return _section("AWS_CONFIG_FILE", "config", _in_config(_profile())).get("region")


def _profile() -> str:
    return os.environ.get("AWS_PROFILE") or "default"


def _in_config(profile: str) -> str:
    return profile if profile == "default" else f"profile {profile}"


def _section(variable: str, name: str, section: str) -> dict[str, str]:
    path = Path(os.environ.get(variable) or Path("~/.aws", name)).expanduser()
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError, configparser.Error):
        return {}
    return dict(parser[section]) if parser.has_section(section) else {}
