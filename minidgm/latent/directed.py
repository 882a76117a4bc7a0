r"""Directed models with latent variables: what p(x, z) and a recognition model q(z | x) offer.

    p(x) = E_q[p(x, z) / q(z | x)]                                          importance weights w = p / q
    log p(x) >= E_q[log w]                                                  the evidence lower bound
    E_q[log w] <= E[log 1/K sum_k w_k] <= log p(x),  rising with K          (Burda et al. 2016, theorem 1)

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | observed rows |
| z | [n, n_latent] | latent states; several layers lie side by side |
| log_w | [k, n] | log-weights of k draws a row |

A model gives `log_joint`, `log_recognition`, `recognition`, `visible_given_latent`, `dream` and the two
weighted gradients; bounds, estimates, enumeration, draws and features follow here. Objectives look at
`draw`, which a model may override by a faster equal: each is a choice of weights for its gradients.
"""

from __future__ import annotations

import math
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_backend, get_xp
from minidgm.errors import IntractableError
from minidgm.model import Model
from minidgm.numerics import logsumexp
from minidgm.workspace import Workspace

MAX_STATES = 2**16
BLOCK = 2**22  # numbers held at a time by estimates


class Draws:
    """k draws z ~ q(z | x) for every row of x, their densities, and the gradients weighted by them.

    Parameters
    ----------
    model : DirectedModel
    x : array [n, n_visible]
    k : int
    rng : Generator

    Attributes
    ----------
    z : array [k, n, n_latent]
    log_joint, log_recognition : array [k, n]
        log p(x, z) and log q(z | x), nats.
    """

    def __init__(self, model: Any, x: Any, k: int, rng: Generator):
        self.model, self.x, self.k = model, x, k
        self._wide = get_xp(x).tile(x, (k, 1))  # row s n + i is draw s of example i
        self._flat = flat = model.recognition(self._wide).sample(rng)
        self.z = flat.reshape(k, x.shape[0], flat.shape[1])
        self.log_joint = model.log_joint(self._wide, flat).reshape(k, x.shape[0])
        self.log_recognition = model.log_recognition(self._wide, flat).reshape(k, x.shape[0])

    @property
    def log_weights(self) -> Any:
        """log w = log p(x, z) - log q(z | x), [k, n]."""
        return self.log_joint - self.log_recognition

    def log_joint_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si weights_si d log p(x_i, z_si)/dtheta for signed weights [k, n]."""
        return self.model.log_joint_gradient(self._wide, self._flat, weights.reshape(-1), out)

    def log_recognition_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si weights_si d log q(z_si | x_i)/dtheta for signed weights [k, n]."""
        return self.model.log_recognition_gradient(self._wide, self._flat, weights.reshape(-1), out)


