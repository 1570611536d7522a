"""Leakage: how well probes recover an attribute from embeddings, next to what chance would give.

Probes are fitted on the ``val`` part and judged on ``test``: on patients that the encoder was not
trained on, and of whom the probe has seen none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.embeddings import _tables as tables
from fairthesis.embeddings._attribute_use import AttributeUse, use_of_attribute
from fairthesis.embeddings._judging import FLOOR, Judge, ProbeResult, read, usable_strata
from fairthesis.embeddings._measured_erasure import TooFewPatientsError
from fairthesis.embeddings._probes import PROBES, Code, online_code
from fairthesis.embeddings._sources import Table
from fairthesis.embeddings._tables import ProbePart
from fairthesis.errors import InputError, unknown
from fairthesis.storage import table_writer, text_writer, without_formulas, write_together

MAX_ROWS = 50_000  # of the fitting part, and of the test part


@dataclass(frozen=True)
class Leakage:
    """What ``probe`` found about one attribute, and how.

    Args:
        attribute: the probed column.
        target: the target that "given the target" means, None where the table names none.
        groups: names of the attribute's groups.
        n_fit: images of the ``val`` part, on which the probes are fitted.
        n_test: images of the ``test`` part, on which they are judged.
        n_test_patients: patients of the ``test`` part, which are resampled for the intervals.
        left_out: images that are not used, by reason.
        readings: the probe AUROCs, one for each source, probe and scope, with 95 % intervals and
            the mean and 95 % point over refits with the attribute shuffled.
        code: the online code of the attribute given the embedding, in bits.
        warnings: what a reader must know, in words: a group or a class that is left out.
        settings: ``prefix``, ``n_boot``, ``n_shuffles``, ``max_rows`` and ``seed`` of the call.
        use: what erasing the attribute does to a refitted head; None where it was not asked for,
            or patients are too few.

    >>> from fairthesis.embeddings import probe
    >>> table = pd.DataFrame({"image_id": range(80), "patient_id": range(80)})
    >>> table["split"] = np.where(table["image_id"] < 40, "val", "test")
    >>> labels = table.assign(y_true=table["image_id"] % 2, sex=["F", "F", "M", "M"] * 20)
    >>> found = probe(
    ...     table.assign(disease_0=(labels["sex"] == "M") * 1.0), labels,
    ...     attribute="sex", names=["logistic"], n_boot=0, n_shuffles=0,
    ... )
    >>> found.n_fit, found.n_test, found.groups
    (40, 40, ('F', 'M'))
    >>> found.table()[["source", "scope", "auroc"]].values.tolist()[0]
    ['encoder', 'marginal', 1.0]
    """

    attribute: str
    target: str | None
    groups: tuple[str, ...]
    n_fit: int
    n_test: int
    n_test_patients: int
    left_out: dict[str, int]
    readings: tuple[ProbeResult, ...]
    code: Code
    warnings: tuple[str, ...]
    settings: dict[str, Any]
    use: AttributeUse | None = None

    def table(self) -> pd.DataFrame:
        """``readings`` as a tidy table, one row each."""
        return pd.DataFrame([asdict(reading) for reading in self.readings])

    def to_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes null."""
        found: dict[str, Any] = {"schema": "fairthesis.leakage/1", **asdict(self)}
        found["readings"] = [
            {k: None if v != v else v for k, v in row.items()} for row in found["readings"]
        ]
        found["code"] |= {"compression": self.code.compression, "gain": self.code.gain}
        found["use"] = None if self.use is None else self.use.to_dict()
        return found

    def write(self, out: str | Path) -> list[Path]:
        """Write ``leakage.json``, ``leakage.csv`` and, where there is one, ``use.csv``."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        files = {
            "leakage.json": text_writer(text),
            "leakage.csv": table_writer(without_formulas(self.table()), "leakage.csv"),
        }
        if self.use is not None:
            files["use.csv"] = table_writer(without_formulas(self.use.table()), "use.csv")
        write_together(Path(out), files, last="leakage.json", stale=("use.csv",))
        return [Path(out) / name for name in files]


def probe(
    embeddings: Table,
    predictions: pd.DataFrame,
    *,
    attribute: str,
    target: str | None = None,
    prefix: str = "disease_",
    random: pd.DataFrame | None = None,
    beside: Mapping[str, pd.DataFrame] | None = None,
    names: Sequence[str] = tuple(PROBES),
    n_boot: int = 2000,
    n_shuffles: int = 20,
    use_folds: int = 0,
    max_rows: int = MAX_ROWS,
    seed: int = 0,
) -> Leakage:
    """Measure how well fresh probes recover ``attribute`` from ``embeddings``.

    Args:
        embeddings: ``image_id, patient_id, split`` and numbered columns that begin with prefix; or
            the file of such a table: of one of millions of rows those that are probed alone are
            held.
        predictions: ``image_id, target, y_true`` and the attribute; joined by ``image_id``.
        attribute: the column to recover; images where it is empty are left out and counted.
        target: the target for "given the target", where the table has several.
        prefix: ``disease_`` or ``sensitive_``: which embedding is probed.
        random: embeddings of the same images by a randomly initialised encoder.
        beside: more tables of the same images with columns of that prefix, by the name that they
            get as a ``source``: the logit alone, say, or what an encoder knows before its head.
        names: keys of ``PROBES``.
        n_boot: resamples of test patients for the intervals; 0 for none.
        n_shuffles: refits with the attribute shuffled over patients; 0 for none.
        use_folds: folds of the patients of ``val`` and ``test`` over which a head is refitted
            before and after the attribute is erased (``use_of_attribute``); 0 leaves it out.
        max_rows: of each part; where there are more, patients are drawn until they have so many
            rows, and the others are counted in ``left_out``. Of 50,000 test images the interval of
            an AUROC of .5 is about .01 wide.
        seed: the same seed gives the same result.

    Probes are fitted on ``val`` and judged on ``test``. Given the target, that is done within each
    target class, so that what the target explains of the attribute does not count; AUROCs are
    weighted by the number of pairs (``macro_auroc``). A class with fewer than 10 fitting cases in
    its smallest group is left out of this, with a warning in the result. ``target alone`` is what
    the target recovers without an embedding.

    Raises:
        InputError: for an unknown probe, a negative number, and whatever ``join_labels`` refuses.

    >>> rng = np.random.default_rng(0)
    >>> sex = rng.choice(["f", "m"], 400)
    >>> table = pd.DataFrame({"image_id": np.arange(400), "patient_id": np.arange(400)})
    >>> table["split"] = np.where(table["image_id"] < 200, "val", "test")
    >>> labels = table.assign(target="t", y_true=rng.integers(0, 2, 400), sex=sex)
    >>> z = table.assign(disease_000=rng.normal(size=400) + 5 * (sex == "m"))
    >>> found = probe(z, labels, attribute="sex", names=["logistic"], n_boot=50, n_shuffles=2)
    >>> bool(found.table()["auroc"][0] > 0.95)
    True
    """
    if max_rows < 1:
        raise InputError(f"max_rows is {max_rows}: expected 1 or more.")
    for key, number in (("n_boot", n_boot), ("n_shuffles", n_shuffles), ("seed", seed)):
        if number < 0:
            raise InputError(f"{key} is {number}: expected 0 or more.")
    if use_folds != 0 and use_folds < 2:
        raise InputError(f"use_folds is {use_folds}: expected 2 or more, or 0 to leave it out.")
    if not names:
        raise InputError(f"No probe is given: expected at least one of {', '.join(PROBES)}.")
    for name in names:
        if name not in PROBES:
            raise unknown("probe", name, PROBES)
    rows, columns, groups, left_out, chosen = tables.join_labels(
        embeddings, predictions, attribute, target, prefix, max_rows, seed
    )
    warnings: list[str] = []
    rows, groups = _in_both(rows, groups, attribute, left_out, warnings)
    fit, test = (tables.part(rows, columns, groups, split, attribute) for split in ("val", "test"))
    classes = _classes(fit, test, len(groups), warnings)
    boot = Judge(test, len(groups), classes, n_boot, seed)
    readings = []
    for name in names:
        readings += read("encoder", name, fit, test, boot, n_shuffles, seed)
    others = dict(beside or {}) | ({} if random is None else {"random encoder": random})
    for source, table in others.items():
        more, own = tables.of_another(rows, table, prefix, f"the {source}'s table")
        pair = [tables.part(more, own, groups, split, attribute) for split in ("val", "test")]
        for name in names:
            readings += read(source, name, pair[0], pair[1], boot, 0, seed)
    use = _used(rows, columns, attribute, use_folds, n_boot, seed, warnings)
    readings += read("target alone", "logistic", _one_hot(fit), _one_hot(test), boot, 0, seed)
    return Leakage(
        attribute=attribute,
        target=chosen,
        groups=tuple(groups),
        n_fit=len(fit.group),
        n_test=len(test.group),
        n_test_patients=len(np.unique(test.patient)),
        left_out=left_out,
        readings=tuple(readings),
        code=online_code(fit.x, fit.group, fit.patient, seed),
        warnings=tuple(warnings),
        settings={
            "prefix": prefix,
            "n_boot": n_boot,
            "n_shuffles": n_shuffles,
            "max_rows": max_rows,
            "seed": seed,
        },
        use=use,
    )


def _used(
    rows: pd.DataFrame,
    columns: Sequence[str],
    attribute: str,
    folds: int,
    n_boot: int,
    seed: int,
    warnings: list[str],
) -> AttributeUse | None:
    """Encoding and use, on the rows that are probed; too few patients are warned of."""
    if not folds:
        return None
    try:
        use = use_of_attribute(
            rows[list(columns)].to_numpy(float),
            rows["y_true"].to_numpy(float) > 0,
            rows[attribute].to_numpy(),
            rows["patient_id"].to_numpy(),
            **{"folds": folds, "n_boot": n_boot, "seed": seed},
        )
    except TooFewPatientsError as error:
        warnings.append(f"No head was refitted after erasure. {error}")
        return None
    warnings += use.warnings
    return use


def _in_both(
    rows: pd.DataFrame,
    groups: list[str],
    attribute: str,
    left_out: dict[str, int],
    warnings: list[str],
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the groups that both parts have; the others are counted and warned of."""
    parts = [set(rows[attribute][rows["split"] == split]) for split in ("val", "test")]
    kept = [group for group in groups if all(group in part for part in parts)]
    if len(kept) == len(groups) or len(kept) < 2:  # fewer than two: refused with its name
        return rows, groups
    lacking = [group for group in groups if group not in kept]
    inside = rows[attribute].isin(kept)
    for group in lacking:
        warnings.append(
            f"{attribute} = {group} is missing in the val or in the test part, and is left out: "
            "no probe can recover it, or be judged on it."
        )
    left_out[f"{attribute} of a group that val or test lacks"] = int((~inside).sum())
    return rows[inside], kept


def _one_hot(part: ProbePart) -> ProbePart:
    return ProbePart(part.target[:, None].astype(float), part.group, part.target, part.patient)


def _classes(fit: ProbePart, test: ProbePart, n_groups: int, warnings: list[str]) -> list[int]:
    """Target classes in which a probe can be fitted and judged."""
    kept = []
    for c, (own, there) in usable_strata(fit, test, n_groups).items():
        if own >= FLOOR and there >= 1:
            kept.append(c)
        else:
            warnings.append(
                f"Target class {c} has {own} fitting and {there} test cases in its smallest group, "
                f"and is left out given the target (expected {FLOOR} and 1)."
            )
    return kept
