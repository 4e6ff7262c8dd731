"""How many calls may be in flight: more while answers come, half as many when the endpoint throttles."""

from __future__ import annotations

FIRST = 8
"""Calls in flight at the beginning."""
SHORTEST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""How long nothing is started after a throttled call that does not say how long to wait; doubles from one to the other."""


class Limiter:
    """Additive increase, multiplicative decrease, as TCP does it; doubles each round trip until it is first throttled.

    Calls that were under way when the limit was cut belong to the old limit: however many of them are throttled, it is cut
    once.

    Args:
        most: Calls that may ever be in flight.

    >>> limiter = Limiter(64)
    >>> for era in [limiter.start() for _ in range(8)]:
    ...     limiter.answered(era)
    >>> limiter.limit
    16.0
    >>> limiter.throttled(limiter.start(), now=0.0, wait_s=2.0)
    >>> limiter.limit, limiter.free(now=1.0), limiter.free(now=2.0)
    (8.0, 0, 8)
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self.limit = float(min(FIRST, most))
        self.in_flight = 0
        self._peak = 0
        self.resumes_at = 0.0
        """Nothing is started before this time, in seconds of the caller's clock."""
        self._era = 0
        self._cut = False
        self._throttled_in_a_row = 0

    def free(self, now: float) -> int:
        """Return how many calls may be started now."""
        return 0 if now < self.resumes_at else max(0, int(self.limit) - self.in_flight)

    def start(self) -> int:
        """Count a call in and return the era it belongs to."""
        self.in_flight += 1
        self._peak = max(self._peak, self.in_flight)
        return self._era

    def answered(self, era: int) -> None:
        """Count an answered call out; the limit grows to twice what was ever in flight, so not where there is little to ask."""
        self._throttled_in_a_row = 0
        if era == self._era and 2 * self._peak > self.limit:
            self.limit = min(self._most, self.limit + (1.0 / self.limit if self._cut else 1.0))
        self.in_flight -= 1

    def throttled(self, era: int, now: float, wait_s: float | None) -> None:
        """Count a throttled call out: pause, and halve the limit if this call was started under it.

        Args:
            era: What `start` returned.
            now: The time, in seconds.
            wait_s: How long the endpoint asks to wait; None: it does not say.
        """
        if era == self._era:
            self._era += 1
            self._cut = True
            self.limit = max(1.0, self.limit / 2)
            if wait_s is None:
                wait_s = min(LONGEST_PAUSE_S, SHORTEST_PAUSE_S * 2**self._throttled_in_a_row)
            self._throttled_in_a_row += 1
        self.resumes_at = max(self.resumes_at, now + (wait_s or 0.0))
        self.in_flight -= 1

    def gone(self) -> None:
        """Count a call out that says nothing about the endpoint's load."""
        self.in_flight -= 1
