"""The demo's report: one HTML file, pictures and styles inside, that shows everything the run found."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from minidgm.cli import runs, text, toml
from minidgm.cli.chart import line_chart

MINUS = "\N{MINUS SIGN}"
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>minidgm demo: RBMs on handwritten digits</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def page(results: dict[str, Any]) -> str:
    """Compose the report from what :func:`minidgm.cli.demo.demonstrate` found."""
    style = resources.files("minidgm.cli").joinpath("report.css").read_text(encoding="utf-8")
    sections = (
        _headline,
        _likelihoods,
        _partition,
        _learning,
        _samples,
        _filters,
        _monitors,
        _identities,
        _settings,
    )
    return PAGE.format(style=style, body="\n".join(section(results) for section in sections))


def _headline(results: dict[str, Any]) -> str:
    found, larger, checks = results["evaluation"], results["larger"], results["checks"]
    exact = float(found.best.parts["test"])
    independent = float(found["baseline log-likelihood", "independent bits"]["test"])
    by_ais = larger["log-likelihood", "AIS"]["test"]
    error = abs(found.log_partition["AIS"].value - found.log_partition["enumeration"].value)
    held = sum(result.ok for result in checks.results)
    data, n_hidden, n_large = (
        results["plan"].data,
        results["plan"].model.n_hidden,
        results["large"].model.n_hidden,
    )
    tiles = [
        (f"{exact:.2f}", f"nats a test image, exact, from {n_hidden} hidden units"),
        (
            f"{float(by_ais):.2f}",
            f"± {by_ais.stderr:.2g} nats a test image, by AIS, from {n_large} hidden units",
        ),
        (f"{error:.3f}", "nats between AIS and the exact log Z"),
        (f"{held} of {len(checks.results)}", "identities of the model hold"),
    ]
    ratio = math.exp(exact - independent)
    times = f"{ratio:,.0f}" if ratio >= 10.0 else f"{ratio:.2f}"
    seconds = sum(summary["seconds"] for summary in results["summaries"])
    cards = "".join(
        f'<div class="tile"><b>{value.replace("-", MINUS)}</b><span>{label}</span></div>'
        for value, label in tiles
    )
    return f"""\
<h1>{n_hidden} hidden units, measured exactly</h1>
<p class="lead">Two restricted Boltzmann machines learned {len(data.train):,} handwritten digits of
8&nbsp;×&nbsp;8 pixels in {seconds:.0f} seconds. The small one gives a digit it has never seen
<b>{times} times</b> the probability that independent pixels give it (geometric mean over the
{len(data.test)} test images), and nothing about that number is estimated: all 2<sup>{n_hidden}</sup> hidden
states were summed.</p>
<div class="tiles">{cards}</div>"""


def _likelihoods(results: dict[str, Any]) -> str:
    from minidgm.cli.demo import likelihoods

    head, lines = likelihoods(results["evaluation"], results["larger"])
    main = [i for i, line in enumerate(lines) if line[1] == "enumeration"]
    return f"""\
<h2>Log-likelihood</h2>
<p>Mean log-probability of an image in nats; larger is better. The first two lines have no hidden units: every
pixel a fair coin, and every pixel a coin with its own bias. AIS errs below log Z in expectation, so a
likelihood by AIS tends to be too high; reverse AIS errs on the other side, which makes the pair
a check of itself.</p>
{table(head, lines, numbers=(2, 3, 4), main=main)}"""


def _partition(results: dict[str, Any]) -> str:
    from minidgm.cli.demo import partitions

    head, lines = partitions(results["evaluation"], results["larger"])
    settings = results["evaluation"].log_partition["AIS"].settings
    return f"""\
<h2>Partition function</h2>
<p>log Z in nats. Where the sum over all hidden states is within reach, the estimates stand beside the truth;
± is one standard error over {settings["n_chains"]} chains of {settings["n_temperatures"]:,} temperatures.</p>
{table(head, lines, numbers=(2, 3, 4))}"""


def _learning(results: dict[str, Any]) -> str:
    records = [r for r in results["folder"].records() if "train_log_likelihood" in r]
    curves = {
        part: [(r["epoch"], r[f"{part}_log_likelihood"]) for r in records] for part in ("train", "validation")
    }
    independent = float(results["evaluation"]["baseline log-likelihood", "independent bits"]["validation"])
    chart = line_chart(curves, "epoch", "log-likelihood, nats", {"independent pixels": independent})
    objective, training = results["plan"].objective, results["plan"].training
    n_epochs, every = training["epochs"], training["measure_every"]
    return f"""\
