"""Running annealing chains: in blocks, over workers, from a base or from samples of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minidgm.arguments import count
from minidgm.backend import Generator, get_xp
from minidgm.boltzmann.bm import BoltzmannMachine
from minidgm.boltzmann.rbm import RBM
from minidgm.errors import DivergenceError
from minidgm.evaluation.collapsed import CollapsedPath, pays, two_valued
from minidgm.evaluation.exact import can_sample_exactly, exact_samples
from minidgm.evaluation.fused import BernoulliPath
from minidgm.evaluation.path import HarmoniumPath, LinearPath, Path
from minidgm.evaluation.schedule import base_biases
from minidgm.samplers.gibbs import has_blocks

BLOCK_SIZE = 100
GIBBS_STEPS = 1000


def path_between(a: Any, b: Any) -> Path:
    """The path from model A to model B.

    Raises
    ------
    TypeError
        Models without a common path: of two families, backends, dtypes or visible units.
    ValueError
        Another number of visible units; Boltzmann machines of two shapes.
    """
    if hasattr(a, "path_to"):
        return a.path_to(b)
    for model in (a, b):
        if not isinstance(model, (RBM, BoltzmannMachine)):
            raise TypeError(
                f"no annealing path is known for {type(model).__name__}; give an RBM or a BoltzmannMachine"
            )
    if isinstance(a, RBM) != isinstance(b, RBM):
        raise TypeError(f"no path from {type(a).__name__} to {type(b).__name__}: both must be of one family")
    if (a.backend, a.dtype) != (b.backend, b.dtype):
        raise TypeError(
            f"model_a is {a.dtype} on {a.backend}, model_b {b.dtype} on {b.backend}; move one with "
            f"model.to({b.backend!r}, {b.dtype!r})"
        )
    if a.n_visible != b.n_visible:
        raise ValueError(
            f"model_a has {a.n_visible} visible units, model_b {b.n_visible}; both must see the same v"
        )
    if isinstance(a, BoltzmannMachine):
        if a.n_hidden != b.n_hidden:
            raise ValueError(
                f"model_a has {a.n_hidden} hidden units, model_b {b.n_hidden}; "
                "a path between Boltzmann machines needs the same"
            )
        return LinearPath(a, b)
    if a.visible != b.visible:
        raise TypeError(f"model_a has {a.visible} visibles, model_b {b.visible}; both must be the same")
    return HarmoniumPath(a, b)


def path_from_base(model: Any, base: Any, sweeps: str | None = None) -> tuple[Path, float]:
    """The path from independent visible units with biases ``base`` to ``model``, and the base's log Z.

    The base of an RBM has no hidden units; that of a Boltzmann machine has idle ones. A model with a method
    ``path_from_base(base)`` brings its own path, which then has ``sample_base(n, rng)``. ``sweeps`` is for
    RBMs: "block" Gibbs, "collapsed" over a few hidden units, or None for the one that suits the model.
    """
    if sweeps not in (None, "block", "collapsed"):
        raise ValueError(f"sweeps={sweeps!r}; expected 'block', 'collapsed', or None to choose")
    if hasattr(model, "path_from_base"):
        return model.path_from_base(base)
    if not isinstance(model, (RBM, BoltzmannMachine)):
        path_between(model, model)  # raises
    xp, params, b = model.xp, model.params, base_biases(model, base)
    own = model._own("visible") if isinstance(model, RBM) else {}
    log_z = model.visible.cgf(
        b.astype("float64")[None, :], **{name: value.astype("float64") for name, value in own.items()}
    ).sum()
    if isinstance(model, BoltzmannMachine):
        start = model.with_params({**{name: xp.zeros_like(value) for name, value in params.items()}, "b": b})
        return LinearPath(start, model), float(log_z) + model.n_hidden * math.log(2.0)
    hidden = {name: value[:0] for name, value in params.items() if name.startswith("hidden_")}
    start = model.with_params({**params, **hidden, "W": params["W"][:, :0], "b": b, "c": params["c"][:0]})
    if sweeps == "collapsed" and not two_valued(model):
        raise ValueError(
            f"collapsed sweeps flip hidden units of two values, these are {model.hidden.name}; use 'block'"
        )
    if sweeps == "collapsed" or (sweeps is None and has_blocks(model) and pays(model)):
        return CollapsedPath(start, model), float(log_z)
    written_out = has_blocks(model) and model.visible.name == model.hidden.name == "bernoulli"
    kind = BernoulliPath if written_out else HarmoniumPath
    return kind(start, model), float(log_z)


def run(
    path: Path,
    state: Any,
    betas: Sequence[float],
    rng: Generator,
    executor: Any = None,
    block_size: int = BLOCK_SIZE,
) -> tuple[Any, Any]:
    """Anneal every row of ``state`` along ``betas``; returns log-weights [n] (float64) and final states.

    Rows go in blocks of ``block_size``, each with its own spawned generator, to ``executor.map`` or, without
    an executor, through the same blocks one after the other.
    """
    block_size = count("block_size", block_size)
    parts = state if isinstance(state, tuple) else (state,)
    n = parts[0].shape[0]
    blocks = [tuple(part[i : i + block_size] for part in parts) for i in range(0, n, block_size)]
    jobs = [(path, block if isinstance(state, tuple) else block[0], betas) for block in blocks]
    spread = map if executor is None else executor.map
    results = list(spread(_run_block, jobs, rng.spawn(len(jobs))))
    xp = get_xp(parts[0])
    log_w = xp.concatenate([log_w for log_w, _ in results])
    if not bool(xp.isfinite(log_w).all()):
        raise DivergenceError(
            "log-weights are not finite; a parameter of the model holds NaN or infinity, "
            "or is too large for its dtype"
        )
    if isinstance(state, tuple):
        return log_w, tuple(xp.concatenate(column) for column in zip(*(s for _, s in results), strict=True))
    return log_w, xp.concatenate([s for _, s in results])


def _run_block(job: tuple[Path, Any, Sequence[float]], rng: Generator) -> tuple[Any, Any]:
    path, state, betas = job
    return path.anneal(state, betas, rng)


def sample_base(path: Path, n: int, rng: Generator) -> Any:
    """Independent states of the base at the start of a path made by `path_from_base`."""
    if hasattr(path, "sample_base"):
        return path.sample_base(n, rng)
    base = path.a
    xp, own = base.xp, base._own("visible") if isinstance(base, RBM) else {}
    v = base.visible.sample(xp.zeros((n, 1), dtype=base.dtype) + base.params["b"], rng, **own)
    return path.join(v, 0.0, rng)


def sample_model(
    path: Path,
    n: int,
    rng: Generator,
    init: Any,
    gibbs_steps: int | None,
    at: float,
    approach: tuple[Callable[[], Any], str],
) -> tuple[Any, int, str]:
    """States to start from at one end of a path, further sweeps to make, and what the states are.

    These are ``init``; else exact samples where the model at this end can be enumerated; else what
    ``approach``, a function and its description, returns, with `GIBBS_STEPS` sweeps to come.
    """
    model = path.b if at == 1.0 else path.a
    if gibbs_steps is not None:
        count("gibbs_steps", gibbs_steps, 0)
    if init is not None:
        v = model.check_data(init, "init")
        if v.shape[0] != n:
            raise ValueError(f"init has {v.shape[0]} rows; expected one for each of n_chains={n}")
        return path.join(v, at, rng), gibbs_steps or 0, _after("the given samples", gibbs_steps or 0)
    if can_sample_exactly(model):
        return path.join(exact_samples(model, n, rng), at, rng), gibbs_steps or 0, "exact samples"
    steps = GIBBS_STEPS if gibbs_steps is None else gibbs_steps
    function, source = approach
    return function(), steps, _after(source, steps)


def _after(source: str, steps: int) -> str:
    return f"{source} and {steps} Gibbs sweeps" if steps else source


def log_mean_exp(log_w: Any) -> tuple[float, float | None, float]:
    """log of the mean weight, its standard error by the delta method, and the effective sample size.

    sd(log mean w) is about sd(w) / (mean(w) sqrt(n)), None for one chain; ESS = (sum w)^2 / sum w^2.
    """
    xp, n = get_xp(log_w), log_w.shape[0]
    top = log_w.max()
    w = xp.exp(log_w - top)
    mean = float(w.mean())
    stderr = None if n == 1 else math.sqrt(float(((w - mean) ** 2).sum()) / (n - 1) / n) / mean
    return float(top) + math.log(mean), stderr, float(w.sum()) ** 2 / float((w * w).sum())


def describe(n_chains: int, betas: Sequence[float], block_size: int, **more: Any) -> dict[str, Any]:
    """Settings of a run, as JSON values."""
    return {"n_chains": n_chains, "n_temperatures": len(betas), "block_size": block_size, **more}


def describe_base(base: Any) -> str:
    """Name the base for the settings of a run."""
    return "field of idle hidden units" if base is None else base if isinstance(base, str) else "given biases"
