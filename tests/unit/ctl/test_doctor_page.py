"""The README tells what ``doctor`` checks and says, in its own words."""

import re

import pytest

from devsynthctl.doctor.checks import CHECKS, TROUBLES
from devsynthctl.doctor.trouble import Trouble, on_page
from tests.ctl.doctor_page import README, renewed

TEXT = README.read_text(encoding="utf-8")
NAMES = [check.name for check in CHECKS]


def test_the_tables_are_up_to_date() -> None:
    assert TEXT.count("<!-- begin troubles -->") == TEXT.count("<!-- begin checks -->") == 1
    assert renewed(TEXT) == TEXT, "renew them: python -m tests.ctl.doctor_page"


def test_troubles_come_in_the_order_of_the_checks_and_each_has_words_of_its_own() -> None:
    places = [NAMES.index(trouble.check) for trouble in TROUBLES]
    assert places == sorted(places)
    assert set(NAMES) - {trouble.check for trouble in TROUBLES} == set()
    told = [(trouble.check, on_page(trouble)[0]) for trouble in TROUBLES]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.says[:40])
def test_each_tells_something_on_the_page_too(trouble: Trouble) -> None:
    says, means, remedy = on_page(trouble)

    assert re.search("[a-z]{3}", says)
    assert means.endswith(".")
    assert re.search("[a-z]{3}", remedy)
    assert not re.search(r"[{}]", says + means + remedy)


def test_each_check_needs_only_those_before_it() -> None:
    for place, check in enumerate(CHECKS):
        assert set(check.needs) <= set(NAMES[:place])
