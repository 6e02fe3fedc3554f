"""`hourmark acls`: the rights that each room needs on a Kafka with an authorizer, as commands of kafka-acls.sh, or set at once.

The table is the least that works: tests/e2e/test_secured_kafka.py runs the platform with it, and fails when Kafka is asked for more, or
never for a right that stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

if TYPE_CHECKING:
    from .addresses import Addresses

TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID = "topic", "group", "cluster", "transactional-id"
KAFKA_CLUSTER: Final = "kafka-cluster"
TIMEOUT_S: Final = 30.0


class Right(NamedTuple):
    """What a role may do with these resources, or (`prefix`) with all whose names begin so. Operations in Kafka's words.

    `optional`: everything goes on without it.
    """

    resource: str
    names: tuple[str, ...]
    operations: tuple[str, ...]
    why: str
    prefix: bool = False
    optional: bool = False


MADE: Final = ("Create", "DescribeConfigs", "AlterConfigs")  # to make a topic, and to keep its configuration right
TAIL: Final = Right(GROUP, ("hourmark-tail",), ("Describe",), "consumers outside of all groups need a name")
CATALOGUE: Final = Right(TOPIC, ("hourmark.control",), ("Read",), "the catalogue")
NODES: Final = Right(TOPIC, ("hourmark.nodes",), ("Write",), "by which revision it works")

RIGHTS: Final[Mapping[str, tuple[Right, ...]]] = {
    "registry": (
        Right(TOPIC, ("raw.",), (*MADE, "Alter", "Write"), "makes them, adds partitions, writes their first barriers", prefix=True),
        Right(TOPIC, ("clean.",), (*MADE, "Alter"), "makes them, adds partitions", prefix=True),
        Right(TOPIC, ("hourmark.control",), (*MADE, "Read", "Write"), "the catalogue"),
        Right(TOPIC, ("hourmark.nodes",), (*MADE, "Read"), "who works by which revision"),
        Right(TOPIC, ("hourmark.sealed-hours", "hourmark.replays", "rejected", "parked"), MADE, "makes them"),
        Right(TRANSACTIONAL_ID, ("hourmark.control.",), ("Describe", "Write"), "registries fence each other", prefix=True),
        Right(CLUSTER, (KAFKA_CLUSTER,), ("DescribeConfigs",), "how many replicas are usual"),
        TAIL,
    ),
    "receiver": (
        Right(TOPIC, ("raw.",), ("Write",), "events", prefix=True),
        Right(TOPIC, ("rejected",), ("Write",), "events that will never fit"),
        Right(TOPIC, ("parked",), ("Read", "Write", "DescribeConfigs"), "events of undeclared types, and their replay"),
        Right(TOPIC, ("hourmark.replays",), ("Read", "Write"), "how far replays are"),
        Right(GROUP, ("hourmark-parked",), ("Read",), "receivers share the replays"),
        CATALOGUE,
        NODES._replace(why="by which revision it works; test records"),
        TAIL,
        Right(TOPIC, ("clean.hourmark.canary", "hourmark.sealed-hours"), ("Read",), "canary events", optional=True),
    ),
    "dedup": (
        Right(TOPIC, ("raw.",), ("Read", "Write"), "reads events, writes barriers", prefix=True),
        Right(TOPIC, ("clean.",), ("Write",), "events and barriers", prefix=True),
        Right(TOPIC, ("rejected",), ("Write",), "what is no event"),
        Right(GROUP, ("hourmark-dedup-",), ("Read",), "one group a shard", prefix=True),
        CATALOGUE,
        NODES,
        TAIL,
        Right(CLUSTER, (KAFKA_CLUSTER,), ("Describe",), "room on the brokers' disks, for metrics", optional=True),
    ),
    "sink": (
        Right(TOPIC, ("clean.",), ("Read",), "events", prefix=True),
        Right(TOPIC, ("rejected",), ("Write",), "what cannot be decoded"),
        Right(TOPIC, ("hourmark.sealed-hours",), ("Write",), "announces hours"),
        Right(GROUP, ("hourmark-sink-",), ("Read",), "one group a shard", prefix=True),
        CATALOGUE,
        NODES,
        TAIL,
    ),
    "operator": (
        Right(TOPIC, ("raw.", "clean."), ("Read",), "`tail`, `trace`, `status`, `query --open`, `dedup rebuild`", prefix=True),
        Right(TOPIC, ("rejected",), ("Read",), "`rejected`, `tail`, `trace`, `status`"),
        Right(TOPIC, ("hourmark.sealed-hours",), ("Read",), "`status`"),
        Right(TOPIC, ("hourmark.nodes",), ("Read",), "`status` while no registry answers", optional=True),
        Right(TOPIC, ("parked",), ("Read", "DescribeConfigs"), "`parked`, `trace`"),
        Right(TOPIC, ("hourmark.replays",), ("Read",), "`parked`"),
        Right(GROUP, ("hourmark-",), ("Read",), "how far workers are; `rejected --replay`, `dedup reshard`", prefix=True),
    ),
    "producer": (Right(TOPIC, ("raw.",), ("Write",), "a service with the client library's Kafka transport", prefix=True),),
    "reader": (
        Right(TOPIC, ("clean.",), ("Read",), "CleanReader, or any consumer", prefix=True),
        Right(GROUP, ("",), ("Read",), "its own groups", prefix=True),
    ),
}


class Grant(NamedTuple):
    """One operation for one principal: an entry of the authorizer."""

    principal: str
    operation: str
    resource: str
    name: str
    prefix: bool


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(acls)


def acls(
    roles: Annotated[list[str] | None, typer.Argument(metavar="[ROLE]...", help=f"Some of: {', '.join(RIGHTS)}. All by default.")] = None,
    user: Annotated[list[str] | None, typer.Option(metavar="ROLE=USER", help="Its user; hourmark-ROLE by default.")] = None,
    types: Annotated[str, typer.Option(help="Beginning of the event types that producers write and readers read.")] = "",
    group: Annotated[str, typer.Option(help="Beginning of the readers' groups.")] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Set them on HOURMARK_KAFKA, as the user of HOURMARK_KAFKA_OPTIONS.")] = False,
) -> None:
    """Print the commands of kafka-acls.sh that give each role its rights on a Kafka with an authorizer, and no more than it needs.

    Rights only add up, and nothing is taken away: it can be done again at any time.
    """
    from .addresses import find
    from .output import console

    wanted = _known(roles or list(RIGHTS))
    users = {role: f"hourmark-{role}" for role in RIGHTS} | _users(user or [])
    if not apply:
        for role in wanted:
            print(f"# {role}")
            print("\n".join(commands(role, users[role], types, group)))
        return
    grants = [grant for role in wanted for grant in grants_of(role, users[role], types, group)]
    give(find("kafka"), grants)
    console().print(f"{len(grants)} rights for {', '.join(users[role] for role in wanted)}")


def rights(role: str, types: str = "", group: str = "") -> Iterator[Right]:
    """The table's rows of a role; producers and readers may be kept to event types and groups that begin so."""
    for right in RIGHTS[role]:
        if role in ("producer", "reader"):
            yield right._replace(names=tuple(name + (group if right.resource == GROUP else types) for name in right.names))
        else:
            yield right


