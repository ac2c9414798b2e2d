"""What is sent for a generation or for vectors: the path, and the JSON text. Pure."""

from typing import Any

import msgspec
from msgspec import Struct

from devsynthd.upstream.base import Chat
from devsynthd.upstream.fill_in import FillIn


class Order(Struct, frozen=True):
    """A body and where it goes: *path* under the base, or with *at_root* as ``Http.ask`` says."""

    path: str
    body: bytes
    at_root: bool = False


def order_of(chat: Chat, fill_in: FillIn | None = None) -> Order:
    """Return what asks for *chat*, of a server that fills in the middle by *fill_in*."""
    if chat.suffix is not None and fill_in is FillIn.INFILL:
        return Order("/infill", infill_body(chat), at_root=True)
    if chat.prompt is not None or chat.suffix is not None:
        return Order("/completions", text_body(chat))
    return Order("/chat/completions", chat_body(chat))


def chat_body(chat: Chat) -> bytes:
    """Return *chat* as a streaming request for what comes after its messages."""
    return _body(chat, {"messages": chat.messages, **_limit("max_tokens", chat)}, _USAGE)


def text_body(chat: Chat) -> bytes:
    """Return *chat* as a streaming request for what comes after its prompt, up to its suffix."""
    suffix = {} if chat.suffix is None else {"suffix": chat.suffix}
    prompt = {"prompt": chat.prompt or "", **suffix}
    return _body(chat, {**prompt, **_limit("max_tokens", chat)}, _USAGE)


def infill_body(chat: Chat) -> bytes:
    """Return *chat* as a streaming request to ``/infill`` of llama.cpp's server."""
    gap = {"input_prefix": chat.prompt or "", "input_suffix": chat.suffix or ""}
    return _body(chat, {**gap, **_limit("n_predict", chat)}, {})


def vectors_body(model: str, texts: tuple[str, ...]) -> bytes:
    """Return the request for the vectors of *texts*.

    The format is not named: all give numbers, and LM Studio is not known to take the field.
    """
    return msgspec.json.encode({"model": model, "input": texts})


_USAGE = {"stream_options": {"include_usage": True}}


def _body(chat: Chat, what: dict[str, Any], how: dict[str, Any]) -> bytes:
    ours = {"model": chat.model, **what, "temperature": chat.temperature, "stream": True, **how}
    return msgspec.json.encode(chat.parameters | ours)


def _limit(name: str, chat: Chat) -> dict[str, int]:
    return {} if chat.max_tokens is None else {name: chat.max_tokens}
