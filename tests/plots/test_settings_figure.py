"""The map of settings: every cell where it belongs, in words as well as in colour."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.patches import Rectangle
from support.legible import smallest_text

from fairthesis.errors import InputError
from fairthesis.plots import outcome_map
from fairthesis.plots._settings import COLOURS


def _table(**outcomes):
    rows = [{"outcome": word, "gap before": 0.2, "gap after": 0.05} for word in outcomes.values()]
    return pd.DataFrame(rows, index=list(outcomes))


def test_each_cell_says_its_outcome_where_it_stands():
    figure = outcome_map(
        {"a": _table(none="nothing", same="harms"), "b": _table(same="helps", more="odd$")}
    )
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["none", "same", "more"]
    words = {tuple(round(v, 2) for v in t.get_position()): t.get_text() for t in axes.texts}
    assert words[(0.5, 1.37)] == "harms" and words[(1.5, 1.37)] == "helps"
    assert words[(1.5, 1.79)] == ".200 → .050" and (1.5, 0.37) not in words
    patches = [p for p in axes.patches if isinstance(p, Rectangle)]
    colours = {(int(p.get_x()), int(p.get_y())): p.get_facecolor() for p in patches}
    assert same_color(colours[0, 1], COLOURS["harms"])
    assert same_color(colours[1, 1], COLOURS["helps"])
    assert len(colours) == 4
    assert smallest_text(figure) > 6.5
    plt.close("all")


def test_four_columns_are_legible_on_a_phone_and_words_stay_in_their_cells():
    words = [*COLOURS, "cannot be told"]
    table = _table(**dict(zip("abcdefgh", words, strict=False)))
    axes = outcome_map(
        dict.fromkeys(["chest", "dermatoscopy", "photographs", "synthetic"], table)
    ).axes[0]
    assert smallest_text(axes) > 6.5
    cells = [p for p in axes.patches if isinstance(p, Rectangle)]
    for place, cell in enumerate(cells):
        told, numbers = (text.get_window_extent() for text in axes.texts[2 * place : 2 * place + 2])
        inside = cell.get_window_extent()
        assert inside.x0 <= told.x0 and told.x1 <= inside.x1
        assert inside.y0 <= numbers.y0 and told.y1 <= inside.y1
        assert numbers.y1 <= told.y0 + 1  # a pixel of empty line
    plt.close("all")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="no setting to draw"):
        outcome_map({})
    with pytest.raises(InputError, match="gap after"):
        outcome_map({"a": _table(none="helps").drop(columns="gap after")})
