"""Helmholtz machine (Dayan, Hinton, Neal and Zemel 1995): a sigmoid belief net trained by wake-sleep.

The densities, the recognition net and the symbols are those of `minidgm.latent.sbn`. What the name adds is
the way to learn (Deep Learning, section 20.10.6): awake, q infers and p learns to generate what was seen;
asleep, p dreams and q learns to infer what was dreamt. See `minidgm.objectives.WakeSleep`.
"""

from __future__ import annotations

from typing import Any

from minidgm.latent.sbn import SigmoidBeliefNet


class HelmholtzMachine(SigmoidBeliefNet):
    """A `SigmoidBeliefNet` whose default objective is `WakeSleep`.

    Parameters
    ----------
    sizes, backend, dtype, seed
        See `SigmoidBeliefNet`.

    Examples
    --------
    >>> HelmholtzMachine([4, 2], seed=0).default_objective()
    WakeSleep(k=1, weight_decay=0.0)
    """

    reference = (
        "Dayan, Hinton, Neal and Zemel (1995), The Helmholtz machine; "
        "Goodfellow, Bengio and Courville (2016), Deep Learning, 20.10.6"
    )

    def default_objective(self) -> Any:
        """Wake-sleep, one draw a row."""
        from minidgm.objectives import WakeSleep

        return WakeSleep()
