"""Is the control topic that is there still the one that is being read?"""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from .kafka import client_config
from .settings import PlatformSettings
from .topics import CONTROL

LOOK_EVERY_S: Final = 5.0
LOOK_S: Final = 2.0


class Identity:
    """Offsets cannot tell: those of a topic made anew may look as if it went on.

    One that nobody has seen before is another one, too: a consumer that has asked before it was made may never hear of it.
    """

    def __init__(self, settings: PlatformSettings) -> None:
        self._admin = AdminClient(client_config(settings))
        self._known = ""
        self._look_at = 0.0

    def changed(self) -> bool:
        """Asks the brokers now and then; a topic that is away for a while is no other one."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_EVERY_S
        try:
            asked = self._admin.describe_topics(TopicCollection([CONTROL]), request_timeout=LOOK_S)
            found = str(asked[CONTROL].result().topic_id)
        except KafkaException:
            return False
        before, self._known = self._known, found
        return before != found
