"""The page in a real browser: headless Chromium, as Debian packages it (chromium, chromium-driver)."""

from __future__ import annotations

import json
import os
import re
import shutil
import time

import anndata
import numpy as np
import pandas as pd
import pytest

import distaff as ds
from distaff.cli import main

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    "\"><svg onload='window.hacked = 1'>",
    "&lt;b&gt; & \u2028 'x' \\ ${1}",
    "100% of 日/本, 日本 🧬",
    "constructor",
]
CANVAS = """
const canvas = document.querySelector('canvas.cells');
const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
const colors = new Map();
let drawn = 0;
for (let i = 0; i < pixels.length; i += 4) {
  if (!pixels[i + 3]) continue;
  drawn++;
  const color = (pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2];
  colors.set(color, (colors.get(color) ?? 0) + 1);
}
return [drawn, Math.max(...colors.values()) / drawn, canvas.width, canvas.clientWidth];
"""


class Browser:
    """A window of Chromium."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, path, fragment=""):
        self.driver.get("about:blank")
        self.errors()
        self.driver.get_log("performance")
        self.driver.get(path.as_uri() + fragment)

    def errors(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses that the page has asked for."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def run(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def all(self, selector):
        """Texts of all elements."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
        )

    def text(self, selector):
        return self.all(selector)[0]

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def click(self, selector):
        self.find(selector).click()

    def go(self, fragment):
        """Change the part after "#" as a link would."""
        self.run("window.location.hash = arguments[0]", fragment)
        self.settle()

    def settle(self):
        """Wait for the event and two frames, after which all is drawn."""
        script = (
            "const done = arguments[0]; setTimeout(() => "
            "requestAnimationFrame(() => requestAnimationFrame(() => done())))"
        )
        self.driver.execute_async_script(script)

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()
        self.settle()

    def look(self, *, width=1200, height=900, dark=False, ratio=1):
        size = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": False}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.settle()


def _started(start, attempts=3):
    """Start the browser: on a busy machine its first start may take longer than selenium waits."""
    from selenium.common.exceptions import WebDriverException

    for left in reversed(range(attempts)):
        try:
            return start()
        except WebDriverException:
            if not left:
                raise
    return None


@pytest.fixture(scope="module")
def window():
    """Chromium; without it the tests are skipped on a developer's machine and fail in CI."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    service = shutil.which("chromedriver")
    if program is None or service is None:
        message = "no Chromium: install Debian's packages chromium and chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = _started(lambda: webdriver.Chrome(options=options, service=webdriver.ChromeService(service)))
    driver.set_script_timeout(10)
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def browser(window):
    window.look()
    return window


@pytest.fixture(scope="module")
def pages(full, many, tmp_path_factory):
    """Paths of the pages with ten and with 500 factors."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for n, adata in ((10, full), (500, many)):
        found[n] = folder / f"report {n}.html"
        ds.report(adata, found[n])
    return found


@pytest.fixture(params=[10, 500])
def page(request, pages):
    return pages[request.param]


def test_every_section_opens_without_error_or_request(browser, page):
    assert page.stat().st_size < 15e6
    start = time.monotonic()
    browser.open(page)
    browser.settle()
    assert time.monotonic() - start < 10
    assert "factors of" in browser.text("h1")
    titles = browser.all("nav a")
    assert titles == ["Overview", "Factors", "Groups", "Gene sets", "Scores", "Guide"]
    for link in browser.run("return [...document.querySelectorAll('nav a')].map((a) => a.hash)"):
        browser.go(link)
        assert browser.text("h1")
        assert browser.all("nav a[aria-current]") == [titles.pop(0)]
    assert browser.errors() == []
    assert browser.requests() == [page.as_uri()]


def test_click_shows_the_factor(browser, page):
    browser.open(page, "#factor")
    names = browser.all(".list .name")
    assert browser.text("article h1") == names[0]
    browser.click(".list li:nth-child(4)")
    browser.settle()
    assert browser.text("article h1") == names[3]
    assert browser.all(".list li[aria-selected=true] .name") == [names[3]]
    assert browser.run("return decodeURIComponent(location.hash)") == f"#factor/{names[3]}"
    assert names[3] in browser.driver.title
    assert browser.errors() == []


