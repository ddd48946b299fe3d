"""A report opens in a real browser, without a network, and draws its pictures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from evomerge.report.page import page
from evomerge.report.summary import summarise
from tests.report.studies import finished

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Alone, with nothing from a network, and time for the scripts to run.
ALONE = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=10000",
)  # fmt: skip


@pytest.mark.browser
@pytest.mark.parametrize("objectives", ["sums", ["sums", "words"]], ids=["one", "front"])
def test_its_pictures_are_drawn(tmp_path: Path, objectives):
    pytest.importorskip("plotly")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("there is no browser here")
    study = finished(tmp_path / "run", objectives=objectives)
    report = tmp_path / "report.html"
    report.write_text(page(study, summarise(study)), "utf-8")
    done = subprocess.run(
        [browser, *ALONE, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", report.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    drawn = done.stdout.count('class="main-svg"')
    assert drawn >= done.stdout.count('class="plotly-graph-div') * 2 >= 2
