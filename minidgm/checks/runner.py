"""Run identities on a model: draw, compare, shrink, report."""

from __future__ import annotations

import math
import os
import time
import traceback
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import hypothesis
from hypothesis import strategies as st

from minidgm.checks.case import Case
from minidgm.checks.comparison import Comparison, equal
from minidgm.checks.registry import Identity, select
from minidgm.checks.report import Report, Result, failure_message
from minidgm.checks.subject import Subject
from minidgm.errors import IdentityError

SHRINK_SECONDS = 3.0


def check_model(
    model: Any,
    identities: Any = None,
    max_examples: int = 25,
    seed: int = 0,
    raises: bool | None = None,
    *,
    backend: str | None = None,
    dtype: str | None = None,
    objectives: Mapping[str, Any] | None = None,
) -> Report:
    """Check every identity that a model's methods make checkable, on drawn parameters.

    Parameters
    ----------
    model : class, instance or str
        A class is built small (``n_visible=3, n_hidden=2`` where its constructor has these names). An
        instance keeps its structure and is not touched; one that is too large to enumerate is replaced by a
        small twin of the same configuration. A string names a model of the library. No base class is needed:
        methods are found by name (``energy(v, h)``, ``free_energy(v)``, ``hidden_given_visible(v)``,
        ``log_prob(v)`` ...), parameters are the arrays in ``model.params``, or else the array attributes.
    identities : str, Identity, or a list of them, optional
        Names or numbers of the catalogue; by default all.
    max_examples : int
        Parameter sets drawn for each identity (costly identities draw fewer).
    seed : int
        The draws are a function of it.
    raises : bool, optional
        Whether to raise on failure. By default only under pytest.
    backend, dtype : str, optional
        Check the model there instead, for models that offer it. A float32 model is held to the float32
        tolerance.
    objectives : mapping, optional
        Gradient estimators to check in place of the library's, by their class name:
        ``{"ContrastiveDivergence": MyCD}``.

    Returns
    -------
    Report
        ``report.ok``, ``report.results``; ``print(report)`` shows a table and each failure.

    Raises
    ------
    IdentityError
        An AssertionError that carries ``.report``: smallest failing example, the two sides, likely cause.
    ValueError
        For an unknown identity or model name.
    TypeError
        For a model that cannot be constructed, or that has no parameters.

    Examples
    --------
    >>> from minidgm import RBM
    >>> report = check_model(RBM, identities=["free energy"], max_examples=5)
    >>> report.ok, report.results[0].equation
    (True, 'F(v) = -log sum_h exp(-E(v, h))')
    """
    started = time.perf_counter()
    if max_examples < 1:
        raise ValueError(f"max_examples must be at least 1, got {max_examples}")
    if isinstance(model, str):
        from minidgm.registry import models

        model = models()[model]
    subject = Subject(model, backend, dtype, objectives)
    results, skipped = [], {}
    for item in select(identities):
        reason = item.reason_not_applicable(subject)
        if reason:
            skipped[item.name] = reason
        else:
            results.append(check_identity(item, subject, max_examples, seed))
    where = "" if subject.backend == "numpy" else f" on {subject.backend}"
    report = Report(
        model=f"{_title(subject)}, {subject.dtype}{where}",
        results=tuple(results),
        not_applicable=skipped,
        notes=tuple(subject.notes),
        seconds=time.perf_counter() - started,
    )
    if raises is None:
        raises = "PYTEST_CURRENT_TEST" in os.environ
    if raises and report.failures:
        raise IdentityError("\n\n".join(r.message for r in report.failures), report)
    return report