def test_cells_are_drawn_in_the_colours_of_the_factor(browser, page):
    browser.look(ratio=2)
    browser.open(page, "#factor/Factor%201")
    browser.settle()
    drawn, share, width, css_width = browser.run(CANVAS)
    assert width == pytest.approx(2 * css_width, abs=2)
    assert drawn > 2000
    assert share < 0.5
    browser.go("#factor/Factor%203")  # the same value in all cells
    assert browser.run(CANVAS)[1] > 3 * share  # but for the blurred rims of the cells
    assert "The same value in all cells" in browser.text(".legend")


def test_search_and_sort(browser, page):
    browser.open(page)
    n = int(browser.text(".count").split()[0])
    search = browser.find(".tools input")
    search.send_keys("interferon factor")
    browser.settle()
    found, total = re.match(r"(\d+) of (\d+) factors", browser.text(".count")).groups()
    assert 0 < int(found) < int(total) == n
    assert {text.split(" ", 1)[1] for text in browser.all("tbody td.set")} == {"INTERFERON RESPONSE"}
    search.send_keys(" nothing like this")
    browser.settle()
    assert browser.all("tbody .none") == ["Nothing matches."]
    browser.run("arguments[0].value = ''; arguments[0].dispatchEvent(new Event('input'))", search)
    heads = browser.all("thead th")
    place = heads.index("factor") + 1
    orders = []
    for order in ("ascending", "descending"):
        browser.click(f"thead th:nth-child({place}) button")
        assert browser.run("return document.querySelector('[aria-sort]').ariaSort") == order
        orders.append(browser.all("tbody td.name")[:10])
    assert orders[0] == [f"Factor {i}" for i in range(1, 11)]  # as numbers, not as letters
    assert int(orders[1][0].split()[1]) == n


def test_search_in_the_list_finds_genes(browser, page):
    browser.open(page, "#factor")
    browser.press("/")
    browser.press("GENE15")
    found = browser.all(".list .name")
    assert "Factor 2" in found
    assert len(found) < (10 if page.name == "report 10.html" else 500)


def test_keyboard(browser, pages):
    from selenium.webdriver.common.keys import Keys

    browser.open(pages[10], "#factor")
    names = browser.all(".list .name")
    shown = []
    browser.press(Keys.ARROW_RIGHT)
    shown.append(browser.text("article h1"))
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    shown.append(browser.text("article h1"))
    browser.run("document.querySelector('.list').focus()")
    browser.press(Keys.END)
    shown.append(browser.text("article h1"))
    browser.press(Keys.ARROW_UP)
    shown.append(browser.text("article h1"))
    assert shown == [names[1], names[0], names[-1], names[-2]]


def test_address_names_the_factor(browser, pages):
    browser.open(pages[10], "#factor/Factor%207")
    assert browser.text("article h1") == "Factor 7"
    browser.go("#groups")
    browser.driver.back()
    browser.settle()
    assert browser.text("article h1") == "Factor 7"
    browser.go("#factor/<b>none</b>")
    assert "There is no factor called “<b>none</b>”" in browser.text("[role=alert]")
    assert browser.errors() == []


def test_turned_factor_shows_the_tests_in_its_direction(browser, pages):
    browser.open(pages[10], "#factor/Factor%202")
    assert "turned" in browser.all(".chips li")
    assert browser.text(".sets tbody tr td").startswith("↑ INTERFERON RESPONSE")
    assert browser.run("return document.querySelectorAll('.forest .sure .dot:not(.below)').length") == 1
    assert "condition" in browser.all(".known h4")


