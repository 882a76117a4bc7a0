"""Recurrent layers and attention: passes, loops written out, causality, PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from minidgm import nn
from minidgm.backend import Generator
from tests.nn.passes import check_everywhere, check_jvp, check_layer, check_rows, numbers, parameters

RECURRENT = [nn.Recurrent(4), nn.GRU(3), nn.LSTM(3)]
ATTENTION = [nn.SelfAttention(2), nn.SelfAttention(1, causal=False)]


@pytest.mark.parametrize("layer", RECURRENT + ATTENTION, ids=repr)
@pytest.mark.parametrize("shape", [(5, 4), (1, 2)])
def test_passes_agree_with_autograd(layer, shape, backend):
    check_layer(layer, shape)
    check_rows(layer, shape)
    check_everywhere(layer, shape, backend, atol=3e-5)


@pytest.mark.parametrize("layer", RECURRENT + ATTENTION, ids=repr)
@pytest.mark.parametrize("shape", [(5, 4), (1, 2)])
def test_tangents_are_adjoint(layer, shape):
    check_jvp(layer, shape)


@pytest.mark.parametrize("layer", RECURRENT, ids=repr)
def test_tangents_are_differences(layer):
    params, x = parameters(layer, (5, 4)), numbers((3, 5, 4))
    dx, eps = np.random.default_rng(5).normal(size=x.shape), 1e-6
    found = layer.jvp(dx, layer.forward(params, x)[1])
    above, below = (layer.forward(params, x + sign * eps * dx)[0] for sign in (1.0, -1.0))
    np.testing.assert_allclose(found, (above - below) / (2.0 * eps), atol=1e-8)


def test_symbols_have_no_tangent():
    with pytest.raises(NotImplementedError, match="start the tangent behind the Embedding"):
        nn.Embedding(3, 2).jvp(np.zeros((1, 1)), None)


@pytest.mark.parametrize("layer", [*RECURRENT, nn.SelfAttention(2)], ids=repr)
def test_causality(layer):
    """The Jacobian of y_t in x_s is zero for s > t, and not for s = t."""
    params, x = parameters(layer, (5, 4)), numbers((1, 5, 4))
    y, cache = layer.forward(params, x)
    for t in range(5):
        dy = np.zeros_like(y)
        dy[:, t] = 1.0
        dx, _ = layer.backward(dy, cache)
        assert not dx[:, t + 1 :].any()
        assert dx[:, t].any()


def test_attention_is_its_loop():
    layer, d = nn.SelfAttention(2), 6
    params, x = parameters(layer, (4, d)), numbers((3, 4, d))
    y, _ = layer.forward(params, x)
    W, b, U, c = (params[k] for k in "WbUc")
    for n in range(3):
        for t in range(4):
            heads = []
            for h in range(2):
                columns = slice(h * 3, (h + 1) * 3)
                parts = (slice(i * d, (i + 1) * d) for i in range(3))
                query, key, value = (x[n] @ W[:, part] + b[part] for part in parts)
                scores = [query[t, columns] @ key[s, columns] / np.sqrt(3.0) for s in range(t + 1)]
                p = np.exp(scores) / np.exp(scores).sum()
                heads.append(sum(p[s] * value[s, columns] for s in range(t + 1)))
            np.testing.assert_allclose(y[n, t], np.concatenate(heads) @ U + c, rtol=1e-10)


def test_lstm_remembers_and_forgets():
    """With the input gate shut and the forget gate open the cell stands still, at c = 0: y = 0."""
    layer = nn.LSTM(2)
    params = {name: np.zeros(s) for name, s in layer.parameter_shapes((6, 3)).items()}
    layer.initialize(params, Generator(0))
    assert params["b"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    params["b"][:2] = -1e4
    y, _ = layer.forward(params, numbers((2, 6, 3)))
    np.testing.assert_array_equal(y, 0.0)


@pytest.mark.parametrize("layer", RECURRENT, ids=repr)
@pytest.mark.parametrize("n", [1, 3])
def test_steps_in_place_are_the_steps_as_they_read(layer, n):
    """The loop over buffers against `step`, and nothing of it in what the caller gets."""
    params, x = parameters(layer, (5, 4)), numbers((n, 5, 4))
    y, cache = layer.forward(params, x)
    state = c = np.zeros((n, layer.n_out))
    for t in range(5):
        a = x[:, t] @ params["W"] + params["b"]
        state, c = layer.step(a, state @ params["R"], params.get("q"), state, c)
        np.testing.assert_allclose(y[:, t], state, rtol=1e-12, atol=1e-14)
    dy = numbers(y.shape, 4)
    expected, _ = layer.backward(dy, cache)
    y[...] = np.nan
    expected_again, grads = layer.backward(dy, cache)
    np.testing.assert_array_equal(expected_again, expected)
    assert all(np.isfinite(value).all() for value in grads.values())


def test_recurrent_weights_start_orthogonal():
    for layer in RECURRENT:
        params = {name: np.zeros(s) for name, s in layer.parameter_shapes((2, 5)).items()}
        layer.initialize(params, Generator(0))
        first = params["R"][:, : layer.n_out]
        np.testing.assert_allclose(first @ first.T, np.eye(layer.n_out), atol=1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="6 does not divide into 4 heads"):
        nn.SelfAttention(4).output_shape((3, 6))
    with pytest.raises(ValueError, match=r"rows of shape \[time, n_in\], got \[3\]"):
        nn.GRU(2).output_shape((3,))
    with pytest.raises(ValueError, match=r"x has shape \(3, 0, 4\); expected one time"):
        nn.GRU(2).forward(parameters(nn.GRU(2), (5, 4)), np.zeros((3, 0, 4)))


def gates(W, order, n):
    """PyTorch's rows of gates in our order of columns."""
    parts = [W[i * n : (i + 1) * n] for i in order]
    return np.concatenate(parts).T if W.ndim == 2 else np.concatenate(parts)


