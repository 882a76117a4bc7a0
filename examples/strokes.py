"""Strokes: one bank of filters, everywhere in the image.

Four strokes are drawn at random places, in images of 16×16. A dense machine would have to learn every stroke
at every place. A convolutional RBM has 8 small filters that look everywhere, and its four detectors in a
block of 2×2 compete: at most one of them is on. From the images alone the filters become the four strokes,
some of them moved by a pixel, and the detectors say where one is. What the picture calls *painted again*
knows nothing of the image but these detectors.
"""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import minidgm
from minidgm import objectives, optim

#: The data: vertical, horizontal and two diagonal strokes of five pixels, four an image, anywhere.
strokes = np.stack([np.eye(5)[[2] * 5], np.eye(5)[[2] * 5].T, np.eye(5), np.eye(5)[::-1]])


def draw(n, rng):
    """Return n images [n, 16, 16] of four strokes."""
    images = np.zeros((n, 16, 16), dtype="float32")
    for image in images:
        for kind, i, j in rng.integers(0, (4, 12, 12), (4, 3)):
            window = image[i : i + 5, j : j + 5]
            np.maximum(window, strokes[kind], out=window)
    return images


rng = np.random.default_rng(0)
train, test = draw(3000, rng), draw(500, rng)

crbm = minidgm.ConvolutionalRBM(filters=8, filter_size=5, pool=2, image_shape=(16, 16), seed=0)
crbm.initialize(train)
#: Detectors are rare from the beginning, and a penalty keeps them so: a filter that is on everywhere is no
#: stroke.
crbm.fit(
    train,
    objective=objectives.ContrastiveDivergence(k=1, sparsity_target=0.01, sparsity_cost=2000.0),
    optimizer=optim.Adam(optim.schedules.Linear(0.02, 0.0)),
    epochs=15,
    batch_size=50,
)

#: The filter nearest to each stroke, wherever in the filter the stroke lies: cosine of the two.
W = crbm.params["W"][:, 0]
room = np.pad(W, ((0, 0), (2, 2), (2, 2)))
moved = np.stack([room[:, i : i + 5, j : j + 5] for i in range(5) for j in range(5)])
cosine = np.einsum("mkij,sij->mks", moved, strokes).max(axis=0)
cosine /= np.sqrt(5.0 * (W**2).sum(axis=(1, 2)))[:, None]
for name, match in zip(("vertical", "horizontal", "falling", "rising"), cosine.T, strict=True):
    print(f"{name:10s} stroke: nearest filter {match.argmax()}, cosine {match.max():.2f}")
error = float(((crbm.reconstruct(test) - test.reshape(-1, 256)) ** 2).mean())
print(f"squared error of a pixel painted again: {error:.4f}; of painting the mean: {float(test.var()):.4f}")


def tile(axes, images, columns, title, cmap, **style):
    """Show a list of square images as one picture."""
    cmap = matplotlib.colormaps[cmap].with_extremes(bad="0.9")
    padded = np.pad(np.asarray(images), ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    side = padded.shape[1]
    picture = padded.reshape(-1, columns, side, side).transpose(0, 2, 1, 3).reshape(-1, columns * side)
    axes.imshow(np.ma.masked_invalid(picture), interpolation="nearest", cmap=cmap, **style)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_axis_off()


#: The picture. Detectors come in blocks; ``as_maps`` lays them out as images, one a filter.
figure = Figure(figsize=(10, 2.6), layout="constrained")
data, filters, detectors, painted = figure.subplots(1, 4, width_ratios=(4, 4, 4, 4))
ink = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
limit = float(abs(W).max())
tile(data, test[:4], 2, "images", **ink)
tile(filters, W, 4, "the 8 filters", cmap="RdBu_r", vmin=-limit, vmax=limit)
places = crbm.maps.as_maps(crbm.hidden_given_visible(test[:1].reshape(1, 256)).mean)[0]
tile(detectors, places, 4, "their detectors for the first image", **ink)
tile(painted, crbm.reconstruct(test[:4]).reshape(-1, 16, 16), 2, "painted again", **ink)
figure.savefig("strokes.png", dpi=150)
