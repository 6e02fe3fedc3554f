"""A real Kafka that trusts nobody: TLS on every listener, a user or a certificate from everybody, and no right that no ACL gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from hourmark.kafka import QUIET
from local.kafka import KafkaServer
from local.ports import HOST
from tests.secured.authority import Authority

ADMIN = "admin"
LITERAL = ResourcePatternType.LITERAL
SECURE = """
listeners=USERS://{host}:{port},CERTIFICATES://{host}:{tls_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=USERS://{host}:{port},CERTIFICATES://{host}:{tls_port}
listener.security.protocol.map=USERS:SASL_SSL,CERTIFICATES:SSL,CONTROLLER:SSL
inter.broker.listener.name=CERTIFICATES
listener.name.users.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.users.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.users.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {plain};
listener.name.certificates.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
ssl.principal.mapping.rules=RULE:^CN=([^,]*).*$/$1/
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:broker;User:admin
"""
# what was allowed and refused, and by which rule
AUDIT = """
appender.audit.type=File
appender.audit.name=audit
appender.audit.fileName={file}
appender.audit.layout.type=PatternLayout
appender.audit.layout.pattern=%m%n
logger.audit.name=kafka.authorizer.logger
logger.audit.level=debug
logger.audit.additivity=false
logger.audit.appenderRef.audit.ref=audit
"""
_SAID = re.compile(
    r"Principal = User:(?P<user>\S+) is (?P<outcome>Allowed|Denied) operation = (?P<operation>\S+) from host = \S+ on resource = "
    r"(?P<kind>\w+):LITERAL:(?P<name>.*?) for request = (?P<request>\w+)"
)


class SecuredKafka(KafkaServer):
    """Users come in at `bootstrap` with their password, by SCRAM-SHA-512 or PLAIN; certificates at `tls_bootstrap`, CN is the user.

    `users`: name → password; the super user `admin` must be among them.
    """

    start_deadline = 120.0

    def __init__(self, home: Path, authority: Authority, users: Mapping[str, str]) -> None:
        super().__init__(home, heap_mb=512)
        self.authority, self.users = authority, dict(users)
        self.tls_port = self._remembered("tls-port")
        certificate, key = authority.issue("broker")
        self._keystore = self.home / "keystore.pem"
        self._keystore.write_bytes(key.read_bytes() + certificate.read_bytes())
        self.audit = self.home / "audit.log"
        self._admin: AdminClient | None = None

    @property
    def tls_bootstrap(self) -> str:
        return f"{HOST}:{self.tls_port}"

    def options(self, user: str, *, password: str = "", mechanism: str = "SCRAM-SHA-512") -> dict[str, Any]:
        """What HOURMARK_KAFKA_OPTIONS holds for this user."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "sasl.username": user,
            "sasl.password": password or self.users[user],
            "ssl.ca.location": str(self.authority.certificate),
        }

    def certificate_options(self, user: str) -> dict[str, Any]:
        """The same for the listener of certificates."""
        certificate, key = self.authority.issue(user)
        mine = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}
        return {"security.protocol": "SSL", "ssl.ca.location": str(self.authority.certificate), **mine}

    def admin(self) -> AdminClient:
        self._admin = self._admin or AdminClient({"bootstrap.servers": self.bootstrap, **QUIET, **self.options(ADMIN)})
        return self._admin

    def set_password(self, user: str, password: str) -> None:
        """For SCRAM, from now on."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, info, password.encode())
        self._done(self.admin().alter_user_scram_credentials([change]))

    def deny(self, user: str, operation: AclOperation, topic: str) -> None:
        """As if the right to this topic were missing: what is denied counts more than what is allowed."""
        rule = AclBinding(ResourceType.TOPIC, topic, LITERAL, f"User:{user}", "*", operation, AclPermissionType.DENY)
        self._done(self.admin().create_acls([rule]))

    def deny_nothing(self) -> None:
        self._done(self.admin().delete_acls([_rules(ResourceType.ANY, None, AclPermissionType.DENY)]))

    def forget_right(self, user: str, kind: ResourceType) -> None:
        """Takes all rights of this user on resources of this kind away."""
        self._done(self.admin().delete_acls([_rules(kind, f"User:{user}", AclPermissionType.ALLOW)]))

    def alter_topics(self, names: Iterable[str], name: str, value: str) -> None:
        """Their configuration becomes another one than it should be."""
        entries = [ConfigEntry(name, value, ConfigSource.DYNAMIC_TOPIC_CONFIG, incremental_operation=AlterConfigOpType.SET)]
        resources = [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries) for topic in names]
        self._done(self.admin().incremental_alter_configs(resources))

    def _done(self, futures: Mapping[Any, Any]) -> None:
        for future in futures.values():
            future.result(30.0)

    def configuration(self) -> str:
        plain = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        return super().configuration() + SECURE.format(
            host=HOST,
            port=self.port,
            tls_port=self.tls_port,
            controller_port=self.controller_port,
            plain=plain,
            keystore=self._keystore,
            truststore=self.authority.certificate,
        )

    def first_records(self) -> list[str]:
        credentials = [f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in self.users.items()]
        return [word for credential in credentials for word in ("--add-scram", credential)]

    def prepare(self) -> None:
        super().prepare()
        with (self.home / "log4j2.properties").open("a") as file:
            file.write(AUDIT.format(file=self.audit))

    def ready(self, timeout: float = 2.0) -> bool:
        try:
            return bool(self.admin().list_topics(timeout=timeout).brokers)
        except KafkaException:
            return False

    def decided(self, outcome: str, since: int = 0) -> set[tuple[str, str, str, str]]:
        """(user, operation, kind, name) of what was `Allowed` or `Denied` since the log had this size; not the super users'."""
        said_so = self.audit.read_bytes()[since:].decode(errors="replace")
        found = (_SAID.match(line) for line in said_so.splitlines())
        return {
            (said["user"], said["operation"], said["kind"], said["name"])
            for said in found
            if said is not None and said["outcome"] == outcome and said["user"] not in (ADMIN, "broker")
        }


def _rules(kind: ResourceType, principal: str | None, permission: AclPermissionType) -> AclBindingFilter:
    whatever: Any = None  # any name, user, host; the stubs know of text only
    return AclBindingFilter(kind, whatever, ResourcePatternType.ANY, principal or whatever, whatever, AclOperation.ANY, permission)
