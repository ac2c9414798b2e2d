"""LM Studio's local server on a real socket, for tests and for people without LM Studio.

One HTTP server, usually at port 1234, speaks up to three families of routes:

=========== ============== ================================================================
family      since          what for
=========== ============== ================================================================
``/v1``     always         OpenAI's API: list, chat, completions, embeddings
``/api/v0`` 0.3.6          the same, with each model's state in the list and timings in answers
``/api/v1`` 0.4.0          management: a richer list, load, unload, download
=========== ============== ================================================================

A later generation serves the earlier families too. ``/v1`` and ``/api/v1`` are different APIs.

Where to read on, in this order:

- ``models``, ``world``: what is downloaded, what is loaded, who answers to a name, who is evicted.
- ``lists``, ``errors``, ``completion``: the JSON that goes over the wire, and no state.
- ``management``, ``downloads``: load, unload and download. ``generation``: the answers.
- ``faults``: what goes wrong in the field. ``quirks``: what differs between versions, or is unsure.
- ``api`` (which route does what) and ``studio`` (the whole, with a socket).

In a test::

    with LMStudio("v1", models=["qwen/qwen3-4b", "google/gemma-3-4b"]) as studio:
        studio.load("qwen/qwen3-4b")
        studio.next_fault(faults.stream_error("Channel Error", after=["Hel"]), path=paths.CHAT)
        ...                                      # speak to studio.url
        assert len(studio.requests(path=paths.MODELS_V1)) == 1

By hand: ``python -m tests.lmstudio --generation v1 --port 1234``.

Not here: ``/api/v1/chat``, ``/v1/responses`` and ``/v1/messages``, which no test needs.
"""

from tests.lmstudio.completion import Answer, ToolCall
from tests.lmstudio.models import Model
from tests.lmstudio.studio import LMStudio
from tests.lmstudio.world import World

__all__ = ["Answer", "LMStudio", "Model", "ToolCall", "World"]
