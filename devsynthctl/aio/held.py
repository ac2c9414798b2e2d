"""A request that goes on as long as somebody holds it, on asyncio."""

import contextlib
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

from devsynthctl.aio.call import Call


class AsyncHeld:
    """Ends *call* when it is closed, or nobody holds it; it begins when it is first waited for."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_over = False

    @property
    def id(self) -> int:
        """The request's id, for `AsyncClient.cancel`."""
        return self._call.id

    async def aclose(self) -> None:
        """Cancel the request, unless it has ended; no more of it can be read. Idempotent."""
        self._drop()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        if not self._is_over:
            await self._call.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Leaving a loop with `break` drops it, and nobody will read the rest.
        if not getattr(self, "_is_over", True):
            with contextlib.suppress(Exception):
                self._call.cancel_soon()

    def _drop(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._call.cancel()
