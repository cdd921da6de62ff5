"""The documents say what is: every setting, route, test and decision they name exists, and none is left out."""

import json
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from lxml import etree

from notifhist.config import SETTINGS
from notifhist.factory import create_app
from notifhist.metrics import Metrics
from notifhist.operations.doctor import CHECKS
from notifhist.run.option_table import OPTIONS
from tests.http.access_table import rules_of_apis

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONTRACT = (ROOT / "docs" / "contract.md").read_text()
OF_SENDERS = {each.variable.removeprefix("NOTIFHIST_") for each in OPTIONS} | {"RUN_CONFIG"}
"""Variables of the commands that send to a service."""
OF_OPERATORS = [
    ROOT / "Dockerfile",
    ROOT / "compose.yml",
    *(path for path in (ROOT / "deploy").rglob("*") if path.is_file()),
]
ALERTS = ("prometheus/notifhist.rules.yml", "prometheus/notifhist.rules.test.yml")
MARKDOWN = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_readme_tells_each_setting_with_its_default(setting: object) -> None:
    name, default, text = (getattr(setting, each) for each in ("name", "default", "help"))
    told = f"`{default}`" if default else "empty"
    assert f"| `NOTIFHIST_{name}` | {told} | {text} |" in README


def test_the_documents_name_no_setting_that_does_not_exist() -> None:
    known = {setting.name for setting in SETTINGS} | OF_SENDERS | {"TEST_POSTGRES_URL", "TEST_KEY"}
    for path in [*MARKDOWN, *OF_OPERATORS]:
        named = set(re.findall(r"NOTIFHIST_([A-Z_]+[A-Z])", path.read_text()))
        assert named <= known, path.name


def test_each_metric_is_told_and_shown_and_alerts_name_no_other() -> None:
    types = re.findall(r"# TYPE (notifhist_\w+) (\w+)", Metrics().render()[0].decode())
    names = {name for name, _ in types}
    series = names | {f"{name}_{part}" for name, kind in types if kind == "histogram" for part in ("bucket", "sum")}
    dashboard, *alerts = (ROOT / "deploy" / path for path in ("grafana/notifhist.json", *ALERTS))
    shown = set(re.findall(r"\bnotifhist_\w+", dashboard.read_text()))
    assert {re.sub("_(bucket|sum)$", "", name) for name in shown} == names
    for path in alerts:
        assert set(re.findall(r"\bnotifhist_\w+", path.read_text())) <= series
    assert names <= set(re.findall(r"`(notifhist_\w+)", (ROOT / "docs/operating.md").read_text()))


def test_the_contract_tells_every_route() -> None:
    app = create_app({"DATABASE_URL": "sqlite:///never-opened.db"})
    for rule in rules_of_apis(app):
        last = next(part for part in reversed(rule.rule.split("/")) if part and not part.startswith("<"))
        assert last in CONTRACT, rule.rule


def test_every_section_of_the_contract_names_tests_that_exist() -> None:
    sections = re.split(r"^## ", CONTRACT, flags=re.MULTILINE)[1:]
    for section in sections:
        named = re.findall(r"`(tests/[\w/]+\.py)`", section)
        assert named, section.splitlines()[0]
        for path in named:
            assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_nobody_is_told_to_get_the_package_from_an_index() -> None:
    """It is in none. The README alone says what the name does where the package is installed."""
    for path in MARKDOWN[1:]:
        assert not re.search(r"pip install .*(?<!/)\bnotifhist\b", path.read_text()), path.name


def test_decisions_fit_on_a_page() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert len(page.read_text().splitlines()) <= 40, page.name


def test_the_readme_shows_the_real_answer(client: FlaskClient) -> None:
    url = re.search(r"http://127\.0\.0\.1:8000(/[^']+)'", README)
    shown_json = re.search(r"```json\n(.+?)\n```", README, re.DOTALL)
    shown_xml = re.search(r"```xml\n(.+?)\n```", README, re.DOTALL)
    assert url is not None
    assert shown_json is not None
    assert shown_xml is not None
    item = json.loads(shown_json[1])["values"][0]
    # Not by `json=`, which would sort the members.
    posted = client.post(url[1].partition("?")[0], data=json.dumps(item), content_type="application/json")
    assert posted.status_code == 201

    assert client.get(url[1]).text == shown_json[1]
    answered = client.get(url[1], headers={"Accept": "application/xml"}).data
    without_blanks = etree.XMLParser(remove_blank_text=True)
    assert etree.canonicalize(etree.fromstring(answered)) == etree.canonicalize(
        etree.fromstring(shown_xml[1].encode(), without_blanks)
    )


def test_the_operators_manual_names_every_check_of_doctor() -> None:
    manual = (ROOT / "docs" / "operating.md").read_text()
    table = re.search(r"^\| check \| finds \|\n(.+?)\n\n", manual, re.DOTALL | re.MULTILINE)
    assert table is not None
    named = [name for row in table[1].splitlines()[1:] for name in row.split("|")[1].strip().split(", ")]
    assert named == [check.name for check in CHECKS]
