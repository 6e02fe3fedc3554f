"""`python -m tests.sinks.process SETTINGS CATALOGUE`: a sink worker with a fixed catalogue, to be killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hourmark.runtime import StopSignal, run
from hourmark.schemas import read_snapshot
from sinks.catalogue import FixedCatalogue
from sinks.settings import Settings
from sinks.worker import Seams, SinkWorker

if __name__ == "__main__":
    run(
        "sinks",
        lambda: Settings(**json.loads(sys.argv[1])),
        lambda settings: SinkWorker(settings, Seams(catalogue=FixedCatalogue(read_snapshot(Path(sys.argv[2]).read_bytes())))).run(
            StopSignal().install()
        ),
    )
