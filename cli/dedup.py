"""`hourmark dedup …`: what is done to the id index and to the dedup workers' progress by hand. `rebuild` and `accept-loss` are here."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import reshard

if TYPE_CHECKING:
    from .index_rebuild import IndexRebuild, Rebuilt

LINE_S = 5.0


def register(app: typer.Typer) -> None:
    """Add these commands."""
    dedup = typer.Typer(name="dedup", no_args_is_help=True, help="Look after the id index and the dedup workers' progress.")
    dedup.command()(rebuild)
    dedup.command("accept-loss")(accept_loss)
    reshard.register(dedup)
    app.add_typer(dedup)


def rebuild(
    again: Annotated[bool, typer.Option("--again", help="The index is healthy: put in what it may lack; workers may run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document at the end.")] = False,
) -> None:
    """Rebuild a lost id index from the lake and the clean topics.

    Stop the dedup workers first. May be killed at any time: run it again, it goes on where it was.
    """
    from .addresses import find
    from .index_rebuild import IndexRebuild, settings_of
    from .output import console, print_json

    at = find("kafka", "redis", "lake")
    out = console(stderr=True)
    run = IndexRebuild(at, settings_of(at), again=again, on_trouble=lambda line: out.print(f"waiting: {line}"))
    done = asyncio.run(_shown(run))
    if as_json:
        print_json(done._asdict())
        return
    for missing in (*done.gone, *done.lost):
        out.print(f"[yellow]not covered:[/] {missing}")
    console().print(_said(done, again))


def _said(done: Rebuilt, again: bool) -> str:
    rate = (done.restored - done.before) / max(done.seconds, 0.001)
    more = f", {done.known:,} had another owner" if done.known else ""
    went_on = f" (an earlier one had put in {done.before:,})" if done.before else ""
    end = "the index is whole" if again else "the index is open, start the dedup workers"
    return f"{done.restored:,} ids in the index{more}; this run took {done.seconds:.1f} s, {rate:,.0f} ids/s{went_on}; {end}"


def accept_loss(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    accepted: Annotated[bool, typer.Option("--yes", help="Give them up. Without it only what is gone is shown.")] = False,
    app_id: Annotated[str, typer.Option(help="The workers' HOURMARK_STREAMS_APP_ID.")] = "hourmark-dedup",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Go on without events that retention removed before they were read.

    All dedup workers must be stopped. The hour that is open across the gap is sealed with `complete: false`, or held as its type says.
    """
    from streams.loss import accept_loss as accept

    from .addresses import find
    from .output import console, print_json, table

    gaps = accept(find("kafka").settings(), app_id, event_type, dry=not accepted)
    if as_json:
        print_json({"type": event_type, "accepted": accepted, "gaps": [gap._asdict() for gap in gaps]})
        return
    if not gaps:
        console().print(f"{event_type}: nothing unread is gone")
        return
    rows = [(gap.group, gap.partition, gap.first, gap.until - 1, gap.records) for gap in gaps]
    console().print(table(("group", "partition", "from", "to", "records"), rows, right=["partition", "from", "to", "records"]))
    console().print("given up: start the dedup workers" if accepted else "these records are gone; to go on without them: --yes")


async def _shown(run: IndexRebuild) -> Rebuilt:
    """Run it under a progress bar on a terminal, with a line each few seconds elsewhere."""
    from .output import console

    out = console(stderr=True)
    showing = asyncio.create_task(_bar(run, out) if out.is_terminal else _lines(run, out))
    try:
        return await run.run()
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


async def _bar(run: IndexRebuild, out: Any) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[ids]}"), TimeRemainingColumn())
    began, counter = time.monotonic(), run.counter
    with Progress(*columns, console=out, transient=True) as bar:
        task, what = bar.add_task("looking", total=None, ids=""), ""
        while True:
            if counter.what != what:
                what = counter.what
                bar.reset(task, total=counter.total or 1, description=what)
            bar.update(task, completed=counter.done, ids=_ids(run, began))
            await asyncio.sleep(0.2)


async def _lines(run: IndexRebuild, out: Any) -> None:
    began, counter = time.monotonic(), run.counter
    since: tuple[str, float, int] = ("", began, 0)
    while True:
        await asyncio.sleep(LINE_S)
        if counter.what != since[0]:
            since = (counter.what, time.monotonic(), counter.done)
        speed = (counter.done - since[2]) / max(time.monotonic() - since[1], 0.001)
        left = f", about {(counter.total - counter.done) / speed:.0f} s left" if speed else ""
        out.print(f"{counter.what or 'looking'}: {counter.done:,} of {counter.total:,} {counter.unit}, {_ids(run, began)}{left}")


def _ids(run: IndexRebuild, began: float) -> str:
    ids = run.rebuild.progress.restored
    return f"{ids:,} ids, {(ids - run.before) / max(time.monotonic() - began, 0.001):,.0f}/s"
