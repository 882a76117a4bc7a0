"""Identities 4, 5, 34 and 37 of generators x = g(z): rows, gradients through samples, change of variables."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.backend import asarray
from minidgm.checks import oracle
from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal, host, identical
from minidgm.checks.registry import identity

GENERATOR = ("draw_latent", "forward", "backward", "update")
KERNELS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gaussian", {"bandwidths": [0.6, 1.2]}),
    ("rational_quadratic", {}),
    ("polynomial", {"degree": 2}),
)
ROWS = 4


def nudged(case: Case) -> None:
    """Move the drawn parameters a little: rectifiers have no derivative at exactly 0."""
    values = {name: host(value) for name, value in case.subject.parameters.items()}
    noise = np.random.default_rng(case.seed())
    case.subject.set_parameters({n: v + 0.05 * noise.normal(size=v.shape) for n, v in values.items()})


@identity(
    name="generated rows are independent",
    number="4",
    equation="g(rows)[i] = g(rows[i]), for batches of any size; z and parameters stay as they are",
    source="a generated row is a function of its own noise",
    requires=(*GENERATOR, "generate"),
    likely_cause="statistics of the batch outside of training, or a sum over the wrong axis",
    largest=3.0,
    examples=10,
)
def generated_rows_are_independent(case: Case) -> Iterator[Comparison]:
    z = case.device(np.random.default_rng(case.seed()).normal(size=(ROWS, case.model.n_latent)))
    before = {name: host(value).copy() for name, value in {**case.subject.parameters, "z": z}.items()}
    x = host(case.model.generate(z))
    yield equal(x.shape, (ROWS, case.subject.visible.n), "shape")
    yield equal(case.model.generate(z[:0]).shape, (0, case.subject.visible.n), "shape of none")
    for i in range(ROWS):
        yield equal(host(case.model.generate(z[i : i + 1])), x[i : i + 1], f"row {i} alone")
    for name, value in {**case.subject.parameters, "z": z}.items():
        yield identical(value, before[name], name)


@identity(
    name="a generator everywhere",
    number="5",
    equation="g(z), in float32 and on the strict device = in float64 on the host; the same bits after a save",
    source="the same line of code is the model everywhere; 5e-4 of the largest number",
    requires=(*GENERATOR, "generate", "save", "to"),
    likely_cause="a constant of float64, an overflow, or a constructor argument that config() leaves out",
    tolerance=5e-4,
    largest=3.0,
    examples=5,
)
def a_generator_everywhere(case: Case) -> Iterator[Comparison]:
    z = np.random.default_rng(case.seed()).normal(size=(ROWS, case.model.n_latent))
    exact = host(case.reference.generate(z))
    scale = 1.0 + float(np.abs(exact).max())
    for backend, dtype in (("numpy", "float32"), ("strict", "float32"), ("strict", "float64")):
        x = case.model.to(backend=backend, dtype=dtype).generate(asarray(z, backend, dtype))
        yield equal(float(str(x.dtype) == dtype), 1.0, f"dtype on {backend}")
        yield equal(host(x) / scale, exact / scale, f"{dtype} on {backend}")
    from minidgm.serialization import load

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        case.model.save(path)
        loaded = load(path, backend=case.subject.backend)
    where = case.device(z)
    yield identical(loaded.generate(where), case.model.generate(where), "loaded")


@identity(
    name="gradient through a generator",
    number="34a",
    equation="backward(dx) = (sum_i (dg(z_i)/dtheta)^T dx_i, (dg/dz)^T dx)",
    source="Goodfellow, Bengio and Courville (2016), Deep Learning, section 20.9",
    requires=GENERATOR,
    likely_cause="a cache of another layer, a transpose, or the gradient of a layer that is left out",
    largest=3.0,
    examples=15,
)
def gradient_through_a_generator(case: Case) -> Iterator[Comparison]:
    nudged(case)
    model, rng = case.model, np.random.default_rng(case.seed())
    z = rng.normal(size=(ROWS, model.n_latent))
    x, cache = model.forward(case.device(z))
    dx = rng.normal(size=x.shape)
    dz, grads = model.backward(case.device(dx), cache)
    # Differences may step over the kink of a rectifier, where autograd stays on its side.
    expected = oracle.gradient(model, lambda m: (m.forward(z)[0] * dx).sum(), guard=False)
    for name in expected:
        yield equal(host(grads[name]), expected[name], name, expected.tolerance)
    slope = oracle.derivative(lambda z: (case.reference.forward(z)[0] * dx).sum(), z)
    yield equal(host(dz), slope, "dz")


@identity(
    name="moment-matching gradients",
    number="34b",
    equation="gradient = d/dtheta of MMD^2(g(z), data), of its root, and of sum_p |difference of moment p|^2",
    source="Gretton et al. (2012), eq. 3 and 5; Li, Swersky and Zemel (2015), section 3; noise replayed",
    requires=GENERATOR,
    likely_cause="a pair counted once that occurs twice, or a row's pair with itself",
    largest=3.0,
    examples=8,
)
def moment_matching_gradients(case: Case) -> Iterator[Comparison]:
    from minidgm.evaluation.mercer import as_kernel

    nudged(case)
    model, seed = case.model, case.seed()
    y = 2.0 * np.random.default_rng(seed).normal(size=(ROWS - 1, model.n_visible))
    z = host(model.draw_latent(ROWS, case.replay(seed)))
    batch = case.device(y)
    squared = case.subject.objective("MaximumMeanDiscrepancy")
    for description in KERNELS:
        kernel = as_kernel(description)
        for options in ({"unbiased": True}, {"unbiased": False}, {"root": True}):
            objective = squared(kernel, n_samples=ROWS, scale=1.5, **options)
            found, metrics = objective.gradient(model, batch, case.replay(seed))

            def loss(m: Any, kernel: Any = kernel, options: Any = options) -> Any:
                value = discrepancy(m.forward(z)[0] / 1.5, y / 1.5, kernel, options.get("unbiased", False))
                return value**0.5 if options.get("root") else value

            expected = oracle.gradient(model, loss, guard=False)
            scale = 1.0 + max(float(np.abs(g).max()) for g in expected.values())
            label = f"{description[0]}, {options}"
            yield equal(host(metrics["loss"]) / scale, host(loss(case.reference)) / scale, f"loss, {label}")
            for name in expected:
                yield equal(host(found[name]) / scale, expected[name] / scale, f"{name}, {label}")
    for cross in (False, True):
        objective = case.subject.objective("MomentMatching")(2, cross=cross, n_samples=ROWS)
        found, _ = objective.gradient(model, batch, case.replay(seed))

        def of_moments(m: Any, cross: bool = cross) -> Any:
            return moments(m.forward(z)[0], y, cross)

        expected = oracle.gradient(model, of_moments, guard=False)
        scale = 1.0 + max(float(np.abs(g).max()) for g in expected.values())
        for name in expected:
            yield equal(host(found[name]) / scale, expected[name] / scale, f"{name}, moments, cross={cross}")


def discrepancy(x: Any, y: Any, kernel: Any, unbiased: bool) -> Any:
    """MMD^2 as it is defined, pair by pair."""
    import autograd.numpy as anp

    def k(a: Any, b: Any) -> Any:
        a, b = a[:, None], b[None]
        return kernel.value(anp.sum(a * b if kernel.of == "product" else (a - b) ** 2, axis=2))

    def within(a: Any) -> Any:
        table, n = k(a, a), a.shape[0]
        if not unbiased:
            return anp.mean(table)
        return (anp.sum(table) - anp.trace(table)) / (n * (n - 1))

    return within(x) + within(y) - 2.0 * anp.mean(k(x, y))


def moments(x: Any, y: Any, cross: bool) -> Any:
    """Squared differences of raw moments of orders 1 and 2."""
    import autograd.numpy as anp

    first = anp.mean(x, axis=0) - anp.mean(y, axis=0)
    if cross:
        second = anp.dot(x.T, x) / x.shape[0] - anp.dot(y.T, y) / y.shape[0]
    else:
        second = anp.mean(x * x, axis=0) - anp.mean(y * y, axis=0)
    return anp.sum(first**2) + anp.sum(second**2)


@identity(
    name="change of variables",
    number="37",
    equation="g^-1(g(z)) = z, and log_prob(g(z)) = log p(z) - log |det dg/dz|, the Jacobian by autograd",
    source="Goodfellow, Bengio and Courville (2016), Deep Learning, eq. 3.47",
    requires=("invert", "log_prob", "log_prior", "generate"),
    likely_cause="a log-determinant with the wrong sign, or at another point",
    largest=2.0,
    tolerance=1e-8,
    examples=15,
)
def change_of_variables(case: Case) -> Iterator[Comparison]:
    from autograd import jacobian

    nudged(case)
    model, reference = case.model, case.reference
    z = 0.9 * np.tanh(np.random.default_rng(case.seed()).normal(size=(3, model.n_latent)))
    J = jacobian(lambda row: reference.forward(row[None])[0][0])
    slopes = [J(row) for row in z]
    if max(np.linalg.cond(slope) for slope in slopes) > 1e4:
        return  # nearly singular: rounding alone would decide
    x = model.generate(case.device(z))
    back, log_det = model.invert(x)
    yield equal(host(back), z, "inverse")
    expected = np.array([np.linalg.slogdet(slope)[1] for slope in slopes])
    yield equal(host(log_det), expected, "log |det dg/dz|")
    yield equal(host(model.log_prob(x)), host(reference.log_prior(z)) - expected, "log_prob")


@identity(
    name="normal density of an affine generator",
    number="37",
    equation="log_prob = log N(x; mu, L L^T), and its gradient = autograd's",
    source="Goodfellow, Bengio and Courville (2016), Deep Learning, section 20.10.2 and eq. 3.23",
    requires=("match", "log_prob", "log_prob_gradient"),
    likely_cause="L for L^T, a diagonal that is no logarithm, or an inverse forgotten",
    largest=2.0,
    examples=15,
)
def normal_density_of_an_affine_generator(case: Case) -> Iterator[Comparison]:
    x = case.visible()
    w, reference = case.weights(len(x)), case.reference
    residual, covariance = x - host(reference.mean), host(reference.covariance)
    square = (residual * np.linalg.solve(covariance, residual.T).T).sum(axis=1)
    log_det = np.linalg.slogdet(covariance)[1]
    expected = -0.5 * (square + log_det + x.shape[1] * np.log(2.0 * np.pi))
    yield equal(case.call("log_prob", x), expected, "log_prob", 1e-8)
    slopes = oracle.gradient(case.model, lambda m: (m.log_prob(x) * w).sum())
    dtype = (case.subject.backend, case.subject.dtype)
    found = case.model.log_prob_gradient(asarray(x, *dtype), asarray(w, *dtype))
    for name in slopes:
        yield equal(host(found[name]), slopes[name], name, slopes.tolerance or 1e-8)
