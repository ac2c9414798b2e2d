"""A text that comes in small pieces. Pure."""

_MERGED = 64


class GrownText:
    """The pieces so far. Few are kept as they came: a word takes five times its size by itself."""

    def __init__(self) -> None:
        self._merged: list[str] = []
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        """Add *piece* at the end."""
        self._pieces.append(piece)
        if len(self._pieces) == _MERGED:
            self._merged.append("".join(self._pieces))
            self._pieces.clear()

    def __bool__(self) -> bool:
        return bool(self._merged or self._pieces)

    def __str__(self) -> str:
        return "".join([*self._merged, *self._pieces])
