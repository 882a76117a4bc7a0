"""Where a machine with Gaussian visible units in natural parameters starts: at the scale of its data.

    p(v_i | h) = N((b_i + (W h)_i) / lambda_i, 1 / lambda_i),      field of h: v W + c

Couplings per unit of v saturate hidden units on large numbers and are lost in the noise of lambda = 1 on
small ones. So, with means m and variances s of the data: lambda = 1 / s and b = m / s, the data's moments
while the hidden units are off; W divided by sqrt(s), as a `GaussianRBM` has it; and c = -m W, fields of mean
0. Only the start is free of the scale: steps stay per unit of v, and rows of deviation about 1 train best.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp

LEAST = 0.01  # smallest variance of a column to start from, over the mean of all


def take_scale(X: Any, W: Any, b: Any, c: Any, log_precision: Any, copies: int = 1) -> None:
    """Write the start for rows ``X`` [n, d] into W [d, k], b [d], c [k] and log_precision [d].

    Parameters
    ----------
    X, W, b, c, log_precision : array
        W is scaled, the others are set.
    copies : int
        Copies of v that a hidden unit sees.
    """
    xp, X = get_xp(X, W), X.astype("float64")
    mean, variance = X.mean(axis=0), X.var(axis=0)
    overall = variance.mean()
    variance = xp.maximum(variance, xp.where(overall > 0.0, LEAST * overall, 1.0))
    log_precision[...] = -xp.log(variance)
    b[...] = mean / variance
    W[...] = W / xp.sqrt(variance)[:, None]
    c[...] = -copies * (mean @ W)
