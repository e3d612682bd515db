"""The page to try the models on, in a browser."""

# ruff: noqa: E402 - the server's packages may be missing

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inference.serving.packages import need

need("selenium")

from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.inference.serving.running import running
from tests.reports.browser import chromium
from textbox_elmer.inference.serving.access import Access
from textbox_elmer.inference.serving.model import ServedModel

WAIT = 30  # seconds
KEY = "secret"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def address(served_elmer: ServedModel, served_bart: ServedModel) -> Iterator[str]:
    with running(served_elmer, served_bart) as started:
        yield started


def look(browser: Chrome, address: str, width: int = 1200, scheme: str = "light") -> None:
    """Open the page on a screen of a width, for a user who prefers "light" or "dark"."""
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(f"{address}/")


def all_of(browser: Chrome, selector: str) -> list:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def write(browser: Chrome, text: str) -> list:
    """Type a text, send it by the keyboard alone, and return the answers' cards."""
    browser.find_element(By.ID, "text").send_keys(text, Keys.CONTROL + Keys.ENTER)
    WebDriverWait(browser, WAIT).until(lambda _: all_of(browser, "article") or all_of(browser, "#status:not(:empty)"))
    WebDriverWait(browser, WAIT).until(lambda _: browser.find_element(By.ID, "write").is_enabled())
    return all_of(browser, "article")


def longest(texts: list[str], written: list[str]) -> tuple[str, str]:
    return max(zip(texts, written, strict=True), key=lambda pair: len(pair[1]))


def test_two_models_side_by_side(browser: Chrome, address: str, texts: list[str], written: list[str]) -> None:
    text, expected = longest(texts, written)
    look(browser, address)
    elmer, bart = write(browser, text)
    assert [card.find_element(By.TAG_NAME, "h2").text for card in (elmer, bart)] == ["elmer", "bart"]
    assert elmer.location["y"] == bart.location["y"]
    words = elmer.find_elements(By.CSS_SELECTOR, ".t")
    assert "".join(word.get_property("textContent") for word in words).removesuffix("end").strip() == expected
    assert re.match(r"[\d.]+ ms in the model, \d+ ms until here; \d+ tokens", elmer.text.splitlines()[1])
    assert len(elmer.find_elements(By.CSS_SELECTOR, ".path rect")) == len(words)
    assert bart.find_element(By.CSS_SELECTOR, ".written").text
    assert not bart.find_elements(By.CSS_SELECTOR, ".t, .path")
    assert "no longer changed" in browser.find_element(By.ID, "meaning").text
    assert [log for log in browser.get_log("browser") if log["level"] != "INFO"] == []


def test_words_have_their_layers_colours_and_say_more_on_request(
    browser: Chrome, address: str, texts: list[str], written: list[str]
) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        look(browser, address, scheme=scheme)
        write(browser, longest(texts, written)[0])
        steps = all_of(browser, "#scale span")
        found = [step.value_of_css_property("background-color") for step in steps]
        assert len(set(found)) == len(steps) == 2
        assert {word.value_of_css_property("background-color") for word in all_of(browser, ".t")} <= set(found)
        colours[scheme] = (*found, browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
    assert not set(colours["light"]) & set(colours["dark"])
    words = all_of(browser, ".t")
    words[0].click()
    tip = browser.find_element(By.ID, "tip")
    assert re.search(r"layer \d.*\nposition \d+ of 0 to 17 on the canvas", tip.text, re.DOTALL)
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert browser.switch_to.active_element == words[1]
    assert tip.text.splitlines()[-1] != ""
    assert len(all_of(browser, ".path rect.at")) == 1
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_a_telephone(browser: Chrome, address: str, texts: list[str]) -> None:
    look(browser, address, width=360)
    first, second = write(browser, "alpha" * 60)
    assert second.location["y"] > first.location["y"]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360


def test_models_may_be_chosen(browser: Chrome, address: str) -> None:
    look(browser, address)
    WebDriverWait(browser, WAIT).until(lambda _: len(all_of(browser, "#models input")) == 2)
    all_of(browser, "#models input")[0].click()
    (card,) = write(browser, "alpha")
    assert card.find_element(By.TAG_NAME, "h2").text == "bart"


def test_a_fault_is_told(browser: Chrome, address: str) -> None:
    look(browser, address)
    assert write(browser, "   ") == []
    assert browser.find_element(By.ID, "status").text == "prompt holds an empty text."


def test_the_key_is_asked_for(browser: Chrome, served_elmer: ServedModel) -> None:
    with running(served_elmer, access=Access(KEY, local=True)) as address:
        look(browser, address)
        key = browser.find_element(By.ID, "key")
        WebDriverWait(browser, WAIT).until(lambda _: key.is_displayed())
        assert "Authorization" in browser.find_element(By.ID, "status").text
        key.send_keys(KEY)
        WebDriverWait(browser, WAIT).until(lambda _: write(browser, "alpha"))


def test_nothing_but_this_server_is_asked_and_nothing_inline_runs(browser: Chrome, address: str) -> None:
    look(browser, address)
    names = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert names
    assert all(name.startswith(address) for name in names)
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'window.ran = true';"
        "document.body.append(script)"
    )
    assert browser.execute_script("return window.ran") is None


def test_the_page_is_shipped(serve) -> None:
    client = serve()
    for path in ("/", "/page.css", "/page.js"):
        response = client.get(path)
        assert "unsafe" not in response.headers["content-security-policy"]
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", response.text)
    here = Path(__file__).parents[3] / "textbox_elmer" / "inference" / "serving" / "page"
    assert {path.suffix for path in here.iterdir() if path.is_file()} == {".html", ".css", ".js", ".py"}
