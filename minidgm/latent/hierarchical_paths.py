r"""Gradients through layers of codes that noise makes upward, z_l = mu_l(z_(l-1)) + sigma_l eps_l, by hand.

| symbol | shape | meaning |
|---|---|---|
| x | [n, n_visible] | rows |
| eps, z | [k, n, n_latent] | noise and codes, k a row; layers side by side |
| mu_l, s_l | [k, n, n_l] | mean and log-variance of q(z_l given z_(l-1)); sigma_l = e^(s_l/2) |
| m_l, v_l | [k, n, n_l] | mean and log-variance of p(z_l given z_(l+1)), l < L |
| w | [k, n] | weights, of any sign |

For the weighted sum of log p(x | z_1) + beta (log p(z) - log q(z | x)), two passes.

*Up the generative nets.* With r = (z_l - m_l) e^(-v_l/2), decoder l + 1 gets d/dm_l = beta w r e^(-v_l/2) and
d/dv_l = beta w (r^2 - 1)/2; z_l gets -d/dm_l, and z_(l+1) what comes out of the decoder's backward pass. The
highest codes get -beta w z_L.

*Down the recognition nets.* g_l, all that has reached z_l, goes through z_l = mu_l + sigma_l eps_l. On the
path log q(z_l | z_(l-1)) is -eps^2/2 - s_l/2 and a constant ("sampled"):

    d/dmu_l = g_l,                d/ds_l = g_l sigma_l eps_l / 2 + beta w / 2,

and encoder l takes them on to its parameters and to z_(l-1). The first one sums them over the k draws.

* "analytic": KL(q(z_L | z_(L-1)), N(0, I)) in closed form, so that the highest codes get no -beta w z_L and
  d/dmu_L = g_L - beta w mu_L, d/ds_L = g_L sigma_L eps_L / 2 - beta w (e^(s_L) - 1) / 2.
* "path": the parameters of an encoder get no score of q at fixed z. With h = g_l + beta w eps / sigma_l they
  see d/dmu_l = h and d/ds_l = h sigma_l eps_l / 2. What z_(l-1) gets stays, since there q is no score but a
  function of the codes: a second backward pass. (Roeder et al. 2017; Tucker et al. 2019.)
"""

from __future__ import annotations

from typing import Any

from minidgm.backend import get_xp
from minidgm.errors import unknown
from minidgm.latent.directed import Draws
from minidgm.latent.gaussian import LOG_2PI, DiagonalNormal, log_standard_normal
from minidgm.latent.hierarchical_recognition import BottomUp
from minidgm.latent.pathwise import KL, clear
from minidgm.nn.network import Scope


