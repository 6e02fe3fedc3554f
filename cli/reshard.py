"""`hourmark dedup reshard`: moves what dedup workers know of their event types to other groups, when the number of shards changes."""

from __future__ import annotations

from typing import Annotated

import typer


def register(dedup: typer.Typer) -> None:
    """Add this command to `hourmark dedup`."""
    dedup.command()(reshard)


def reshard(
    shards: Annotated[int, typer.Option(min=1, max=256, help="How many shards there shall be.")],
    app_id: Annotated[str, typer.Option(help="The workers' HOURMARK_STREAMS_APP_ID.")] = "hourmark-dedup",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would move.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Move event types to their groups for another number of shards.

    All dedup workers must be stopped. Offsets move with the state behind them; nothing is read again, nothing is skipped.
    """
    from streams.reshard import reshard as move

    from .addresses import find
    from .output import console, print_json, table

    done = move(find("kafka").settings(), app_id, shards, dry=dry_run)
    if as_json:
        print_json(done._asdict())
        return
    rows = [(group, count) for group, count in done.groups.items()]
    console().print(table(("group", "partitions"), rows, right=["partitions"]))
    verb = "would move" if dry_run else "moved"
    console().print(f"{done.types_moved} event types ({done.moved} partitions) {verb}")
    console().print(f"start the dedup workers with HOURMARK_STREAMS_SHARDS={shards}")