<h2>Learning</h2>
<figure>{chart}
<figcaption><b>Exact log-likelihood while the smaller machine learns</b>, nats an image. Its objective,
{html.escape(type(objective).__name__)} with {objective.n_chains} chains, never sees this number: it is
computed by enumeration every {every} of the {n_epochs:,} epochs.</figcaption></figure>"""


def _samples(results: dict[str, Any]) -> str:
    from minidgm.cli.demo import SWEEPS

    small, large = results["plan"].model.n_hidden, results["large"].model.n_hidden
    shown = (
        ("digits.png", "<b>Data</b>: test digits, black where at least half inked."),
        ("samples.png", f"<b>{small} hidden units</b>: exact, independent draws of v, by enumeration."),
        (
            "samples-larger.png",
            f"<b>{large} hidden units</b>: ends of {SWEEPS:,} Gibbs sweeps from the biases alone.",
        ),
        ("digits-grey.png", "<b>Data</b>: the same digits in their own grey levels."),
        ("means.png", f"<b>{small} hidden units</b>: the mean of p(v | h), h drawn for each image above."),
        ("means-larger.png", f"<b>{large} hidden units</b>: likewise."),
    )
    figures = "".join(picture(results, name, caption) for name, caption in shown)
    return f"""\
<h2>Samples beside data</h2>
<p>Nothing is picked: these are the first draws of the seed.</p>
<div class="pictures">{figures}</div>"""


def _filters(results: dict[str, Any]) -> str:
    return f"""\
<h2>What the hidden units look for</h2>
{picture(results, "filters.png", "<b>Columns of W.</b> Red pixels switch the unit on, blue ones off.")}"""


def _monitors(results: dict[str, Any]) -> str:
    from minidgm.cli.demo import monitors

    head, lines = monitors(results["evaluation"], results["larger"])
    return f"""\
<h2>Monitors</h2>
<p>What one watches where log Z is out of reach, in nats an image. The gap is mean F(rows) − mean F(train),
from which log Z cancels: growth means overfitting. The pseudo-likelihood is neither the likelihood nor
a bound on it.</p>
{table(head, lines, numbers=(1, 2, 3))}"""


def _identities(results: dict[str, Any]) -> str:
    checks = results["checks"]
    lines = [
        [r.number, r.name, r.equation, text.small(r.worst_error), text.small(r.tolerance), r.verdict]
        for r in checks.results
    ]
    notes = " ".join(html.escape(f"{note[0].upper()}{note[1:]}.") for note in checks.notes)
    head = ["no.", "identity", "equation", "worst error", "allowed", "verdict"]
    return f"""\
<h2>Proofs</h2>
<p>Each line is a property that holds for <em>all</em> parameters of the model, tried on parameters, batches
and seeds that were drawn, shrunk if one fails, and compared in float64 with plain enumeration or with
automatic differentiation of the density. Statistical identities show statistic over threshold, at a
false-alarm rate of
10<sup>−6</sup>.
{notes}</p>
{table(head, lines, numbers=(3, 4), math_column=2)}"""


def _settings(results: dict[str, Any]) -> str:
    folder, large = results["folder"], results["large"]
    environment = folder.read_json(runs.ENVIRONMENT)
    libraries = ", ".join(f"{name} {version}" for name, version in environment["libraries"].items())
    path = html.escape(str(folder.path))
    args = results["args"]
    command = (
        f"minidgm demo --seed {args.seed} --backend {args.backend} --out {path}{' --quick' * args.quick}"
    )
    return f"""\
<h2>Do it again</h2>
<pre>{command}
minidgm train --config {path}/config.toml --out runs/again     the same bits, on the same machine
minidgm evaluate {path} --n-chains 1000 --n-temperatures 10000
minidgm check RBM --max-examples 200</pre>
<details><summary>Every setting of both machines</summary>
<div class="columns"><pre>{html.escape(toml.write(results["plan"].config))}</pre>
<pre>{html.escape(toml.write(large.config))}</pre></div></details>
<footer>minidgm {environment["minidgm"]}, Python {environment["python"]}, {environment["system"]}
{environment["machine"]}, {html.escape(environment.get("device", environment["backend"]))}; {libraries}.
{results["seconds"]:.0f} s in all. Data: {html.escape(results["plan"].data.source)}
({html.escape(results["plan"].data.license)}).</footer>"""


def picture(results: dict[str, Any], name: str, caption: str) -> str:
    """A picture of the run inside the page, with its caption."""
    encoded = base64.b64encode(results["pictures"][name]).decode("ascii")
    alt = html.escape(name.removesuffix(".png").replace("-", ", "))
    return (
        f'<figure><img class="ink" alt="{alt}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def table(
    head: Sequence[str],
    lines: Iterable[Sequence[str]],
    numbers: Sequence[int] = (),
    main: Sequence[int] = (),
    math_column: int | None = None,
) -> str:
    """An HTML table: ``numbers`` are the columns aligned right, ``main`` the lines in bold."""

    def style(i: int, value: str) -> str:
        kinds = [kind for kind, chosen in (("n", i in numbers), ("math", i == math_column)) if chosen]
        if value in ("holds", "fails", "raises"):
            kinds.append(value)
        return f' class="{" ".join(kinds)}"' if kinds else ""

    def show(i: int, value: str) -> str:
        return html.escape(value.replace("-", MINUS) if i in numbers else value)

    titles = "".join(
        f"<th{style(i, '').replace('math', '')}>{html.escape(name)}</th>" for i, name in enumerate(head)
    )
    body = "".join(
        f"<tr{' class=main' * (k in main)}>"
        + "".join(f"<td{style(i, cell)}>{show(i, cell)}</td>" for i, cell in enumerate(line))
        + "</tr>"
        for k, line in enumerate(lines)
    )
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'
