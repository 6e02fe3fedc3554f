"""Where things are in the lake. Datasets hold nothing but hours, so that any reader can be pointed at `events/<type>`.

events/<type>/dt=2026-03-01/hour=07/  part files, _manifest.json, _SUCCESS
meta/commits/<type>/p00003/<first clean offset, 20 digits>.json      one link of the commit chain
meta/checkpoints/<type>/p00003/<clean offset after the last, 20 digits>.json   many old links in one file, verbatim
meta/seals/<type>/2026-03-01T07.json                                 what has been decided about an hour
meta/parts/<type>/p00003/<first>-<last>-<hour>-s<schema>-<digest>.parquet
meta/staging/                                                        files being written; anything here may be deleted when old
"""

from __future__ import annotations

from typing import Final

from hourmark.hours import folder, label, parse_label

MANIFEST: Final = "_manifest.json"
SUCCESS: Final = "_SUCCESS"
STAGING: Final = "meta/staging"
SEALS: Final = "meta/seals"
COMMITS: Final = "meta/commits"
CHECKPOINTS: Final = "meta/checkpoints"
PARTS: Final = "meta/parts"
EVENTS: Final = "events"


def partition_folder(partition: int) -> str:
    return f"p{partition:05d}"


def commits(event_type: str, partition: int) -> str:
    """Folder of one commit chain."""
    return f"{COMMITS}/{event_type}/{partition_folder(partition)}"


def checkpoints(event_type: str, partition: int) -> str:
    return f"{CHECKPOINTS}/{event_type}/{partition_folder(partition)}"


def entry_name(first: int) -> str:
    return f"{first:020d}.json"


def offset_of(name: str) -> int:
    """The clean offset in the name of an entry, a checkpoint or a part. Raises ValueError when it is none of these."""
    return int(name[:20])


def seals(event_type: str) -> str:
    return f"{SEALS}/{event_type}"


def seal(event_type: str, hour: int) -> str:
    return f"{SEALS}/{event_type}/{label(hour)}.json"


def hour_folder(event_type: str, hour: int) -> str:
    return f"{EVENTS}/{event_type}/{folder(hour)}"


def parts(event_type: str, partition: int) -> str:
    """Folder of the staged parts of one partition."""
    return f"{PARTS}/{event_type}/{partition_folder(partition)}"


def part(event_type: str, partition: int, name: str) -> str:
    return f"{parts(event_type, partition)}/{name}.parquet"


def hour_of_part(name: str) -> int:
    """Hour number in the name of a part. Raises ValueError when it is no part's name."""
    return parse_label(name[42:55])
