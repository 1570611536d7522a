"""A run's model in forms that other software reads: ONNX, TorchScript, a folder to be shared."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from fairthesis import __version__, auditing
from fairthesis.errors import InputError, unknown
from fairthesis.models import FairEncoder
from fairthesis.provenance import json_text
from fairthesis.storage import check_writable, text_writer, write_together
from fairthesis.training._inference import outputs_of
from fairthesis.training._run import SHARED, Run
from fairthesis.training._run_folder import WEIGHTS

RULES = ("youden", "fpr=0.1", "fpr=0.2", "tnr=0.8", "tnr=0.9")
SLACK = 1e-4  # by which an exported model's scores may differ
Writer = Callable[[Run, Path, "auditing.FairnessReport"], dict[str, Callable[[Path], object]]]


class ScoresAndEmbedding(nn.Module):
    """Images or vectors to probabilities (n, targets) and the disease embedding (n, d).

    >>> model = ScoresAndEmbedding(FairEncoder("small", channels=1).eval())
    >>> [tuple(found.shape) for found in model(torch.rand(2, 1, 32, 32))]
    [(2, 1), (2, 128)]
    """

    def __init__(self, model: FairEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        disease_emb, _ = self.model(images)
        return torch.sigmoid(self.model.disease_logits(disease_emb)), disease_emb


def export(
    run: Run, out: str | Path, form: str, *, n_boot: int = 2000, overwrite: bool = False
) -> Path:
    """Write the model of a run into the folder ``out`` in a form of ``EXPORTS``; gives ``out``.

    Every form comes with ``README.md``, the model card with the audit of the run's test part at its
    own operating point (youden), and ``config.json``: what the inputs are, the names of targets
    and groups, thresholds by rule. No row of a patient is in it. The exported model is run on
    random inputs, and refused where its scores are not the run's.

    - ``onnx``: ``model.onnx``, with the inputs ``images`` and the outputs ``scores`` and
      ``embedding``, for any number of rows.
    - ``torchscript``: ``model.pt``, the same as a TorchScript module.
    - ``hub-folder``: ``model.safetensors``, which ``load_run`` takes like a run, and the audit as
      ``audit.json`` and ``audit.html``.

    Args:
        run: the model (``load_run``).
        out: a folder; files of an earlier export in it are replaced with ``overwrite`` alone.
        form: a name in ``EXPORTS``.
        n_boot: resamples of the audit.
        overwrite: whether a folder that is not empty is written into.

    Raises:
        InputError: for an unknown form, a folder that is not empty, an exporter that is not
            installed, and a model that came out wrong.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> from fairthesis.training import TrainConfig, load_run, train
    >>> few = {"n_train": 64, "n_val": 32, "n_test": 60}
    >>> small = {"backbone": "small", "size": 16, "epochs": 1, "batch_size": 32}
    >>> config = TrainConfig(dataset_options=few, **small)
    >>> with tempfile.TemporaryDirectory() as at, mock.patch.dict(os.environ, FAIRTHESIS_CACHE=at):
    ...     run = load_run(train(config, f"{at}/run", progress=False))
    ...     out = export(run, f"{at}/shared", "hub-folder", n_boot=20)
    ...     again = load_run(out)
    ...     x = torch.rand(3, 1, 16, 16)
    ...     same = [(again.predict(x) == run.predict(x)).all()]
    ...     same.append(again.operating_point("youden") == run.operating_point("youden"))
    >>> list(map(bool, same))
    [True, True]
    """
    out = Path(out)
    if form not in EXPORTS:
        raise unknown("export format", form, EXPORTS)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not overwrite:
        raise InputError(
            f"{str(out)!r} is not empty: choose another folder, or pass --overwrite to replace "
            "an earlier export in it."
        )
    check_writable(out)
    report = audited(run, n_boot)
    files = EXPORTS[form](run, out, report)
    card = f"{_front_matter(run)}\n{report.model_card()}\n{_how(form, run)}"
    files |= {
        "README.md": text_writer(card),
        "config.json": text_writer(json_text(shared_config(run))),
    }
    write_together(out, files, last="config.json")
    return out


def audited(run: Run, n_boot: int) -> auditing.FairnessReport:
    """The audit of the run's test part, by its attributes, of its first target."""
    table = pd.read_parquet(run.folder / "predictions.parquet")
    return auditing.audit(
        table,
        groups=list(run.attributes),
        patient="patient_id",
        target=run.targets[0] if len(run.targets) > 1 else None,
        threshold="youden",
        n_boot=n_boot,
        n_permutations=n_boot,
    )


def shared_config(run: Run) -> dict[str, Any]:
    """What a user of the model has to know, and what ``load_run`` makes it from."""
    points = {
        target: {rule: run.operating_point(rule, target) for rule in RULES}
        for target in run.targets
    }
    return {
        "schema": SHARED,
        "fairthesis": __version__,
        "model": run.config | {"dataset_options": {}, "data_root": None},
        "groups": run.groups,
        "operating_points": points,
        "input": _input(run),
        "outputs": {"scores": list(run.targets), "embedding": _dimension(run)},
    }


