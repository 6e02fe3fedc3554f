"""Why no broker can be used, in one line with what to do: address, certificate, password, listener.

A client's calls only time out; the reason stands among the errors of its connections. A client of our own collects them, for some seconds.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from .kafka import client_config
from .settings import PlatformSettings

PATIENCE_S: Final = 5.0
FRESH_S: Final = 30.0  # a reason found is not looked for again so soon
_STEP_S: Final = 0.3
_CONNECT_S: Final = 2.0
_OF: Final = re.compile(r"^\w+://(?P<address>[^/]+)/\S+: (?P<said>.*?)(?: \(after .*)?$", re.DOTALL)
_ANOTHER_NAME: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_OPTIONS: Final = "HOURMARK_KAFKA_OPTIONS"


class WhyAway:
    """Call it where Kafka does not answer: a sentence, empty when a broker answers after all. Blocks for some seconds at most."""

    def __init__(self, settings: PlatformSettings, patience: float = PATIENCE_S) -> None:
        self._settings, self._patience = settings, patience
        self._found, self._found_at = "", float("-inf")

    def __call__(self) -> str:
        if not self._found or time.monotonic() - self._found_at > FRESH_S:
            self._found, self._found_at = self._look(), time.monotonic()
        return self._found

    def _look(self) -> str:
        seen: list[KafkaError] = []
        try:
            client = Producer({**client_config(self._settings), "error_cb": seen.append})
        except (KafkaException, TypeError, ValueError):
            return ""  # `check_options` has told of it
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            try:
                if client.list_topics(timeout=_STEP_S).brokers:
                    return ""
            except KafkaException:
                pass
            client.poll(0)
            for error in seen:
                if error.code() != KafkaError._ALL_BROKERS_DOWN:
                    return self._say(error)
        return self._silent()

    def _say(self, error: KafkaError) -> str:
        found = _OF.match(error.str())
        if found is None:
            return error.str()
        address, said = found["address"], found["said"]
        user = self._settings.kafka_options.get("sasl.username", "")
        if error.code() == KafkaError._AUTHENTICATION:
            if "mechanism handshake" in said:
                return f"{address} takes another sasl.mechanism: {said.rpartition(': ')[2]}; set it in {_OPTIONS}"
            return f"{address} refuses the user {user}: unknown, or another password; set sasl.username and sasl.password in {_OPTIONS}"
        if "certificate verify failed" in said:
            return self._distrusted(address)
        if "alert" in said and "certificate" in said:
            told = "wants a client's certificate that it trusts; set ssl.certificate.location and ssl.key.location in"
            return f"{address} {told} {_OPTIONS}"
        if error.code() == KafkaError._RESOLVE or said.startswith("Connect to"):
            return f"{address}: {said}"
        return f"{address}: {said}; is {self._protocol} the security.protocol of this listener?"

    def _distrusted(self, address: str) -> str:
        """librdkafka says one thing of every certificate that it does not take; Python's own TLS knows which."""
        host, _, port = address.rpartition(":")
        authority = self._settings.kafka_options.get("ssl.ca.location")
        reason = "certificate verify failed"
        try:
            context = ssl.create_default_context(cafile=str(authority) if authority else None)
            with socket.create_connection((host, int(port)), _CONNECT_S) as plain, context.wrap_socket(plain, server_hostname=host):
                pass
        except ssl.SSLCertVerificationError as exc:
            reason = exc.verify_message
            if exc.verify_code in _ANOTHER_NAME:
                told = "HOURMARK_KAFKA and the brokers' advertised.listeners must have a name that stands in their certificate"
                return f"the certificate of {address} is another host's ({reason}); {told}"
        except (OSError, ValueError):
            pass  # what we know is enough
        told = "ssl.ca.location must name the file of the authority that signed it"
        return f"the certificate of {address} is not trusted ({reason}); {told}, in {_OPTIONS}"

    def _silent(self) -> str:
        """Not one word of an error: somebody listens there and speaks another protocol, or nobody does."""
        address = self._settings.kafka.split(",")[0].strip()
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), _CONNECT_S).close()
        except (OSError, ValueError) as exc:
            return f"{address}: {exc}"
        told = f"takes connections and did not answer in {self._patience:.0f} s"
        return f"{address} {told}; is {self._protocol} the security.protocol of this listener?"

    @property
    def _protocol(self) -> str:
        return str(self._settings.kafka_options.get("security.protocol", "PLAINTEXT"))
