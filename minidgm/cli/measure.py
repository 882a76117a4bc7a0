"""What the command measures of a finished model: a table of likelihoods, bounds and baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidgm.backend import is_array, to_numpy
from minidgm.errors import IntractableError
from minidgm.evaluation import Estimate
from minidgm.training.data import spread

PARTS = ("train", "validation", "test")
CHEAP_STATES = 2**16  # of the smaller side: exact while a model learns, and beside estimates
EXACT_STATES = 2**22
ROWS = 10_000
FEW_ROWS = 1000


@dataclass(frozen=True)
class Figure:
    """One line of the table: a quantity, how it was made, and an `Estimate` for each part of the data."""

    quantity: str
    by: str
    parts: Mapping[str, Estimate]


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on one model.

    Attributes
    ----------
    log_partition : dict of str to Estimate
        By method: "enumeration", "AIS", "reverse AIS".
    figures : list of Figure
    rows : dict of str to int
        How many rows of each part were used.
    label : str
        The model, in a word or two.
    """

    log_partition: dict[str, Estimate]
    figures: list[Figure]
    rows: dict[str, int] = field(default_factory=dict)
    label: str = ""

    def __getitem__(self, quantity_and_method: tuple[str, str]) -> Mapping[str, Estimate]:
        for figure in self.figures:
            if (figure.quantity, figure.by) == quantity_and_method:
                return figure.parts
        raise KeyError(f"{quantity_and_method} was not measured")

    @property
    def best(self) -> Figure:
        """The model's log-likelihood: exact where it is known, else by AIS."""
        found = [figure for figure in self.figures if figure.quantity == "log-likelihood"]
        return found[0]

    def to_list(self) -> list[dict[str, Any]]:
        """One dictionary a figure, each with its kind, standard error and unit."""
        lines: list[tuple[str, str, str | None, Estimate]] = [
            ("log Z", by, None, value) for by, value in self.log_partition.items()
        ]
        lines += [(f.quantity, f.by, part, value) for f in self.figures for part, value in f.parts.items()]
        return [
            {
                "quantity": quantity,
                "part": part,
                "value": value.value,
                "kind": value.kind,
                "stderr": value.stderr,
                "unit": value.unit,
                "method": by,
                "how": value.how,
                "effective_sample_size": value.ess,
                "rows": self.rows.get(part or ""),
                "settings": dict(value.settings),
            }
            for quantity, by, part, value in lines
        ]


