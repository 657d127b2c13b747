"""The explorer in a browser, on real data: clicked through, by keyboard, narrow and dark.

Needs Chromium. Pictures of all pages, wide and narrow, light and dark, are kept in
`build/screenshots`, or the folder that EXPLORER_SCREENSHOTS names.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import frazil
from frazil.hooks import Hook
from frazil.web import app

uvicorn = pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")
samples = pytest.importorskip("iris_sample_data")
xr = pytest.importorskip("xarray")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOT = Path(__file__).parents[2]
AIR = "/atmosphere/air_temperature"


@contextmanager
def running(repo: frazil.Repository, *, write: bool = False) -> Iterator[str]:
    """The address of the explorer of a repository."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        site = app(repo, write=write)
        server = uvicorn.Server(uvicorn.Config(site, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests."""
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def climate() -> frazil.Repository:
    """A century of air temperatures, in which a cold bias was corrected on a branch."""
    repo = frazil.Repository.create(frazil.in_memory_storage())
    file = Path(samples.path) / "A1B_north_america.nc"
    with xr.open_dataset(file, decode_times=False) as ds, repo.edit("main", "Import") as tree:
        group = zarr.open_group(tree.store, mode="a").create_group("atmosphere")
        for name in ("air_temperature", "time", "latitude", "longitude"):
            group.create_array(
                name,
                data=ds[name].values,
                chunks=(24, *ds[name].shape[1:]),
                dimension_names=ds[name].dims,
                attributes={k: str(v) for k, v in ds[name].attrs.items()},
            )
    repo.create_tag("release-1", repo.lookup_branch("main"))
    repo.create_branch("warmer", repo.lookup_branch("main"))
    with repo.edit("warmer", "Take a cold bias out of the Rockies") as tree:
        air = tree["atmosphere/air_temperature"]
        air[120:170, 10:25, 14:25] = air[120:170, 10:25, 14:25] + 1.5
    with repo.edit("main", "Describe the data") as tree:
        tree["atmosphere"].attrs["comment"] = "A1B scenario"
    repo.merge("warmer", into="main", message="Merge the correction")
    repo.set_retention("keep last 2, monthly 2y; tag release-*: last 5")
    repo.hooks.add(Hook(name="units", validator="cf", options={"required": ["units"]}))
    repo.hooks.add(Hook(name="chat", webhook="https://chat.example/hooks/data", on=["tag"]))
    return repo


@pytest.fixture(scope="module")
def address(climate: frazil.Repository) -> Iterator[str]:
    """Of the explorer of `climate`."""
    with running(climate) as where:
        yield where


@contextmanager
def window(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """A page in which nothing goes wrong and nothing is asked of anybody else."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    page.set_default_timeout(8_000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append("a dialog"))
    page.on(
        "request", lambda asked: None if asked.url.startswith(address) else wrong.append(asked.url)
    )
    yield page
    context.close()
    assert wrong == []


def pictures(page: Any) -> list[int]:
    """The widths of the pictures in a page, once they are there."""
    page.evaluate("Promise.all([...document.images].map(one => one.decode()))")
    widths: list[int] = page.evaluate(
        "[...document.querySelectorAll('figure img')].map(one => one.naturalWidth)"
    )
    return widths


def test_from_the_history_to_the_picture_of_what_changed(browser: Any, address: str) -> None:
    with window(browser, address) as page:
        page.goto(address)
        page.click("text=Merge the correction")
        page.click("a.aside")
        assert "Difference" in page.inner_text("main")
        widths = pictures(page)
        assert len(widths) == 3
        assert min(widths) > 300
        page.click("text=All differences")
        assert AIR in page.inner_text("main")


def test_a_slider_moves_the_picture(browser: Any, address: str) -> None:
    with window(browser, address) as page:
        page.goto(f"{address}/tree?path={AIR}")
        before = page.inner_text("output")
        page.focus("#i0")
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**i0=1**")
        assert page.inner_text("output") != before
        assert "1 of 239" in page.inner_text("output")
        page.click("a[aria-label^=after]")
        page.wait_for_url("**i0=2**")
        assert page.input_value("#i0") == "2"
        assert "i0=2" in page.get_attribute("figure img", "src")
        assert pictures(page)[0] > 300
        page.select_option("select[name=y]", "none")
        page.wait_for_url("**y=none**")
        assert pictures(page)[0] > 300


def test_it_works_without_scripts(browser: Any, address: str) -> None:
    with window(browser, address, java_script_enabled=False) as page:
        page.goto(f"{address}/tree?path={AIR}")
        page.click("a[aria-label^=after]")
        assert "1 of 239" in page.inner_text("output")
        page.select_option("select[name=at]", "tag:release-1")
        page.click("form.version button")
        assert "release-1" in page.url.replace("%3A", ":")


def test_it_is_used_by_keyboard(browser: Any, address: str) -> None:
    with window(browser, address) as page:
        page.goto(address)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/tree")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches(':focus-visible')")


PAGES = {
    "history": "/",
    "group": "/tree?path=/atmosphere",
    "array": f"/tree?path={AIR}&i0=140",
    "line": f"/tree?path={AIR}&x=0&y=none",
    "chunks": f"/chunks?path={AIR}&x=0&y=none&by=commit",
    "compare": "/compare?before=release-1",
    "difference": f"/compare?before=release-1&path={AIR}",
    "names": "/names",
    "storage": "/storage?measure=1",
    "retention": "/retention?older=2100-01-01",
    "health": "/health?verify=objects",
    "operations": "/operations",
    "configuration": "/configuration",
}


@pytest.mark.parametrize(
    ("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_pages_fit_and_can_be_read(browser: Any, address: str, width: int, theme: str) -> None:
    kept = Path(os.environ.get("EXPLORER_SCREENSHOTS") or ROOT / "build" / "screenshots")
    kept.mkdir(parents=True, exist_ok=True)
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": theme}
    with window(browser, address, **options) as page:
        for name, path in PAGES.items():
            page.goto(address + path)
            pictures(page)
            too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(too_wide) <= 0, name
            assert page.evaluate(CONTRAST) >= 4.5, name
            file = kept / f"{name}-{width}-{theme}.png"
            page.screenshot(path=file, full_page=True)
            assert file.stat().st_size > 2_000


CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (!colour.endsWith(", 0)") && colour !== "transparent") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let least = 21;
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!own || !node.checkVisibility() || node.matches(".step:not([href])")) continue;
    const pair = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
    least = Math.min(least, (pair[0] + 0.05) / (pair[1] + 0.05));
  }
  return least;
}"""
"""The least contrast of any text, as the Web Content Accessibility Guidelines measure it."""


def test_names_are_changed_with_forms(browser: Any) -> None:
    repo = frazil.Repository.create(frazil.in_memory_storage())
    with running(repo, write=True) as address, window(browser, address) as page:
        page.goto(f"{address}/names")
        page.fill("input[name=name]", "trial")
        page.click("button:has-text('Create')")
        page.wait_for_selector("text=trial")
        assert repo.list_branches() == {"main", "trial"}
        page.click("summary:has-text('Delete')")
        page.click("button:has-text('Delete')")
        page.wait_for_selector("text=trial", state="detached")
        assert repo.list_branches() == {"main"}


def test_nothing_in_a_repository_runs(browser: Any) -> None:
    evil = "<script>window.owned=1</script><img src=x onerror=window.owned=1>"
    repo = frazil.Repository.create(frazil.in_memory_storage())
    name = evil.replace("/", "∕")
    with repo.edit("main", evil) as tree:
        zarr.create_array(
            tree.store, name=name, data=np.arange(6.0), attributes={evil: evil, "units": evil}
        )
    repo.create_tag(name, repo.lookup_branch("main"))
    with running(repo) as address, window(browser, address) as page:
        for path in ("/", "/tree", "/names", "/operations", "/storage"):
            page.goto(address + path)
            assert page.evaluate("window.owned") is None
            assert page.query_selector("img[src=x]") is None
        page.goto(f"{address}/tree")
        page.click("table.nodes a")
        page.wait_for_selector("figure img")
        assert pictures(page)[0] > 300
        assert page.evaluate("window.owned") is None
