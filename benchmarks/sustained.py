"""The whole way at a steady pace for many minutes, every event counted in the end: `python -m benchmarks.sustained --rate 40000`.

A stack of its own, hours of a minute. Shown: events acknowledged, lag, RSS and CPU of each process, the delay of each seal; and the
account: events acknowledged that stand in no sealed hour, or in more than one row. The rate counts as sustained when the lag at the end is
what a few seconds bring.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from cli import sealed
from cli.catalogue import Catalogue
from hourmark.hours import Hours, parse_label
from hourmark.topics import clean_topic, raw_topic
from local.settings import StackSettings
from local.stack import Stack
from local.status import StackStatus

from .end_to_end import PARTITIONS, cpu, ends_of
from .load import BATCH, Bodies, send
from .payload import PAYLOAD, PRIVACY

HOUR_SECONDS = 60
EVERY_S = 10.0
COPY_EVERY = 50  # each 50th batch is sent twice: 2 % copies
PATIENCE_S = 300.0


class Run:
    """One run on a stack that is up. `samples`: what was seen every ten seconds."""

    def __init__(self, status: StackStatus, rate: int, seconds: int) -> None:
        self.status, self.rate, self.batches = status, rate, rate * seconds // BATCH
        self.event_type = f"bench{secrets.token_hex(3)}.played"
        self.bodies = Bodies(self.event_type, secrets.randbits(16))
        self.samples: list[dict[str, float]] = []
        self.acked = 0
        self._processes = {p.name: psutil.Process(p.pid) for p in status.processes if p.pid} | {"sender": psutil.Process()}
        self._lock = threading.Lock()

    def measure(self) -> dict[str, Any]:
        """Declare, send, wait for the last seal, count. Raises RuntimeError when an event is refused or hours stay open."""
        declaration = {"event": self.event_type, "owner": "bench", "partitions": PARTITIONS}
        schema = {"type": "record", "name": "played", "fields": PAYLOAD}
        Catalogue(self.status.registry).declare(self.event_type, declaration | {"schema": schema, "privacy": PRIVACY}, wait=20.0)
        before = {name: cpu(process) for name, process in self._processes.items()}
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        self._started = time.monotonic()
        watcher.start()
        try:
            send(self.status, self._paced(), self._told)
        finally:
            seconds = time.monotonic() - self._started
            over.set()
            watcher.join()
        events = self.batches * BATCH
        self._until_sealed(events)
        used = {name: (cpu(process) - before[name]) / events * 1e6 for name, process in self._processes.items()}
        delays = self._delays()
        return {
            "stage": "sustained",
            "asked_per_s": self.rate,
            "acked_per_s": self.acked / seconds,
            "seconds": seconds,
            "events": events,
            "copies": self.acked - events,
            **self._account(events),
            "clean_lag_at_end": self.samples[-1]["clean_lag"] if self.samples else None,
            "sealed_hours": len(delays),
            "seal_delay_s": {"p50": statistics.median(delays), "max": max(delays)},
            "cpu_us": {name: round(us, 2) for name, us in used.items()},
            "peak_rss_mb": {name: max((s.get(f"{name}_rss_mb", 0.0) for s in self.samples), default=0.0) for name in self._processes},
            "samples": self.samples,
        }

    def _told(self, stored: int) -> None:
        with self._lock:
            self.acked += stored

    def _paced(self) -> Iterator[bytes]:
        """One thread at a time asks: whoever waits here keeps the others waiting too, which is the pace."""
        for batch in range(self.batches):
            wait = batch * BATCH / self.rate - (time.monotonic() - self._started)
            if wait > 0:
                time.sleep(wait)
            body = self.bodies.body(batch)
            yield body
            if batch % COPY_EVERY == 0:
                yield body

    def _watch(self, over: threading.Event) -> None:
        """What the dedup worker is behind: raw records neither on the clean topic nor copies. The sink's share shows in the seals."""
        while not over.wait(EVERY_S):
            raw = ends_of(self.status.kafka, raw_topic(self.event_type))
            clean = ends_of(self.status.kafka, clean_topic(self.event_type))
            behind = max(0, raw - clean - self.acked // (COPY_EVERY + 1))
            sample = {"second": round(time.monotonic() - self._started, 1), "acked": self.acked, "clean_lag": behind}
            for name, process in self._processes.items():
                sample[f"{name}_rss_mb"] = round(process.memory_info().rss / 1e6, 1)
            self.samples.append(sample)
            print(json.dumps({key: sample[key] for key in ("second", "acked", "clean_lag")}), file=sys.stderr, flush=True)

    def _manifests(self) -> list[dict[str, Any]]:
        folders = sealed.sealed_folders(Path(self.status.lake.removeprefix("file://")), self.event_type)
        return [json.loads((folder / "_manifest.json").read_text()) for folder in folders]

    def _until_sealed(self, events: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while sum(manifest["totals"]["rows"] for manifest in self._manifests()) < events:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{PATIENCE_S:.0f} s after the last event not all of them are in sealed hours")
            time.sleep(1.0)

    def _delays(self) -> list[float]:
        """Seconds from the end of each hour with rows to its seal."""
        hours = Hours(self.status.hour_seconds, parse_label(self.status.hour_anchor) if self.status.hour_anchor else 0)
        return [
            datetime.fromisoformat(manifest["sealed_at"]).timestamp() - hours.end_ms(parse_label(manifest["hour"])) / 1000
            for manifest in self._manifests()
            if manifest["totals"]["rows"]
        ]

    def _account(self, events: int) -> dict[str, int]:
        """Ids count the events, so the account is arithmetic over the files: rows, different ids, and those of this run."""
        first, last = self.bodies.id_range(events)
        lake = Path(self.status.lake.removeprefix("file://"))
        with sealed.connect(lake, [self.event_type]) as connection:
            name = sealed.view_names(self.event_type)[0]
            found = connection.execute(
                f"SELECT count(*), count(DISTINCT _event_id), count(DISTINCT _event_id) FILTER (_event_id BETWEEN ? AND ?) FROM {name}",
                [first, last],
            ).fetchone()
        assert found is not None
        rows, different, own = found
        return {"rows": rows, "lost": events - own, "doubled": rows - different, "foreign": different - own}


def main(rate: int, seconds: int) -> dict[str, Any]:
    """One run on a stack of its own, which is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="hourmark-sustained-"))
    stack = Stack(StackSettings(home=home, hour_seconds=HOUR_SECONDS, receivers=1, dedup_workers=1, sink_workers=1))
    try:
        stack.up(bound=True)
        return Run(stack.status(), rate, seconds).measure()
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)


def draw(result: dict[str, Any], file: Path) -> None:
    """Events a second and lag over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    samples = result["samples"]
    seconds = [sample["second"] for sample in samples]
    pairs = zip([{"acked": 0, "second": 0}, *samples[:-1]], samples, strict=True)
    rates = [(now["acked"] - then["acked"]) / (now["second"] - then["second"]) for then, now in pairs]
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(8, 4.5), sharex=True, layout="constrained")
    above.plot(seconds, rates, color="#2563a8")
    above.set_ylabel("events acknowledged / s")
    above.set_ylim(0, max(rates) * 1.15)
    below.plot(seconds, [sample["clean_lag"] for sample in samples], color="#b45309")
    below.set_ylabel("events behind, raw → clean")
    below.set_xlabel("seconds")
    below.set_ylim(0)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_formatter("{x:,.0f}")
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _command_line() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=40_000, help="events a second that are offered")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--plot", type=Path, help="a PNG of rate and lag over time")
    chosen = parser.parse_args()
    result = main(chosen.rate, chosen.seconds)
    if chosen.plot:
        draw(result, chosen.plot)
    json.dump({key: value for key, value in result.items() if key != "samples"}, sys.stdout, indent=1)
    print()
    if result["lost"] or result["doubled"]:
        sys.exit(f"lost {result['lost']}, doubled {result['doubled']}")


if __name__ == "__main__":
    _command_line()