def grants_of(role: str, user: str, types: str = "", group: str = "", *, optional: bool = True) -> list[Grant]:
    """`optional`: also what everything goes on without."""
    return [
        Grant(f"User:{user}", operation, right.resource, name or "*", right.prefix and bool(name))
        for right in rights(role, types, group)
        for name in right.names
        for operation in right.operations
        if optional or not right.optional
    ]


def commands(role: str, user: str, types: str = "", group: str = "") -> Iterator[str]:
    """One command a row, with $KAFKA and admin.properties to be filled in."""
    for right in rights(role, types, group):
        operations = " ".join(f"--operation {operation}" for operation in right.operations)
        named = " ".join(f"--{right.resource} '{name or '*'}'" for name in right.names)
        where = "--cluster" if right.resource == CLUSTER else named
        pattern = " --resource-pattern-type prefixed" if right.prefix and all(right.names) else ""
        begin = 'kafka-acls.sh --bootstrap-server "$KAFKA" --command-config admin.properties --add'
        yield f"{begin} --allow-principal 'User:{user}' {operations} {where}{pattern}"


def give(at: Addresses, grants: Iterable[Grant]) -> None:
    """Add them. Raises BrokerUnavailable, WrongInput."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType

    from hourmark.kafka import client_config, translate

    kinds = {TOPIC: ResourceType.TOPIC, GROUP: ResourceType.GROUP, CLUSTER: ResourceType.BROKER}
    kinds[TRANSACTIONAL_ID] = ResourceType.TRANSACTIONAL_ID
    bindings = [
        AclBinding(
            kinds[grant.resource],
            grant.name,
            ResourcePatternType.PREFIXED if grant.prefix else ResourcePatternType.LITERAL,
            grant.principal,
            "*",
            AclOperation[spelled(grant.operation)],
            AclPermissionType.ALLOW,
        )
        for grant in grants
    ]
    admin = AdminClient(client_config(at.settings()))
    try:
        for future in admin.create_acls(bindings, request_timeout=TIMEOUT_S).values():
            future.result()
    except KafkaException as exc:
        raise translate(exc, "setting ACLs") from exc


def spelled(name: str) -> str:
    """`DescribeConfigs` as the client library spells it."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name).lstrip("_").upper()


def _known(roles: list[str]) -> list[str]:
    from .failures import WrongInput, did_you_mean

    for role in roles:
        if role not in RIGHTS:
            raise WrongInput(f"no role {role}{did_you_mean(role, RIGHTS)}", remedy=f"roles are: {', '.join(RIGHTS)}")
    return roles


def _users(said: list[str]) -> dict[str, str]:
    from .failures import WrongInput

    found = dict[str, str]()
    for pair in said:
        role, _, name = pair.partition("=")
        _known([role])
        if not name:
            raise WrongInput(f"--user {pair} names no user", remedy="write ROLE=USER, like --user sink=svc-sink")
        found[role] = name.removeprefix("User:")
    return found
