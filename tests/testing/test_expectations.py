"""What is expected of an answer: files, that `--notifhist-update` writes, and texts."""

from pathlib import Path

import pytest

from notifhist.testing import Notifhist
from notifhist.testing.files import Files
from notifhist.testing.local import LocalServer
from tests.testing.test_notifhist import HISTORY


def test_expected_files_are_written_anew(notifhist: Notifhist, notifhist_server: LocalServer, tmp_path: Path) -> None:
    notifhist = notifhist_server.reset({}, None, Files((tmp_path,), updates=True))
    notifhist.item(timestamp=1)
    for assert_it, name in ((notifhist.assert_json, "new/page.json"), (notifhist.assert_xml, "new/page.xml")):
        with pytest.raises(AssertionError, match=r"page.* is written anew .there was no such file"):
            assert_it(f"{HISTORY}?from=0", name)
        assert_it(f"{HISTORY}?from=0", name)  # once
        (tmp_path / name).write_text((tmp_path / name).read_text().replace("OK", "CRITICAL"))
        with pytest.raises(AssertionError, match=r'is written anew .*expected .*"CRITICAL", got "OK"'):
            assert_it(f"{HISTORY}?from=0", name)
        assert_it(f"{HISTORY}?from=0", name)
    with pytest.raises(AssertionError, match="answered 404"):  # an error is no expectation
        notifhist.assert_json("/nowhere", "new/page.json")


def test_a_file_that_was_written_by_halves_is_written_anew(
    notifhist: Notifhist, notifhist_server: LocalServer, tmp_path: Path
) -> None:
    for name, assert_it in (("page.json", "assert_json"), ("page.xml", "assert_xml")):
        half = b'{"values": [' if name == "page.json" else b"<container><values>"
        for content in (half, b"", b"\xff\xfe"):
            (tmp_path / name).write_bytes(content)
            again = notifhist_server.reset({}, None, Files((tmp_path,)))
            with pytest.raises(AssertionError, match=rf"what is expected is no {name[5:].upper()} .*{name}$"):
                getattr(again, assert_it)(f"{HISTORY}?from=0", name)
            again = notifhist_server.reset({}, None, Files((tmp_path,), updates=True))
            with pytest.raises(AssertionError, match=rf"{name} is written anew .what is expected is no"):
                getattr(again, assert_it)(f"{HISTORY}?from=0", name)
            getattr(again, assert_it)(f"{HISTORY}?from=0", name)


@pytest.mark.parametrize("text", ["", "  ", '{"values": ['])
def test_a_text_that_is_no_document_is_told(text: str, notifhist: Notifhist) -> None:
    with pytest.raises(AssertionError, match="GET /entities: what is expected is no JSON"):
        notifhist.assert_json("/entities", text)
    with pytest.raises(AssertionError, match="GET /entities: what is expected is no XML"):
        notifhist.assert_xml("/entities", text)


def test_a_folder_is_told(notifhist: Notifhist, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; name a file"):
        notifhist.assert_json("/entities", tmp_path)
