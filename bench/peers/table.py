"""What bench/compare measured, as a table in Markdown."""

import dataclasses

OURS = "attn"


@dataclasses.dataclass(frozen=True)
class Row:
    work: str
    threads: int
    metric: str
    values: dict  # by engine, medians

    def more_is_better(self):
        return self.metric.endswith("/s")

    def best_peer(self):
        """The name of the engine beside attn that did best; None where attn was alone."""
        peers = [engine for engine in self.values if engine != OURS]
        better = max if self.more_is_better() else min
        return better(peers, key=self.values.get) if peers else None

    def ratio(self):
        """How many times as good as the best peer attn was; None where one of them is missing."""
        peer = self.best_peer()
        if peer is None or OURS not in self.values:
            return None
        ours, theirs = self.values[OURS], self.values[peer]
        return ours / theirs if self.more_is_better() else theirs / ours


def number(value):
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def markdown(rows):
    names = []
    for row in rows:
        names += [engine for engine in row.values if engine not in names]
    lines = [
        "| work | threads | | " + " | ".join(names) + " | attn / best peer |",
        "| --- | ---: | --- | " + "---: | " * len(names) + "---: |",
    ]
    for row in rows:
        cells = [number(row.values[name]) if name in row.values else "–" for name in names]
        ratio = "–" if row.ratio() is None else f"{row.ratio():.2f}×"
        lines.append(f"| {row.work} | {row.threads} | {row.metric} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines) + "\n"
