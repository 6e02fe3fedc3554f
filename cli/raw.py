"""`hourmark raw save` and `raw send`: events that stand only in a Kafka which is given up, kept in files and sent on to its successor.

Events keep their ids, and the id index drops those that the lake has: it must know the lake (`dedup rebuild`) before they are sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

Place = tuple[str, int]
SUFFIX: Final = ".raw"
SIZE_BYTES: Final = 4
FLUSH_S: Final = 60.0
raw = typer.Typer(no_args_is_help=True, help="Carry events from a Kafka that is given up to its successor.", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    raw.command()(save)
    raw.command("send")(send_again)
    app.add_typer(raw, name="raw")


def save(
    folder: Annotated[Path, typer.Argument(help="Where the files are made; they must not be there yet.")],
    hours: Annotated[float, typer.Option("--hours", min=0, help="So many hours before the lake's end, too; more if workers lagged.")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Save the events of all raw topics that the lake may lack: appended after its end, or shortly before.

    Receivers and dedup workers should be stopped. Changes nothing.
    """
    from hourmark.topics import raw_topic

    from .addresses import find
    from .failures import WrongInput
    from .hour_rows import store_of
    from .output import console, print_json
    from .watch.log import Log, Span

    at = find("kafka", "lake")
    log, store = Log(at), store_of(at)
    if folder.exists() and any(folder.glob(f"*{SUFFIX}")):
        raise WrongInput("there are saved events already", where=str(folder), remedy="name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    saved: dict[str, int] = {}
    for name in sorted(log.event_types()):
        places = log.places([raw_topic(name)])
        since = _lake_end_ms(store, name) - int(hours * 3600 * 1000)
        ends = log.ends(places)
        starts = log.at_time(places, since, ends)
        spans = {place: Span(starts[place], ends[place]) for place in places}
        count = sum(_write(folder, log.polls(spans, float("inf"))).values())
        if count:
            saved[name] = count
    if as_json:
        print_json({"folder": str(folder), "events": saved})
        return
    told = ", ".join(f"{count:,} of {name}" for name, count in saved.items()) or "none"
    console().print(f"saved in {folder}: {told}", markup=False)


def send_again(
    folder: Annotated[Path, typer.Argument(help="Where `raw save` has made the files.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Append saved events to the raw topics of today, with the ids that they have. May be repeated: copies are dropped.

    The id index must know what the lake has: `hourmark dedup rebuild` comes first.
    """
    from confluent_kafka import Producer

    from hourmark.errors import BrokerUnavailable
    from hourmark.kafka import producer_config
    from hourmark.topics import raw_topic

    from .addresses import find
    from .failures import WrongInput
    from .output import console, print_json
    from .watch.log import Log

    at = find("kafka")
    named = ((path.stem.rpartition(".p"), path) for path in sorted(folder.glob(f"*{SUFFIX}")))
    files = {(name, int(number)): path for (name, _, number), path in named}
    widths = Log(at).event_types()
    missing = sorted({name for name, number in files if widths.get(name, 0) <= number})
    if missing:
        raise WrongInput(f"no raw topic, or too few partitions: {', '.join(missing)}", remedy="declare them as they were, then again")
    producer, failed, sent = Producer(producer_config(at.settings(), linger_ms=20)), list[Any](), dict[str, int]()
    for (name, number), path in files.items():
        with path.open("rb") as file:
            for key, value in _read(file):
                _produce(producer, raw_topic(name), number, key, value, failed)
                sent[name] = sent.get(name, 0) + 1
    left = producer.flush(FLUSH_S)
    if left or failed:
        told = f"{left + len(failed)} events were not acknowledged: {failed[0] if failed else 'no answer'}"
        raise BrokerUnavailable(f"{told}; send all of them again, copies are dropped")
    if as_json:
        print_json({"folder": str(folder), "events": sent})
        return
    told = ", ".join(f"{count:,} of {name}" for name, count in sent.items()) or "none: there are no saved events"
    console().print(f"sent: {told}", markup=False)


def _lake_end_ms(store: Any, event_type: str) -> int:
    """When the last record was appended of which every chain of the type knows; 0: the lake may know none."""
    from sinks.commits import CommitChain
    from sinks.seams import partitions

    chain = CommitChain(store)
    return min((chain.tip(partition).appended_ms for partition in partitions(store, event_type)), default=0)


def _write(folder: Path, polls: Iterator[list[Any]]) -> Mapping[Place, int]:
    """A file for each partition that has events; what is no event stays behind."""
    from dedup.deduplicator import is_claimable
    from hourmark.topics import event_type_of

    files: dict[Place, IO[bytes]] = {}
    counts: dict[Place, int] = {}
    try:
        for message in (message for messages in polls for message in messages):
            if not is_claimable(message.value()):
                continue
            place = message.topic(), message.partition()
            if place not in files:
                files[place] = (folder / f"{event_type_of(place[0])}.p{place[1]:05d}{SUFFIX}").open("xb")
            for part in (message.key() or b"", message.value()):
                files[place].write(len(part).to_bytes(SIZE_BYTES, "big") + part)
            counts[place] = counts.get(place, 0) + 1
    finally:
        for file in files.values():
            file.close()
    return counts


def _read(file: IO[bytes]) -> Iterable[tuple[bytes, bytes]]:
    while size := file.read(SIZE_BYTES):
        key = file.read(int.from_bytes(size, "big"))
        yield key, file.read(int.from_bytes(file.read(SIZE_BYTES), "big"))


def _produce(producer: Any, topic: str, partition: int, key: bytes, value: bytes, failed: list[Any]) -> None:
    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            failed.append(error)

    until = time.monotonic() + FLUSH_S
    while True:
        try:
            producer.produce(topic, value=value, key=key, partition=partition, on_delivery=delivered)
            producer.poll(0)
            return
        except BufferError:
            if time.monotonic() > until:
                raise
            producer.poll(0.1)
