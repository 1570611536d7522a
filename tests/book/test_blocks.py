"""The page of blocks runs as it is written."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
from conftest import ROOT

torch = pytest.importorskip("torch")
CODE = re.findall(
    r"```python\n(.*?)```", (ROOT / "book" / "blocks.md").read_text(encoding="utf-8"), re.DOTALL
)


def names() -> dict[str, Any]:
    """What the page's data leave."""
    found: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(CODE[0], found)
    return found


def separation(z: Any, labels: Any) -> float:
    """How far the best single column is from telling two classes apart by chance, 0 to 1/2."""
    from fairthesis.metrics import auroc

    y = labels[:, 0].numpy()
    return max(abs(auroc(y, column.numpy()) - 0.5) for column in z.detach().T)


def test_each_example_is_short() -> None:
    assert len(CODE) == 3
    for code in CODE[1:]:
        assert len([line for line in code.splitlines() if line.strip()]) <= 30


def test_plain_pytorch() -> None:
    found = names()
    images, y = found["images"], found["y"]
    exec(CODE[1].replace("range(3)", "range(30)"), found)
    encoder = found["encoder"].eval()
    scores = found["classifier"](encoder(images)).detach()
    assert separation(scores, y) > 0.25  # it has learned the disease
    assert found["disease"].isfinite() and found["against"] >= -1


def test_lightning() -> None:
    from fairthesis.models import load_encoder

    # torchvision, which Lightning imports, by the way that works beside any build of torch.
    load_encoder("torchvision:squeezenet1_1", weights="random")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pytest.importorskip("pytorch_lightning")
        except ImportError as error:
            pytest.skip(f"pytorch_lightning is installed without what it needs: {error}")
        found = names()
        exec(CODE[2].replace("logger=False", "logger=False, enable_progress_bar=False"), found)
    values = {k: float(v) for k, v in found["fair"].trainer.callback_metrics.items()}
    assert values["adversary_weight"] > 0.25 and values["disease_loss"] < 0.75
    assert int(found["fair"].method.step) == 15  # of 24: warm-up, and where the ramp begins at 0
