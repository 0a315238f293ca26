"""What bench/compare measured, as a chart: how many times as good as its best peer attn is."""

import html
import itertools
import math

# The picture brings its own ground, so that it is readable on pages of either kind.
STYLE = """
  rect.ground { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
  .title { font-size: 15px; font-weight: 600 } .note, .tick { fill: #59636e }
  .ahead { fill: #1a7f64 } .behind { fill: #c4622d }
  .grid { stroke: #d1d9e0 } .one { stroke: #1f2328; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    rect.ground { fill: #0d1117 } text { fill: #e6edf3 } .note, .tick { fill: #9198a1 }
    .ahead { fill: #3fb68b } .behind { fill: #e08a4f }
    .grid { stroke: #30363d } .one { stroke: #e6edf3 }
  }
"""
LABELS, PLOT, NOTES = 312, 420, 178  # widths
THREADS = 66  # of the labels, what tells the threads
TOP, LINE, BAR, GAP = 74, 17, 12, 7  # the gap is between one piece of work and the next
TICKS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 10, 20, 50)


def text(x, y, words, style="", anchor="start"):
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{html.escape(words)}</text>'


def label(row):
    return row.work if row.more_is_better() else f"{row.work}, {row.metric.split(',')[0]}"


def threads(row):
    return f"{row.threads} thread" + ("" if row.threads == 1 else "s")


def placed(rows):
    """[(y, row, whether it is the first of its work)], and where they end."""
    places, y = [], TOP
    for _, of_work in itertools.groupby(rows, key=label):
        for number, row in enumerate(of_work):
            places.append((y, row, number == 0))
            y += LINE
        y += GAP
    return places, y


def svg(rows):
    rows = [row for row in rows if row.ratio() is not None]
    ratios = [row.ratio() for row in rows] + [1]
    # on a logarithmic scale twice as fast and half as fast are equally far from the middle
    low = max([tick for tick in TICKS if tick <= min(ratios)], default=TICKS[0])
    high = min([tick for tick in TICKS if tick >= max(ratios)], default=TICKS[-1])
    low, high = min(low, 0.5), max(high, 2)

    def place(ratio):
        share = math.log(ratio / low) / math.log(high / low)
        return LABELS + PLOT * min(max(share, 0), 1)

    places, bottom = placed(rows)
    width = LABELS + PLOT + NOTES
    parts = [
        text(16, 26, "attn beside its best peer on the same machine", "title"),
        text(16, 44, "Times as fast (start, memory: as small); right of 1 attn is ahead. Logarithmic scale.", "note"),
    ]
    for tick in TICKS:
        if low <= tick <= high:
            x = place(tick)
            style = "one" if tick == 1 else "grid"
            parts.append(f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
            parts.append(text(x, TOP - 10, f"{tick:g}×", "tick", "middle"))
    for y, row, first in places:
        x, one = place(row.ratio()), place(1)
        style = "ahead" if row.ratio() >= 1 else "behind"
        left, right = sorted((x, one))
        if first:
            parts.append(text(LABELS - THREADS - 10, y + 11, label(row), anchor="end"))
        parts.append(text(LABELS - 10, y + 11, threads(row), "tick", "end"))
        parts.append(f'<rect class="{style}" x="{left:.1f}" y="{y + 1}" '
                     f'width="{max(right - left, 1):.1f}" height="{BAR}" rx="2"/>')
        parts.append(text(max(right, one) + 6, y + 11, f"{row.ratio():.2f}× {row.best_peer()}"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 14}" width="{width}" '
        f'height="{bottom + 14}" role="img" aria-label="attn beside its best peer, work by work">\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="ground" width="100%" height="100%"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
