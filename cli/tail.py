"""`hourmark tail`: the events of a type as they come, with what became of each: accepted, duplicate, rejected, and when it was where."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from .addresses import Addresses
    from .catalogue import Catalogue
    from .watch.decoding import Decoding, Sighting
    from .watch.following import Following, Seen

LINES_A_SECOND: Final = 50
_COLOURS: Final = {"accepted": "green", "duplicate": "yellow", "rejected": "red"}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(tail)


def tail(  # noqa: PLR0913  # options of a command
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Event type, like flight.departed.")],
    only: Annotated[list[str] | None, typer.Option("--only", help="accepted, rejected or duplicate; may be repeated.")] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="The same as --only rejected.")] = False,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="field=value; also != > >= < <= and ~ (contains); all must hold.")
    ] = None,
    sdk: Annotated[str, typer.Option("--sdk", help="Of this SDK.")] = "",
    app: Annotated[str, typer.Option("--app", help="Of this app.")] = "",
    event_id: Annotated[str, typer.Option("--id", help="Of this event id.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="SPAN", help="Begin so long ago, like 10m.")] = "",
    from_start: Annotated[bool, typer.Option("--from-start", help="Everything Kafka still holds, not only what comes now.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="End after so many lines; 0: until interrupted.")] = 0,
    for_seconds: Annotated[float, typer.Option("--for", min=0.0, help="End after so many seconds; 0: until interrupted.")] = 0.0,
    per_second: Annotated[
        int | None, typer.Option("--per-second", min=0, help=f"Lines of each kind a second; 0: all, {LINES_A_SECOND} on a terminal.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Follow the events of a type: accepted, rejected and duplicate, with the time each stage took.

    Personal fields are masked. When more comes than can be shown, a sample is shown, and that is said.
    """
    import sys

    from .addresses import find
    from .catalogue import Catalogue
    from .failures import WrongInput
    from .watch.decoding import Decoding
    from .watch.filters import condition, span_seconds
    from .watch.following import KINDS, Following, Watched, source_of
    from .watch.log import Log

    kinds = {*(only or ()), *(["rejected"] if rejected else [])} or set(KINDS)
    if wrong := kinds - set(KINDS):
        raise WrongInput(f"--only {sorted(wrong)[0]!r}: there are {', '.join(KINDS)}")
    if since and from_start:
        raise WrongInput("--since and --from-start exclude each other")
    begin = int((time.time() - span_seconds(since, "--since")) * 1000) if since else 0 if from_start else None
    wanted = _Wanted([condition(text) for text in where or ()], sdk, app, _id(event_id))
    at = find("kafka", "registry")
    catalogue = Catalogue(at.registry)
    declared = _declared(at, catalogue, event_type)
    following = Following(Log(at), Watched(event_type, source_of(declared)), kinds, begin)
    if per_second is None:
        per_second = LINES_A_SECOND if sys.stdout.isatty() and not as_json else 0
    _Show(Decoding(catalogue), wanted, declared["declaration"], per_second, as_json).all_of(following, limit, for_seconds)


def _id(text: str) -> str:
    from uuid import UUID

    from .failures import WrongInput

    try:
        return str(UUID(text)) if text else ""
    except ValueError:
        raise WrongInput(f"{text!r} is no event id", remedy="an id is a UUID, as `hourmark send` prints it") from None


def _declared(at: Addresses, catalogue: Catalogue, event_type: str) -> dict[str, Any]:
    """What the registry says of the type. Raises WrongInput with the nearest name, and with what waits in `parked` under this one."""
    from .failures import WrongInput
    from .watch.parked import waiting_words

    try:
        return catalogue.get(event_type)
    except WrongInput as exc:
        words = waiting_words(at, event_type)
        if not words:
            raise
        raise WrongInput(f"{exc.message}; {words}", remedy="declare it, and they are replayed: `hourmark declare FILE`") from exc


