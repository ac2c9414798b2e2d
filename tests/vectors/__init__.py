"""Golden vectors: exchanges with a daemon, recorded byte by byte, that must work for ever.

- ``vector``: a recorded exchange and its file.
- ``stage``: LM Studio and a daemon before an exchange; ``scenes``, ``answers``
  and ``failures``: what is said.
- ``record`` speaks a scene and writes it down, ``replay`` speaks the recorded bytes again.
- ``conformity``: whether messages satisfy the JSON Schema.
- ``likeness``: whether what comes today is what was recorded.
- ``page``, ``tables``, ``dump``: what `docs/protocol.md` shows of all that.

``python -m tests.vectors`` records scenes that have no file yet; ``--page`` renews the page.
"""