def test_pytorch_agrees():
    torch = pytest.importorskip("torch")
    x, n = numbers((3, 6, 4)).astype("float32"), 5
    dy = numbers((3, 6, n), 4).astype("float32")
    for ours, theirs, order in (
        (nn.Recurrent(n), torch.nn.RNN(4, n, batch_first=True), [0]),
        (nn.GRU(n), torch.nn.GRU(4, n, batch_first=True), [1, 0, 2]),
        (nn.LSTM(n), torch.nn.LSTM(4, n, batch_first=True), [0, 1, 2, 3]),
    ):
        weights = [p.detach().numpy() for p in theirs.parameters()]
        W_in, W_state, b_in, b_state = (gates(w, order, n) for w in weights)
        params = {"W": W_in, "R": W_state, "b": b_in + b_state}
        if ours.has_q:
            params["q"] = b_state[2 * n :]
            params["b"] = b_in + np.concatenate([b_state[: 2 * n], np.zeros(n, "float32")])
        there = torch.tensor(x, requires_grad=True)
        expected = theirs(there)[0]
        expected.backward(torch.tensor(dy))
        y, cache = ours.forward(params, x)
        dx, grads = ours.backward(dy, cache)
        other = [gates(p.grad.numpy(), order, n) for p in theirs.parameters()]
        for found, wanted in (
            (y, expected.detach().numpy()),
            (dx, there.grad.numpy()),
            (grads["W"], other[0]),
            (grads["R"], other[1]),
            (grads["b"], other[2]),
            *([(grads["q"], other[3][2 * n :])] if ours.has_q else []),
        ):
            np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-5)


def test_pytorch_attention_agrees():
    torch = pytest.importorskip("torch")
    d, ours = 8, nn.SelfAttention(2)
    theirs = torch.nn.MultiheadAttention(d, 2, batch_first=True)
    x = numbers((3, 5, d)).astype("float32")
    dy = numbers((3, 5, d), 4).astype("float32")
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    there = torch.tensor(x, requires_grad=True)
    expected = theirs(there, there, there, attn_mask=mask, need_weights=False)[0]
    expected.backward(torch.tensor(dy))
    params = {
        "W": theirs.in_proj_weight.detach().numpy().T,
        "b": theirs.in_proj_bias.detach().numpy(),
        "U": theirs.out_proj.weight.detach().numpy().T,
        "c": theirs.out_proj.bias.detach().numpy(),
    }
    y, cache = ours.forward(params, x)
    dx, grads = ours.backward(dy, cache)
    for found, wanted in (
        (y, expected.detach()),
        (dx, there.grad),
        (grads["W"], theirs.in_proj_weight.grad.T),
        (grads["b"], theirs.in_proj_bias.grad),
        (grads["U"], theirs.out_proj.weight.grad.T),
        (grads["c"], theirs.out_proj.bias.grad),
    ):
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5, rtol=1e-5)
