"""What keeps a spike-and-slab RBM a model: positive precisions, and covariances that are definite.

    C_{x|h}^-1 = Lambda + sum_i h_i (Phi_i - W_i W_i^T / alpha_i)

must be positive definite for every h; the condition that all of them share, and `project`, which keeps to it,
are derived in `minidgm.boltzmann.ssrbm` and docs/models/spike_and_slab_rbm.rst.
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import asarray, get_xp
from minidgm.boltzmann.energy_model import TwoSidedModel
from minidgm.errors import DataError

LOG_MARGIN = -0.02  # `project` keeps |A|_2^2 below exp of it
SQUARINGS = 5


class SlabPrecisions(TwoSidedModel):
    """Part of `SpikeAndSlabRBM`: its precisions, of the slabs and of x; what they start from."""

    Lambda_0: float

    # Positive parameters

    @property
    def alpha(self) -> Any:
        """Precisions of the slabs, [n_hidden]."""
        return get_xp(self.params["log_alpha"]).exp(self.params["log_alpha"])

    @property
    def Lambda(self) -> Any:
        """Precisions of x without spikes, [n_visible]."""
        return get_xp(self.params["log_Lambda"]).exp(self.params["log_Lambda"])

    @property
    def Phi(self) -> Any:
        """Precisions that the spikes add, [n_visible, n_hidden]; zeros where the model has none."""
        if "log_Phi" not in self.params:
            return get_xp(self.params["W"]).zeros_like(self.params["W"])
        return get_xp(self.params["log_Phi"]).exp(self.params["log_Phi"])

    def set(self, **values: Any) -> Any:
        """Set alpha, Phi, Lambda (as they are, not their logarithms), W, b or mu, from numbers or arrays.

        Raises
        ------
        ValueError
            For values that are not positive (of Phi: negative), and says of which unit.
        """
        for name, value in values.items():
            positive = name in ("alpha", "Phi", "Lambda")
            key = f"log_{name}" if positive else name
            if key not in self.params:
                hint = "; this model was made without Phi" if name == "Phi" else ""
                raise ValueError(f"no parameter {name!r}; known: alpha, Phi, Lambda, W, b, mu{hint}")
            target = self.params[key]
            array = self.xp.zeros_like(target) + asarray(value, self.backend, self.dtype)
            if positive:
                self._check_positive(name, array)
                array = self.xp.log(self.xp.maximum(array, 1e-12))  # Phi = 0 is 1e-12
            target[...] = array
        return self

    def _check_positive(self, name: str, array: Any) -> None:
        bad = ~(array >= 0.0) if name == "Phi" else ~(array > 0.0)
        if bool(bad.any()):
            first = int(self.xp.argmax(bad.reshape(-1)))
            unit = {"alpha": "hidden unit", "Lambda": "visible unit", "Phi": "hidden unit"}[name]
            value, i = float(array.reshape(-1)[first]), first % array.shape[-1]
            expected = "nonnegative" if name == "Phi" else "positive"
            raise ValueError(f"{name} of {unit} {i} is {value:g}; expected {expected} precisions")

    # Precisions of x

    def conditional_precision(self, h: Any) -> Any:
        """Diagonal of C^-1 = Lambda + Phi h, [n, n_visible]: precisions of p(x | s, h)."""
        Lambda = 0.0 * (h @ self.params["W"].T) + self.Lambda
        return Lambda + h @ self.Phi.T if "log_Phi" in self.params else Lambda

    def visible_precision(self, h: Any) -> Any:
        """C_{x|h}^-1 = Lambda + sum_i h_i (Phi_i - W_i W_i^T / alpha_i), [n, n_visible, n_visible]."""
        W = self.params["W"]
        xp = get_xp(h, W)
        scaled = (h / self.alpha)[:, None, :] * W[None, :, :]
        diagonal = self.conditional_precision(h)
        return diagonal[:, :, None] * xp.eye(self.n_visible, dtype=W.dtype) - scaled @ W.T

    def _check_definite(self, precision: Any, h: Any) -> None:
        if not precision.shape[0]:
            return
        xp = get_xp(precision)
        values, vectors = xp.linalg.eigh(precision)
        row = int(xp.argmin(values[:, 0]))
        smallest = float(values[row, 0])
        if smallest > 0.0:
            return
        u, W, alpha, Phi = vectors[row, :, 0], self.params["W"], self.alpha, self.Phi
        share = h[row] * ((u @ W) ** 2 / alpha - (u * u) @ Phi)
        i = int(xp.argmax(share))
        raise DataError(
            f"the covariance of p(x | h) is not positive definite (smallest precision {smallest:.3g}): "
            f"hidden unit {i} takes {float(share[i]):.3g} of it; lower |W[:, {i}]| (its norm is "
            f"{float((W[:, i] ** 2).sum()) ** 0.5:.3g}), or raise alpha[{i}] (now {float(alpha[i]):.3g}), "
            "Phi or Lambda; project() does it for all units"
        )

    def _check_chains(self, v: Any, h: Any) -> None:
        """Where a chain is a thousand deviations away, ask whether its covariance exists."""
        far = ~(get_xp(v).abs(v) * self.Lambda**0.5 < 1e3).all(axis=1)
        if bool(far.any()):
            some = h[far][:16]
            self._check_definite(self.visible_precision(some), some)

    def project(self) -> None:
        """Shrink W where it could cost a covariance its definiteness (see the module), else keep it.

        With A = Lambda^-1/2 W e^1/2 the condition is |A|_2^2 < 1. First the columns shrink that make up the
        largest eigenvector, each by its share: to first order that is enough, and the others stay. What is
        left to do is done to all. No eigenvalue and no host read (`norm_bound`).
        """
        xp, W, alpha = self.xp, self.params["W"], self.alpha
        A = W / (self.Lambda[:, None] * alpha) ** 0.5
        if "log_Phi" in self.params:
            r = (W * W / self.Phi).sum(axis=0) / alpha
            A = A * xp.maximum(0.0, 1.0 - 1.0 / xp.maximum(r, 1e-12)) ** 0.5
        log_bound, share = norm_bound(A)
        excess = xp.maximum(0.0, log_bound - LOG_MARGIN)
        factor = xp.exp(-0.5 * excess * share / xp.maximum((share * share).sum(), 1e-30))
        rest = xp.maximum(0.0, norm_bound(A * factor)[0] - LOG_MARGIN)
        W *= factor * xp.exp(-0.5 * rest)

    # Where training starts

    def begin(self, X: Any) -> None:
        """Initialize an untrained model; `minidgm.training.fit` calls it with rows of the training data."""
        if not bool(self.params["b"].any()):
            self.initialize(X)

    def initialize(self, X: Any) -> Any:
        """Set Lambda to the inverse mean squares of ``X`` [n, n_visible], Phi, alpha and mu in proportion.

        W has no scale of its own, only W W^T / alpha has: alpha takes on that of the data, so that the same
        learning rate suits all scales. Spike biases become -1: units begin off, three times in four.
        """
        X = self.check_data(X, "X").astype("float64")
        if not X.shape[0]:
            raise ValueError("X has no rows: initialize needs data to take variances from")
        squares = (X * X).mean(axis=0)
        overall = squares.mean()
        Lambda = 1.0 / self.xp.maximum(squares, self.xp.where(overall > 0.0, 1e-4 * overall, 1.0))
        change = self.xp.log(Lambda) - self.params["log_Lambda"].astype("float64")
        scale = self.xp.log(overall * self.Lambda_0) if bool(overall > 0.0) else 0.0 * overall
        self.params["log_alpha"][...] += scale.astype(self.dtype)
        self.params["mu"][...] *= self.xp.exp(-0.5 * scale).astype(self.dtype)
        if "log_Phi" in self.params:
            self.params["log_Phi"][...] += change[:, None].astype(self.dtype)
        self.params["log_Lambda"][...] = self.xp.log(Lambda)
        self.params["b"][...] = -1.0
        self.project()
        return self


def norm_bound(A: Any) -> tuple[Any, Any]:
    """log of an upper bound of |A|_2^2, 0-d, and each column's share of its largest eigenvector, [k].

    |A|_2^2 <= trace(G^32)^(1/32) <= d^(1/32) |A|_2^2 for the smaller G, [d, d], of A A^T and A^T A: five
    products of G with itself, which tends to the projector on that eigenvector.
    """
    xp = get_xp(A)
    by_rows = A.shape[0] < A.shape[1]
    G = A @ A.T if by_rows else A.T @ A
    log_bound, power = 0.0, 1.0
    for squaring in range(SQUARINGS + 1):  # (A^T A)^power = exp(power log_bound) G, of trace 1
        G = G @ G if squaring else G
        trace = xp.maximum(xp.trace(G), 1e-30)
        G, log_bound = G / trace, log_bound + xp.log(trace) / power
        power *= 2.0
    share = ((G @ A) * A).sum(axis=0) if by_rows else xp.diagonal(G)
    return log_bound, share / xp.maximum(share.sum(), 1e-30)
