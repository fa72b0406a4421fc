"""What a notebook shows of a checkpoint, drawn by a real browser on a light and on a dark page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

import statedict as sd

# Keys that would do something, or deceive, if they were taken for anything but text.
HOSTILE = [
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 2">',
    "</td></table></div><b class=hacked>\"'&",
    "left\u202eright",
    "line\nbreak\x1b[31m",
]
SHOWN = [*HOSTILE[:3], r"left\u{202e}right", r"line\nbreak\u{1b}[31m"]

# How JupyterLab draws what a cell gives.
PAGE = """<!doctype html><meta charset=utf-8><title>notebook</title><style>
body { margin: 0; padding: 16px; width: 800px; font: 13px/1.5 sans-serif; color: #111; background: #fff }
.dark { color: #eee; background: #111 }
table { border-collapse: collapse; border: none; font-size: 12px; table-layout: fixed; margin: 0 auto }
td, th, tr { text-align: right; vertical-align: middle; padding: .5em; white-space: normal }
</style><body class=COLOURS>CELL<pre id=answer></pre><script>
const rows = [...document.querySelectorAll("tbody tr")];
const heights = rows.map((row) => row.getBoundingClientRect().height);
document.querySelector("#answer").textContent = JSON.stringify({
    keys: rows.map((row) => row.cells[0].textContent),
    hacked: window.hacked ?? document.querySelectorAll("img, b.hacked").length,
    width: document.querySelector("table").getBoundingClientRect().width,
    color: getComputedStyle(rows[0].cells[0]).color,
    plain: heights[0],
    long: heights.at(-1),
});
</script>"""


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium here")
    return found


def drawn(cell: str, colours: str, folder: Path) -> dict[str, Any]:
    """What is to be seen of a cell, and nothing may be said on the console."""
    page = folder / f"{colours}.html"
    page.write_text(PAGE.replace("CELL", cell).replace("COLOURS", colours), encoding="utf-8")
    words = [
        browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--dump-dom",
        page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", check=True)
    assert "CONSOLE" not in done.stderr
    answer = re.search(r"<pre id=\"answer\">(.*?)</pre>", done.stdout, re.DOTALL)
    assert answer is not None, done.stdout
    from html import unescape

    found: dict[str, Any] = json.loads(unescape(answer[1]))
    return found


@pytest.mark.parametrize(("colours", "color"), [("light", "17, 17, 17"), ("dark", "238, 238, 238")])
def test_keys_are_text_in_a_table_of_the_notebooks_colours(
    colours: str, color: str, folder: Path
) -> None:
    long = "k" * 400
    keys = [*(f"blocks.{i}.w" for i in range(12)), *HOSTILE, long]
    torch.save({key: torch.ones(2, 3) for key in keys}, "<b>.pth")
    found = drawn(sd.open("<b>.pth")._repr_html_(), colours, folder)
    assert found["keys"][:-1] == ["blocks.{0..11}.w", *SHOWN]
    assert found["hacked"] == 0
    assert found["color"] == f"rgb({color})"
    # A long key takes several lines, and the table no more room than there is.
    assert found["width"] <= 800 and found["long"] > 1.5 * found["plain"]
