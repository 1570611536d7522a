"""Thresholds to try: rates of several groups that follow sliders, in a page without a server.

The table that is sent is complete: where scripts are off it stands as it is, without sliders.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError
from fairthesis.inputs import require_columns
from fairthesis.metrics import ratio

MEASURES = {
    "tpr": "true positive rate",
    "fpr": "false positive rate",
    "ppv": "positive predictive value",
    "selection_rate": "selection rate",
}
#: Told apart on a light and on a dark page, and by colour-blind readers.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b8860b")
EQUAL = 0.01

STYLE = """
.ft-sliders { max-width: 44rem; color: inherit; }
.ft-sliders fieldset {
  border: 1px solid #808a94; border-radius: .3rem;
  margin: 0 0 .6rem; padding: .2rem .8rem .5rem; min-width: 0;
}
.ft-sliders legend {
  font-size: 1em; font-weight: 600; width: auto; margin: 0; padding: 0 .3rem;
}
.ft-sliders label { display: block; margin: .2rem 0; }
.ft-sliders input { display: block; width: 100%; height: 1.8rem; margin: 0; }
.ft-sliders table {
  width: 100%; border-collapse: collapse; table-layout: fixed;
  font-variant-numeric: tabular-nums; margin: .4rem 0;
}
.ft-sliders :is(th, td) {
  padding: .3rem .4rem; text-align: left; vertical-align: bottom;
  border-bottom: 1px solid #808a94; overflow-wrap: anywhere;
}
.ft-sliders tbody th { font-weight: normal; hyphens: auto; }
.ft-sliders svg { display: block; width: 100%; height: .7rem; margin-top: .15rem; }
.ft-sliders .ft-key {
  display: inline-block; width: .7em; height: .7em; margin-right: .35em; border-radius: 50%;
}
.ft-sliders thead th:first-child { width: 30%; }
.ft-sliders thead th:last-child { width: 6.6em; }
.ft-sliders .ft-told { min-height: 3.2em; margin: .4rem 0; }
/* The book's theme lays other output on a light ground; this one is at home on a dark page. */
html[data-theme="dark"] body .bd-content div.cell_output .text_html:has(.ft-sliders) {
  background: none; color: inherit; padding: 0;
}
"""

# Rates at a threshold are looked up; the other two follow from these and the prevalence.
SCRIPT = """
(() => {
  "use strict";
  const show = v => Number.isFinite(v) ? v.toFixed(2) : "\\u2013";
  for (const box of document.querySelectorAll(".ft-sliders:not([data-ready])")) {
    box.dataset.ready = "";
    const given = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
    const inputs = [...box.querySelectorAll("input")], rows = [...box.querySelectorAll("tbody tr")];
    const said = box.querySelector(".ft-told");
    let waiting = 0;
    const draw = event => {
      const values = given.groups.map((g, k) => {
        const slider = what => inputs.find(i => i.dataset.group == k && i.dataset.what == what);
        const t = slider("threshold"), p = Number(slider("prevalence").value);
        const at = Number(t.value), tpr = g.tpr[at], fpr = g.fpr[at];
        t.setAttribute("aria-valuetext", show(given.thresholds[at]));
        t.parentElement.querySelector("b").textContent = show(given.thresholds[at]);
        slider("prevalence").parentElement.querySelector("b").textContent = show(p);
        const called = p * tpr + (1 - p) * fpr;
        return [tpr, fpr, p * tpr / called, called];
      });
      const equal = [], other = [];
      rows.forEach((row, m) => {
        const known = values.map(v => v[m]);
        known.forEach((v, k) => {
          const cell = row.cells[k + 1], bar = cell.querySelector(".ft-bar");
          cell.querySelector("span").textContent = show(v);
          bar.setAttribute("width", Number.isFinite(v) ? 100 * v : 0);
        });
        const apart = Math.max(...known) - Math.min(...known);
        row.cells[known.length + 1].textContent = show(apart);
        (apart < given.equal ? equal : other).push(given.measures[m]);
      });
      const list = names => names.join(", ") || "none";
      const text = `Equal to within ${given.equal}: ${list(equal)}. Different: ${list(other)}.`;
      clearTimeout(waiting);
      if (event) waiting = setTimeout(() => { said.textContent = text; }, 250);
      else said.textContent = text;
    };
    inputs.forEach(input => input.addEventListener("input", draw));
    box.querySelector(".ft-controls").hidden = false;
    draw();
  }
})();
"""


class ThresholdSliders:
    """What ``threshold_sliders`` returns: a notebook and the book show it with its sliders.

    ``frame`` is the table as it stands before a slider is moved.

    >>> curve = pd.DataFrame({"threshold": [0.2, 0.5], "tpr": [0.9, 0.6], "fpr": [0.3, 0.1]})
    >>> shown = threshold_sliders({"A": curve, "B": curve}, {"A": 0.1, "B": 0.5}, 0.5)
    >>> shown.frame.loc["positive predictive value"].tolist()
    [0.4, 0.857, 0.457]
    """

    def __init__(
        self,
        thresholds: NDArray[np.float64],
        rates: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
        prevalence: Mapping[str, float],
        start: int,
    ) -> None:
        self.thresholds, self.rates, self.prevalence = thresholds, rates, prevalence
        self.start = start

    @property
    def frame(self) -> pd.DataFrame:
        """Rates of each group, and their largest difference, at the start; three decimals."""
        return self._values().assign(difference=self._apart()).round(3)

    def _values(self) -> pd.DataFrame:
        values = {}
        for name, (tpr, fpr) in self.rates.items():
            p, t, f = self.prevalence[name], tpr[self.start], fpr[self.start]
            called = p * t + (1 - p) * f
            values[name] = [t, f, float(ratio(p * t, called)), called]
        return pd.DataFrame(values, index=list(MEASURES.values()))

    def _apart(self) -> pd.Series:
        values = self._values()
        return values.max(axis=1, skipna=False) - values.min(axis=1, skipna=False)

    def __repr__(self) -> str:
        """The table as text."""
        return self.frame.to_string()

    def _repr_html_(self) -> str:
        names = [html.escape(name) for name in self.rates]
        keys = [
            f'<span class="ft-key" style="background:{COLOURS[k % len(COLOURS)]}"></span>{name}'
            for k, name in enumerate(names)
        ]
        heads = "".join(f'<th scope="col">{key}</th>' for key in keys)
        rows = "".join(self._row(m, values) for m, values in self._values().iterrows())
        controls = "".join(self._controls(k, name) for k, name in enumerate(self.rates))
        return (
            f'<div class="ft-sliders"><style>{STYLE}</style>'
            f'<div class="ft-controls" hidden>{controls}</div>'
            f'<table><thead><tr><th scope="col">measure</th>{heads}<th scope="col">difference</th>'
            f"</tr></thead><tbody>{rows}</tbody></table>"
            f'<p class="ft-told" role="status" aria-live="polite">{self._told()}</p>'
            f'<script type="application/json">{self._data()}</script>'
            f"<script>{SCRIPT}</script></div>"
        )

    def _controls(self, k: int, name: str) -> str:
        last, t, p = len(self.thresholds) - 1, self.thresholds[self.start], self.prevalence[name]
        return (
            f"<fieldset><legend>{html.escape(name)}</legend>"
            f"<label>threshold <b>{t:.2f}</b>"
            f'<input type="range" data-group="{k}" data-what="threshold" min="0" max="{last}" '
            f'step="1" value="{self.start}" aria-valuetext="{t:.2f}"></label>'
            f"<label>prevalence <b>{p:.2f}</b>"
            f'<input type="range" data-group="{k}" data-what="prevalence" min="0.01" max="0.99" '
            f'step="0.01" value="{p:g}"></label></fieldset>'
        )

    def _row(self, measure: Any, values: pd.Series) -> str:
        cells = "".join(
            f'<td><span>{_number(values[name])}</span><svg viewBox="0 0 100 8" '
            'preserveAspectRatio="none" aria-hidden="true">'
            '<rect width="100" height="8" fill="currentColor" opacity=".15"/>'
            f'<rect class="ft-bar" width="{_width(values[name])}" height="8" '
            f'fill="{COLOURS[k % len(COLOURS)]}"/></svg></td>'
            for k, name in enumerate(self.rates)
        )
        apart = _number(values.max(skipna=False) - values.min(skipna=False))
        return f'<tr><th scope="row">{measure}</th>{cells}<td>{apart}</td></tr>'

    def _told(self) -> str:
        apart = self._apart()
        equal = ", ".join(apart.index[apart < EQUAL]) or "none"
        other = ", ".join(apart.index[~(apart < EQUAL)]) or "none"
        return f"Equal to within {EQUAL:g}: {equal}. Different: {other}."

    def _data(self) -> str:
        groups = [
            {"tpr": tpr.round(5).tolist(), "fpr": fpr.round(5).tolist()}
            for tpr, fpr in self.rates.values()
        ]
        given = {
            "thresholds": self.thresholds.round(6).tolist(),
            "groups": groups,
            "measures": list(MEASURES.values()),
            "equal": EQUAL,
        }
        return json.dumps(given).replace("<", "\\u003c")


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


def _width(value: float) -> str:
    return f"{100 * value:.4g}" if np.isfinite(value) else "0"


def threshold_sliders(
    curves: Mapping[str, pd.DataFrame], prevalence: Mapping[str, float], start: float = 0.5
) -> ThresholdSliders:
    """Rates of groups that follow a threshold and a prevalence of each, by sliders.

    True and false positive rate are looked up in the curves; with prevalence p the selection rate
    is p TPR + (1 - p) FPR, the positive predictive value p TPR over it. What is shown works
    offline and from the keyboard; without scripts it is the table at the start.

    Args:
        curves: name of a group -> its columns ``threshold, tpr, fpr``, as of
            ``metrics.roc_curve``; the finite thresholds must be the same in all, at least two.
        prevalence: name of a group -> its share of positive cases at the start, from 0.01 to 0.99.
        start: the threshold of all groups at the start; the nearest one of the curves is taken.

    Raises:
        InputError: where there are fewer than two groups, a column or a prevalence is missing,
            thresholds differ, or a number is no rate.

    >>> curve = pd.DataFrame({"threshold": [0.2, 0.5], "tpr": [0.9, 0.6], "fpr": [0.3, 0.1]})
    >>> threshold_sliders({"A": curve, "B": curve}, {"A": 0.1, "B": 0.5})
                                  A      B  difference
    true positive rate         0.60  0.600       0.000
    false positive rate        0.10  0.100       0.000
    positive predictive value  0.40  0.857       0.457
    selection rate             0.15  0.350       0.200
    """
    if len(curves) < 2:
        raise InputError(f"There is {len(curves)} curve: expected those of two groups or more.")
    thresholds: NDArray[np.float64] | None = None
    rates = {}
    for name, curve in curves.items():
        require_columns(curve, ["threshold", "tpr", "fpr"], f"the curve of {name}")
        rows = curve[np.isfinite(curve["threshold"])].sort_values("threshold")
        own = rows["threshold"].to_numpy(np.float64)
        thresholds = own if thresholds is None else thresholds
        if len(own) < 2 or not np.array_equal(own, thresholds):
            raise InputError(f"The thresholds of {name}: expected two or more, the same in all.")
        found = tuple(rows[column].to_numpy(np.float64) for column in ("tpr", "fpr"))
        if not all(((part >= 0) & (part <= 1)).all() for part in found):
            raise InputError(f"A rate of {name} lies outside [0, 1], or is not known.")
        rates[name] = (found[0], found[1])
        if not 0.01 <= prevalence.get(name, -1.0) <= 0.99:
            raise InputError(f"The prevalence of {name}: expected a number from 0.01 to 0.99.")
    assert thresholds is not None
    at = int(np.abs(thresholds - start).argmin())
    return ThresholdSliders(thresholds, rates, dict(prevalence), at)