@pytest.mark.parametrize("width", [390, 1000, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_window(browser, pages, width, dark):
    browser.look(width=width, dark=dark)
    for fragment in ("#overview", "#factor", "#groups", "#sets", "#scores", "#guide"):
        browser.open(pages[10], fragment)
        assert browser.run("return document.documentElement.scrollWidth") <= width, fragment
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(14, 16, 19)") == dark


def test_names_are_text_wherever_they_stand(browser, simulate, finish, tmp_path):
    adata = simulate(len(HOSTILE), names=HOSTILE)
    adata.var_names = HOSTILE + list(adata.var_names[len(HOSTILE) :])
    adata.varm["distaff_loadings"].index = adata.var_names
    adata.varm["distaff_loadings"].iloc[: len(HOSTILE), 0] = 9.0
    for column, wanted in (("cell_type", HOSTILE[:3]), ("condition", HOSTILE[:2])):
        adata.obs[column] = adata.obs[column].cat.rename_categories(wanted)
    adata.obs["donor"] = adata.obs["donor"].cat.rename_categories(HOSTILE[:4])
    ds.tl.factors(adata)
    ds.tl.rank_factors(adata, "condition", sample_key="donor")
    adata.uns["distaff"]["params"] = {"model": HOSTILE[0], HOSTILE[1]: HOSTILE[2]}
    ds.report(adata, tmp_path / "a.html", groupby=["condition", "cell_type"])
    browser.open(tmp_path / "a.html")
    assert set(HOSTILE) == set(browser.all("tbody td.name"))
    for fragment in ("#groups", "#sets", "#scores", "#guide"):
        browser.go(fragment)
    genes: set[str] = set()
    for name in HOSTILE:
        browser.go("#factor")
        place = browser.all(".list .name").index(name) + 1
        browser.run("document.querySelector(arguments[0]).click()", f".list li:nth-child({place})")
        browser.settle()
        assert browser.text("article h1") == name
        assert browser.run("return decodeURIComponent(location.hash)") == f"#factor/{name}"
        genes |= set(browser.all(".gene"))
    assert set(HOSTILE) <= genes
    assert browser.run("return window.hacked") is None
    assert browser.run("return document.querySelectorAll('main img, main svg[onload], main b').length") == 0
    assert browser.errors() == []


def test_policy_stops_what_is_not_ours(browser, pages):
    """Were there a hole, the browser would still run no other script and reach no network."""
    browser.open(pages[10])
    browser.run(
        "const script = document.createElement('script'); script.textContent = 'window.hacked = 1';"
        "document.body.append(script); new Image().src = 'https://example.org/pixel.png';"
    )
    browser.settle()
    assert browser.run("return window.hacked") is None
    assert any("Content Security Policy" in message for message in browser.errors())


def test_missing_slots_are_said_and_not_faked(browser, tmp_path):
    adata = anndata.AnnData(obs=pd.DataFrame(index=[f"cell{i}" for i in range(100)]))
    adata.obsm["X_nmf"] = np.random.default_rng(0).random((100, 3))
    ds.report(adata, tmp_path / "a.html", key="nmf")
    browser.open(tmp_path / "a.html", "#factor")
    calls = browser.all(".absent code, .caption code")
    for tool in ("factors", "loadings", "traverse", "umap", "rank_factors", "enrich", "disentanglement"):
        assert any(f"ds.tl.{tool}(" in call and "key='nmf'" in call for call in calls), tool
    assert browser.run(CANVAS)[0] > 100
    for fragment in ("#overview", "#groups", "#sets", "#scores"):
        browser.go(fragment)
        assert browser.all(".absent code")
    assert browser.errors() == []


def test_page_of_a_fitted_model(browser, make_adata, tmp_path):
    adata = make_adata(120, 40, covariates=True)
    adata.obs["condition"] = pd.Categorical(np.where(np.arange(120) % 2, "stim", "ctrl"))
    adata.write_h5ad(tmp_path / "cells.h5ad")
    options = "--model program --n-latent 4 --max-epochs 2 --accelerator cpu --n-top-genes 30"
    folder = str(tmp_path / "out")
    assert main(["fit", str(tmp_path / "cells.h5ad"), *options.split(), "--output", folder]) == 0
    assert main(["report", folder]) == 0
    browser.open(tmp_path / "out" / "report.html", "#factor")
    assert len(browser.all(".list .name")) == 4
    assert len(browser.all(".gene")) >= 10
    assert browser.run(CANVAS)[0] > 100
    browser.go("#overview")
    assert "ProgramVAE" in browser.text("h1")
    assert "30of 40 genes modelled" in browser.all(".cards div")
    assert len(browser.all(".curve")) == 4
    assert browser.errors() == []
