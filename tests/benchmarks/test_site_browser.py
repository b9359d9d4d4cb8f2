"""The static site in a real browser, from files, without a network."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import MadeUp, Maker

from benchmarks.report.site import MARKER, make_site
from benchmarks.verified import keep
from envs.errors import UsageError
from tests.chromium import MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a site of runs in simulation, on the twin and on a real arm."""
    folder = tmp_path_factory.mktemp("site")
    policies = (MadeUp("act", 2.05), MadeUp("bc", 0.35, seeds=(0,)))
    maker = Maker(folder, 12, ("object_pose/L2", "home_pose/L2"), videos=True)
    made = maker.write_all(policies)
    for world, name in (("twin", "twin"), ("real", "real")):
        maker = Maker(folder, 12, ("object_pose/L2",), world=world)
        run = maker.write(MadeUp(f"act-{name}", 2.0, seeds=(0,)), 0)
        run.rename(run.with_name(f"{name}-run"))
    keep(made[-1], {"trials": 12})
    out = Path(os.environ.get("ARMTRIALS_SITE_OUT", folder / "site"))
    shutil.rmtree(out, ignore_errors=True)
    make_site(folder, out)
    return out


@pytest.fixture
def page(browser: Any, site: Path) -> Iterator[Any]:
    """Open the first page; whatever complains or asks for something outside fails the test."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    told: list[str] = []
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    home = site.resolve().as_uri()
    opened.on(
        "request", lambda r: None if r.url.startswith((home, "data:")) else told.append(r.url)
    )
    opened.goto(f"{home}/index.html")
    yield opened
    opened.close()
    assert told == []


def test_a_reader_goes_from_the_task_to_the_policy_its_run_and_a_trial(page: Any) -> None:
    page.locator("#simulation").get_by_role("link", name="Pick place").click()
    assert page.locator("h1").inner_text() == "Pick place, state track, simulation"
    page.locator("#nominal").get_by_role("link", name="act", exact=True).click()
    assert page.locator("h1").inner_text() == "act"
    page.locator("#runs a").first.click()
    assert page.locator(".dots a[href]").count() == 36
    page.locator(".dots a.film[href]").first.click()
    assert page.locator("h1").inner_text().startswith("nominal")
    assert page.get_by_role("heading", name="The same start, other policies").count() == 1


def test_a_trials_film_plays(page: Any, site: Path) -> None:
    film = next(site.glob("runs/*/*act*/videos/nominal*.mp4"))
    pages = film.parents[1].glob("nominal-*.html")
    page.goto(next(p for p in pages if film.name in p.read_text()).as_uri())
    video = page.locator("video").first
    video.evaluate("v => v.play()")
    page.wait_for_function("v => v.currentTime > 0.3", arg=video.element_handle())
    assert video.evaluate("v => v.error") is None


def test_worlds_stand_in_tables_of_their_own(page: Any) -> None:
    headings = page.locator("section.block > h2").all_inner_texts()
    assert headings == ["Simulation", "Digital twin", "Real arm"]
    page.locator("#real-arm").get_by_role("link", name="Pick place").click()
    assert page.locator("#nominal tbody th a").all_inner_texts() == ["act-real"]
    assert "real arm" in page.locator("h1").inner_text()


def test_nominal_and_perturbed_numbers_stand_in_tables_of_their_own(page: Any) -> None:
    page.locator("#simulation").get_by_role("link", name="Pick place").click()
    nominal, perturbed = page.locator("#nominal"), page.locator("#perturbed")
    assert "object pose" not in nominal.inner_text()
    assert "object pose" in perturbed.inner_text()
    assert nominal.locator("tbody tr").count() == perturbed.locator(".flush tbody tr").count() == 2


def test_a_state_is_shown_with_every_policy(page: Any) -> None:
    page.locator("#simulation").get_by_role("link", name="Pick place").click()
    assert page.locator("#nominal .tag").all_inner_texts() == ["partial", "partial", "reproduced"]


def test_every_link_of_every_page_leads_somewhere(page: Any, site: Path) -> None:
    pages = [site / "index.html", *site.glob("tasks/*"), *site.glob("policies/*")]
    pages += [*site.glob("runs/*/*/index.html"), *sorted(site.glob("runs/*/*/nominal-*.html"))[:4]]
    broken = []
    for one in pages:
        page.goto(one.resolve().as_uri())
        addresses = page.eval_on_selector_all("a[href]", "nodes => nodes.map(n => n.href)")
        addresses += page.eval_on_selector_all("video[src]", "nodes => nodes.map(n => n.src)")
        for address in {a.split("#")[0] for a in addresses}:
            if not Path(address.removeprefix("file://")).is_file():
                broken.append(f"{one.name}: {address}")
    assert len(pages) == 1 + 3 + 4 + 6 + 4
    assert broken == []


@pytest.mark.parametrize("kind", ["index.html", "tasks/*", "policies/*", "runs/*/*/index.html"])
def test_no_page_is_wider_than_a_phone(kind: str, browser: Any, site: Path) -> None:
    page = browser.new_page(viewport={"width": 420, "height": 900}, color_scheme="dark")
    page.goto(next(site.glob(kind)).resolve().as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page.close()


def test_the_same_runs_give_the_same_site(site: Path, tmp_path: Path) -> None:
    again = tmp_path / "site"
    make_site(site.parent, again)
    names = sorted(p.relative_to(site) for p in site.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert [n for n in names if (site / n).read_bytes() != (again / n).read_bytes()] == []
    assert sum(n.name == "index.html" for n in names) == 1 + 6


def test_what_is_no_site_is_never_replaced(site: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    with pytest.raises(UsageError, match="is no site of ours"):
        make_site(site.parent, tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "keep me"
    (tmp_path / "precious.txt").unlink()
    (tmp_path / MARKER).write_text("{}")
    assert make_site(site.parent, tmp_path) > 100