class _Wanted:
    """The filters of one run."""

    def __init__(self, conditions: list[Any], sdk: str, app: str, event_id: str) -> None:
        self._conditions, self._sdk, self._app, self._id = conditions, sdk, app, event_id
        self.needs_fields = bool(conditions or sdk or app or event_id)

    def lets_pass(self, sighting: Sighting) -> bool:
        from .watch.filters import all_hold

        own = (self._sdk, sighting.sender("sdk")), (self._app, sighting.sender("app")), (self._id, sighting.event_id)
        return all(not asked or asked == found for asked, found in own) and all_hold(self._conditions, sighting.fields())


class _Show:
    """One run: what came, what matched, what is printed."""

    def __init__(self, decoding: Decoding, wanted: _Wanted, declaration: dict[str, Any], per_second: int, as_json: bool) -> None:
        from .watch.decoding import mask_of
        from .watch.sampling import Count, Sampler

        self._decoding, self._wanted, self._mask = decoding, wanted, mask_of(declaration)
        self._samplers = {kind: Sampler(per_second) for kind in _COLOURS}
        self._print: Callable[[Sighting, int], None] = self._json if as_json else self._text
        self._started = time.monotonic()
        self._count = Count(self._started)

    def all_of(self, following: Following, limit: int, seconds: float) -> None:
        """Until enough is shown, the time is up, or Ctrl-C; then one line on stderr says what was seen."""
        import sys

        deadline = self._started + seconds if seconds else float("inf")
        try:
            for seen in following.polls():
                for one in seen:
                    self._one(one)
                    if limit and self._count.shown >= limit:
                        self._sum_up(following)
                        return
                now = time.monotonic()
                if word := self._count.word(now):
                    print(f"  … {word}", file=sys.stderr, flush=True)
                if now > deadline:
                    break
        except KeyboardInterrupt:
            print(file=sys.stderr)
        self._sum_up(following)

    def _sum_up(self, following: Following) -> None:
        import sys

        left = f"; {following.undecided:,} more wait for dedup" if following.undecided else ""
        print(self._count.summary(time.monotonic() - self._started) + left, file=sys.stderr, flush=True)

    def _one(self, seen: Seen) -> None:
        sampler, now = self._samplers[seen.kind], time.monotonic()
        sighting: Sighting | None = None
        if self._wanted.needs_fields:
            sighting = self._sighting(seen)
            if not self._wanted.lets_pass(sighting):
                return
        shown = sampler.take(now)
        self._count.note(seen.kind, shown)
        if shown:
            self._print(sighting or self._sighting(seen), sampler.one_of)

    def _sighting(self, seen: Seen) -> Sighting:
        from .watch.decoding import of_reject, of_wire

        if seen.reject is not None:
            return of_reject(seen.message, seen.reject)
        kept = {"kept": {"partition": seen.kept[0], "offset": seen.kept[1]}} if seen.kept is not None else {}
        return of_wire(self._decoding, seen.kind, seen.message, seen.stamp, kept)

    def _json(self, sighting: Sighting, one_of: int) -> None:
        from .output import json_line

        print(json_line({**sighting.as_json(self._mask), **({"one_of": one_of} if one_of > 1 else {})}), flush=True)

    def _text(self, sighting: Sighting, _one_of: int) -> None:
        from rich.markup import escape

        from .masking import unquoted
        from .output import console, json_line
        from .watch.decoding import steps

        took = " ".join(f"→ {stage} +{ms:g} ms" for stage, ms in steps(sighting.stages).items())
        known = [found for found in sighting.stages.values() if found is not None]
        facts = sighting.facts
        why = " ".join(unquoted(str(facts[name])) for name in ("code", "path", "detail", "undecodable") if facts.get(name))
        if kept := facts.get("kept"):
            why = f"of {kept['partition']}:{kept['offset']}"
        parts = (why, ", ".join(facts.get("flags", ())), json_line(self._mask.over(sighting.payload)))
        said = " ".join(part for part in parts if part)
        head = f"[dim]{known[-1]:%H:%M:%S} {facts['partition']}:{facts['offset']}[/]" if known else ""
        colour = _COLOURS[sighting.kind]
        sender = escape(f"{sighting.sender('sdk') or '?'}/{sighting.sender('app') or '?'}")
        console().print(f"{head} [{colour}]{sighting.kind:9}[/] {sighting.event_id} [dim]{took}[/] {sender} {escape(said)}", soft_wrap=True)