def evaluate(
    model: Any, data: Any, n_chains: int = 100, n_temperatures: int = 1000, seed: int = 0, step: Any = None
) -> Evaluation:
    """Measure all that a model's methods allow.

    Parameters
    ----------
    model : Model
    data : Dataset
        At most 10,000 rows of each part are used, evenly spread; 1,000 for a deep belief network.
    n_chains, n_temperatures : int
        Of annealed importance sampling.
    seed : int
    step : callable, optional
        Called with the name of what comes next.

    Raises
    ------
    TypeError
        For a model without ``free_energy``, without a top whose partition function is its own, and without
        ``reconstruct``.
    """
    from minidgm import evaluation as ev

    step = step or (lambda name: None)
    rows = rows_of(model, data)
    log_z: dict[str, Estimate] = {}
    figures: list[Figure] = []
    if hasattr(model, "free_energy") or hasattr(model, "top"):
        rows, log_z, figures = likelihoods(model, rows, n_chains, n_temperatures, seed, step)
    elif hasattr(model, "log_recognition"):
        step("bounds")
        rows = {part: spread(v, FEW_ROWS) for part, v in rows.items()}
        figures = directed(model, rows, seed)
    elif hasattr(model, "draw_latent"):
        from minidgm.cli.generators import generated

        step("samples")
        figures = generated(model, rows, seed)
    elif hasattr(model, "log_prob"):
        from minidgm.evaluation.likelihood import mean_over_rows

        step("density")
        exact = {part: mean_over_rows(model, v, model.log_prob) for part, v in rows.items()}
        known = {part: Estimate(value, "exact", how="density") for part, value in exact.items()}
        figures.append(Figure("log-likelihood", "density", known))
    elif not hasattr(model, "reconstruct"):
        raise TypeError(
            f"{type(model).__name__} has no free_energy(v) and no reconstruct(v): nothing here can measure it"
        )
    figures += baselines(model, rows)
    if hasattr(model, "pseudo_log_likelihood"):
        step("pseudo-likelihood")
        values = {part: ev.pseudo_likelihood(model, v) for part, v in rows.items()}
        figures.append(Figure("log pseudo-likelihood", "conditionals", values))
    if hasattr(model, "reconstruct"):
        values = {part: ev.reconstruction_error(model, v) for part, v in rows.items()}
        figures.append(Figure("reconstruction error", "mean field", values))
    if hasattr(model, "conditional_log_prob"):
        step("conditional log-likelihood")
        figures += conditional(model, rows)
    if hasattr(model, "error_rate"):
        values = {
            part: ev.Estimate(model.error_rate(v), "exact", unit="share", how="most probable label given v")
            for part, v in rows.items()
        }
        figures.append(Figure("classification error", "p(y | v)", values))
    held_out = {part: v for part, v in rows.items() if part != "train"}
    if held_out and hasattr(model, "free_energy") and getattr(model, "exact_free_energy", True):
        values = {part: ev.free_energy_gap(model, rows["train"], v) for part, v in held_out.items()}
        figures.append(Figure("free-energy gap to train", "free energies", values))
    hidden = f", {model.n_hidden} hidden" if hasattr(model, "n_hidden") else ""
    label = f"{type(model).__name__}{hidden}"
    return Evaluation(log_z, figures, {part: len(v) for part, v in rows.items()}, label)


def likelihoods(
    model: Any,
    rows: dict[str, Any],
    n_chains: int,
    n_temperatures: int,
    seed: int,
    step: Any,
) -> tuple[dict[str, Any], dict[str, Estimate], list[Figure]]:
    """Return the rows measured, their model's log Z every way there is, and log-likelihoods with each."""
    from minidgm import evaluation as ev
    from minidgm.backend import Generator

    summed, seen = model, rows["train"]
    if hasattr(model, "top"):
        # A deep belief network has the partition function of its top RBM, whose data are inferred states;
        # each of its rows takes many draws.
        rows = {part: spread(v, FEW_ROWS) for part, v in rows.items()}
        summed, seen = model.top, model.transform(seen, model.depth - 1)
    log_z: dict[str, Estimate] = {}
    if n_terms(summed) <= EXACT_STATES:
        step("exact log Z")
        log_z["enumeration"] = ev.log_partition_exact(summed)
    annealed = {"n_chains": n_chains, "n_temperatures": n_temperatures, "base": ev.base_rate(summed, seen)}
    forward, backward = Generator(seed, model.backend).spawn(2)
    step("AIS")
    log_z["AIS"] = ev.ais(summed, rng=forward, **annealed)
    step("reverse AIS")
    log_z["reverse AIS"] = ev.reverse_ais(summed, rng=backward, **annealed)
    if hasattr(model, "top"):
        step("bounds")
        return rows, log_z, bounds(model, rows, log_z, seed)
    figures = []
    for by, value in log_z.items():
        values = {part: ev.log_likelihood(model, v, value) for part, v in rows.items()}
        figures.append(Figure("log-likelihood", by, values))
    return rows, log_z, figures


