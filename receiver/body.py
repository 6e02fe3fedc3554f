"""A request's body: read within limits of size, time and memory; decompressed within the same limit, whatever it claims to be."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import zstandard
from aiohttp import ClientError, web

from .budget import Reading
from .errors import Refused
from .settings import Settings

ENCODINGS: Final = ("gzip", "deflate", "zstd")
_CHUNK: Final = 256 * 1024
_ZSTD_SLICE: Final = 128  # bytes of zstd at once: they can grow to 4 MiB at most, for zstandard has no limit of its own
_ZSTD_WINDOW: Final = 1 << 23
_MEMBERS: Final = 100  # of one gzip body: each costs a copy of all that follows it
_INLINE: Final = 256 * 1024  # larger compressed bodies are decoded on a thread
_SLACK: Final = 64 * 1024  # by which compressed data may be longer than what it decodes to


def encoding_of(request: web.BaseRequest) -> str:
    """One of ENCODINGS or empty. Raises Refused with 415."""
    headers = request.headers
    kind = headers.get("Content-Type")
    if kind is not None and kind != "application/json":
        name, _, rest = kind.partition(";")
        charset = rest.replace(" ", "").replace('"', "").lower()
        if name.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
            raise Refused(415, "unsupported_media_type", f"send Content-Type: application/json (UTF-8), not {kind[:100]!r}")
    encoding = headers.get("Content-Encoding")
    if encoding is None:
        return ""
    encoding = encoding.strip().lower()
    if encoding in ENCODINGS:
        return encoding
    if encoding in ("", "identity"):
        return ""
    message = f"Content-Encoding {encoding[:100]!r} is not understood; use one of {', '.join(ENCODINGS)}"
    raise Refused(415, "unsupported_encoding", message, Accept_Encoding=", ".join(ENCODINGS))


async def read_body(request: web.BaseRequest, settings: Settings, reading: Reading) -> bytes:
    """The decoded body. Raises Refused (400, 408, 413, 415) or Overloaded. What it takes of `reading` it gives back."""
    encoding = encoding_of(request)
    limit = settings.body_bytes
    most = limit + _SLACK if encoding else limit
    if request.content_length is not None and request.content_length > most:
        raise too_large(limit, close=True)
    content = request.content
    if content.is_eof():
        data = content.read_nowait(-1)
    else:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        data = await _read(request, settings, reading, most)
    if not encoding:
        if len(data) > limit:
            raise too_large(limit)
        return data
    if len(data) <= _INLINE:
        return decoded(data, encoding, limit)
    reading.take(len(data))
    try:
        return await asyncio.to_thread(decoded, data, encoding, limit)
    finally:
        reading.give_back(len(data))


async def _read(request: web.BaseRequest, settings: Settings, reading: Reading, most: int) -> bytes:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings.body_s
    chunks: list[bytes] = []
    taken = 0
    try:
        while True:
            async with asyncio.timeout_at(min(loop.time() + settings.stall_s, deadline)):
                chunk = await request.content.readany()
            if not chunk:
                return b"".join(chunks)
            reading.take(len(chunk))
            taken += len(chunk)
            if taken > most:
                raise too_large(settings.body_bytes, close=True)
            chunks.append(chunk)
    except TimeoutError:
        raise Refused(408, "body_stalled", f"the body did not arrive in time, {taken} bytes came", close=True) from None
    except (ClientError, web.RequestPayloadError, ConnectionError) as exc:
        raise Refused(400, "invalid_envelope", f"the body broke off: {exc}", close=True) from None
    finally:
        reading.give_back(taken)


def too_large(limit: int, *, close: bool = False) -> Refused:
    return Refused(413, "body_too_large", f"a body may have {limit} bytes, decoded", close=close)


def decoded(data: bytes, encoding: str, limit: int) -> bytes:
    """Decompress at most `limit` bytes, and never hold much more. Raises Refused: 400 for damage, 413 for too much."""
    found: list[bytes] = []
    size = 0
    try:
        for piece in _DECODERS[encoding](data):
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            found.append(piece)
    except (zlib.error, zstandard.ZstdError, EOFError) as exc:
        raise Refused(400, "invalid_envelope", f"the body is no {encoding}: {exc}") from None
    return found[0] if len(found) == 1 else b"".join(found)


def _inflate(data: bytes, bits: int) -> Iterator[bytes]:
    for _ in range(_MEMBERS if bits == _GZIP else 1):
        decoder = zlib.decompressobj(bits)
        while True:
            yield decoder.decompress(data, _CHUNK)
            data = decoder.unconsumed_tail
            if decoder.eof:
                break
            if not data:
                yield (rest := decoder.decompress(b"", _CHUNK))
                if decoder.eof:
                    break
                if not rest:
                    raise EOFError("it ends too early")
        data = decoder.unused_data
        if not data:
            return
    raise EOFError(f"more than {_MEMBERS} members" if bits == _GZIP else "bytes follow its end")


def _deflate(data: bytes) -> Iterator[bytes]:
    """HTTP's deflate is zlib's form; some senders leave its header out."""
    headed = len(data) >= 2 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    return _inflate(data, zlib.MAX_WBITS if headed else -zlib.MAX_WBITS)


def _unzstd(data: bytes) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    for start in range(0, len(data), _ZSTD_SLICE):
        if decoder.eof:
            raise EOFError("bytes follow its end")
        yield decoder.decompress(data[start : start + _ZSTD_SLICE])
    if not decoder.eof:
        raise EOFError("it ends too early")
    if decoder.unused_data:
        raise EOFError("bytes follow its end")


_GZIP: Final = zlib.MAX_WBITS | 16
_DECODERS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "gzip": lambda data: _inflate(data, _GZIP),
    "deflate": _deflate,
    "zstd": _unzstd,
}
