"""The cells of an executed notebook as HTML: code folded, figures described, what sets the page up apart."""

import base64
import html
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import nbformat
from nbconvert.filters import ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

SETTING_UP = {
    "injected-parameters": "Parameters of this run",
    "parameters": "Parameters, with their defaults",
    "folded": "Code that opens the page",
}
"""Tags of the cells that stand at a page's end, and what their code is called."""
NARROW = "application/vnd.journeybook.narrow+svg"
"""What a notebook's output calls a figure's drawing for a phone."""
_ASIDE = '<div class="jb aside">'
_IN_SHORT = ("**In short**", "*Filled in when the page has run.*")
_TITLE_AND_QUESTION = re.compile(r"^# .+$|^\*\*(?:.|\n)+?\*\*\n?", flags=re.MULTILINE)
_IDLE = re.compile(r"<(Axes|Figure|matplotlib|IPython)|\[?<matplotlib|array\(\[?<Axes|DisplayHandle")


@dataclass(frozen=True)
class Picture:
    """A figure: what it says, its content as a data address, its size in pixels; the same for a phone."""

    alt: str
    address: str
    width: int
    height: int
    narrow: "Picture | None" = None


@dataclass(frozen=True)
class Parts:
    """A page in parts, each as HTML.

    Attributes:
        opening: What the first cell says besides title and question.
        body: The cells in their order.
        end: Cells that set the page up, and tables of the raw columns.
        contents: Anchor and text of each section.
    """

    opening: str
    body: str
    end: str
    contents: list[tuple[str, str]]


def parts_of(notebook: nbformat.NotebookNode) -> Parts:
    """Return an executed notebook in parts.

    The question, "In short" and the values of parameters are left out: the page says them from its results.
    """
    opening, body, end, heading = "", [], [], ""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            heading = (_headings(cell.source) or [heading])[-1]
            if number == 0:
                opening = markdown(_TITLE_AND_QUESTION.sub("", cell.source, count=2).strip())
            else:
                body.append(markdown(cell.source))
        elif cell.cell_type == "code":
            setting_up = [said for tag, said in SETTING_UP.items() if tag in cell.metadata.get("tags", [])]
            shown = [o for o in cell.outputs if not _left_out(o) and (not setting_up or _went_wrong(o))]
            told = [_output(output, picture=_picture(output, heading=heading)) for output in shown]
            end += [text for text in told if text.startswith(_ASIDE)]
            texts = [text for text in told if not text.startswith(_ASIDE)]
            code = _code(cell.source, said=setting_up[0] if setting_up else "Code", idle=not texts)
            (end if setting_up and not texts else body).append("\n".join([code, *texts]))
    joined = _with_anchors("\n".join(body))
    contents = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', joined)
    return Parts(opening, joined, "\n".join(end), [(at, re.sub(r"<[^>]+>", "", said)) for at, said in contents])


def find_pictures(notebook: nbformat.NotebookNode) -> dict[str, list[Picture]]:
    """Return the figures of an executed notebook by the section they stand in."""
    heading = ""
    found: dict[str, list[Picture]] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (_headings(cell.source, deepest=2) or [heading])[-1]
        pictures = (_picture(output, heading=heading) for output in cell.get("outputs", []))
        found.setdefault(heading, []).extend(filter(None, pictures))
    return found


def anchor(name: str) -> str:
    """Return the anchor of a heading, given as text or as HTML.

    >>> anchor("Does <em>it</em> hold?")
    'does-it-hold'
    """
    plain = html.unescape(re.sub(r"<[^>]+>", "", name))
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def _headings(source: str, *, deepest: int = 6) -> list[str]:
    return [said.strip() for said in re.findall(rf"^#{{1,{deepest}}} +(.+)$", source, flags=re.MULTILINE)]


def _with_anchors(text: str) -> str:
    return re.sub(r"<h([1-6])>(.*?)</h\1>", lambda m: f'<h{m[1]} id="{anchor(m[2])}">{m[2]}</h{m[1]}>', text)


