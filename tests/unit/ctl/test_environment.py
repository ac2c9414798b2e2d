"""What the environment of who asks says about a generation."""

from typing import Any

import pytest

from devsynthctl.environment import fields_of_environment
from devsynthd.wire.errors import ConfigInvalid


@pytest.mark.parametrize(
    ("environ", "given", "fields"),
    [
        ({}, (), {}),
        ({"DEVSYNTH_LLM_MODEL": "a"}, (), {"model": "a"}),
        ({"DEVSYNTH_LLM_MODEL": ""}, (), {}),
        ({"DEVSYNTH_LLM_MODEL": "a"}, ("model",), {}),
        ({"DEVSYNTH_LLM_MAX_TOKENS": "-1"}, (), {"max_tokens": -1}),
        ({"DEVSYNTH_LLM_TEMPERATURE": "0.5"}, ("model",), {"temperature": 0.5}),
        ({"DEVSYNTH_LLM_TEMPERATURE": "hot"}, ("temperature",), {}),
        ({"DEVSYNTH_LLM_API_BASE": "x"}, (), {}),
    ],
)
def test_the_environment_fills_what_no_option_gives(
    environ: dict[str, str], given: tuple[str, ...], fields: dict[str, Any]
) -> None:
    assert fields_of_environment(environ, given) == fields


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVSYNTH_LLM_MAX_TOKENS", "0"),
        ("DEVSYNTH_LLM_MAX_TOKENS", "many"),
        ("DEVSYNTH_LLM_TEMPERATURE", "2.1"),
    ],
)
def test_a_bad_variable_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        fields_of_environment({name: value}, ())
    assert name in str(caught.value)
    assert value in str(caught.value)