class HierarchicalPaths(Draws):
    """k draws of all layers of codes for every row, what p and q say about them, and gradients through them.

    Parameters
    ----------
    model : HierarchicalVAE
    x : array [n, n_visible]
    noise : array [k, n, n_latent]
        eps, layers side by side.
    training : bool
        Whether layers that know training (dropout, batch norm) are in it.
    rng : Generator, optional
        For layers that draw in training.

    Attributes
    ----------
    codes : list of arrays [k, n, n_l]
        z_1 ... z_L.
    above, below : list of DiagonalNormal
        p(z_l | z_(l+1)) for l < L, and q(z_l | z_(l-1)), whose first is [n, n_1] for all draws.
    log_likelihood : array [k, n]
        log p(x | z_1), nats.
    """

    def __init__(self, model: Any, x: Any, noise: Any, training: bool = False, rng: Any = None):
        self.model, self.x, self.noise, self.k = model, x, noise, noise.shape[0]
        n = x.shape[0]
        options = {"training": training, "rng": rng}
        self._eps = model.split(noise)
        self.codes: list[Any] = []
        self.below: list[DiagonalNormal] = []
        self.above: list[DiagonalNormal] = []
        self._spread, self._encoders, self._decoders = [], [], []
        for layer, eps in enumerate(self._eps, 1):
            q, cache = model.up(layer, x if layer == 1 else self._rows(self.codes[-1]), **options)
            q = q if layer == 1 else self._drawn(q)
            self._spread.append(q.deviation * eps)
            self.codes.append(q.mean + self._spread[-1])
            self.below.append(q)
            self._encoders.append(cache)
        for layer in model.layers[1:]:
            p, cache = model.down(layer, self._rows(self.codes[layer - 1]), **options)
            self.above.append(self._drawn(p))
            self._decoders.append(cache)
        a, self._decoder = model.decode(self._rows(self.codes[0]), x, **options)  # row s n + i: draw s of i
        log_p, self._loss = model.likelihood.forward(a, model.target(x))
        self.log_likelihood = log_p.reshape(self.k, n)

    def _rows(self, z: Any) -> Any:
        """[k n, ...] from [k, n, ...]."""
        return z.reshape(self.k * z.shape[1], z.shape[2])

    def _drawn(self, one: DiagonalNormal) -> DiagonalNormal:
        """Normals [k, n, ...] from those of rows [k n, ...]."""
        shape = (self.k, self.x.shape[0], one.mean.shape[1])
        return DiagonalNormal(one.mean.reshape(shape), one.log_variance.reshape(shape))

    @property
    def z(self) -> Any:
        """Codes, layers side by side, [k, n, n_latent]."""
        return self.codes[0] if len(self.codes) == 1 else get_xp(self.x).concatenate(self.codes, axis=2)

    @property
    def recognition(self) -> Any:
        """q(z | x), whose first layer is known."""
        return BottomUp(self.model, self.x, self.below[0])

    @property
    def log_prior(self) -> Any:
        """log p(z), [k, n], nats."""
        lower = [p.log_prob(z) for p, z in zip(self.above, self.codes, strict=False)]
        return sum(lower, start=log_standard_normal(self.codes[-1]))

    @property
    def log_joint(self) -> Any:
        """log p(x, z), [k, n], nats."""
        return self.log_likelihood + self.log_prior

    @property
    def log_recognition(self) -> Any:
        """log q(z | x), [k, n], nats."""
        xp = get_xp(self.x)
        parts = zip(self._eps, self.below, strict=True)
        return sum(-0.5 * xp.sum(eps * eps + q.log_variance + LOG_2PI, axis=-1) for eps, q in parts)

    def kl_terms(self, kl: str = "analytic") -> Any:
        """log q / p of each code, a mean over the draws, [n, n_latent], nats.

        Of the highest layer it is in closed form given the one below, where ``kl`` is "analytic".
        """
        terms = []
        for i, (z, eps, q) in enumerate(zip(self.codes, self._eps, self.below, strict=True)):
            if i < len(self.above):
                p = self.above[i]
                r = (z - p.mean) / p.deviation
                terms.append(0.5 * (r * r + p.log_variance - eps * eps - q.log_variance).mean(axis=0))
            elif kl == "analytic":
                found = q.kl_terms()
                terms.append(found if found.ndim == 2 else found.mean(axis=0))
            else:
                terms.append(0.5 * (z * z - eps * eps - q.log_variance).mean(axis=0))
        return terms[0] if len(terms) == 1 else get_xp(self.x).concatenate(terms, axis=1)

    # Gradients

    def gradient(
        self, weights: Any, kl: str = "analytic", beta: Any = 1.0, share: Any = None, out: Any = None
    ) -> Any:
        """sum_si w_si d/dtheta (log p(x_i | z_1si) + beta (log p(z) - log q(z | x))), through the codes.

        Parameters
        ----------
        weights : array [k, n]
        kl : {"analytic", "sampled", "path"}
            How log q and the highest prior are differentiated: see the module.
        beta : float or array [n_latent]
            Weight of the second part, or of each code in it.
        share : array [k, n], optional
            Multiplies what reaches the encoders: see `minidgm.latent.pathwise.Paths.gradient`.
        out : Parameters, optional

        Returns
        -------
        Parameters
        """
        if kl not in KL:
            raise unknown("kl", kl, KL)
        out = self.model.zero_gradient() if out is None else out
        w, depth = weights[:, :, None], len(self.codes)
        betas = self.model.split(beta) if getattr(beta, "ndim", 0) else [beta] * depth
        da = self.model.likelihood.backward(weights.reshape(-1), self._loss)
        g = [self.model.decode_backward(da, self._decoder, out).reshape(self.codes[0].shape)]
        for i in range(depth - 1):
            in_mean, in_log_variance = self._prior_slopes(i, betas[i] * w)
            g[i] = g[i] - in_mean
            dy, scope = self._side_by_side(in_mean, in_log_variance), Scope(out, f"decoder/{i + 2}/")
            dz = self.model.decoders[i + 1].backward(dy, self._decoders[i], scope)[0]
            g.append(dz.reshape(self.codes[i + 1].shape))
        if kl != "analytic":
            g[-1] = g[-1] - (betas[-1] * w) * self.codes[-1]
        if share is not None:
            g, w = [share[:, :, None] * part for part in g], share[:, :, None] * w
        for i in reversed(range(depth)):
            closed = kl == "analytic" and i == depth - 1
            dz = self._through_codes(i, g[i], betas[i] * w, closed, kl == "path", out)
            if i:
                g[i - 1] = g[i - 1] + dz.reshape(g[i - 1].shape)
        return out

    def _prior_slopes(self, i: int, w: Any) -> tuple[Any, Any]:
        """Weighted d log p(z_l | z_(l+1)) in m_l and v_l, [k, n, n_l], l = i + 1."""
        p = self.above[i]
        deviation = p.deviation
        r = (self.codes[i] - p.mean) / deviation
        return w * r / deviation, 0.5 * w * (r * r - 1.0)

    def _through_codes(self, i: int, g: Any, w: Any, closed: bool, path: bool, out: Any) -> Any:
        """Take g at z_l on to encoder l = i + 1; return what z_(l-1) gets (None for the first layer)."""
        q, net, cache = self.below[i], self.model.encoders[i], self._encoders[i]
        scope = Scope(out, f"encoder/{i + 1}/")
        if path:
            h = g + w * (self._eps[i] / q.deviation)
            net.parameter_gradients(self._slopes(i, h, 0.5 * h * self._spread[i]), cache, scope)
            if i == 0:
                return None
            return net.backward(self._slopes(i, g, 0.5 * (g * self._spread[i] + w)), cache)[0]
        if closed:
            dy = self._slopes(i, g - w * q.mean, 0.5 * (g * self._spread[i] - w * (q.variance - 1.0)))
        else:
            dy = self._slopes(i, g, 0.5 * (g * self._spread[i] + w))
        if i == 0:
            net.parameter_gradients(dy, cache, scope)
            return None
        return net.backward(dy, cache, scope)[0]

    def _slopes(self, i: int, in_mean: Any, in_log_variance: Any) -> Any:
        """Slopes in the output of encoder i + 1: rows [k n, 2 n_l], those of the first summed over draws."""
        if i == 0:
            in_mean, in_log_variance = in_mean.sum(axis=0)[None], in_log_variance.sum(axis=0)[None]
        return self._side_by_side(in_mean, in_log_variance)

    def _side_by_side(self, in_mean: Any, in_log_variance: Any) -> Any:
        both = get_xp(in_mean).concatenate([in_mean, in_log_variance], axis=2)
        return both.reshape(both.shape[0] * both.shape[1], both.shape[2])

    def log_joint_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si w_si d log p(x_i, z_si)/dtheta at fixed codes; zero for the encoders."""
        out = self.model.zero_gradient() if out is None else out
        da = self.model.likelihood.backward(weights.reshape(-1), self._loss)
        self.model.decode_backward(da, self._decoder, out)
        for i, cache in enumerate(self._decoders):
            dy = self._side_by_side(*self._prior_slopes(i, weights[:, :, None]))
            self.model.decoders[i + 1].parameter_gradients(dy, cache, Scope(out, f"decoder/{i + 2}/"))
        return clear(out, "encoder/")

    def log_recognition_gradient(self, weights: Any, out: Any = None) -> Any:
        """sum_si w_si d log q(z_si | x_i)/dphi at fixed codes: eps / sigma and (eps^2 - 1) / 2 at each."""
        out = self.model.zero_gradient() if out is None else out
        w = weights[:, :, None]
        for i, (eps, q) in enumerate(zip(self._eps, self.below, strict=True)):
            dy = self._slopes(i, w * eps / q.deviation, 0.5 * w * (eps * eps - 1.0))
            scope = Scope(out, f"encoder/{i + 1}/")
            self.model.encoders[i].parameter_gradients(dy, self._encoders[i], scope)
        return clear(out, "decoder/")

    def update(self) -> None:
        """Move the running means of batch norm, in the model's parameters, after a training step."""
        model = self.model
        for name, nets, caches in (
            ("encoder", model.encoders, self._encoders),
            ("decoder", model.decoders, [self._decoder, *self._decoders]),
        ):
            for layer, (net, cache) in enumerate(zip(nets, caches, strict=True), 1):
                net.update(Scope(model.params, f"{name}/{layer}/"), cache)
