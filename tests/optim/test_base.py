import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidgm import optim
from minidgm.backend import to_numpy
from minidgm.checks.strict import count_host_reads
from minidgm.errors import CheckpointError
from minidgm.kernels import cuda
from minidgm.optim.base import clip_scale
from minidgm.parameters import Parameters

SHAPES = {"b": (3,), "W": (4, 3), "V": (2, 2), "c": ()}


def draw(seed, dtype="float64", shapes=SHAPES):
    params = Parameters(shapes, dtype=dtype)
    params.buffer[...] = np.random.default_rng(seed).standard_normal(params.size)
    return params


optimizers = st.one_of(
    st.builds(
        optim.SGD,
        st.floats(0, 1),
        st.sampled_from([0.0, 0.5, 0.9]),
        weight_decay=st.sampled_from([0.0, 0.1]),
        clip=st.sampled_from([None, 0.5]),
    ),
    st.builds(optim.Nesterov, st.floats(0, 1), weight_decay=st.sampled_from([0.0, 0.1])),
    st.builds(
        optim.Adam,
        st.floats(0, 1),
        st.tuples(st.sampled_from([0.0, 0.9]), st.sampled_from([0.0, 0.99])),
        weight_decay=st.sampled_from([0.0, 0.1]),
        clip=st.sampled_from([None, 0.5]),
    ),
    st.builds(optim.AdamW, st.floats(0, 1), weight_decay=st.sampled_from([0.0, 0.1])),
)


def run(optimizer, params, n_steps, seed=0):
    for k in range(n_steps):
        optimizer.step(params, draw([seed, k], params.dtype, params.shapes))
    return params


@given(optimizers, st.sampled_from([("float32", 2e-5), ("float64", 1e-12)]), st.integers(0, 9))
def test_the_fast_update_equals_the_formulas_as_written(optimizer, precision, seed):
    dtype, tolerance = precision
    fast, plain = draw(seed, dtype), draw(seed, dtype)
    optimizer.init(fast)
    run(optimizer, fast, 4, seed)
    state = optimizer.state()
    optimizer.init(plain)
    optimizer._fast = optimizer._plain_update
    run(optimizer, plain, 4, seed)
    np.testing.assert_allclose(fast.buffer, plain.buffer, rtol=tolerance, atol=tolerance)
    for slot in optimizer.slots:
        np.testing.assert_allclose(state[slot], optimizer.state()[slot], rtol=tolerance, atol=tolerance)


@given(optimizers, st.integers(0, 3), st.integers(0, 3))
def test_a_restored_state_continues_to_the_same_bits(optimizer, before, after):
    whole, split = draw(1, "float32"), draw(1, "float32")
    optimizer.init(whole)
    run(optimizer, whole, before)
    state, half = optimizer.state(), whole.copy()
    for k in range(after):
        optimizer.step(whole, draw(k, "float32"))
    split.buffer[...] = half.buffer
    optimizer.init(split)
    optimizer.set_state(state)
    for k in range(after):
        optimizer.step(split, draw(k, "float32"))
    assert whole.buffer.tobytes() == split.buffer.tobytes()
    assert optimizer.n_steps == before + after


@given(optimizers)
def test_config_is_json_that_rebuilds_the_optimizer(optimizer):
    config = json.loads(json.dumps(optimizer.config()))
    rebuilt = optim.from_config(config)
    assert rebuilt.config() == optimizer.config()
    assert type(rebuilt) is type(optimizer)


@given(optimizers)
def test_a_step_reads_the_gradient_and_leaves_it(optimizer):
    params, grads = draw(0), draw(1)
    before = grads.buffer.copy()
    optimizer.init(params)
    optimizer.step(params, grads)
    np.testing.assert_array_equal(grads.buffer, before)


@pytest.mark.parametrize("make", [optim.SGD, optim.AdamW])
def test_decay_acts_on_matrices_unless_told_otherwise(make):
    zero = Parameters(SHAPES, dtype="float64")
    for decayed, shrunk in [(None, {"W", "V"}), (["b"], {"b"}), ([], set()), (list(SHAPES), set(SHAPES))]:
        params, before = draw(0), draw(0)
        optimizer = make(0.5, weight_decay=0.1, decayed=decayed)
        optimizer.init(params)
        optimizer.step(params, zero)
        for name in params:
            factor = 1 - 0.5 * 0.1 if name in shrunk else 1.0
            np.testing.assert_allclose(params[name], factor * before[name], rtol=1e-14)


@given(st.floats(0.01, 100), st.floats(-3, 3))
def test_clipping_keeps_the_direction_and_bounds_the_norm(clip, log_size):
    params, grads = Parameters(SHAPES, dtype="float64"), draw(1)
    grads.buffer[...] *= 10.0**log_size
    optimizer = optim.SGD(1.0, clip=clip)
    optimizer.init(params)
    optimizer.step(params, grads)
    norm = np.linalg.norm(grads.buffer)
    np.testing.assert_allclose(params.buffer, -grads.buffer * min(1, clip / norm), rtol=1e-12)


def test_clipping_survives_squares_that_overflow():
    huge = np.full(4, 1e30, np.float32)
    assert clip_scale(huge, 1.0) == pytest.approx(1 / 2e30)
    assert clip_scale(np.zeros(3), 1.0) == 1.0


