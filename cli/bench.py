"""`hourmark bench`: measures each stage and the whole on this machine, from a checkout."""

from __future__ import annotations

from typing import Annotated

import typer

STAGES = ("receiver", "dedup", "sink", "index", "end_to_end")
SHAPE = "types"  # minutes long and without events per second: only when it is asked for
SPREAD = ("propagation", "catalogue")  # the same
KINDS = f"Some of: {', '.join(STAGES)}; or one of: {', '.join((SHAPE, *SPREAD))}."


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(bench)


def bench(
    stages: Annotated[list[str] | None, typer.Argument(metavar="[STAGE]...", help=KINDS)] = None,
    rounds: Annotated[int, typer.Option(min=1, max=9, help="Rounds of each; the median is shown.")] = 3,
    types: Annotated[int, typer.Option(min=10, max=5_000, help="Event types of the stage `types`.")] = 600,
    events: Annotated[int, typer.Option(min=0, help="Events a round; 0: each stage's own number.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure every stage on this machine.

    Events per second, CPU per event for each process, and the ratio to the bare client's loop in the same run. `hourmark bench types`
    declares hundreds of event types, nearly all idle: CPU of each process at rest, delay of seals, seconds until one more type flows.
    `hourmark bench propagation` declares 200 under load, and tells when every node worked by them; `hourmark bench catalogue` lists and
    starts with 10,000.
    """
    from . import measuring, shape, spread
    from .addresses import home
    from .failures import WrongInput, did_you_mean
    from .output import console, print_json, table

    if stages == [SHAPE]:
        shape.show(types, home() / "bench", as_json)
        return
    if stages is not None and len(stages) == 1 and stages[0] in SPREAD:
        spread.show(stages[0], home() / "bench", as_json)
        return
    for stage in stages or ():
        if stage not in STAGES:
            known = (*STAGES, SHAPE, *SPREAD)
            raise WrongInput(
                f"no stage {stage}{did_you_mean(stage, known)}", remedy=f"stages are: {', '.join(known)}; the last three alone"
            )
    place = home() / "bench"
    said = console(stderr=True)
    results = measuring.measure(stages or list(STAGES), rounds, events, place, lambda line: said.print(f"[dim]{line}[/]"))
    files = measuring.keep(results, place)
    if as_json:
        print_json(results)
        return
    rows = [(r.stage, r.what, f"{r.events_per_s:,.0f}", r.cpu, r.ratio_text, r.rss) for r in measuring.figures(results)]
    columns = ("stage", "", "events/s", "CPU µs per event", "of bare", "RSS MB")
    console().print(table(columns, rows, title=f"Medians of {rounds} rounds", right=["events/s", "of bare"]))
    console().print("\n".join(f"  {file}" for file in files))
