"""The report in headless Chromium: nothing overflows, nothing fails, everything answers to pointer and keyboard."""

from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from tests.reports.browser import chromium, show
from textbox_elmer.cli import main

TOO_WIDE = """
const room = document.documentElement.clientWidth;
const wide = Math.max(0, document.documentElement.scrollWidth - room);
const out = [...document.querySelectorAll("body *")].filter((node) => {
  if (node.closest(".scroll, nav, .unseen, .skip, .quiet, svg")) return false;
  const box = node.getBoundingClientRect();
  return box.width && (box.right > room + 1 || box.left < -1);
});
return [wide, out.map((node) => node.outerHTML.slice(0, 120))];
"""
# The least contrast between a text and what lies under it, by WCAG's formula.
CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
const luminance = (layers) => {
  canvas.clearRect(0, 0, 1, 1);
  for (const colour of layers) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
};
const found = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  if (!own || !node.getClientRects().length || node.closest(".unseen, .skip, .quiet, script, title")) continue;
  const under = [];
  for (let up = node; up; up = up.parentElement) under.unshift(getComputedStyle(up).backgroundColor);
  const ink = getComputedStyle(node)[node instanceof SVGElement ? "fill" : "color"];
  const pair = [luminance(under), luminance([...under, ink])].sort();
  found.push([(pair[1] + 0.05) / (pair[0] + 0.05), node.outerHTML.slice(0, 120)]);
}
return found.reduce((least, one) => one[0] < least[0] ? one : least);
"""
UNFOLD = 'for (const node of document.querySelectorAll("details")) node.open = true;'
DRAW_ALL = 'for (const node of document.querySelectorAll(".example")) node.style.contentVisibility = "visible";'


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Chrome:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def page(place: Path, work: Path) -> Path:
    assert main(["report", *(str(place / "saved" / name) for name in ("hard", "graph", "bart"))]) == 0
    return work / "report.html"


def click(browser: Chrome, node: object) -> None:
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", node)
    node.click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_clicking_through_it(browser: Chrome, page: Path, width: int, scheme: str) -> None:
    show(browser, page, width, scheme)
    browser.execute_script(DRAW_ALL)

    def sound() -> None:
        assert browser.execute_script(TOO_WIDE) == [0, []]
        contrast, where = browser.execute_script(CONTRAST)
        assert contrast >= 4.5, where

    sound()
    for link in browser.find_elements(By.CSS_SELECTOR, "nav a"):
        click(browser, link)
        target = browser.find_element(By.ID, link.get_attribute("href").partition("#")[2])
        assert 0 <= browser.execute_script("return arguments[0].getBoundingClientRect().top", target) < 800
    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        click(browser, summary)
    assert not browser.find_elements(By.CSS_SELECTOR, "details:not([open])")
    sound()
    background = "return getComputedStyle(document.body).backgroundColor"
    token = browser.find_element(By.CSS_SELECTOR, ".t")
    colours = {"page": browser.execute_script(background), "token": token.value_of_css_property("background-color")}
    button = browser.find_element(By.ID, "theme")
    assert button.text == ("Dark theme" if scheme == "light" else "Light theme")
    click(browser, button)
    assert browser.execute_script(background) != colours["page"]
    sound()
    click(browser, button)
    assert browser.execute_script(background) == colours["page"]
    for radio in browser.find_elements(By.CSS_SELECTOR, "input[value=sure]")[:1]:
        click(browser, radio)
    assert token.value_of_css_property("background-color") != colours["token"]
    assert browser.find_element(By.CSS_SELECTOR, ".of-sure").is_displayed()
    assert not browser.find_element(By.CSS_SELECTOR, ".of-layer").is_displayed()
    sound()
    assert browser.get_log("browser") == []


def tip(browser: Chrome) -> str:
    shown = browser.find_element(By.ID, "tip")
    if not shown.is_displayed():
        return ""
    left, right = browser.execute_script(
        "const box = arguments[0].getBoundingClientRect(); return [box.left, box.right]", shown
    )
    assert left >= 0
    assert right <= browser.execute_script("return innerWidth")
    return shown.text


def says(token: object) -> str:
    """What a token of the hard run says, whose canvas has 10 positions, repeats among them."""
    layer, sure, vertex = (token.get_attribute(f"data-{key}") for key in "lcv")
    return f"left at layer {layer}\nconfidence {sure} %\ncanvas position {vertex} of 0 to 9"


def test_a_token_tells_its_layer_and_confidence(browser: Chrome, page: Path) -> None:
    show(browser, page, 360, "light")
    tokens = browser.find_elements(By.CSS_SELECTOR, ".tokens .t")[:2]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", tokens[0])
    plain = tokens[0].value_of_css_property("background-color")
    assert tip(browser) == ""
    ActionChains(browser).move_to_element(tokens[0]).perform()
    assert tip(browser) == says(tokens[0])
    assert tokens[0].value_of_css_property("background-color") != plain, "hovered, it has its confidence's colour"
    ActionChains(browser).move_to_element(browser.find_elements(By.TAG_NAME, "h4")[0]).perform()
    assert tip(browser) == ""
    ActionChains(browser).click(tokens[1]).perform()
    assert tip(browser) == says(tokens[1])
    browser.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert browser.switch_to.active_element == tokens[0]
    assert tip(browser) == says(tokens[0])
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert tip(browser) == ""
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("class") != tokens[1].get_attribute("class") or (
        browser.switch_to.active_element != tokens[1]
    ), "the tab key goes on to the next output"
    assert browser.get_log("browser") == []


def test_a_token_of_a_graph_tells_its_place_and_origin(browser: Chrome, page: Path) -> None:
    show(browser, page, 360, "dark")
    output = browser.find_element(By.CSS_SELECTOR, ".output:has(.path):has(.copied[data-s])")
    boxes = output.find_elements(By.CSS_SELECTOR, ".path rect")
    plain = boxes[0].value_of_css_property("fill")
    tokens = output.find_elements(By.CSS_SELECTOR, ".t")
    copied = output.find_element(By.CSS_SELECTOR, ".copied[data-s]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", copied)
    ActionChains(browser).click(copied).perform()
    assert tip(browser).split("\n") == [
        "unchanged since layer 0, left at layer 1",
        f"confidence {copied.get_attribute('data-c')} %",
        "copied from the source",
        f"canvas position {copied.get_attribute('data-v')} of 0 to 39",
    ]
    assert "dotted" in copied.value_of_css_property("text-decoration")
    (marked,) = output.find_elements(By.CSS_SELECTOR, ".at")
    assert marked == boxes[tokens.index(copied)]
    assert marked.get_attribute("x") == copied.get_attribute("data-v")
    assert marked.value_of_css_property("fill") != plain
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    (marked,) = output.find_elements(By.CSS_SELECTOR, ".at")
    assert marked == boxes[tokens.index(copied) + 1]
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.find_elements(By.CSS_SELECTOR, ".at")
    assert browser.get_log("browser") == []


def test_hostile_texts_run_nothing(browser: Chrome, page: Path) -> None:
    show(browser, page, 1280, "dark")
    browser.execute_script(UNFOLD)
    assert browser.title == "ELMER, BART on toy"
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "<script>document.title='owned'</script>" in browser.execute_script("return document.body.textContent")
    assert "{{ 7*7 }} {% raw %}" in text
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.get_log("browser") == []