class DirectedModel(Model):
    """Base of models p(x, z) = p(z) p(x | z) with a recognition model q(z | x).

    Attributes
    ----------
    n_visible, n_latent : int
    latent : Unit or None
        The units of z where they are of one type (`minidgm.boltzmann.units`): bits can be enumerated.
    visible : Unit or None
        The units of x, likewise.
    weight_power : float
        a, where draws estimate the likelihood by E_q[w^a]^(1/a): 1 for p(x).
    """

    n_visible: int
    n_latent: int
    latent: Any = None
    visible: Any = None
    weight_power = 1.0

    @property
    def n_hidden(self) -> int:
        """The number of latent columns, by the name that models of energies give it."""
        return self.n_latent

    @property
    def hidden(self) -> Any:
        """The latent units, by the name that models of energies give them."""
        return self.latent

    # What a model gives

    def log_joint(self, x: Any, z: Any) -> Any:
        """log p(x, z), [n], exact, nats; traceable."""
        raise NotImplementedError

    def log_recognition(self, x: Any, z: Any) -> Any:
        """log q(z | x), [n], exact, nats; traceable."""
        raise NotImplementedError

    def recognition(self, x: Any) -> Any:
        """q(z | x), a distribution with ``sample(rng)``, ``log_prob(z)`` and ``mean``."""
        raise NotImplementedError

    def visible_given_latent(self, z: Any) -> Any:
        """p(x | z), a distribution."""
        raise NotImplementedError

    def dream(self, n: int, rng: Generator | int | None = None) -> tuple[Any, Any]:
        """Draw (x, z) from p(x, z) by ancestral sampling: [n, n_visible] and [n, n_latent]."""
        raise NotImplementedError

    def log_joint_gradient(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i d log p(x_i, z_i)/dtheta for any signed weights [n]; zero for the recognition model."""
        raise NotImplementedError

    def log_recognition_gradient(self, x: Any, z: Any, weights: Any = None, out: Any = None) -> Any:
        """sum_i w_i d log q(z_i | x_i)/dtheta for any signed weights [n]; zero for the generative model."""
        raise NotImplementedError

    def check_data(self, x: Any, what: str = "x") -> Any:
        """Return ``x`` as rows [n, n_visible] of this model's backend and dtype.

        Raises
        ------
        DataError
            For what the likelihood, where there is one, or else the visible units cannot mean.
        """
        if get_backend(x) == "autograd":
            return x
        x = self.check_matrix(x, self.n_visible, what)
        judge = getattr(self, "likelihood", self.visible)
        if judge is not None:
            judge.check(x, what)
        return x

    # Draws from the recognition model

    def draw(self, x: Any, k: int, rng: Generator, scratch: Workspace | None = None) -> Any:
        """``k`` draws z ~ q(z | x) a row, with their densities and weighted gradients: see `Draws`.

        Where ``scratch`` is given, a model may keep large arrays in it: they last until it is used again.
        """
        return Draws(self, x, k, rng)

    def importance_weights(self, x: Any, k: int, rng: Generator) -> tuple[Any, Any]:
        """Draws z [k, n, n_latent] from q(z | x), and log_w = log p(x, z) - log q(z | x), [k, n]."""
        drawn = self.draw(x, count("k", k), rng)
        return drawn.z, drawn.log_weights

    def log_weights(self, x: Any, rng: Any, n_samples: int) -> Any:
        """log w at draws from q(z | x), [n_samples, n], float64; as many draws at a time as fit."""
        rng, n_samples = self.generator(rng), count("n_samples", n_samples)
        step = max(1, BLOCK // max(1, x.shape[0] * (self.n_visible + self.n_latent)))
        parts = [
            self.draw(x, min(step, n_samples - done), rng).log_weights.astype("float64")
            for done in range(0, n_samples, step)
        ]
        return self.xp.concatenate(parts)

    # Likelihood: exact, bound, estimate

    def log_prob(self, x: Any) -> Any:
        """log p(x) = log sum_z p(x, z), [n], exact, nats.

        Raises
        ------
        IntractableError
            When z is not enumerable, or has more than 2^16 states.
        """
        x = self.check_data(x)
        return self._over_states(x, lambda log_p, log_q: logsumexp(log_p, axis=1))

    def elbo(self, x: Any, rng: Any = None, n_samples: int = 1) -> Any:
        """The lower bound E_q[log p(x, z) - log q(z | x)] on log p(x), [n], nats.

        Parameters
        ----------
        x : array [n, n_visible]
        rng : Generator or int, optional
            Without one the expectation is enumerated: the bound is exact. With one it is the mean over
            ``n_samples`` draws a row, an unbiased estimate of the bound.
        n_samples : int

        Raises
        ------
        IntractableError
            Where the enumeration is too large; says what to pass.
        """
        x = self.check_data(x)
        if rng is not None:
            return self.log_weights(x, rng, n_samples).mean(axis=0)
        return self.mean_log_weight(x)

    def mean_log_weight(self, x: Any) -> Any:
        """E_q[log w], [n], by enumeration: what `elbo` is without a generator."""
        xp = self.xp
        return self._over_states(x, lambda log_p, log_q: (xp.exp(log_q) * (log_p - log_q)).sum(axis=1))

    def log_prob_estimate(self, x: Any, rng: Any = None, n_samples: int = 100) -> Any:
        """log of the mean of ``n_samples`` importance weights, [n], nats: an estimate.

        In expectation between `elbo` and log p(x), and rising with ``n_samples``.
        """
        log_w = self.log_weights(self.check_data(x), rng, n_samples)
        return logsumexp(log_w, axis=0) - math.log(n_samples)

    def _over_states(self, x: Any, combine: Any) -> Any:
        """``combine(log_p, log_q)`` of tables [m, n_states] over blocks of m rows, in float64."""
        states = math.inf if self.latent is None else self.latent.n_states(self.n_latent)
        if not states <= MAX_STATES:
            raise IntractableError(
                f"this sums {states:.3g} latent states, at most {MAX_STATES} are enumerated; "
                "use elbo(x, rng) for a bound or log_prob_estimate(x, rng, n_samples) for an estimate"
            )
        twin = self.double()
        xp, x = self.xp, x.astype("float64")
        every = self.latent.states(self.n_latent, xp=xp)
        m = every.shape[0]
        step = max(1, BLOCK // (m * (self.n_visible + self.n_latent)))
        found = []
        for start in range(0, max(1, x.shape[0]), step):
            rows = x[start : start + step]
            wide, z = xp.repeat(rows, m, axis=0), xp.tile(every, (rows.shape[0], 1))
            tables = (f(wide, z).reshape(rows.shape[0], m) for f in (twin.log_joint, twin.log_recognition))
            found.append(combine(*tables))
        return xp.concatenate(found)

    # Using it

    def sample(self, n: int, rng: Generator | int | None = None) -> Any:
        """Draw x [n, n_visible] by ancestral sampling; `dream` gives z too."""
        return self.dream(n, rng)[0]

    def transform(self, x: Any) -> Any:
        """Mean of q(z | x), [n, n_latent]: features of x."""
        return self.recognition(self.check_data(x)).mean

    def reconstruct(self, x: Any) -> Any:
        """Mean of p(x | z) at the mean of q(z | x), [n, n_visible]."""
        return self.visible_given_latent(self.transform(x)).mean
