"""How often requests are made again."""

from __future__ import annotations

import pytest

from frazil import StorageRetriesSettings, StorageSettings, StorageTimeoutSettings
from frazil.storage.retry import Attempts, Patience


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def attempts(patience: Patience, clock: Clock) -> Attempts:
    return Attempts(patience, sleep=clock.sleep, clock=lambda: clock.now)


def test_settings_say_how_patient() -> None:
    assert Patience.of(StorageSettings()) == Patience(10, 0.1, 180.0, 180.0)
    settings = StorageSettings(
        retries=StorageRetriesSettings(3, 20, 4000),
        timeouts=StorageTimeoutSettings(operation_timeout_ms=7000),
    )
    assert Patience.of(settings) == Patience(3, 0.02, 4.0, 7.0)


def test_tries_count_the_first_one() -> None:
    clock = Clock()
    again = attempts(Patience(tries=4), clock)
    assert [again.another() for _ in range(4)] == [True, True, True, False]
    assert len(clock.pauses) == 3
    assert not attempts(Patience(tries=1), clock).another()


def test_pauses_are_random_below_a_bound_that_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[float] = []
    monkeypatch.setattr("random.uniform", lambda low, high: bounds.append(high) or low)
    again = attempts(Patience(6, 1.0, 5.0, 100.0), Clock())
    while again.another():
        pass
    assert bounds == [1, 2, 4, 5, 5]


def test_after_the_total_time_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    clock = Clock()
    again = attempts(Patience(100, 1.0, 1.0, 3.5), clock)
    while again.another():
        pass
    assert clock.pauses == [1, 1, 1]
