"""When something was not there."""

import contextlib
import math
import threading
import time
from collections.abc import Iterator


class Outages:
    """Remembers when something is away; others feel it until *noticed_s* after its return."""

    def __init__(self, noticed_s: float) -> None:
        self._noticed_s = noticed_s
        self._lock = threading.Lock()
        self._under_way = 0
        self._last_end = -math.inf
        self.count = 0

    @contextlib.contextmanager
    def during(self) -> Iterator[None]:
        """Be away for the block."""
        with self._lock:
            self._under_way += 1
            self.count += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._last_end = time.monotonic()

    def felt(self, since: float) -> bool:
        """Return whether what lasted from *since* (``time.monotonic``) until now may feel one."""
        with self._lock:
            return self._under_way > 0 or since < self._last_end + self._noticed_s