def _dimension(run: Run) -> int:
    return int(run.model.disease_classifier.in_features)


def _input(run: Run) -> dict[str, Any]:
    width = run.config["width"]
    if width is not None:
        return {"name": "images", "shape": ["n", width], "what": "vectors of the same encoder"}
    size, channels = run.config["size"], run.config["channels"]
    return {
        "name": "images",
        "shape": ["n", channels, size, size],
        "what": "floats from 0 to 1; the short side resized to the edge, the centre cropped; "
        "scaling by statistics is part of the model",
    }


def _example(run: Run, n: int) -> Tensor:
    shape = [n, *_input(run)["shape"][1:]]
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _check(run: Run, scores: NDArray[np.floating[Any]], images: Tensor, form: str) -> None:
    """Refuse an exported model that gives other scores than the run's."""
    expected = outputs_of(run.model, images.to(run.device)).scores
    largest = float(np.abs(np.asarray(scores) - expected).max())
    if not largest <= SLACK:
        raise InputError(
            f"The {form} export gives other scores than the run (by up to {largest:.2g}): it is "
            "not written. Please report this with the versions of torch and the exporter."
        )


def _onnx(run: Run, out: Path, report: auditing.FairnessReport) -> dict[str, Any]:
    model, images = ScoresAndEmbedding(run.model).eval().cpu(), _example(run, 3)
    try:
        import onnxruntime  # type: ignore[import-untyped]
        import onnxscript  # noqa: F401 (torch's exporter needs it)
    except ImportError as error:
        raise InputError(
            f"ONNX needs the package {error.name}: pip install 'fairthesis[onnx]'."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        program = torch.onnx.export(
            model,
            (images,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n")},),
            input_names=["images"],
            output_names=["scores", "embedding"],
            verbose=False,
        )
    assert program is not None
    run.model.to(run.device)
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    other = _example(run, 5)
    _check(run, session.run(["scores"], {"images": other.numpy()})[0], other, "onnx")
    return {"model.onnx": lambda to: to.write_bytes(content)}


def _torchscript(run: Run, out: Path, report: auditing.FairnessReport) -> dict[str, Any]:
    model, images = ScoresAndEmbedding(run.model).eval().cpu(), _example(run, 3)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that tracing is a thing of the past
        traced = torch.jit.trace(model, (images,))
        other = _example(run, 5)
        scores = traced(other)[0].numpy()
    run.model.to(run.device)
    _check(run, scores, other, "torchscript")
    return {"model.pt": lambda to: traced.save(str(to))}


def _hub_folder(run: Run, out: Path, report: auditing.FairnessReport) -> dict[str, Any]:
    weights = {name: value.contiguous().cpu() for name, value in run.model.state_dict().items()}
    content = save(weights)
    page = report.to_html(explorer=False)  # rows can be read back from an explorer
    return {
        WEIGHTS: lambda to: to.write_bytes(content),
        "audit.json": text_writer(report.to_json()),
        "audit.html": text_writer(page),
    }


#: Form -> what writes its files.
EXPORTS: dict[str, Writer] = {
    "onnx": _onnx,
    "torchscript": _torchscript,
    "hub-folder": _hub_folder,
}


def _front_matter(run: Run) -> str:
    """What model hubs index a card by."""
    kind = "feature-extraction" if run.config["width"] else "image-classification"
    lines = ["library_name: fairthesis", f"pipeline_tag: {kind}", "tags:", "- medical-imaging"]
    lines += ["- fairness", f"- {run.config['method']}"]
    return "\n".join(["---", *lines, "---", ""])


def _how(form: str, run: Run) -> str:
    """How the exported model is used, and what it is not."""
    what = _input(run)
    code = {
        "hub-folder": [
            "import fairthesis",
            'run = fairthesis.load_run("this/folder")',
            "scores = run.predict(images)",
            'called = scores[:, 0] >= run.operating_point("youden")',
        ],
        "onnx": [
            "import onnxruntime",
            'session = onnxruntime.InferenceSession("model.onnx")',
            'scores, embedding = session.run(None, {"images": images})',
        ],
        "torchscript": [
            "import torch",
            'scores, embedding = torch.jit.load("model.pt")(images)',
        ],
    }[form]
    return "\n".join([
        "## How to use it", "", f"Inputs: shape {tuple(what['shape'])}, {what['what']}.", "",
        "```python", *code, "```", "",
        f"Trained with the method {run.config['method']} on {run.config['dataset']}. The "
        "thresholds in config.json were chosen on its own validation part: check them on your own "
        "patients (`fairthesis transfer`). Not a medical device.", "",
    ])  # fmt: skip
