"""Identities 29 and 31 for discrete codes of nets: divergence in closed form, slopes between the codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minidgm.checks import oracle
from minidgm.checks.case import Case
from minidgm.checks.catalogue.belief_networks import NEEDS, listed, tables
from minidgm.checks.comparison import Comparison, equal, gradients
from minidgm.checks.registry import identity


@identity(
    name="divergence of discrete codes",
    number="31c",
    equation="kl(x) = sum_z q(z|x) (log q(z|x) - log p(z)); elbo = sum_z q(z|x) log p(x|z) - kl(x)",
    source="Mnih and Gregor (2014), section 2.1; Deep Learning, 20.10.3",
    requires=(*NEEDS, "kl", "log_prior", "latent_field"),
    likely_cause="p and q exchanged, a cgf left out, or the prior taken as uniform",
    applies=listed,
)
def divergence(case: Case) -> Iterator[Comparison]:
    v = case.visible()
    log_p, log_q = tables(case, v)
    log_prior = case.H @ np.asarray(case.reference.params["prior/b"])
    log_prior = log_prior - np.log(np.exp(log_prior - log_prior.max()).sum()) - log_prior.max()
    yield equal(case.call("log_prior", case.H), log_prior, "log p(z)")
    yield equal(np.exp(log_q).sum(axis=1), np.ones(len(v)), "sum q")
    apart = (np.exp(log_q) * (log_q - log_prior)).sum(axis=1)
    yield equal(case.call("kl", v), apart, "kl")
    explained = (np.exp(log_q) * (log_p - log_prior)).sum(axis=1)
    yield equal(case.call("elbo", v), explained - apart, "elbo")


@identity(
    name="slope between the codes",
    number="29",
    equation="log_joint_slopes = (log p, w d log p/dz, sum w d log p/dtheta) at any real z",
    source="Bengio, Leonard and Courville (2013); the chain rule through the decoder",
    requires=(*NEEDS, "log_joint_slopes", "log_joint_input_gradient"),
    likely_cause="the prior's field left out of the slope, or weights of other rows",
    largest=3.0,
    applies=listed,
)
def slope(case: Case) -> Iterator[Comparison]:
    import autograd.numpy as anp

    v = case.visible()
    w = case.weights(len(v))
    z = case.hidden(len(v))
    z = 0.6 * z + 0.2 * z[:, ::-1]  # between the codes

    def weighted(model: Any, z: Any) -> Any:
        return anp.sum(w * model.log_joint(v, z))

    out = case.model.zero_gradient()
    log_p, found = case.model.log_joint_slopes(*map(case.device, (v, z, w)), out)
    yield equal(log_p, case.reference.log_joint(v, z), "log p")
    yield equal(found, oracle.derivative(lambda z: weighted(case.reference, z), z), "slope")
    yield from gradients(out, oracle.gradient(case.model, lambda m: weighted(m, z)))
