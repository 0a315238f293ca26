"""Attention as one SVG that needs nothing else: heat maps in the colours of attn-run's pictures.

Colour is linear in the weight, from 0 to the largest one drawn, and the same in every map of a picture; a
legend says what it is. A map of more cells than it has pixels shows the largest weight of each block.
"""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .attention import Attention

INK, QUIET = "#1b1f24", "#57606a"
FONT = "font-family='system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif'"
MARGIN = 20
MAP_SIDE = 560  # of a map that stands alone, at most
OVERVIEW_WIDTH, OVERVIEW_HEIGHT = 800, 1100  # of many maps together, about
LEAST_PANEL, MOST_PANEL, GAP = 24, 150, 5
LABELLED = 48  # tokens whose names still are legible along a map
TOLD = 40  # tokens whose weights can be pointed at: each cell costs some 70 bytes
WRITTEN = 14  # tokens whose weights stand in their cells
LONGEST_LABEL = 18  # characters
CHARACTER = 6.7  # width of an average one at 12 px
LEGEND = 190  # width of the legend

Numbers = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


def _colours() -> Bytes:
    """256 colours, [256, 3], of falling lightness: the OKLCH map of tools/draw/colour.cpp."""
    t = np.arange(256) / 255
    chroma = 0.012 + 0.078 * np.sin(np.pi * t**0.85) + 0.05 * t
    angle = np.radians(165 + 120 * t)
    light, a, b = 0.965 - 0.675 * t, chroma * np.cos(angle), chroma * np.sin(angle)
    # Ottosson's matrices
    l = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    m = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
        ],
        axis=-1,
    ).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


