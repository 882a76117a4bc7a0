"""One portable random generator: the same methods on NumPy, CuPy and the strict fake device.

On the host a stream (SFC64), on devices a counter-based function (Philox4x32-10) computed by array math or
inside fused kernels, so that the strict device and CuPy draw the same bits. Generators are always passed;
there is no global one. Parallel work spawns children, which never overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Generator"]

ROUNDING = 2.0**-15  # a probability may leave [0, 1] by that much


class Generator:
    """Random numbers on a backend.

    Parameters
    ----------
    seed : None, int, sequence of ints or numpy.random.SeedSequence
        ``None`` takes fresh entropy from the operating system.
    backend : {"numpy", "cupy", "strict"}
        Where the drawn arrays live.

    Attributes
    ----------
    backend : str
    xp : module
        The array namespace of the backend.

    Examples
    --------
    >>> rng = Generator(0)
    >>> rng.uniform((2, 3)).dtype
    dtype('float32')
    >>> saved = rng.state()
    >>> a = rng.normal(4)
    >>> rng.set_state(saved)
    >>> bool((rng.normal(4) == a).all())
    True
    """

    def __init__(self, seed: Any = None, backend: str = "numpy"):
        from minidgm.backend import namespace

        if isinstance(seed, np.random.SeedSequence):
            self._seeds = seed
        else:
            try:
                self._seeds = np.random.SeedSequence(seed)
            except (TypeError, ValueError) as error:
                expected = "a seed is None, a non-negative int or a sequence of them"
                raise type(error)(f"{expected}, got {seed!r}") from None
        self.backend = backend
        self.xp = namespace(backend)
        self._engine = _engine(self._seeds, backend, self.xp)

    def __repr__(self) -> str:
        return f"Generator({self._seeds.entropy}, backend={self.backend!r})"

    def uniform(self, shape: Any, dtype: Any = "float32", out: Any = None) -> Any:
        """Draw from [0, 1): multiples of 2^-24 (float32) or 2^-53 (float64)."""
        shape, dtype = self._layout(shape, dtype, out)
        return self._engine.uniform(shape, dtype, out)

    def normal(self, shape: Any, dtype: Any = "float32", out: Any = None) -> Any:
        """Draw from the standard normal distribution; on devices in float32 within +-5.77."""
        shape, dtype = self._layout(shape, dtype, out)
        return self._engine.normal(shape, dtype, out)

    def exponential(self, shape: Any, dtype: Any = "float32") -> Any:
        """Draw from the exponential distribution of mean 1."""
        return self._engine.exponential(*self._layout(shape, dtype, None))

    def gumbel(self, shape: Any, dtype: Any = "float32") -> Any:
        """Draw from the standard Gumbel distribution: minus the log of an exponential; always finite."""
        return self._engine.gumbel(*self._layout(shape, dtype, None))

    def gamma(self, shape_parameter: Any, shape: Any = None, dtype: Any = "float32") -> Any:
        """Draw from gamma distributions of scale 1.

        Parameters
        ----------
        shape_parameter : float or array
            Positive; broadcast against ``shape``.
        shape : int or tuple, optional
            Shape of the result; by default that of ``shape_parameter``.
        dtype : {"float32", "float64"}

        Returns
        -------
        array of ``shape``
            On devices by Marsaglia and Tsang (2000) with a fixed number of rounds; the chance that an
            element is left at the proposal's mode is below 3e-11.
        """
        if shape is None:
            shape = getattr(shape_parameter, "shape", ())
        shape, dtype = self._layout(shape, dtype, None)
        return self._engine.gamma(shape_parameter, shape, dtype)

    def integers(self, low: int, high: int, shape: Any) -> Any:
        """Draw int64 numbers from [low, high)."""
        if not low < high:
            raise ValueError(f"integers need low < high, got [{low}, {high})")
        return self._engine.integers(low, high, _shape(shape))

    def permutation(self, n: int) -> Any:
        """Draw a permutation of 0, ..., n - 1: int64 [n]."""
        if n < 0:
            raise ValueError(f"a permutation needs n >= 0, got {n}")
        return self._engine.permutation(int(n))

    def bernoulli(self, p: Any, out: Any = None) -> Any:
        """Draw 0. or 1. with probability ``p`` of a 1.

        Parameters
        ----------
        p : array of float32 or float64
            Probabilities. P(1) is ``p``: exactly where p is 0 or 1; else to the last bit of p on the host,
            and to 2^-30 on devices. NaN draws 0.
        out : array, optional
            Receives the draw; may be ``p``.

        Returns
        -------
        array
            Shape and dtype of ``p``.

        Raises
        ------
        ValueError
            On the host, for a p outside [0, 1] by more than rounding. A device is not waited for: there
            such a p draws a meaningless value.
        """
        self._check("p", p)
        out = self._result(p, out)
        if self.backend == "numpy" and p.size:
            low, high = float(p.min()), float(p.max())
            if low < -ROUNDING or high > 1.0 + ROUNDING:
                raise ValueError(
                    f"p holds {low if low < -ROUNDING else high:g}; probabilities lie in [0, 1] "
                    "(bernoulli_from_logits takes logits)"
                )
        return self._engine.bernoulli(p, out)

    def bernoulli_from_logits(self, x: Any, bias: Any = None, out: Any = None, mean: Any = None) -> Any:
        """Draw 0. or 1. with probability sigmoid(x + bias) of a 1, in one pass.

        Parameters
        ----------
        x : array of float32 or float64 [..., n]
            Logits; unchanged unless it is also ``out`` or ``mean``.
        bias : array [n], optional
            Added to every row of ``x`` on the fly.
        out : array like ``x``, optional
            Receives the draw; may be ``x``.
        mean : array like ``x``, optional
            Receives sigmoid(x + bias); may be ``x`` (then not also ``out``).

        Returns
        -------
        array
            Shape and dtype of ``x``.

        Examples
        --------
        >>> import numpy as np
        >>> Generator(0).bernoulli_from_logits(np.array([-1e4, 1e4], dtype="float32"))
        array([0., 1.], dtype=float32)
        """
        self._check("x", x)
        if bias is not None:
            self._check("bias", bias)
            if bias.shape != x.shape[-1:]:
                raise ValueError(f"bias has shape {bias.shape}, rows of x need {x.shape[-1:]}")
        if mean is not None:
            self._result(x, mean, "mean")
        out = self._result(x, out)
        return self._engine.bernoulli_from_logits(x, bias, out, mean)

    def categorical(self, logits: Any, axis: int = -1) -> Any:
        """Draw one-hot vectors along ``axis`` with probabilities softmax(logits), by the Gumbel maximum.

        Parameters
        ----------
        logits : array of float32 or float64
            Unnormalised log-probabilities; -inf is never drawn.

        Returns
        -------
        array
            Shape and dtype of ``logits``, one 1. along ``axis``.
        """
        self._check("logits", logits)
        xp = self.xp
        index = xp.argmax(logits + self.gumbel(logits.shape, logits.dtype), axis=axis)
        n = logits.shape[axis]
        places = xp.arange(n).reshape([n if d == axis % logits.ndim else 1 for d in range(logits.ndim)])
        return (places == xp.expand_dims(index, axis)).astype(logits.dtype)

    def at_most_one_from_logits(
        self, x: Any, k: int, bias: Any = None, out: Any = None, mean: Any = None
    ) -> Any:
        """Draw groups of ``k`` bits of which at most one is 1: bit j with probability e^x_j / (1 + sum e^x).

        Parameters
        ----------
        x : array of float32 or float64 [n, d]
            Logits of neighbouring groups of k columns; unchanged unless it is also ``out`` or ``mean``.
        k : int
        bias : array [d], optional
            Added to every row of ``x``.
        out : array like ``x``, optional
            Receives the draw; may be ``x``.
        mean : array like ``x``, optional
            Receives the probabilities; may be ``x`` (then not also ``out``).

        Returns
        -------
        array [n, d]
            One uniform number decides for a group: probabilities are right to 2^-24 in float32.

        Examples
        --------
        >>> import numpy as np
        >>> Generator(0).at_most_one_from_logits(np.array([[-1e4, 1e4, -1e4, -1e4]]), 2)
        array([[0., 1., 0., 0.]])
        """
        from minidgm.kernels.groups import at_most_one

        self._check("x", x)
        if mean is not None:
            self._result(x, mean, "mean")
        out = self._result(x, out)
        u = self.uniform((x.shape[0], x.shape[1] // k), dtype=x.dtype)
        at_most_one(self.xp, x, k, bias, u, out, mean)
        return out

    def spawn(self, n: int) -> list[Generator]:
        """Make ``n`` independent generators; later calls make further ones."""
        return [Generator(child, self.backend) for child in self._seeds.spawn(n)]

    def state(self) -> dict[str, Any]:
        """Return everything that the next draws depend on, as a dict that JSON can hold."""
        seeds = self._seeds
        return {
            "engine": self._engine.name,
            "backend": self.backend,
            "entropy": np.asarray(seeds.entropy, dtype=object).tolist(),
            "spawn_key": [int(k) for k in seeds.spawn_key],
            "n_children_spawned": seeds.n_children_spawned,
            "stream": self._engine.state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state` returned: the next draws are the same bits.

        Raises
        ------
        ValueError
            If the state is of another engine (host against device) or is no state at all.
        """
        if not isinstance(state, dict) or not {"engine", "entropy", "spawn_key", "stream"} <= set(state):
            raise ValueError(f"not the state of a Generator: {state!r}")
        if state["engine"] != self._engine.name:
            raise ValueError(
                f"the state is of engine {state['engine']} (backend {state.get('backend')!r}), "
                f"this generator runs {self._engine.name} (backend {self.backend!r})"
            )
        self._seeds = np.random.SeedSequence(
            state["entropy"], spawn_key=state["spawn_key"], n_children_spawned=state["n_children_spawned"]
        )
        self._engine.set_state(state["stream"])

    @classmethod
    def from_state(cls, state: dict[str, Any], backend: str | None = None) -> Generator:
        """Make a generator that continues from a state; ``backend`` may move it between devices."""
        rng = cls(0, state.get("backend", "numpy") if backend is None else backend)
        rng.set_state(state)
        return rng

    def __reduce__(self) -> Any:
        return Generator.from_state, (self.state(),)

    def _layout(self, shape: Any, dtype: Any, out: Any) -> tuple[tuple[int, ...], np.dtype]:
        shape, dtype = _shape(shape), np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"random numbers are float32 or float64, got dtype {dtype}")
        if out is not None and (out.shape != shape or out.dtype != dtype):
            raise ValueError(f"out is {out.dtype}{out.shape}, the draw is {dtype}{shape}")
        return shape, dtype

    def _check(self, name: str, x: Any) -> None:
        from minidgm.backend import get_backend

        backend = get_backend(x)
        if backend != self.backend:
            raise TypeError(
                f"{name} is {f'a {backend} array' if backend else type(x).__name__}, this generator draws on "
                f"{self.backend!r}; move {name} with minidgm.backend.asarray({name}, {self.backend!r})"
            )
        if x.dtype.char not in "fd":
            raise TypeError(f"{name} has dtype {x.dtype}; draws need float32 or float64")

    def _result(self, x: Any, out: Any, name: str = "out") -> Any:
        if out is None:
            return self.xp.empty(x.shape, dtype=x.dtype)
        if out.shape != x.shape or out.dtype != x.dtype:
            raise ValueError(f"{name} is {out.dtype}{out.shape}, the draw is {x.dtype}{x.shape}")
        return out


def _shape(shape: Any) -> tuple[int, ...]:
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"a shape has no negative sizes, got {shape}")
    return tuple(int(n) for n in shape)


def _engine(seeds: np.random.SeedSequence, backend: str, xp: Any) -> Any:
    if backend == "numpy":
        from minidgm.kernels.host import HostEngine

        return HostEngine(seeds)
    from minidgm.kernels.device import DeviceEngine

    return DeviceEngine(seeds, backend, xp)
