"""The few distribution functions that intervals and tests need: normal, Student's t, chi-square, fair coins."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal value is below `z`.

    >>> round(normal_cdf(1.96), 6)
    0.975002
    """
    return math.erfc(-z / math.sqrt(2)) / 2


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile (AS 241, Wichura 1988); infinite at 0 and 1.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    if probability <= 0 or probability >= 1:
        return -math.inf if probability <= 0 else math.inf
    return _NORMAL.inv_cdf(probability)


def chi_square_tail(x: float) -> float:
    """Return the probability that a chi-square value with one degree of freedom exceeds `x`.

    >>> round(chi_square_tail(3.841459), 6)
    0.05
    """
    return math.erfc(math.sqrt(x / 2))


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function by its continued fraction (Abramowitz & Stegun 26.5.8).

    >>> round(beta_cdf(0.25, 2.0, 3.0), 8)
    0.26171875
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    return front / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate 1 + d1/(1 + d2/(1 + ...)) by Lentz's method as modified by Thompson and Barnett (1986)."""
    tiny = 1e-300
    value, upper, lower = 1.0, 1.0, 0.0
    for i in range(1, 10_000):
        m, odd = divmod(i, 2)
        top = -(a + m) * (a + b + m) if odd else m * (b - m)
        term = top * x / ((a + 2 * m) * (a + 2 * m + (1 if odd else -1)))
        lower = 1 / ((1 + term * lower) or tiny)
        upper = (1 + term / upper) or tiny
        value *= upper * lower
        if abs(upper * lower - 1) < 1e-16:
            break
    return value


def t_cdf(t: float, df: float) -> float:
    """Return the probability that a Student value with `df` degrees of freedom is below `t`.

    >>> round(t_cdf(2.262157, 9), 6)
    0.975
    """
    if t * t < 1:  # from the middle outwards: a tail near one half would lose its digits
        return 0.5 + math.copysign(beta_cdf(t * t / (df + t * t), 0.5, df / 2) / 2, t)
    tail = beta_cdf(df / (df + t * t), df / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


def t_quantile(probability: float, df: float) -> float:
    """Return Student's quantile by bisection of its distribution function, for probabilities between 0 and 1.

    >>> round(t_quantile(0.975, 9), 6)
    2.262157
    """
    if probability > 0.5:
        return -t_quantile(1 - probability, df)
    low, high = -1.0, 0.0
    while t_cdf(low, df) > probability:
        low *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if t_cdf(middle, df) < probability else (low, middle)
    return (low + high) / 2


def coin_two_sided(heads: int, tails: int) -> float:
    """Return the exact two-sided p-value of a fair coin that fell so; 1 without a throw.

    >>> coin_two_sided(1, 7)
    0.0703125
    """
    n, fewest = heads + tails, min(heads, tails)
    ways, total = 1, 0
    for k in range(fewest + 1):
        total += ways
        ways = ways * (n - k) // (k + 1)
    return min(1.0, total / (1 << n) * 2)
