"""Whether label maps hold declared codes only, and how often each code occurs."""

import numpy as np

from swath._progress import track
from swath.corpus.checks._sample import BLOCK, Sample
from swath.corpus.checks._types import Finding, Section
from swath.corpus.store.codes import undeclared

STAGE = 2


def inspect(sample: Sample) -> Section:
    """Count the codes in the sample's label maps and report those that their layer does not declare."""
    findings, table = [], []
    for name, layer in sample.corpus.label_layers.items():
        unknown: dict[int, int] = {}
        seen: dict[int, int] = {}
        starts = range(0, len(sample.locations), BLOCK)
        for start in track(starts, len(starts), f"checking {name}"):
            codes = sample.corpus.stored_labels(name, sample.locations[start : start + BLOCK])
            unknown |= undeclared(codes, layer.codes)
            for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
                seen[int(code)] = seen.get(int(code), 0) + int(count)
        total = max(1, sum(seen.values()))
        for code in layer.codes:
            meaning = layer.classes.get(code, "void")
            table.append({"layer": name, "code": code, "class": meaning, "pixels": f"{seen.get(code, 0) / total:.2%}"})
        if unknown:
            what = f"codes that are not declared: {', '.join(map(str, sorted(unknown)))}"
            remedy = "declare them as classes or void, and build the corpus again"
            findings.append(Finding("error", what, f"label layer {name}", remedy))
    idle = "" if table else "The corpus has no label map."
    return Section("Labels", "Every code of a label map is a declared class, or void.", findings, table, idle=idle)
