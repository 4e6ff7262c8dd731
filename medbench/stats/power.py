"""What a test set of this size can tell apart."""

from __future__ import annotations

import math

from medbench.stats.distributions import normal_quantile, t_quantile


def minimum_detectable(standard_error: float, groups: int, *, level: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest true difference that a two-sided paired test finds with the given power.

    (t at level + t at power) x standard error, with one degree of freedom less than there are groups. A difference that was
    not found and is smaller than this says nothing.

    Args:
        standard_error: of the paired difference, as `intervals.standard_error` of the rows' differences or the standard
            deviation of a contrast's replicates.
        groups: number of independent groups, 2 or more; fewer: infinite.
        level: 1 - alpha, between 0 and 1.
        power: chance to find it, between 0 and 1.

    Returns:
        A difference in the unit of the standard error.

    >>> round(minimum_detectable(0.01, groups=300), 5)
    0.02811
    """
    if groups < 2:
        return math.inf
    return (t_quantile((1 + level) / 2, groups - 1) + t_quantile(power, groups - 1)) * standard_error


def groups_needed(standard_error: float, groups: int, difference: float, *, level: float = 0.95, power: float = 0.8) -> int:
    """Return how many groups like these would be needed to find a true difference with the given power.

    Normal approximation; the standard error falls with the square root of the groups.

    Args:
        standard_error: of the paired difference over the groups at hand.
        groups: number of groups at hand.
        difference: true difference to be found, not 0.
        level: 1 - alpha, between 0 and 1.
        power: chance to find it, between 0 and 1.

    >>> groups_needed(0.01, groups=300, difference=0.01)
    2355
    """
    needed = (normal_quantile((1 + level) / 2) + normal_quantile(power)) * standard_error / abs(difference)
    return math.ceil(groups * needed**2)
