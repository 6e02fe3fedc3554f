"""`python -m receiver`: one receiver process, configured by the environment."""

from functools import partial

from hourmark.runtime import run
from hourmark.settings import load

from .app import main
from .settings import Settings

if __name__ == "__main__":
    run("receiver", partial(load, Settings), main)
