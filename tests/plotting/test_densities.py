"""Heat maps: the density at each point, the right way up."""

import numpy as np
import pytest

from minidgm.checks.strict import xp as strict_xp
from minidgm.plotting import density_2d


def log_density(x):
    return 0.5 * x[:, 0] - 0.25 * x[:, 1]


@pytest.mark.parametrize("batch_size", [7, 10_000])
def test_heat_map_holds_the_density_at_the_middle_of_each_cell(batch_size):
    figure = density_2d(
        log_density, (-1.0, 3.0, 0.0, 2.0), resolution=8, batch_size=batch_size, title="title"
    )
    axes, bar = figure.axes
    image = axes.images[0]
    u, v = -1 + (np.arange(8) + 0.5) / 2, (np.arange(8) + 0.5) / 4
    assert np.allclose(image.get_array(), np.exp(0.5 * u[None, :] - 0.25 * v[:, None]), rtol=1e-6)
    assert image.origin == "lower"
    assert tuple(image.get_extent()) == (-1, 3, 0, 2)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$x_1$", "$x_2$")
    assert bar.get_ylabel() == "density (per unit area)"


def test_axes_keep_the_proportions_of_the_bounds():
    figure = density_2d(log_density, (0.0, 4.0, 0.0, 2.0), resolution=4)
    box = figure.axes[0].get_position()
    width, height = figure.get_size_inches()
    assert box.width * width == pytest.approx(2 * box.height * height)


def test_samples_lie_on_top_within_the_bounds():
    samples = np.array([[0.5, 0.25], [9.0, 9.0]])
    axes = density_2d(
        log_density, (0.0, 1.0, 0.0, 1.0), samples=strict_xp.asarray(samples), resolution=4
    ).axes[0]
    assert axes.lines[0].get_xydata().tolist() == samples.tolist()
    assert axes.get_xlim() == (0, 1)
    assert axes.get_ylim() == (0, 1)


def test_impossible_points_and_device_results_are_drawn():
    figure = density_2d(lambda x: strict_xp.asarray(np.where(x[:, 0] > 0, 0.0, -np.inf)), resolution=4)
    assert np.asarray(figure.axes[0].images[0].get_array()).tolist() == [[0, 0, 1, 1]] * 4


def test_bounds_and_results_of_another_form_are_refused():
    with pytest.raises(ValueError, match="expected \\(left, right, bottom, top\\)"):
        density_2d(log_density, (1.0, 0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="expected one value a point"):
        density_2d(lambda x: x, resolution=3)
