"""Files of ours are told from those of a person, and a person's are never lost."""

from pathlib import Path

import pytest

from devsynthctl.service.errors import EditedFile, ServiceError
from devsynthctl.service.marks import State, difference, is_ours, judged, stamped
from devsynthctl.service.placing import place, plan, refuse_edited, take_away

BODY = "[Unit]\nDescription=d\n"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n<plist/>\n'


@pytest.mark.parametrize("body", [BODY, XML, ""])
def test_what_is_stamped_is_ours(body: str) -> None:
    assert is_ours(stamped(body))
    assert stamped(body) != stamped(f"{body}#\n")


def test_the_mark_is_in_the_first_line_unless_xml_has_to_begin_otherwise() -> None:
    assert stamped(BODY).splitlines()[0].startswith("# Written by `devsynthctl service install`")
    first, second, *_ = stamped(XML).splitlines()
    assert first == XML.splitlines()[0]
    assert second.startswith("<!-- Written by")


@pytest.mark.parametrize(
    "content",
    [
        BODY,
        "",
        stamped(BODY) + "Nice=5\n",
        stamped(BODY).replace("Description=d", "Description=e"),
        "\n" + stamped(BODY),
        stamped(BODY).removesuffix("\n"),
        stamped(XML).replace("<plist/>", "<plist></plist>"),
    ],
)
def test_what_is_not_as_it_was_stamped_is_not_ours(content: str) -> None:
    assert not is_ours(content)


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (None, "absent"),
        (stamped(BODY), "current"),
        (stamped("[Unit]\n"), "outdated"),
        (BODY, "edited"),
        (stamped(BODY) + "#\n", "edited"),
    ],
)
def test_the_state_of_a_file(content: str | None, state: State) -> None:
    assert judged(content, stamped(BODY)) == state


def test_a_difference_does_not_show_the_marks() -> None:
    diff = difference("u", stamped("a\nb\n"), stamped("a\nc\n"))
    assert diff == "--- u (there)\n+++ u (wanted)\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"


def placed(path: Path, text: str) -> str:
    (planned,) = plan({path: stamped(text)})
    return place(planned).change


def test_a_file_is_written_left_alone_and_updated(tmp_path: Path) -> None:
    path = tmp_path / "new" / "u"

    assert [placed(path, text) for text in ("a\n", "a\n", "b\n")] == [
        "written",
        "unchanged",
        "updated",
    ]
    assert path.read_text() == stamped("b\n")
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in path.parent.iterdir()] == ["u"]


def test_an_edited_file_is_refused_with_what_would_change(tmp_path: Path) -> None:
    path = tmp_path / "u"
    path.write_text(stamped("a\n") + "mine\n")
    planned = plan({path: stamped("a\n")})

    with pytest.raises(EditedFile) as told:
        refuse_edited(planned, "EDIT")

    assert f"{path} is not as" in str(told.value)
    assert "-mine\n" in str(told.value)
    assert "EDIT" in (told.value.hint or "")
    assert path.read_text().endswith("mine\n")


def test_an_edited_file_is_kept_each_time_that_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "u"
    for text in ("first", "second"):
        path.write_text(text)
        (planned,) = plan({path: stamped("a\n")})
        assert place(planned).change == "replaced"

    assert path.read_text() == stamped("a\n")
    assert (tmp_path / "u.orig").read_text() == "first"
    assert (tmp_path / "u.orig2").read_text() == "second"


def test_a_link_belongs_to_a_person_unless_all_is_well(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(stamped("old\n"))
    (tmp_path / "u").symlink_to("elsewhere")
    (tmp_path / "masked").symlink_to("/dev/null")
    (tmp_path / "lost").symlink_to("nowhere")
    wanted = {tmp_path / name: stamped("old\n") for name in ("u", "masked", "lost")}

    assert [each.state for each in plan(wanted)] == ["current", "edited", "edited"]
    assert plan({tmp_path / "u": stamped("new\n")})[0].state == "edited"
    assert take_away(tmp_path / "u", force=False) is not None
    assert (tmp_path / "u").is_symlink()


def test_only_what_is_ours_is_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / "u.d"
    folder.mkdir()
    ours, edited, other = (folder / name for name in ("ours", "edited", "other"))
    ours.write_text(stamped("a\n"))
    edited.write_text("mine")

    assert take_away(other, force=False) is None
    kept, gone = take_away(edited, force=False), take_away(ours, force=False)
    assert kept is not None
    assert kept.change == "kept"
    assert gone is not None
    assert gone.change == "removed"
    assert [each.name for each in folder.iterdir()] == ["edited"]

    assert take_away(edited, force=True) is not None
    assert [each.name for each in folder.iterdir()] == ["edited.orig"]


def test_an_empty_folder_of_drop_ins_goes_too(tmp_path: Path) -> None:
    folder = tmp_path / "u.d"
    folder.mkdir()
    (folder / "ours").write_text(stamped("a\n"))

    take_away(folder / "ours", force=False)

    assert not folder.exists()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (planned,) = plan({tmp_path / "file" / "u": stamped("a\n")})

    with pytest.raises(ServiceError, match=r"cannot write .*file/u: "):
        place(planned)