# --- outputs ------------------------------------------------------------------------------------------


def _left_out(output: nbformat.NotebookNode) -> bool:
    """Whether an output only says what object the last line of a cell was, or is "In short"."""
    data = output.get("data", {})
    if set(data) == {"text/plain"}:
        return bool(_IDLE.match(_text(data["text/plain"])))
    return _text(data.get("text/markdown", "")).startswith(_IN_SHORT)


def _went_wrong(output: nbformat.NotebookNode) -> bool:
    return output.output_type in ("error", "stream")


def _output(output: nbformat.NotebookNode, *, picture: Picture | None) -> str:
    if output.output_type == "error":
        # Where in the code it was, `journeybook run --debug` shows.
        said = output.evalue if output.ename == "ValueError" else f"{output.ename}: {output.evalue}"
        return f'<pre class="error">{ansi2html(said)}</pre>'
    if output.output_type == "stream":
        said = f"<pre>{ansi2html(_text(output.text))}</pre>"
        folded = f'<details class="code"><summary>Messages</summary>{said}</details>'
        return said if output.name == "stdout" else folded
    if picture is not None:
        return f"<figure>{picture_html(picture)}</figure>"
    if "text/html" in output.data:
        return _text(output.data["text/html"])
    if "text/markdown" in output.data:
        return markdown(_text(output.data["text/markdown"]))
    return f"<pre>{ansi2html(_text(output.data.get('text/plain', '')))}</pre>"


def picture_html(picture: Picture, alt: str = "") -> str:
    """Return a figure as HTML; a narrow screen shows what was drawn for it."""
    size = 'width="{0.width}" height="{0.height}"'.format
    image = f'<img src="{picture.address}" alt="{html.escape(alt or picture.alt)}" {size(picture)}>'
    if picture.narrow is None:
        return image
    source = f'<source media="(max-width: 40rem)" srcset="{picture.narrow.address}" {size(picture.narrow)}>'
    return f"<picture>{source}{image}</picture>"


def _picture(output: nbformat.NotebookNode, *, heading: str) -> Picture | None:
    data = output.get("data", {})
    plain = _text(data.get("text/plain", "Figure"))
    alt = f"Figure: {heading}" if plain.startswith(("<", "Figure")) else plain
    if "image/svg+xml" in data:
        return _drawn(alt, _text(data["image/svg+xml"]), narrow=_text(data.get(NARROW, "")))
    if "image/png" in data:
        png = _text(data["image/png"]).replace("\n", "")
        width, height = struct.unpack(">II", base64.b64decode(png[:48])[16:24])
        return Picture(alt, f"data:image/png;base64,{png}", width, height)
    return None


def _drawn(alt: str, svg: str, *, narrow: str = "") -> Picture:
    svg = _thinned(svg)
    sizes = re.findall(r'(?:width|height)="([\d.]+)pt"', svg.partition(">")[0])
    width, height = (round(float(size) * 96 / 72) for size in sizes)
    address = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    return Picture(alt, address, width, height, _drawn(alt, narrow) if narrow else None)


def _thinned(drawn: str) -> str:
    """A drawing without what is said of it, its coordinates to a hundredth of a point."""
    drawn = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    return re.sub(r"(\d\d\.\d\d)\d+", r"\1", re.sub(r"\s*\n\s*", "\n", drawn))


def _code(source: str, *, said: str, idle: bool) -> str:
    coloured = highlight(source, PythonLexer(), HtmlFormatter())
    return f'<details class="code{" idle" * idle}"><summary>{said}</summary>{coloured}</details>'


def markdown(source: str) -> str:
    """Return Markdown as HTML; tags in it stay tags."""
    return _renderer().render(source)


@cache
def _renderer() -> MarkdownWithMath:
    return MarkdownWithMath(renderer=IPythonRenderer(escape=False, exclude_anchor_links=True))


def _text(value: str | Iterable[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