def test_the_rate_follows_the_schedule_from_step_zero():
    seen = []
    optimizer = optim.SGD(lambda step: seen.append(step) or 0.1 * step)
    params = Parameters({"w": (1,)}, dtype="float64")
    optimizer.init(params)
    grads = params.like()
    grads.buffer[...] = 1.0
    for _ in range(3):
        optimizer.step(params, grads)
    assert seen == [0, 1, 2]
    np.testing.assert_allclose(params["w"], -0.3)
    optimizer = optim.SGD(optim.Linear(1.0))
    optimizer.init(params, total_steps=4)
    optimizer.step(params, grads)
    assert optimizer.rate == 0.75


def test_a_step_needs_the_layout_that_init_saw():
    params = draw(0)
    with pytest.raises(ValueError, match="init saw nothing"):
        optim.SGD(0.1).step(params, params.like())
    optimizer = optim.SGD(0.1)
    optimizer.init(params)
    with pytest.raises(ValueError, match="gradients"):
        optimizer.step(params, Parameters({"W": (1,)}, dtype="float64"))
    optimizer = optim.SGD(lambda step: -1.0)
    optimizer.init(params)
    with pytest.raises(ValueError, match=r"returned -1\.0 at step 0"):
        optimizer.step(params, params.like())


def test_a_state_of_another_optimizer_or_model_is_refused():
    params = draw(0)
    adam, sgd = optim.Adam(), optim.SGD()
    adam.init(params)
    sgd.init(params)
    with pytest.raises(CheckpointError, match="first_moment"):
        adam.set_state(sgd.state())
    other = optim.Adam()
    other.init(Parameters({"W": (7,)}))
    with pytest.raises(CheckpointError, match="20 values"):
        adam.set_state(other.state())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: optim.SGD(-0.1), ValueError, r"learning_rate must be in \[0, inf\), got -0.1"),
        (lambda: optim.SGD(float("inf")), ValueError, "inf"),
        (lambda: optim.SGD("0.1"), TypeError, "must be a number, got '0.1'"),
        (lambda: optim.SGD(True), TypeError, "bool"),
        (lambda: optim.SGD(0.1, momentum=1.0), ValueError, r"momentum must be in \[0, 1\), got 1.0"),
        (lambda: optim.SGD(0.1, momentum=-0.1), ValueError, "momentum"),
        (lambda: optim.SGD(0.1, nesterov=True), ValueError, "nesterov=True needs a momentum"),
        (lambda: optim.SGD(0.1, weight_decay=-1), ValueError, "weight_decay"),
        (lambda: optim.SGD(0.1, clip=0), ValueError, r"clip must be in \(0, inf\)"),
        (lambda: optim.Adam(betas=(0.9, 1.0)), ValueError, r"betas\[1\]"),
        (lambda: optim.Adam(betas=(0.9,)), ValueError, "two numbers"),
        (lambda: optim.Adam(eps=0), ValueError, "eps"),
        (lambda: optim.from_name("adm"), ValueError, "did you mean 'adam'"),
        (lambda: optim.from_config(optim.SGD(lambda step: 0.1).config()), ValueError, "cannot be rebuilt"),
        (lambda: optim.SGD(0.1, decayed=["w"]).init(draw(0)), ValueError, "did you mean 'W'"),
    ],
)
def test_impossible_settings_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


@settings(max_examples=20)
@given(optimizers)
def test_an_empty_layout_is_stepped_without_harm(optimizer):
    params = Parameters({"W": (0, 3)})
    optimizer.init(params)
    optimizer.step(params, params.like())
    assert optimizer.n_steps == 1


@given(optimizers)
def test_a_device_moves_as_the_host_does_and_reads_nothing_back(optimizer):
    host, grads = draw(0), draw(1)
    device, device_grads = host.to("strict"), grads.to("strict")
    optimizer.init(host)
    optimizer.step(host, grads)
    optimizer.step(host, grads)
    optimizer.init(device)
    with count_host_reads() as reads:
        optimizer.step(device, device_grads)
        optimizer.step(device, device_grads)
    assert reads.count == 0
    np.testing.assert_allclose(to_numpy(device.buffer), host.buffer, rtol=1e-12, atol=1e-12)
    optimizer.set_state(optimizer.state())


def sgd_kernel(p, g, velocity, rate, momentum, nesterov, decay, scale):
    """What fused.cu does to every value."""
    step = scale * g + decay * p
    if velocity is not None:
        velocity[...] = momentum * velocity + step
        step = step + momentum * velocity if nesterov else velocity
    p[...] = p - rate * step


def adam_kernel(p, g, first, second, betas, step, eps, decay, shrink, scale):
    """What fused.cu does to every value."""
    g = scale * g + decay * p
    first[...] = betas[0] * first + g
    second[...] = betas[1] * second + g * g
    p[...] = shrink * p - step * first / (second**0.5 + eps)


@given(optimizers)
def test_the_kernels_are_called_with_what_makes_them_the_formulas(optimizer):
    plain, fused = draw(0), draw(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "sgd_update", sgd_kernel)
        patch.setattr(cuda, "adam_update", adam_kernel)
        for params, update in ((plain, "plain"), (fused, "cuda")):
            optimizer.init(params)
            assert optimizer._device_update("cupy") == optimizer._cuda_update
            optimizer._fast = getattr(optimizer, f"_{update}_update")
            run(optimizer, params, 3)
    np.testing.assert_allclose(fused.buffer, plain.buffer, rtol=1e-12, atol=1e-12)
