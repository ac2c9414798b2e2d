"""How long an answer may keep its reader waiting, by how far it is."""

import time
from collections.abc import Callable

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.transport_errors import Patience

AFTER_FINISH_S = 5.0
"""How long usage and ``[DONE]`` may take after the last token, whatever else comes meanwhile;
without them it is complete too."""

AFTER_DONE_S = 0.05
"""How long the end of the body may take after ``[DONE]``, so that the connection can serve again.
It has mostly come already; a server that keeps it back costs the connection, not time."""


class Waits:
    """How long *answer* may take: ``due`` is when the patience ends, on *clock*."""

    def __init__(
        self, answer: Answer, timeouts: Timeouts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._answer, self._timeouts, self._clock = answer, timeouts, clock
        self.due = clock() + timeouts.first_token_s
        self._is_ending = self._is_done = False

    def left_s(self) -> float:
        """Return for how long there is still patience; nothing or less: it has ended."""
        return self.due - self._clock()

    def came(self, *, adds: bool) -> None:
        """Note that the answer has been fed, and whether that *adds* something to it."""
        answer = self._answer
        if answer.done:
            if not self._is_done:
                self._is_done = True
                self.due = self._clock() + AFTER_DONE_S
        elif answer.finished:
            # Some servers give a reason to finish with every token: only what adds nothing is idle.
            if adds or not self._is_ending:
                self._is_ending = True
                self._ends_soon()
        elif answer.started:
            self.due = self._clock() + self._timeouts.idle_s

    def resumed(self) -> None:
        """Note that it is read on, after a time in which nothing was waited for."""
        if self._is_ending:
            self._ends_soon()
        else:
            self.due = self._clock() + self._timeouts.idle_s

    def patience(self) -> Patience:
        """Return what is waited for, before it has finished."""
        if self._answer.started:
            return Patience(
                "the next part of the answer",
                self._timeouts.idle_s,
                "The model may hang: the server's own log may say why. How long to wait is set by"
                " llm_idle_timeout.",
            )
        return Patience(
            "the first token",
            self._timeouts.first_token_s,
            "A model that is being loaded, or a long prompt, takes its time: raise"
            " llm_first_token_timeout if it needs longer.",
        )

    def _ends_soon(self) -> None:
        self.due = self._clock() + min(self._timeouts.idle_s, AFTER_FINISH_S)
