"""Commands of an operator of the lake: `seal` presents an hour that something blocks, `lake sweep` takes away what has done its work,
`lake new-log` lets it go on after Kafka was lost."""

from __future__ import annotations

from typing import Annotated

import typer

lake = typer.Typer(no_args_is_help=True, help="Look after the lake's bookkeeping.", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(seal)
    lake.command()(sweep)
    lake.command("new-log")(new_log)
    app.add_typer(lake, name="lake")


def seal(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    hour: Annotated[str, typer.Argument(metavar="HOUR", help="The next hour to be sealed, like 2026-03-01T07.")],
    forced: Annotated[bool, typer.Option("--force", help="Although partitions have not closed it, or its audit does not balance.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the manifest for good.")] = "",
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until a sink worker has presented it.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Seal an hour that a partition or its audit blocks, for good.

    The manifest says so (`forced`, `complete: false`). What comes for the hour later stands in the next one, flagged skewed: nothing is
    lost. Hours that nothing blocks are sealed by the workers, without this.
    """
    import time

    from hourmark.hours import parse_label
    from sinks.force import NotSealed, Order, force
    from sinks.watermarks import presented

    from .addresses import find
    from .failures import AnswerIsNo, WrongInput
    from .hour_rows import require_type, store_of, surroundings
    from .output import console, print_json

    if not forced or not reason.strip():
        remedy = f'hourmark seal {event_type} {hour} --force --reason "…"'
        raise WrongInput("an hour is sealed by hand only by --force with a --reason", remedy=remedy)
    try:
        number = parse_label(hour)
    except ValueError as exc:
        raise WrongInput(str(exc), where="HOUR") from exc
    at = find("lake")
    store = store_of(at)
    require_type(store, at, event_type)
    partitions = surroundings(at, [event_type]).partitions(event_type)
    try:
        plan = force(store, Order(event_type, number, _who(), reason.strip(), partitions), at.hours, time.time)
    except NotSealed as exc:
        raise AnswerIsNo(str(exc), where=event_type, remedy=f"`hourmark hours {event_type}` shows what blocks its hours") from exc
    deadline = time.monotonic() + wait
    while not (there := presented(store, event_type, number)) and time.monotonic() < deadline:
        time.sleep(0.2)
    missing = plan.forced.missing if plan.forced else []
    if as_json:
        print_json({"type": event_type, "hour": hour, "forced": bool(plan.forced), "missing": missing, "presented": there})
        return
    how = f"by force, without partitions {missing}" if plan.forced else "by a worker, which came first"
    later = "" if there else "; it is presented by the next sink worker that owns partition 0"
    console().print(f"{event_type} {hour} is sealed {how}: {plan.totals.rows:,} rows{later}", markup=False)


def _who() -> str:
    import getpass
    import platform

    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"?@{platform.node()}"


def new_log(
    event_types: Annotated[list[str] | None, typer.Argument(metavar="[TYPE]...", help="Only these event types.")] = None,
    accepted: Annotated[bool, typer.Option("--yes", help="Do it. Without it only what would be done is shown.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the commit chains for good.")] = "Kafka was lost",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Go on with clean topics that were made anew, after Kafka was lost.

    What the lake has stays, and hours that were open are sealed with it, `complete: false`. Nothing is done where a clean topic is the
    one that the lake was written from. Refused where it holds anything older than the lake's end. Exit code 1 when a type is refused.
    """
    from hourmark.topics import clean_topic
    from sinks.books import iso
    from sinks.clean_log import CleanLogs
    from sinks.seams import NoSeam, sew
    from sinks.watermarks import types

    from .addresses import find
    from .failures import ANSWER_IS_NO
    from .hour_rows import require_type, store_of
    from .output import console, print_json, table

    at = find("kafka", "lake")
    store, logs, by = store_of(at), CleanLogs(at.settings()), f"{_who()}: {reason}"
    for event_type in event_types or ():
        require_type(store, at, event_type)
    wanted = event_types or types(store)
    widths = logs.widths(clean_topic(name) for name in wanted)
    rows: list[tuple[str, int, int, str]] = []
    refused: dict[str, str] = {}
    for name in wanted:
        try:
            cut = sew(store, logs, name, widths.get(clean_topic(name), 0), by, dry=not accepted)
        except NoSeam as exc:
            refused[name] = str(exc)
            continue
        rows += [(name, one.partition, one.position, iso(one.before_ms)) for one in cut]
    if as_json:
        done = [dict(zip(("type", "partition", "position", "lake_until"), row, strict=True)) for row in rows]
        print_json({"accepted": accepted, "partitions": done, "refused": refused})
    else:
        if rows:
            columns = ("event type", "partition", "goes on at", "lake written until")
            console().print(table(columns, rows, right=columns[1:3]))
        for name, why in refused.items():
            console().print(f"{name}: {why}", markup=False)
        said = "start the sink workers" if accepted else "nothing is done yet; to go on with the new logs: --yes"
        console().print(said if rows else "no clean topic is another one than the lake was written from")
    if refused:
        raise typer.Exit(ANSWER_IS_NO)


def sweep(
    event_types: Annotated[list[str] | None, typer.Argument(metavar="[TYPE]...", help="Only these event types.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
    older_than: Annotated[float, typer.Option("--older-than", min=0, metavar="HOURS", help="Only files of this age, in real hours.")] = 6.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Take away staged parts that have done their work, and what crashes left.

    Parts that no commit entry names and none ever can, parts of presented hours, staging files of writers that died. The sink workers do
    the same by themselves. Never touches what is published.
    """
    import time
    from collections import Counter

    from sinks.sweep import of_lake
    from sinks.watermarks import types

    from .addresses import find
    from .hour_rows import require_type, store_of
    from .output import console, print_json, table

    at = find("lake")
    store = store_of(at)
    for event_type in event_types or ():
        require_type(store, at, event_type)
    counts: Counter[str] = Counter()
    paths: list[str] = []
    for found in of_lake(store, event_types or types(store), time.time() - older_than * 3600, with_staging=not event_types):
        counts[found.kind] += 1
        if dry_run:
            paths.append(found.path)
        else:
            store.remove(found.path)
    if as_json:
        print_json({"dry_run": dry_run, "files": dict(counts), "paths": paths})
        return
    if paths:
        console().print(table(("would go",), [(path,) for path in paths]))
    said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items())) or "nothing"
    console().print(f"{'would go' if dry_run else 'gone'}: {said}")
