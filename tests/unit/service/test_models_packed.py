"""The models of a list are encoded when they are others, and not for every list."""

import itertools
from typing import cast

import pytest
from msgspec import Raw, json, msgpack

from devsynthd.catalog.catalog import Catalog, Origin
from devsynthd.catalog.choice import Wishes
from devsynthd.catalog.poller import Poller
from devsynthd.service.call import Call, Client, Envelope
from devsynthd.service.models import Listed, ModelsService
from devsynthd.settings.configuration import Configuration
from devsynthd.upstream.base import Listing
from devsynthd.wire.codec import Encoding
from devsynthd.wire.objects import Model
from devsynthd.wire.requests import List
from devsynthd.wire.results import Models, PackedModels


class PolledJustNow:
    """All that a list which is fresh asks of the poller."""

    has_polled, is_late = True, False


class Asking:
    """A service with a catalog, and what it answers to a list."""

    def __init__(self) -> None:
        wishes = Wishes(selected=None, configured="", auto_select=True, stand_in="local_model")
        origin = Origin("openai", "http://127.0.0.1:1/v1")
        self.catalog = Catalog(origin, wishes, engine=False, generation=1)
        poller = cast("Poller", PolledJustNow())
        self._service = ModelsService(self.catalog, poller, cast("Configuration", None))
        self._numbers = itertools.count(1)

    def observe(self, *names: str) -> None:
        """Have the upstream list *names*."""
        models = tuple(Model(id=name, name=name) for name in names)
        self.catalog.observe(Listing("openai", models))

    def list(self, encoding: Encoding = Encoding.MSGPACK, *, loaded: bool = False) -> Listed:
        request = List(id=next(self._numbers), loaded=loaded)
        envelope = Envelope(cast("Client", None), encoding, delimiter=False)
        answer = self._service.list(request, Call(envelope, request, 1, 1))
        assert isinstance(answer, Models | PackedModels)
        return answer


def decoded(raw: Raw, encoding: Encoding = Encoding.MSGPACK) -> tuple[Model, ...]:
    decode = msgpack.decode if encoding is Encoding.MSGPACK else json.decode
    return decode(raw, type=tuple[Model, ...])


@pytest.fixture
def asking() -> Asking:
    return Asking()


def test_lists_of_a_generation_share_their_models(asking: Asking) -> None:
    asking.observe("a", "b")
    one, other = asking.list(), asking.list()
    assert one.models is other.models

    asking.observe("a", "b")  # the next poll finds the same
    assert asking.list().models is one.models


@pytest.mark.parametrize("encoding", Encoding)
def test_they_are_what_the_catalog_has_in_the_encoding_of_the_reply(
    asking: Asking, encoding: Encoding
) -> None:
    for names in (("a",), ("a", "b"), ("b", "a")):
        asking.observe(*names)
        packed = asking.list(encoding)
        assert isinstance(packed, PackedModels)
        assert packed.generation == asking.catalog.generation
        assert decoded(packed.models, encoding) == asking.catalog.view.models


def test_another_selection_marks_another_model(asking: Asking) -> None:
    asking.observe("a", "b")
    before = asking.list()
    asking.catalog.wish(
        Wishes(selected="b", configured="", auto_select=True, stand_in="local_model")
    )
    after = asking.list()

    assert isinstance(after, PackedModels)
    assert after.models is not before.models
    assert [model.selected for model in decoded(after.models)] == [False, True]


def test_a_part_of_the_list_is_not_shared(asking: Asking) -> None:
    asking.observe("a", "b")
    whole, loaded = asking.list(), asking.list(loaded=True)
    assert isinstance(whole, PackedModels)
    assert isinstance(loaded, Models)
    assert loaded.models == ()
