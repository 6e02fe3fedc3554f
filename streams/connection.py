"""How aiokafka reaches the brokers: addresses, and the security part of HOURMARK_KAFKA_OPTIONS said in aiokafka's names."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError

from hourmark.errors import BrokerUnavailable, NotAllowed, SettingsError
from hourmark.kafka import GIVE
from hourmark.settings import PlatformSettings

FORBIDDEN: Final = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_KNOWN: Final = {
    *("sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password"),
    *("ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.key.location", "ssl.key.password"),
    "ssl.endpoint.identification.algorithm",
}


def addresses(settings: PlatformSettings) -> list[str]:
    return [address.strip() for address in settings.kafka.split(",")]


def unavailable(exc: BaseException, what: str) -> BrokerUnavailable:
    """An error of aiokafka, or a time-out, in our words. `what` says what was tried."""
    if isinstance(exc, FORBIDDEN):
        return NotAllowed(f"{what}: Kafka does not allow it to this user; {GIVE} ({exc})", retry_after=5.0)
    return BrokerUnavailable(f"{what}: {exc!r}")


async def await_partition(producer: Any, topic: str, partition: int) -> None:
    """Returns when an aiokafka producer knows this partition, which may have been added a moment ago; it asserts that it does."""
    while partition not in await producer.partitions_for(topic):
        await producer.client.force_metadata_update()
        await asyncio.sleep(0.05)


def security(settings: PlatformSettings) -> dict[str, Any]:
    """Security arguments of an aiokafka client. Options that only tune librdkafka have no counterpart and are left out.

    Raises SettingsError for security that aiokafka does not have.
    """
    options = settings.kafka_options
    protocol = str(options.get("security.protocol", "PLAINTEXT")).upper()
    mechanism = str(options.get("sasl.mechanism", options.get("sasl.mechanisms", "PLAIN"))).upper()
    _refuse(options, mechanism if protocol.startswith("SASL") else "")
    found: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        found["ssl_context"] = _tls(options)
    if protocol.startswith("SASL"):
        found["sasl_mechanism"] = mechanism
        found["sasl_plain_username"] = str(options.get("sasl.username", ""))
        found["sasl_plain_password"] = str(options.get("sasl.password", ""))
    return found


def _refuse(options: Mapping[str, Any], mechanism: str) -> None:
    """What would be left out silently, and weaken or break the connection."""
    faults = [f"sasl.mechanism {mechanism}"] if mechanism and mechanism not in _MECHANISMS else []
    faults += sorted(name for name in options if name.startswith(("ssl.", "sasl.")) and name not in _KNOWN)
    if faults:
        raise SettingsError([f"HOURMARK_KAFKA_OPTIONS: {fault} is not supported by dedup workers" for fault in faults])


def _tls(options: Mapping[str, Any]) -> ssl.SSLContext:
    authority, pem = options.get("ssl.ca.location"), options.get("ssl.ca.pem")
    folder = authority is not None and Path(str(authority)).is_dir()
    context = ssl.create_default_context(
        cafile=str(authority) if authority and not folder else None,
        capath=str(authority) if folder else None,
        cadata=str(pem) if pem else None,
    )
    if "ssl.certificate.location" in options:
        context.load_cert_chain(
            str(options["ssl.certificate.location"]),
            str(options["ssl.key.location"]) if "ssl.key.location" in options else None,
            str(options["ssl.key.password"]) if "ssl.key.password" in options else None,
        )
    verified = str(options.get("enable.ssl.certificate.verification", "true")).lower() != "false"
    if not verified or str(options.get("ssl.endpoint.identification.algorithm", "https")) == "none":
        context.check_hostname = False
    if not verified:
        context.verify_mode = ssl.CERT_NONE
    return context
