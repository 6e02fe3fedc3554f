"""How aiokafka reaches the brokers: addresses, and the security part of HOURMARK_KAFKA_OPTIONS said in aiokafka's names."""

from __future__ import annotations

import ssl
from typing import Any, Final

from hourmark.errors import SettingsError
from hourmark.settings import PlatformSettings

_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def addresses(settings: PlatformSettings) -> list[str]:
    return [address.strip() for address in settings.kafka.split(",")]


def security(settings: PlatformSettings) -> dict[str, Any]:
    """Security arguments of an aiokafka client. Options that only tune librdkafka have no counterpart and are left out.

    Raises SettingsError for security that aiokafka does not have.
    """
    options = settings.kafka_options
    protocol = str(options.get("security.protocol", "PLAINTEXT")).upper()
    found: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        found["ssl_context"] = _tls(options)
    if protocol.startswith("SASL"):
        mechanism = str(options.get("sasl.mechanism", options.get("sasl.mechanisms", "PLAIN"))).upper()
        if mechanism not in _MECHANISMS:
            raise SettingsError([f"HOURMARK_KAFKA_OPTIONS: sasl.mechanism {mechanism} is not supported by dedup workers"])
        found["sasl_mechanism"] = mechanism
        found["sasl_plain_username"] = str(options.get("sasl.username", ""))
        found["sasl_plain_password"] = str(options.get("sasl.password", ""))
    return found


def _tls(options: dict[str, str | int | float | bool]) -> ssl.SSLContext:
    authority = options.get("ssl.ca.location")
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    if "ssl.certificate.location" in options:
        context.load_cert_chain(
            str(options["ssl.certificate.location"]),
            str(options["ssl.key.location"]) if "ssl.key.location" in options else None,
            str(options["ssl.key.password"]) if "ssl.key.password" in options else None,
        )
    if str(options.get("ssl.endpoint.identification.algorithm", "https")) == "none":
        context.check_hostname = False
    return context
