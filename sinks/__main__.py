"""`python -m sinks`: one sink worker."""

from hourmark.runtime import StopSignal, run
from hourmark.settings import load

from .memory import settle
from .settings import Settings
from .worker import SinkWorker


def main(settings: Settings) -> None:
    worker = SinkWorker(settings)
    settle()
    worker.run(StopSignal().install())


if __name__ == "__main__":
    run("sinks", lambda: load(Settings), main)
