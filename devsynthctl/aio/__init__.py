"""The client for programs on asyncio: `AsyncClient`, and what its methods return."""

from devsynthctl.aio.client import AsyncClient
from devsynthctl.aio.stream import AsyncStream
from devsynthctl.aio.subscription import AsyncSubscription

__all__ = ["AsyncClient", "AsyncStream", "AsyncSubscription"]
