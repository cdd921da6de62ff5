"""What is true of every page: no barriers, nothing wider than the window, and recorded text that does nothing."""

import pytest

from tests.pages.browser import Browser
from tests.pages.history import HOSTILE

PAGES = {
    "overview": "/ui/",
    "deliveries": "/ui/deliveries",
    "deliveries, live": "/ui/deliveries?live=1&outcome=failed",
    "deliveries, all filters": "/ui/deliveries?since=7d&entity_id=enWeb0&limit=100",
    "nothing matches": "/ui/deliveries?q=nothing-has-this",
    "nothing then": "/ui/deliveries?from=1000&to=2000",
    "a bad value": "/ui/deliveries?from=yesterday&limit=0",
    "alarms": "/ui/alarms",
    "no alarm": "/ui/alarms?q=nothing-has-this",
    "alarm": "/ui/entities/enWeb0/alarms/alHttp0",
    "an alarm, nothing then": "/ui/entities/enWeb0/alarms/alHttp0?from=1000&to=2000",
    "an alarm, a bad value": "/ui/entities/enWeb0/alarms/alHttp0?from=yesterday&marker=x",
    "runs": "/ui/runs",
    "a bad filter": "/ui/runs?fromDate=yesterday",
    "run": "/ui/runs/2",
    "error": "/ui/runs/99999",
    "no page": "/ui/nothing",
}
"""Pages by their names; those of items are added."""


@pytest.fixture(scope="module")
def item_pages(signed_in: Browser) -> dict[str, str]:
    """The pages of an item of the usual kind, and of those with hostile texts."""
    signed_in.open("/ui/deliveries?limit=1000")
    links = [str(each.get_attribute("href")) for each in signed_in.all("a[data-open]")]
    paths = list(dict.fromkeys(each.removeprefix(signed_in.url) for each in links))
    usual = next(each for each in paths if "/enWeb" in each)
    hostile = [each for each in paths if "/enWeb" not in each]
    assert len(hostile) == len(HOSTILE)
    return {"item": usual, **{f"item {n}": each for n, each in enumerate(hostile)}}


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")])
def test_no_page_has_a_barrier(width: int, theme: str, browser: Browser, item_pages: dict[str, str]) -> None:
    browser.show(width, theme)
    found = {}
    for name, path in {**PAGES, "item": item_pages["item"], "item 0": item_pages["item 0"]}.items():
        browser.open(path)
        # Every rule at either width; of colours, in which light and dark differ, all four.
        if barriers := browser.barriers(of_colours_alone=(width, theme) in ((1280, "dark"), (320, "light"))):
            found[name] = barriers[:5]
    assert found == {}


@pytest.mark.parametrize("width", [1280, 320])
def test_nothing_is_wider_than_the_window(width: int, browser: Browser, item_pages: dict[str, str]) -> None:
    browser.show(width)
    found = {}
    for name, path in {**PAGES, **item_pages}.items():
        browser.open(path)
        if overflow := browser.overflow():
            found[name] = overflow
    assert found == {}


def test_recorded_scripts_and_links_do_nothing(browser: Browser, item_pages: dict[str, str]) -> None:
    for path in (*PAGES.values(), *item_pages.values()):
        browser.open(path)
        assert browser.ask("window.ran") is None
        links = browser.ask("[...document.querySelectorAll('a')].map((each) => each.getAttribute('href'))")
        assert [each for each in links if not each.startswith(("/", "#", "http://", "https://"))] == []
        assert browser.ask("document.querySelectorAll('main script, main img, [onload], [onerror]').length") == 0


def test_the_login_has_no_barrier(second_browser: Browser) -> None:
    for width in (1280, 320):
        for theme in ("light", "dark"):
            second_browser.show(width, theme)
            for path in ("/ui/login", "/ui/login?once=x"):
                second_browser.open(path)
                assert second_browser.barriers() == []
                assert second_browser.overflow() == 0


def test_no_text_makes_the_first_page_long(browser: Browser) -> None:
    browser.open("/ui/")
    sizes = browser.ask(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map((each) => each.decodedBodySize)"
    )
    assert sum(sizes) < 85_000  # with usual texts at most 60,000: tests/http/test_pages_first_paint.py
