"""`python -m sinks`: one sink worker."""

from hourmark.runtime import StopSignal, run
from hourmark.settings import load

from .memory import choose_pool, settle
from .settings import Settings


def main(settings: Settings) -> None:
    choose_pool()
    from .worker import SinkWorker

    worker = SinkWorker(settings)
    settle()
    worker.run(StopSignal().install())


if __name__ == "__main__":
    run("sinks", lambda: load(Settings), main)