def _png(pixels: Bytes, colours: Bytes) -> str:
    """A data URI of a picture with a palette: pixels [height, width] are rows of `colours`."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)  # filter 0 before each row
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", colours.tobytes())
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _shades(weights: npt.NDArray[np.float32], largest: float) -> Bytes:
    return np.rint(np.nan_to_num(weights).clip(0, largest) * (255 / largest)).astype(np.uint8)


def _pooled(weights: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.float32]:
    """At most so many rows and columns: the largest of each block."""
    for axis in (0, 1):
        block = -(-weights.shape[axis] // most)
        if block > 1:
            weights = np.maximum.reduceat(weights, np.arange(0, weights.shape[axis], block), axis=axis)
    return weights


def _image(x: float, y: float, width: float, height: float, shades: Bytes, colours: Bytes) -> str:
    return (
        f"<image x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' preserveAspectRatio='none' "
        f"style='image-rendering:pixelated' href='{_png(shades, colours)}'/>"
    )


def _text(x: float, y: float, content: str, *, size: float = 12, colour: str = INK, anchor: str = "start",
          more: str = "") -> str:
    return (
        f"<text x='{x:g}' y='{y:g}' font-size='{size:g}' fill='{colour}' text-anchor='{anchor}' {more}>"
        f"{html.escape(content)}</text>"
    )


def _label(text: str) -> str:
    shown = " ".join(text.split()) or repr(text)[1:-1].replace(" ", "␣")
    return shown if len(shown) <= LONGEST_LABEL else shown[: LONGEST_LABEL - 1] + "…"


def _number(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def svg(attention: Attention) -> str:
    weights = attention.weights
    colours = _colours()
    largest = float(np.nanmax(weights)) if np.isfinite(weights).any() else 0.0
    largest = largest if largest > 0 else 1.0
    if weights.shape[0] * weights.shape[1] == 1:
        body, width, height = _single(attention, colours, largest)
    else:
        body, width, height = _overview(attention, colours, largest)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' "
        f"viewBox='0 0 {width:g} {height:g}' role='img' {FONT}><title>{html.escape(_title(attention))}</title>"
        f"<rect width='100%' height='100%' rx='6' fill='#ffffff'/>{body}</svg>"
    )


def _title(attention: Attention) -> str:
    layers, heads, _, keys = attention.weights.shape
    where = f"layer {attention.layers[0]}" if layers == 1 else f"{layers} layers"
    who = f"head {attention.heads[0]}" if heads == 1 else f"{heads} heads"
    return f"attention: {where}, {who}, {keys} tokens"


def _legend(x: float, y: float, colours: Bytes, largest: float) -> str:
    ramp = _image(x, y, LEGEND, 10, np.arange(256, dtype=np.uint8).reshape(1, 256), colours)
    ends = _text(x, y + 24, "0", size=11, colour=QUIET) + _text(
        x + LEGEND, y + 24, _number(largest), size=11, colour=QUIET, anchor="end")
    name = _text(x + LEGEND / 2, y + 24, "attention weight", size=11, colour=QUIET, anchor="middle")
    return ramp + ends + name


def _single(attention: Attention, colours: Bytes, largest: float) -> tuple[str, float, float]:
    weights = attention.weights[0, 0]
    queries, keys = weights.shape
    longer = max(queries, keys)
    labelled = longer <= LABELLED
    cell = float(min(44, max(12, MAP_SIDE // longer))) if labelled else MAP_SIDE / longer
    width, height = cell * keys, cell * queries
    # long maps have their positions only at both ends
    rows = [(i, _label(text)) for i, text in enumerate(attention.query_labels)]
    columns = [(i, _label(text)) for i, text in enumerate(attention.labels)]
    if not labelled:
        rows, columns = [(i, str(i)) for i in sorted({0, queries - 1})], [(i, str(i)) for i in sorted({0, keys - 1})]
    size = min(12.0, cell * 0.85) if labelled else 11.0
    row_room, column_room = (max(len(text) for _, text in each) * CHARACTER * size / 12 for each in (rows, columns))
    slanted = labelled and column_room > cell - 4
    axis = 18.0
    left = MARGIN + max(axis + row_room + 6, column_room * 0.7 - cell / 2 if slanted else 0)
    top = MARGIN + 28
    below = top + height + (column_room * 0.75 + 14 if slanted else 20)

    parts = [
        _text(MARGIN, MARGIN + 12, _title(attention), size=13, more="font-weight='600'"),
        _image(left, top, width, height, _shades(_pooled(weights, MAP_SIDE), largest), colours),
    ]
    for i, text in rows:
        parts.append(_text(left - 6, top + (i + 0.5) * cell + size * 0.35, text, size=size, anchor="end"))
    for i, text in columns:
        x, y = left + (i + 0.5) * cell, top + height + 6 + size * 0.7
        turned = f"transform='rotate(-45 {x:g} {y:g})'" if slanted else ""
        parts.append(_text(x, y, text, size=size, anchor="end" if slanted else "middle", more=turned))
    parts.append(_cells(weights, largest, colours, attention, left, top, cell))
    middle = top + height / 2
    parts.append(_text(MARGIN + 8, middle, "query", colour=QUIET, anchor="middle",
                       more=f"transform='rotate(-90 {MARGIN + 8} {middle:g})'"))
    parts.append(_text(left + width / 2, below + 12, "key", colour=QUIET, anchor="middle"))
    legend = below + 24
    parts.append(_legend(left, legend, colours, largest))
    return "".join(parts), left + max(width, LEGEND) + MARGIN, legend + 24 + MARGIN


def _cells(weights: npt.NDArray[np.float32], largest: float, colours: Bytes, attention: Attention, left: float,
           top: float, cell: float) -> str:
    """Weights that can be pointed at and, where there is room, read."""
    queries, keys = weights.shape
    if max(queries, keys) > TOLD:
        return ""
    shades = _shades(weights, largest)
    dark = colours.astype(float) @ (0.2126, 0.7152, 0.0722) < 135  # of which white text stands out
    parts = []
    for q in range(queries):
        for k in range(keys):
            value = float(weights[q, k])
            if not value > 0:  # hidden keys have nothing to tell
                continue
            x, y = left + k * cell, top + q * cell
            told = f"{_label(attention.query_labels[q])} → {_label(attention.labels[k])}: {value:.4f}"
            parts.append(f"<rect x='{x:g}' y='{y:g}' width='{cell:g}' height='{cell:g}' fill-opacity='0'>"
                         f"<title>{html.escape(told)}</title></rect>")
            if max(queries, keys) <= WRITTEN:
                parts.append(_text(x + cell / 2, y + cell / 2 + 4, f"{value:.2f}".lstrip("0"), size=11, anchor="middle",
                                   colour="#ffffff" if dark[shades[q, k]] else INK, more="pointer-events='none'"))
    return "".join(parts)


def _overview(attention: Attention, colours: Bytes, largest: float) -> tuple[str, float, float]:
    layers, heads, queries, keys = attention.weights.shape
    left, top = MARGIN + 62, MARGIN + 50
    side = min(MOST_PANEL, OVERVIEW_WIDTH / heads - GAP, OVERVIEW_HEIGHT / layers - GAP)
    side = float(int(max(LEAST_PANEL, side)))
    height = max(4.0, side * min(1, queries / keys))
    step_x, step_y = side + GAP, height + GAP
    every = max(1, int(np.ceil(26 / step_x)))
    parts = [_text(MARGIN, MARGIN + 12, _title(attention), size=13, more="font-weight='600'")]
    for column, head in enumerate(attention.heads):
        if column % every == 0:
            parts.append(_text(left + column * step_x + side / 2, top - 7,
                               f"head {head}" if side >= 50 else str(head), size=11, colour=QUIET, anchor="middle"))
    for row, layer in enumerate(attention.layers):
        parts.append(_text(left - 8, top + row * step_y + height / 2 + 4, f"layer {layer}", size=11, colour=QUIET,
                           anchor="end"))
        for column, head in enumerate(attention.heads):
            x, y = left + column * step_x, top + row * step_y
            shades = _shades(_pooled(attention.weights[row, column], 2 * int(side)), largest)
            parts.append(f"<g><title>layer {layer}, head {head}</title>"
                         + _image(x, y, side, height, shades, colours) + "</g>")
    below = top + layers * step_y + 10
    parts.append(_legend(left, below, colours, largest))
    hint = "queries run down, keys across; select(layer=…, head=…) draws one map with its tokens"
    parts.append(_text(left, below + 44, hint, size=11, colour=QUIET))
    width = left + max(heads * step_x, len(hint) * CHARACTER * 11 / 12) + MARGIN
    return "".join(parts), width, below + 44 + MARGIN
