"""Lists of models from results; what is the same as in the list before is not built again."""

from msgspec import Raw

from devsynthctl.call import read_result
from devsynthd.wire.objects import Model
from devsynthd.wire.results import Models, PackedModels


class ListReader:
    """Decodes lists. Of most of them only ages are new: their models are those of the one before.

    For any number of threads. Models cannot be changed, so that several lists may share them.
    """

    def __init__(self) -> None:
        self._last: tuple[Raw, tuple[Model, ...]] | None = None

    def read(self, raw: Raw) -> Models:
        """Return the list in *raw*, a result in MessagePack.

        Raises:
            BadReply: It does not fit.
        """
        packed = read_result(raw, PackedModels)
        last = self._last
        if last is None or last[0] != packed.models:
            last = self._last = packed.models, read_result(packed.models, tuple[Model, ...])
        return Models(
            generation=packed.generation,
            models=last[1],
            selection=packed.selection,
            source=packed.source,
            warnings=packed.warnings,
        )
