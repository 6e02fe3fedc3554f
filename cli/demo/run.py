"""The demo from start to end: own platform, declarations, traffic, faults, seals, balance, answer. Returns the exit code."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from cli.addresses import Addresses
from cli.catalogue import Catalogue
from cli.declarations import read
from cli.failures import ANSWER_IS_NO, FINE, Unreachable
from cli.hour_rows import hour_of
from cli.output import console, print_json
from cli.sealed import sealed_folders
from hourmark.hours import label
from hourmark_client import Client, HttpOptions

from . import balance, dataset, plot, question, report
from .faults import Fault, Faults
from .ledger import Ledger
from .platforms import Containers, Native, Platform
from .traffic import Traffic
from .watch import Watch

DECLARATIONS = Path(__file__).with_name("declarations")
STUCK_S = 180.0  # without one verdict for so long, the demo gives up
SEAL_S = 120.0


class Plan(NamedTuple):
    """What the user asked for. `events` 0: all."""

    events: int
    hour_seconds: int
    kill: bool
    as_json: bool
    compose: bool = False


def run(plan: Plan) -> int:
    """The whole demo. Raises PlatformError when the platform cannot be brought up or stops answering."""
    out = console(stderr=plan.as_json)
    started = time.monotonic()
    platform: Platform = Containers(plan.hour_seconds) if plan.compose else Native(plan.hour_seconds)
    try:
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(dataset.load, plan.events)
            out.print(f"starting {platform.starts} …")
            reached = platform.up()
            _declare(reached)
            data = loading.result()
        out.print(f"ready after {time.monotonic() - started:.0f} s: {platform.watched} in another terminal shows it")
        show = Show(out, platform, reached)
        ledgers = show.send(data, plan)
        show.wait_for_seals(ledgers)
        return show.finish(ledgers, time.monotonic() - started, plan)
    finally:
        platform.down()
        out.print(f"stopped; {time.monotonic() - started:.0f} s in all", style="dim")


def _declare(reached: Addresses) -> None:
    """All three event types side by side, each live on every node when this returns."""
    catalogue, declarations = Catalogue(reached.registry, token=reached.admin_token), read(DECLARATIONS)
    with ThreadPoolExecutor(len(declarations)) as pool:
        list(pool.map(lambda found: catalogue.declare(found["event"], found, wait=15.0), declarations))


class Show:
    """What is seen of one run."""

    def __init__(self, out: Any, platform: Platform, reached: Addresses) -> None:
        self._out, self._platform, self._reached = out, platform, reached
        self._lake, self._hours = platform.lake, reached.hours

    def send(self, data: dataset.Dataset, plan: Plan) -> list[Ledger]:
        """All events and copies, with the faults; returns when every one has its verdict."""
        items = data.by_type()
        ledgers = [Ledger(event_type) for event_type in items]
        total = sum(map(len, items.values()))
        self._out.print(f"sending {total:,} events of New York in 2013; an hour lasts {plan.hour_seconds} s")
        quick = HttpOptions(compression="zstd")
        reached = self._reached
        http = Client.http(reached.receiver, write_key=reached.write_key, app="nyc-flights", block_timeout=STUCK_S, options=quick)
        quiet = {"log_level": 0}  # the client says once, in one line, what its library says many times
        kafka = Client.kafka(reached.kafka, registry=reached.registry, app="nyc-weather", block_timeout=STUCK_S, options=quiet)
        traffic = [
            Traffic(kafka if ledger.event_type == dataset.WEATHER else http, ledger, items[ledger.event_type], 2 * plan.hour_seconds, seed)
            for seed, ledger in enumerate(ledgers)
        ]
        with Watch(self._out, self._lake, ledgers, total) as watch:
            wanted = [Fault(name, share) for name, share in zip(self._platform.victims, (0.3, 0.5), strict=True)] if plan.kill else []
            faults = Faults(wanted, self._platform.kill, watch.notice)
            for sender in traffic:
                sender.start()
            try:
                with watch.hears("hourmark_client"):
                    self._until_settled(traffic, watch, faults, total)
                    for client in (http, kafka):
                        client.close(STUCK_S)
            finally:
                for sender in traffic:
                    sender.stop()
            watch.show(force=True)
        return ledgers

    def _until_settled(self, traffic: list[Traffic], watch: Watch, faults: Faults, total: int) -> None:
        before, changed = -1, time.monotonic()
        while True:
            failed = next((sender.failure for sender in traffic if sender.failure is not None), None)
            if failed is not None:
                raise Unreachable(f"sending failed: {failed}", remedy=f"the logs may say why: {self._platform.logs}") from failed
            settled = sum(sender.ledger.settled for sender in traffic)
            sent = sum(sender.ledger.sent + sender.ledger.copies_sent for sender in traffic)
            if settled >= sent and not any(sender.is_alive() for sender in traffic):
                faults.due(1.0)
                return
            if settled != before:
                before, changed = settled, time.monotonic()
            elif time.monotonic() - changed > STUCK_S:
                raise Unreachable(f"no verdict for {STUCK_S:.0f} s", where=self._platform.logs)
            faults.due(watch.acknowledged / total)
            watch.show()
            time.sleep(0.1)

    def wait_for_seals(self, ledgers: list[Ledger]) -> None:
        """Until the hour of the last acknowledgement is sealed for every type; bounded, because the balance tells what is missing."""
        last = self._hours.of(int(time.time() * 1000))
        self._out.print(f"all sent; waiting for hour {label(last)} to end and to be sealed …")
        deadline = self._hours.end_ms(last) / 1000 + SEAL_S
        while time.time() < deadline:
            if all(self._sealed_up_to(ledger.event_type) >= last for ledger in ledgers):
                return
            time.sleep(0.1)
        self._out.print(f"[red]not sealed {SEAL_S:.0f} s after its end[/]")

    def _sealed_up_to(self, event_type: str) -> int:
        folders = sealed_folders(self._lake, event_type)
        return hour_of(folders[-1]) if folders else -1

    def finish(self, ledgers: list[Ledger], seconds: float, plan: Plan) -> int:
        """Balance, answer, plot, and what to try next."""
        accounts = [balance.strike(self._lake, self._hours, ledger) for ledger in ledgers]
        report.balance(self._out, accounts)
        if not any(account.hours == 0 for account in accounts):
            found = question.ask(self._lake)
            report.answer(self._out, found)
            picture = self._platform.place / "flights.png"
            plot.draw(found, picture)
            last = label(hour_of(sealed_folders(self._lake, dataset.DEPARTED)[-1]))
            report.what_next(self._out, self._platform.lead, [self._lake / "events", picture], last)
        if plan.as_json:
            print_json(report.balance_json(accounts, seconds))
        wrong = [account for account in accounts if account.faults]
        if wrong:
            self._out.print("[bold red]The balance is NOT exact.[/]")
            return ANSWER_IS_NO
        rows = sum(account.rows for account in accounts)
        self._out.print(f"[bold green]Exact:[/] {rows:,} events acknowledged, {rows:,} rows in sealed hours, none missing, none twice.")
        return FINE
