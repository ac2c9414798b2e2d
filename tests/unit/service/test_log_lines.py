"""Lines of the log on their way to the event loop."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from enum import IntEnum
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthd.host.redaction import MASK, Redaction
from devsynthd.service.log_lines import LogLines
from devsynthd.wire.codec import Encoding
from devsynthd.wire.events import ConfigNews, LogNews, encode_news, plain

logger = logging.getLogger("devsynthd.tests")

KEY = "hunter2-hunter2"


def run(test: Callable[[LogLines], Awaitable[None]]) -> None:
    async def run() -> None:
        lines = LogLines(Redaction(KEY))
        try:
            await test(lines)
        finally:
            lines.stop()

    asyncio.run(run())


def test_a_line_of_any_thread_comes_with_its_level_and_fields() -> None:
    async def test(lines: LogLines) -> None:
        heard: asyncio.Queue[LogNews] = asyncio.Queue()
        lines.listen(lambda line, _: heard.put_nowait(line))
        extra = {"fields": {"model": "m", "path": Path("/a"), "error": ValueError("x")}}

        def write() -> None:
            logger.warning("%s happened", "it", extra=extra)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        logger.critical("over")

        line = await heard.get()
        assert line == LogNews(
            level="warning",
            message="it happened",
            fields={"model": "m", "path": "/a", "error": "x"},
        )
        assert (await heard.get()).level == "critical"

    run(test)


def test_lines_below_the_level_of_the_log_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "devsynthd")

    async def test(lines: LogLines) -> None:
        heard: list[str] = []
        lines.listen(lambda line, _: heard.append(line.message))
        logger.info("small talk")
        logger.error("trouble")
        await asyncio.sleep(0)
        assert heard == ["trouble"]

    run(test)


def test_no_secret_is_told() -> None:
    async def test(lines: LogLines) -> None:
        heard: asyncio.Queue[LogNews] = asyncio.Queue()
        lines.listen(lambda line, _: heard.put_nowait(line))
        extra = {"fields": {"error": ValueError(f"refused {KEY}"), "all": [{KEY: KEY}]}}
        logger.warning("it says %s", KEY, extra=extra)

        line = await heard.get()
        assert line == LogNews(
            level="warning",
            message=f"it says {MASK}",
            fields={"error": f"refused {MASK}", "all": [{MASK: MASK}]},
        )

    run(test)


def test_a_line_that_telling_causes_is_not_told() -> None:
    async def test(lines: LogLines) -> None:
        heard: list[str] = []

        def tell(line: LogNews, _: float) -> None:
            heard.append(line.message)
            logger.warning("could not tell %s", line.message)

        lines.listen(tell)
        logger.warning("one")
        for _ in range(10):
            await asyncio.sleep(0)
        logger.warning("two")
        for _ in range(10):
            await asyncio.sleep(0)
        assert heard == ["one", "two"]

    run(test)


def test_nothing_is_heard_after_the_end() -> None:
    async def test(lines: LogLines) -> None:
        heard: list[str] = []
        lines.listen(lambda line, _: heard.append(line.message))
        logger.warning("too late to be told")
        lines.stop()
        logger.warning("not heard")
        await asyncio.sleep(0)
        assert heard == []
        assert lines not in logging.getLogger().handlers

    run(test)


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (2**70, str(2**70)),
        (-(2**70), str(-(2**70))),
        (Level.HIGH, 3),
        ({1: {"a"}, "b": (1, 2.5)}, {"1": ["a"], "b": [1, 2.5]}),
        (b"\xff", "b'\\xff'"),
        ("no text: \udcff", "no text: \\udcff"),
        (ValueError("why"), "why"),
    ],
)
def test_what_cannot_be_carried_becomes_text(
    encoding: Encoding, value: object, expected: object
) -> None:
    line = LogNews(level="info", message="m", fields={"value": plain(value)})
    decode = msgspec.json.decode if encoding is Encoding.JSON else msgspec.msgpack.decode

    assert decode(encode_news(line, encoding))["fields"] == {"value": expected}


@pytest.mark.parametrize("encoding", Encoding)
def test_news_that_are_no_text_are_told_all_the_same(encoding: Encoding) -> None:
    news = ConfigNews(config_generation=1, changed=(), valid=False, error="a\udcff.toml")
    decode = msgspec.json.decode if encoding is Encoding.JSON else msgspec.msgpack.decode

    assert decode(encode_news(news, encoding))["error"] == "a\\udcff.toml"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("encoding", Encoding)
@given(ANYTHING)
def test_any_value_can_be_told(encoding: Encoding, value: object) -> None:
    assert encode_news(LogNews(level="info", message="", fields={"v": plain(value)}), encoding)


def test_a_value_that_holds_itself_comes_to_an_end() -> None:
    endless: list[object] = []
    endless.append(endless)

    assert encode_news(
        LogNews(level="info", message="", fields={"v": plain(endless)}), Encoding.JSON
    )
