"""The shelf: what every room of hourmark shares. Values, contracts and adapters; no service logic."""

__version__ = "0.1.0"
