"""What is in a checkpoint, for people."""

from __future__ import annotations

from ._statedict import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._checkpoint import Checkpoint

# Lines that a notebook shows.
_SHOWN = 200


def _size(number: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            break
        number /= 1000  # type: ignore[assignment]
    return f"{number} bytes" if unit == "bytes" else f"{number:.3g} {unit}"


def _head(checkpoint: Checkpoint) -> str:
    infos = checkpoint._tensors().values()
    parameters = 0
    for info in infos:
        count = 1
        for size in info.shape:
            count *= size
        parameters += count
    tensors = f"{len(infos):,} tensor{'' if len(infos) == 1 else 's'}"
    bytes = _size(sum(info.nbytes for info in infos))
    at = f" at '{printable(checkpoint.at)}'" if checkpoint.at else ""
    return f"{checkpoint.format}{at}, {tensors}, {parameters:,} parameters, {bytes}"


def _rows(checkpoint: Checkpoint) -> list[tuple[str, str, str, str]]:
    rows = []
    for keys, count, dtype, shape in checkpoint._file().lines():
        number = "" if count == 1 else f"({count:,} keys)"
        rows.append((printable(keys), dtype, str(list(shape)), number))
    return rows


def text(checkpoint: Checkpoint) -> str:
    """Columns of keys, types and shapes."""
    lines = [f"{printable(checkpoint.path)}: {_head(checkpoint)}"]
    rows = _rows(checkpoint)
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        lines.append(("  " + "  ".join([*cells, row[3]])).rstrip())
    return "\n".join(lines)


# Keys break where they must, and nothing else does; colours are the notebook's, light or dark.
_KEY = "text-align:left;font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere"
_CELL = "text-align:left;white-space:nowrap"


def html(checkpoint: Checkpoint) -> str:
    """The same as a table for notebooks; whatever a file calls its keys, it is text."""
    from html import escape

    rows = _rows(checkpoint)
    shown = ""
    for key, *cells in rows[:_SHOWN]:
        shown += f"<tr><td style='{_KEY}'>{escape(key)}</td>"
        shown += "".join(f"<td style='{_CELL}'>{escape(cell)}</td>" for cell in cells) + "</tr>"
    more = len(rows) - _SHOWN
    foot = f"<tr><td colspan='4' style='{_CELL}'>… and {more:,} more lines</td></tr>"
    head = "".join(f"<th style='{_CELL}'>{it}</th>" for it in ("key", "dtype", "shape", ""))
    path, what = escape(printable(checkpoint.path)), escape(_head(checkpoint))
    return (
        f"<div><b>{path}</b>: {what}<table style='margin-left:0'><thead><tr>{head}</tr></thead>"
        f"<tbody>{shown}{foot if more > 0 else ''}</tbody></table></div>"
    )
