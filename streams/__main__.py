"""A dedup worker: `python -m streams`."""

from hourmark.runtime import run
from streams.settings import load_settings
from streams.worker import main

if __name__ == "__main__":
    run("streams", load_settings, main)
