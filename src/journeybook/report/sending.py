"""The report in one file, to send: as HTML, or as a PDF where a browser is installed."""

import base64
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from journeybook.report.outcomes import PageOutcome
from journeybook.report.storing import html_path, write_text

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PATIENCE = 300
"""Seconds that a browser may take for a PDF."""

_STYLE = ".page + .page { max-width: 62rem; margin: 5rem auto 0; border-top: 4px solid var(--line); }"
# What the printed page looks like is known before it is printed, so that a table can be made to fit.
_PAPER = """
@page { size: A4 landscape; margin: 12mm; @bottom-right { content: counter(page); font: 8pt sans-serif; } }
html { width: 273mm; } main { max-width: none; padding: 0; }
.page + .page { break-before: page; max-width: none; margin: 0; border: 0; }
tbody th, td { white-space: normal; }
/* A section's figure stands beside what is said of it, and an answer on one page. */
body { font-size: 9pt; } figure img { max-height: 86mm; width: auto; } .answer img { max-height: 54mm; }
h2 { margin-top: 1.2rem; } h2 + p, tbody tr:nth-child(-n+2) { break-after: avoid; }
nav, label:has(input) { display: none !important; }
"""
_FITTING = """
document.querySelectorAll("#index details").forEach(folded => {
  folded.open = folded.querySelectorAll("tr").length <= 60;
});
document.querySelectorAll("table").forEach(table => {
  const [wide, room] = [table.getBoundingClientRect().width, table.parentElement.clientWidth];
  if (wide > room) table.style.zoom = room / wide;
});
"""
_IDS = ("id", "for", "headers", "aria-labelledby", "aria-describedby", "aria-controls")


def send_report(out: Path, *, pages: Sequence[PageOutcome], kinds: Collection[str]) -> Iterator[str]:
    """Write `report.html` or `report.pdf` from the pages of a report; says of each that it stands, or why not."""
    text = one_file(out, [page.name for page in pages if page.status != "not run"])
    if "html" in kinds:
        write_text(out / "report.html", text)
        yield f"In one file: {out / 'report.html'}"
    if "pdf" in kinds:
        browser = next(filter(None, map(shutil.which, BROWSERS)), None)
        if browser is None:
            yield "No PDF: neither Chromium nor Chrome is installed; any browser prints what --single-file writes."
        else:
            yield _print(for_paper(text), out / "report.pdf", browser=browser)


def one_file(out: Path, names: Sequence[str]) -> str:
    """Return the front page and these pages as one document, whose links lead to each other inside it."""
    whole = BeautifulSoup(html_path(out, "index").read_text(encoding="utf-8"), "html.parser")
    main, navigation = whole.main, whole.nav
    assert whole.head and main and navigation
    for link in navigation.find_all(href=True):
        _lead(link, "href", "index", names)
    first = whole.new_tag("section", attrs={"class": "page", "id": "index"})
    first.extend([child.extract() for child in list(main.children)])
    _point_inside(first, "index", names)
    main.append(first)
    for name in names:
        page = BeautifulSoup(html_path(out, name).read_text(encoding="utf-8"), "html.parser").main
        assert page
        _point_inside(page, name, names)
        page.name, page.attrs = "section", {"class": "page", "id": name}
        main.append(page)
    # The script knows one switch for all code.
    for i, switch in enumerate(main.select("input[id$=--all-code]")):
        if i == 0:
            switch["id"] = "all-code"
        elif switch.parent:
            switch.parent.decompose()
    style = whole.new_tag("style")
    style.string = _STYLE
    whole.head.append(style)
    return str(whole)


def for_paper(text: str) -> str:
    """Return the one document as it is printed: what the front page folds is open, every table fits."""
    digest = base64.b64encode(hashlib.sha256(_FITTING.encode()).digest()).decode()
    text = re.sub(r"'sha256-[^']*'", f"'sha256-{digest}'", text, count=1)
    text = re.sub(r"<script>.*?</script>", lambda _: f"<script>{_FITTING}</script>", text, flags=re.DOTALL)
    text = text.replace("@media print {", "@media all {")
    return text.replace("</head>", f"<style>{_PAPER}</style></head>", 1)


def _point_inside(part: Tag, name: str, names: Sequence[str]) -> None:
    """Give the ids of a page its name, let links and references follow, and take away those that lead outside."""
    known = {tag["id"] for tag in part.find_all(id=True)}

    def own(found: re.Match) -> str:
        return f"#{name}--{found[1]}" if found[1] in known else found[0]

    for tag in part.find_all(True):
        for attribute, value in list(tag.attrs.items()):
            if attribute in _IDS:
                said = tag.get_attribute_list(attribute)
                tag[attribute] = " ".join(f"{name}--{one}" if one in known else str(one) for one in said)
            elif attribute in ("href", "xlink:href"):
                _lead(tag, attribute, name, names)
            elif isinstance(value, str) and "url(#" in value:
                tag[attribute] = re.sub(r"#([\w-]+)", own, value)
        if tag.name == "style" and tag.string:
            tag.string = re.sub(r"#([\w-]+)", own, tag.string)


def _lead(tag: Tag, attribute: str, name: str, names: Sequence[str]) -> None:
    file, hash_, anchor = str(tag[attribute]).partition("#")
    page = file.removesuffix(".html") if file else name
    if page in ("index", *names):
        tag[attribute] = f"#{page}--{anchor}" if hash_ else f"#{page}"
    elif not re.match(r"[a-z]+:", file):
        del tag[attribute]


def _print(text: str, pdf: Path, *, browser: str) -> str:
    pdf.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="jb-") as folder:
        source = Path(folder) / "report.html"
        source.write_text(text, encoding="utf-8")
        made = Path(folder) / "report.pdf"
        command = [
            browser, "--headless", "--disable-gpu", f"--user-data-dir={folder}/profile", "--no-pdf-header-footer",
            "--generate-pdf-document-outline", "--host-resolver-rules=MAP * ~NOTFOUND", f"--print-to-pdf={made}",
        ]  # fmt: skip
        if os.geteuid() == 0:
            # Its sandbox does not start for root.
            command.append("--no-sandbox")
        # What it leaves goes with the folder, and none of its processes may write there when it is removed.
        done = subprocess.Popen(
            [*command, source.as_uri()], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": folder}, start_new_session=True,
        )  # fmt: skip
        try:
            _, told = done.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return f"No PDF: the browser took longer than {PATIENCE} s."
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(done.pid, signal.SIGKILL)
            done.wait()
        if not made.exists():
            return f"No PDF: the browser ended with {done.returncode}: {(told.splitlines() or [''])[-1]}"
        unfinished = pdf.with_name(pdf.name + ".unfinished")
        shutil.copyfile(made, unfinished)
        unfinished.replace(pdf)
    return f"As a PDF: {pdf}"
