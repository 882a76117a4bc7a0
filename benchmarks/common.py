"""What the benchmarks share: the machine described, interleaved timing, results as JSON and Markdown."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine(backend: str = "numpy") -> dict[str, Any]:
    """Processor, cores, device and library versions."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        cpu = names[0] if names else cpu
    device = None
    if backend == "cupy":
        import cupy

        device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    libraries = {}
    for name in ("numpy", "scipy", "torch", "scikit-learn", "cupy-cuda12x", "cupy-cuda13x"):
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu,
        "cores": cores,
        "device": device,
        "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE", "not set"),
        "python": platform.python_version(),
        **libraries,
    }


def interleaved(jobs: Mapping[str, Callable[[], Any]], rounds: int = 5) -> dict[str, list[float]]:
    """Seconds of each job, run in turn ``rounds`` times after one warm-up, so that a slow spell hits all."""
    for job in jobs.values():
        job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def contest(
    name: str, products: Callable[[], Any], ours: Callable[[], Any], torch_job: Any, gpu: bool, rounds: int
) -> list[dict[str, Any]]:
    """Rows of one job done by this library and by PyTorch, eager and on a GPU compiled, beside its products.

    ``torch_job(device, compiled=False)`` makes PyTorch's.
    """
    jobs = {"products": products, "minidgm": ours, "torch": torch_job("cuda" if gpu else "cpu")}
    if gpu:
        jobs["torch.compile"] = torch_job("cuda", compiled=True)
    seconds = interleaved(jobs, rounds)
    rows = [
        {
            "job": name,
            "library": library,
            "seconds": statistics.median(seconds[library]),
            "x products": ratio(seconds, library, "products"),
            "x minidgm": ratio(seconds, library, "minidgm"),
        }
        for library in jobs
    ]
    for row in rows:
        print(row, flush=True)
    return rows


def torch_epoch(data: Any, batch: int, loss: Callable[[Any], Any], optimizer: Any) -> Callable[[], None]:
    """An epoch of a loss by PyTorch's autograd, in shuffled batches."""
    import torch

    def run() -> None:
        order = torch.randperm(len(data), device=data.device)
        for start in range(0, len(data), batch):
            optimizer.zero_grad()
            loss(data[order[start : start + batch]]).backward()
            optimizer.step()
        if data.device.type != "cpu":
            torch.cuda.synchronize()

    return run


def ratio(seconds: Mapping[str, Sequence[float]], job: str, reference: str) -> float:
    """Median over the rounds of the time of ``job`` over the time of ``reference`` in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[job], seconds[reference], strict=True))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def cell(value: Any) -> str:
        return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)

    body = [[cell(row.get(column)) for column in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def kept(name: str, settings: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run by their ``key``; none where its settings were others."""
    path = RESULTS / f"{name}.json"
    record: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"settings": None}
    if record["settings"] != json.loads(json.dumps(dict(settings))):
        return {}
    return {row[key]: row for row in record["rows"]}


def write(
    name: str, rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], backend: str = "numpy"
) -> None:
    """Print the rows and keep them under ``benchmarks/results/`` as JSON and Markdown."""
    RESULTS.mkdir(exist_ok=True)
    about = machine(backend)
    record = {"benchmark": name, "settings": dict(settings), "machine": about, "rows": list(rows)}
    text = table(rows)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    lines = [
        f"# {name}",
        "",
        text,
        "",
        f"Settings: {json.dumps(dict(settings))}",
        "",
        f"Machine: {json.dumps(about)}",
        "",
    ]
    (RESULTS / f"{name}.md").write_text("\n".join(lines))
    print(text)
