"""Which copies of replaced objects a retention lets go."""

from __future__ import annotations

from frazil.model.backups import removable

ID = "0123456789ABCDEFGHJK"


def name(stem: str, year: int) -> str:
    """Of the copy made in a year: newer ones come first in the order of names."""
    return f"{stem}.{3000 - year:014d}.{ID}"


def test_the_newest_of_each_stay() -> None:
    repo = [name("repo", year) for year in (2021, 2024, 2022, 2023)]
    config = [name("config.yaml", year) for year in (2020, 2019)]
    gone = removable([*repo, *config], keep=1, needed={name("repo", 2022)})
    assert sorted(gone) == sorted(
        [name("repo", 2021), name("repo", 2023), name("config.yaml", 2019)]
    )
    assert removable([*repo, *config], keep=4, needed=set()) == []


def test_other_names_stay() -> None:
    names = ["notes", f"repo.1.{ID}", f"damaged-repo.{0:014d}.{ID}", f"repo.{0:014d}.short", ID]
    assert removable(names, keep=0, needed=set()) == []
