"""The limits of the protocol that clients can rely on."""

PROTOCOL_VERSION = 1

MAX_BODY_BYTES = 32 * 2**20
"""A larger request gets ``bad_request``."""

MAX_MESSAGE_BYTES = 64 * 2**20
"""Over this the transport drops the connection unread."""

MAX_MESSAGES = 4096
"""Messages of context in one ``generate``."""

MAX_PARTS = 1024
"""Content parts of one message."""

MAX_INPUTS = 4096
"""Texts of one ``embed``."""

MAX_STOPS = 64
"""Texts in ``stop``, any of which ends an answer."""

MAX_FREE_FORM_BYTES = 2**20
"""Each of the fields whose shape the upstream knows: ``extra``, ``tools``, ``schema``, ..."""

MAX_FREE_FORM_DEPTH = 128
"""Maps and lists inside each other in such a field: all that work on it take as many."""

MAX_KEY_CHARACTERS = 128
"""The longest name of a setting in ``config_get`` and ``config_set``."""

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""