def conditional(model: Any, rows: Mapping[str, Any]) -> list[Figure]:
    """The mean of log p(y | x) of a model of pairs, exact, where its sum over a row's y or h is short."""
    terms = 2 ** min(model.n_output, model.n_hidden)
    if terms > CHEAP_STATES:
        return []
    values = {}
    for part, v in rows.items():
        pairs = model.split(spread(v, max(1, EXACT_STATES // terms)))
        mean = float(model.conditional_log_prob(*pairs).mean())
        values[part] = Estimate(mean, "exact", how=f"enumeration for each of {len(pairs[0])} rows")
    return [Figure("log-likelihood of y given x", "enumeration", values)]


def bounds(model: Any, rows: Mapping[str, Any], log_z: Mapping[str, Estimate], seed: int) -> list[Figure]:
    """Importance weighting and the variational bound of a model with a recognition net."""
    from minidgm import evaluation as ev

    figures = []
    for name, function in (("log-likelihood", ev.importance_weighted), ("lower bound", ev.lower_bound)):
        for by, value in log_z.items():
            values = {part: function(model, v, value, seed) for part, v in rows.items()}
            figures.append(Figure(name, by, values))
    return figures


def directed(model: Any, rows: Mapping[str, Any], seed: int) -> list[Figure]:
    """Exact likelihood where the codes can be summed out, importance weighting, and the variational bound."""
    from minidgm import evaluation as ev
    from minidgm.evaluation.likelihood import mean_over_rows

    figures = []
    try:
        exact = {part: mean_over_rows(model, v, model.log_prob) for part, v in rows.items()}
        known = {part: Estimate(value, "exact", how="codes summed out") for part, value in exact.items()}
        figures.append(Figure("log-likelihood", "codes summed out", known))
    except IntractableError:
        pass
    for name, function in (("log-likelihood", ev.importance_weighted), ("lower bound", ev.lower_bound)):
        values = {part: function(model, v, rng=seed) for part, v in rows.items()}
        figures.append(Figure(name, "recognition net", values))
    return figures


def baselines(model: Any, rows: Mapping[str, Any]) -> list[Figure]:
    """Log-likelihoods of two models without hidden units, on bits: what a model has to beat, exact.

    Uniform: n log(1/2). Independent: each bit with its frequency in the training rows, one half added to both
    counts so that a pixel never seen lit is not impossible. Of the columns that the model explains, labels
    it is given apart; none beside densities, which probabilities cannot be compared with.
    """
    if getattr(getattr(model, "visible", None), "name", "") == "gaussian":
        return []
    explained = getattr(model, "target", lambda v: v)
    bits = {part: to_numpy(explained(v)).astype(np.float64) for part, v in rows.items()}
    if any(np.any((v != 0.0) & (v != 1.0)) for v in bits.values()):
        return []
    n = bits["train"].shape[1]
    p = (bits["train"].sum(axis=0) + 0.5) / (len(bits["train"]) + 1.0)
    uniform = Estimate(-n * math.log(2.0), "exact", how="uniform distribution")
    independent = {
        part: Estimate(
            float((v * np.log(p) + (1.0 - v) * np.log1p(-p)).sum(axis=1).mean()),
            "exact",
            how="independent bits with the frequencies of the training rows",
        )
        for part, v in bits.items()
    }
    return [
        Figure("baseline log-likelihood", "independent bits", independent),
        Figure("baseline log-likelihood", "uniform", dict.fromkeys(bits, uniform)),
    ]


def rows_of(model: Any, data: Any) -> dict[str, Any]:
    """At most 10,000 checked rows of every part that has some, on the model's device."""
    found = {}
    for part in PARTS:
        rows = getattr(data, part)
        if len(rows):
            rows = (
                spread(rows, ROWS) if is_array(rows) else rows[np.arange(0, len(rows), -(-len(rows) // ROWS))]
            )
            found[part] = model.check_data(rows, f"{data.name}.{part}")
    return found


def n_terms(model: Any) -> float:
    """Terms of the sum that is the partition function; infinite where it cannot be enumerated."""
    if not hasattr(model, "log_partition") or not hasattr(model, "free_energy"):
        return math.inf
    if hasattr(model, "n_terms"):
        return model.n_terms
    n_v, n_h = model.visible.n_states(model.n_visible), model.hidden.n_states(model.n_hidden)
    return float(min(n_v, n_h) if hasattr(model, "hidden_free_energy") else n_v * n_h)