def check_identity(item: Identity, subject: Subject, max_examples: int = 25, seed: int = 0) -> Result:
    """Check one identity on a subject and return its result; never raises for a failure of the model."""
    tolerance = item.tolerance
    if subject.float32 and item.tolerance < item.tolerance_float32:
        tolerance = item.tolerance_float32
    recorder = _Recorder(item, subject, tolerance)

    @hypothesis.settings(
        max_examples=min(max_examples, item.examples),
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.seed(seed)
    @hypothesis.given(st.data())
    def holds(data: Any) -> None:
        recorder.run(data)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            holds()
        except (_Found, _OutOfTime):
            pass
        except hypothesis.errors.Flaky:
            recorder.flaky = not recorder.out_of_time
    return recorder.result()


class _Found(AssertionError):
    """An example on which the identity does not hold; hypothesis shrinks it."""


class _OutOfTime(BaseException):
    """Shrinking has taken long enough (passes through hypothesis, which catches only Exception)."""


class _Recorder:
    """Run examples of one identity, remember the worst error and the smallest failure."""

    def __init__(self, item: Identity, subject: Subject, tolerance: float):
        self.item, self.subject, self.tolerance = item, subject, tolerance
        self.worst = 0.0
        self.worst_tolerance = tolerance
        self.examples = 0
        self.notes: set[str] = set()
        self.failure: tuple[Any, ...] | None = None
        self.smallest = math.inf
        self.first_failure = math.inf
        self.flaky = self.out_of_time = False

    def run(self, data: Any) -> None:
        if time.perf_counter() - self.first_failure > SHRINK_SECONDS:
            self.out_of_time = True
            raise _OutOfTime
        case = Case(self.subject, data, self.item.largest)
        failed = math.isfinite(self.first_failure)
        self.examples += not failed
        try:
            for comparison in _comparisons(self.item.function(case)):
                self._judge(comparison, case)
        except (_Found, ImportError, hypothesis.errors.HypothesisException):
            raise
        except Exception as error:
            self._keep(case, None, "raises", _describe(error))
            raise _Found from error

    def _judge(self, comparison: Comparison, case: Case) -> None:
        tolerance = self.tolerance
        if comparison.tolerance is not None:
            tolerance = (
                comparison.tolerance if comparison.tolerance == 0.0 else max(tolerance, comparison.tolerance)
            )
        if comparison.note:
            self.notes.add(comparison.note)
        failed = not comparison.error <= tolerance
        if not math.isfinite(self.first_failure) and (
            failed or comparison.error / max(tolerance, 1e-300) > self._ratio()
        ):
            self.worst, self.worst_tolerance = comparison.error, tolerance
        if failed:
            problem = f"the two sides differ by {comparison.error:.3g}, allowed is {tolerance:.3g}"
            if comparison.note:
                problem += f" ({comparison.note})"
            self._keep(case, comparison, "fails", problem)
            raise _Found

    def _ratio(self) -> float:
        return self.worst / max(self.worst_tolerance, 1e-300)

    def _keep(self, case: Case, comparison: Comparison | None, verdict: str, problem: str) -> None:
        if not math.isfinite(self.first_failure):
            self.first_failure = time.perf_counter()
            if comparison is None:
                self.worst = math.inf
        size = len(str({name: str(value) for name, value in case.example.items()}))
        if size <= self.smallest:
            self.smallest = size
            self.failure = (verdict, comparison, problem, dict(case.example))

    def result(self) -> Result:
        item, verdict, message = self.item, "holds", "; ".join(sorted(self.notes))
        if self.failure is not None:
            verdict, comparison, problem, example = self.failure
            if self.flaky:
                problem += (
                    "; it does not fail every time: something keeps a state or draws without the generator"
                )
            label, sides = (
                ("", None) if comparison is None else (comparison.label, (comparison.left, comparison.right))
            )
            message = failure_message(_title(self.subject), item, label, sides, problem, example)
        return Result(
            name=item.name,
            equation=item.equation,
            verdict=verdict,
            worst_error=float(self.worst),
            tolerance=float(self.worst_tolerance if self.worst > 0.0 else self.tolerance),
            source=item.source,
            number=item.number,
            examples=self.examples,
            message=message,
        )


def _comparisons(returned: Any) -> Iterable[Comparison]:
    """Read what an identity's function gave: a pair, a comparison, or an iterable of either."""
    if isinstance(returned, Comparison):
        yield returned
    elif (
        isinstance(returned, tuple)
        and len(returned) in (2, 3)
        and not isinstance(returned[0], (Comparison, tuple))
    ):
        yield equal(returned[0], returned[1], *returned[2:])
    elif returned is not None:
        for item in returned:
            yield from _comparisons(item)


def _describe(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (line {frames[-1].lineno} of {os.path.basename(frames[-1].filename)})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _title(subject: Subject) -> str:
    config = getattr(subject.model, "config", None)
    if not callable(config):
        return subject.name
    shown = {key: value for key, value in config().items() if value not in (False, None)}
    return f"{subject.name}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"
