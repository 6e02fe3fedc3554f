"""The answer as a picture: one PNG with two readable panels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .question import Answer

BLUE, LIGHT = "#2563a8", ("#9dbfe0", "#4f8cc4", "#1d4e89")


def draw(answer: Answer, file: Path) -> None:
    """Write the PNG. Nothing is shown on a screen."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    mpl.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5.2), layout="constrained")
    figure.suptitle("Departures from New York in 2013: how late, and when", fontsize=15, fontweight="bold")
    _by_hour(left, answer)
    _by_visibility(right, answer)
    flights = sum(row.flights for row in answer.by_hour)
    figure.supxlabel(f"{flights:,} events flight.departed, joined with weather.observed; read from sealed hours with DuckDB", fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)


def _by_hour(axes: Any, answer: Answer) -> None:
    axes.bar([row.hour for row in answer.by_hour], [row.delay for row in answer.by_hour], color=BLUE)
    axes.set_title("by planned hour of departure")
    axes.set_xlabel("hour of the day in New York")
    axes.set_ylabel("average delay, minutes")
    axes.set_xticks([row.hour for row in answer.by_hour][::2])
    axes.axhline(0, color="black", linewidth=0.8)
    axes.grid(axis="y", alpha=0.3)


def _by_visibility(axes: Any, answer: Answer) -> None:
    groups = list(dict.fromkeys(row.visibility for row in answer.by_visibility))
    origins = sorted({row.origin for row in answer.by_visibility})
    delay = {(row.visibility, row.origin): row.delay for row in answer.by_visibility}
    width = 0.8 / max(1, len(origins))
    for number, origin in enumerate(origins):
        places = [at + (number - (len(origins) - 1) / 2) * width for at in range(len(groups))]
        heights = [delay.get((group, origin), 0.0) for group in groups]
        axes.bar(places, heights, width * 0.92, label=origin, color=LIGHT[number % len(LIGHT)])
    axes.set_title("by visibility at the airport")
    axes.set_xlabel("visibility, miles")
    axes.set_ylabel("average delay, minutes")
    axes.set_xticks(range(len(groups)), groups)
    axes.legend(title="airport", frameon=False)
    axes.grid(axis="y", alpha=0.3)
