"""How often, and after which pauses, a request that failed is made again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from frazil.storage.settings import StorageSettings

TOTAL_SECONDS = 180.0
"""No request is made again so long after the first one, unless settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What settings allow: tries, the first one included; seconds before the second; limits."""

    tries: int = 10
    first_pause: float = 0.1
    longest_pause: float = 180.0
    total: float = TOTAL_SECONDS

    @staticmethod
    def of(settings: StorageSettings) -> Patience:
        """What these settings allow."""
        retries, timeouts = settings.effective("retries"), settings.timeouts
        total = None if timeouts is None else timeouts.operation_timeout_ms
        return Patience(
            retries.effective("max_tries"),
            retries.effective("initial_backoff_ms") / 1000,
            retries.effective("max_backoff_ms") / 1000,
            TOTAL_SECONDS if total is None else total / 1000,
        )


@dataclass(slots=True)
class Attempts:
    """The tries of one request."""

    patience: Patience
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    def another(self) -> bool:
        """Wait and return True if there is to be another try.

        The pause is random, up to a bound that doubles: those who were refused together do
        not come back together.
        """
        self.failures += 1
        if self.failures >= self.patience.tries:
            return False
        bound = self.patience.first_pause * 2.0 ** min(self.failures - 1, 30)
        pause = random.uniform(0, min(bound, self.patience.longest_pause))
        if self.clock() + pause - self.begun > self.patience.total:
            return False
        self.sleep(pause)
        return True
