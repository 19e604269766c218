"""Every page in a browser, on a desk and on a phone: what fits, what can be read, what axe-core finds."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from journeybook.tables import root

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(os.environ.get("JOURNEYBOOK_AXE", root() / "node_modules" / "axe-core" / "axe.min.js"))
WIDTHS = (1280, 390)
pytestmark = pytest.mark.slow

# A page in a frame of the width of a screen says what of it is too wide, which figures shrink so far that letters
# of 11 pixels fall under 9, and what axe finds once all is unfolded.
LOOK = """
const wider = () => [...document.querySelectorAll("body, .table-scroll:not(.whole *)")]
  .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.textContent.trim().slice(0, 80));
setTimeout(async () => {
  const wide = wider();
  const shrunk = innerWidth > 640 ? [] : [...document.images]
    .filter(image => image.clientWidth < 0.82 * image.naturalWidth).map(image => image.alt);
  document.querySelectorAll("main details").forEach(details => { details.open = true; });
  await new Promise(done => setTimeout(done, 100));
  const found = window.axe ? (await axe.run()).violations : [];
  const broken = found.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html.slice(0, 120)}`));
  parent.postMessage([document.title, innerWidth, wide, broken, shrunk], "*");
}, 100);
"""
COLLECT = """
const seen = [];
addEventListener("message", message => {
  seen.push(message.data);
  document.querySelector("pre").textContent = JSON.stringify(seen);
});
"""


@pytest.fixture(scope="session")
def looked(
    small_run, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, int, list[str], list[str], list[str]]]:
    """Every page of the small run at both widths: its title, the width, what is too wide, broken or shrunk."""
    folder = tmp_path_factory.mktemp("browser")
    axe = AXE.read_text(encoding="utf-8") if AXE.is_file() else ""
    frames = "".join(
        f'<iframe src="page.html" width="{w}" height="900" style="border: 0"></iframe>' for w in WIDTHS
    )
    wrapper = folder / "wrapper.html"
    wrapper.write_text(f"<script>{COLLECT}</script><pre></pre>{frames}", encoding="utf-8")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--no-first-run", "--virtual-time-budget=60000", "--window-size=1400,900", "--dump-dom", wrapper.as_uri(),
    ]  # fmt: skip
    seen = []
    for page in sorted(small_run.out.glob("*.html")):
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
        looking = f"<script>{axe}</script><script>{LOOK}</script></body>"
        (folder / "page.html").write_text(text.replace("</body>", looking), encoding="utf-8")
        dumped = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
        found = json.loads(html.unescape(re.findall(r"<pre>(.*?)</pre>", dumped, flags=re.DOTALL)[0]))
        assert sorted(width for _, width, *_ in found) == sorted(WIDTHS)
        seen += found
    return seen


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
def test_nothing_is_wider_than_the_screen(looked) -> None:
    assert [(title, width, wide) for title, width, wide, *_ in looked if wide] == []


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
def test_figures_can_be_read_on_a_phone(looked) -> None:
    assert [(title, shrunk) for title, *_, shrunk in looked if shrunk] == []


@pytest.mark.skipif(
    BROWSER is None or not AXE.is_file(), reason="needs a browser, and axe-core: npm install --no-save axe-core"
)
def test_axe_finds_nothing(looked) -> None:
    assert [(title, width, broken) for title, width, _, broken, _ in looked if broken] == []
