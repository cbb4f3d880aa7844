"""The page in a real browser: nothing is fetched, nothing is broken, everything can be read."""

import json
import re
import shutil

import pytest

from tests.needs import browser as find_browser
from tests.needs import need

pytestmark = pytest.mark.slow

PHONE, DESK = 390, 1280
PAGES = ("one_page", "rewired_page", "comparison_page")


@pytest.fixture(scope="module")
def browser():
    need("chromium")
    binary, driver = find_browser(), shutil.which("chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # The path is given, so that selenium looks for no driver on the network.
    found = webdriver.Chrome(options=options, service=Service(driver))
    found.set_page_load_timeout(300)
    found.set_script_timeout(300)
    yield found
    found.quit()


@pytest.fixture(params=PAGES)
def page(request):
    return request.getfixturevalue(request.param)


def show(browser, page, width=DESK, dark=False, folded=False):
    """Open a page at a width and in a colour scheme, all its parts unfolded but if told so.

    Nothing of other pages is left in the logs.
    """
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri())
    if not folded:
        browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")


def test_nothing_is_fetched_and_nothing_complains(browser, page):
    show(browser, page)
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events
             if e["method"] == "Network.requestWillBeSent"]  # fmt: skip
    files = {url for url in asked if not url.startswith("data:")}
    assert files == {page.as_uri()}


def test_the_policy_of_the_page_holds(browser, one_page, tmp_path):
    """What is smuggled in neither runs nor loads: the test above would see it."""
    bad = tmp_path / "bad.html"
    smuggled = "<script>document.title = 'run'</script><img src='http://127.0.0.1:9/x.png'></body>"
    bad.write_text(one_page.read_text().replace("</body>", smuggled))
    show(browser, bad)
    assert browser.title != "run"
    complaints = " ".join(entry["message"] for entry in browser.get_log("browser"))
    assert "Content Security Policy" in complaints


def test_every_image_is_there(browser, page):
    show(browser, page)
    images = browser.execute_async_script("""
        const done = arguments[0], all = [...document.images];
        Promise.allSettled(all.map(i => i.decode())).then(() => done(all.map(i =>
            [i.naturalWidth, i.complete, i.alt, !!i.closest('figure').querySelector('figcaption')
                .textContent.trim(), i.getBoundingClientRect().width])));
    """)
    assert len(images) > 8
    for width, complete, alt, captioned, shown in images:
        assert width > 0 and complete and captioned, alt
        assert len(alt) > 4
        assert shown > 200, alt


@pytest.mark.parametrize("width", [PHONE, 768, DESK])
def test_nothing_scrolls_sideways(browser, page, width):
    show(browser, page, width)
    found = browser.execute_script("""
        const right = e => e.getBoundingClientRect().right;
        return {page: document.documentElement.scrollWidth, window: innerWidth,
                wide: [...document.querySelectorAll('figure, .card, .scroll, details, p, h1, h2')]
                    .filter(e => right(e) > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 90))};
    """)
    assert found["window"] == width
    assert found["page"] <= width
    assert found["wide"] == []


def test_figures_are_nearly_as_large_as_they_were_drawn_and_tables_are_whole(browser, page):
    show(browser, page)
    found = browser.execute_script("""
        return {small: [...document.querySelectorAll('figure img')]
                    .filter(e => e.clientWidth < 0.75 * e.getAttribute('width'))
                    .map(e => [e.alt, e.clientWidth, e.getAttribute('width')]),
                cut: [...document.querySelectorAll('.scroll')]
                    .filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)};
    """)
    assert found == {"small": [], "cut": []}


def test_every_figure_can_be_saved_under_its_name(browser, one_page):
    show(browser, one_page)
    found = browser.execute_script("""
        return [...document.querySelectorAll('figure')].map(e => {
            const link = e.querySelector('a.save');
            return [link.download, link.hidden, link.href === e.querySelector('img').src];
        });
    """)
    names = [name for name, _, _ in found]
    assert {"digits-loss.svg", "digits-learning-rate.svg", "digits-confusion.svg"} <= set(names)
    assert len(set(names)) == len(names)
    assert all(shown == [False, True] for _, *shown in found)


def test_text_is_large_enough_on_a_phone(browser, page):
    show(browser, page, PHONE)
    small = browser.execute_script("""
        const small = [];
        for (const e of document.querySelectorAll('body, body *')) {
            const text = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
            const size = parseFloat(getComputedStyle(e).fontSize);
            if ((text && size < 12) || (e === document.body && size < 14))
                small.push([e.tagName, size, e.textContent.slice(0, 40)]);
        }
        return small.filter(s => s[0] !== 'SCRIPT' && s[0] !== 'STYLE');
    """)
    assert small == []


def _luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rgb(text):
    return [int(part) / 255 for part in re.findall(r"\d+", text)[:3]]


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast(browser, page, dark):
    show(browser, page, dark=dark)
    pairs = browser.execute_script("""
        const found = {};
        for (const e of document.querySelectorAll('body, body *')) {
            if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
            if (e.tagName === 'SCRIPT') continue;
            let at = e;
            while (at && /rgba\\(.*, 0\\)/.test(getComputedStyle(at).backgroundColor))
                at = at.parentElement;
            const back = getComputedStyle(at || document.body).backgroundColor;
            found[getComputedStyle(e).color + '|' + back] = e.tagName + ' ' + e.className;
        }
        return found;
    """)
    assert len(pairs) >= 4
    for pair, where in pairs.items():
        front, back = (_luminance(_rgb(part)) for part in pair.split("|"))
        ratio = (max(front, back) + 0.05) / (min(front, back) + 0.05)
        assert ratio >= 4.5, f"{where}: {pair}, {ratio:.2f}"
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (_luminance(_rgb(paper)) < 0.1) == dark


def test_anchors_lead_somewhere_and_open_what_is_folded(browser, page):
    show(browser, page, folded=True)
    links = browser.execute_script(
        "return [...document.querySelectorAll('a:not(.save)')].map(a => a.getAttribute('href'))"
    )
    assert len(links) >= 4
    for link in links:
        assert link.startswith("#")
        assert browser.execute_script(
            "const e = document.getElementById(arguments[0].slice(1)); return !!e", link
        ), link
    last = links[-1]
    top = browser.execute_async_script("""
        const [link, done] = arguments;
        document.querySelector(`a[href="${link}"]`).click();
        setTimeout(() => {
            const e = document.getElementById(link.slice(1)), d = e.closest('details');
            done([!d || d.open, e.getBoundingClientRect().top < innerHeight]);
        }, 300);
    """, last)  # fmt: skip
    assert top == [True, True]


def test_folded_parts_open(browser, page):
    show(browser, page, folded=True)
    found = browser.execute_script("""
        return [...document.querySelectorAll('details')].map(d => {
            const before = d.offsetHeight;
            d.querySelector('summary').click();
            return [d.open, d.offsetHeight > before + 20];
        });
    """)
    assert found and all(opened and grew for opened, grew in found)


def test_headings_are_in_order(browser, page):
    show(browser, page)
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1,h2,h3,h4,h5')].map(h => +h.tagName[1])"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert browser.execute_script("return document.documentElement.lang") == "en"
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_print_shows_what_is_folded(browser, comparison_page):
    show(browser, comparison_page, folded=True)
    opened = browser.execute_script("""
        dispatchEvent(new Event('beforeprint'));
        const open = [...document.querySelectorAll('details')].every(d => d.open);
        dispatchEvent(new Event('afterprint'));
        return [open, [...document.querySelectorAll('details')].some(d => d.open)];
    """)
    assert opened == [True, False]
