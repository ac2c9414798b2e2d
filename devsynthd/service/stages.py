"""How far a request is that has not been answered yet."""

from devsynthd.service.call import Call


class CallStages:
    """Notes it on *call*, whose client is told if it asked for progress.

    *loads* says that the upstream has to load the model once it has got the request.
    """

    def __init__(self, call: Call, *, loads: bool) -> None:
        self._call, self._loads = call, loads

    def loading(self) -> None:
        """Note that the model is being loaded, and the request goes out after that."""
        self._loads = False
        self._call.enter("loading")

    def sent(self) -> None:
        """Note that the request goes out now."""
        self._call.ledger.sent(self._call.clock())
        self._call.enter("loading" if self._loads else "waiting")
