"""hourmark_client: send events to hourmark, and lose none. See README.md; the errors are drawn in errors.py."""

from .aio import AsyncClient
from .buffer import BatchLimits, Stats
from .client import Client
from .errors import BufferFull, ClientClosed, ClientError, InvalidEvent, RegistryProblem, Undelivered
from .http import HttpOptions, HttpTransport
from .retry import Backoff
from .transport import SDK_VERSION as __version__
from .transport import Transport
from .verdicts import OnVerdict, Verdict

__all__ = [
    "AsyncClient",
    "Backoff",
    "BatchLimits",
    "BufferFull",
    "Client",
    "ClientClosed",
    "ClientError",
    "HttpOptions",
    "HttpTransport",
    "InvalidEvent",
    "OnVerdict",
    "RegistryProblem",
    "Stats",
    "Transport",
    "Undelivered",
    "Verdict",
    "__version__",
]
