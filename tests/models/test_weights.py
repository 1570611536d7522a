"""Weights files of all kinds: loaded right, or refused in words; and what goes out, by ONNX."""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fairthesis.errors import InputError
from fairthesis.models._encoder import FairEncoder, Whitening
from fairthesis.models._torchvision import torchvision
from fairthesis.training import TrainConfig

NET = torchvision.models.resnet18(weights=None)
STATE: dict[str, torch.Tensor] = NET.state_dict()


def prefixed(*prefixes: str, fc: bool = True) -> dict[str, torch.Tensor]:
    return {p + k: v for p in prefixes for k, v in STATE.items() if fc or not k.startswith("fc.")}


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "optimizer": {"state": {0: {"x": torch.ones(1)}}}},
        {"model": {"state_dict": STATE}},
        prefixed("module."),
        prefixed("_orig_mod.module."),
        prefixed("backbone.") | {"projection.0.weight": torch.ones(3, 3)},
        prefixed("shared_encoder.", fc=False) | {"disease_head.0.weight": torch.ones(3, 3)},
        {k: v for k, v in STATE.items() if not k.endswith("num_batches_tracked")},
    ],
    ids=["plain", "checkpoint", "nested", "DataParallel", "compiled", "SimCLR", "run", "old"],
)
def test_weights_of_every_usual_layout_are_loaded(content: Any, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", content)
    model = FairEncoder("resnet18", weights=str(path))
    own = model.shared_encoder.state_dict()
    assert all(torch.equal(own[k], STATE[k]) for k in own if "num_batches" not in k)


def test_safetensors_are_known_by_their_content(tmp_path: Path) -> None:
    for name in ("w.safetensors", "w.pth"):
        save_file({k: v.contiguous() for k, v in STATE.items()}, tmp_path / name)
        model = FairEncoder("resnet18", weights=str(tmp_path / name))
        assert torch.equal(model.shared_encoder.conv1.weight, STATE["conv1.weight"])


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def broken(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cut(path: Path) -> Path:
    saved(path, STATE)
    return broken(path, path.read_bytes()[:100_000])


OTHER = torchvision.models
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "whole model": (lambda p: saved(p, NET), "holds more than weights"),
    "evil": (lambda p: saved(p, {"a": Evil(p.parent / "run")}), "holds more than weights"),
    "pickle": (lambda p: broken(p, pickle.dumps(Evil(p.parent / "run"))), "holds more than"),
    "numpy": (lambda p: saved(p, {k: v.numpy() for k, v in STATE.items()}), "holds more than"),
    "resnet34": (lambda p: saved(p, OTHER.resnet34().state_dict()), "layer1.2.conv1.weight"),
    "resnet50": (lambda p: saved(p, OTHER.resnet50().state_dict()), "do not fit the backbone"),
    "VGG": (lambda p: saved(p, {"features.0.weight": torch.ones(3)}), "they lack conv1.weight"),
    "CIFAR": (
        lambda p: saved(p, STATE | {"conv1.weight": torch.ones(64, 3, 3, 3)}),
        "conv1.weight of shape (64, 3, 3, 3) for (64, 3, 7, 7)",
    ),
    "MoCo": (lambda p: saved(p, prefixed("q.", "k.")), "several times, under 'q.', 'k.'"),
    "teacher": (lambda p: saved(p, {"a": STATE, "b": STATE}), "several state dicts (a, b)"),
    "NaN": (
        lambda p: saved(p, STATE | {"bn1.weight": STATE["bn1.weight"] * torch.nan}),
        "no finite floats, in bn1.weight",
    ),
    "text": (lambda p: saved(p, STATE | {"bn1.weight": "x"}), "bn1.weight of shape str"),
    "list": (lambda p: saved(p, [1, 2]), "holds no names and tensors but a list"),
    "no names": (lambda p: saved(p, {}), "holds no names and tensors"),
    "page": (lambda p: broken(p, b"<html>sign in</html>"), "is a web page"),
    "LFS": (lambda p: broken(p, b"version https://git-lfs.github.com/spec/v1"), "Git LFS"),
    "empty": (lambda p: broken(p, b""), "is empty"),
    "cut": (cut, "cannot be read as weights"),
    "zip": (lambda p: broken(p, b"PK\3\4junk"), "cannot be read as weights"),
    "HDF5": (lambda p: broken(p, b"\x89HDF\r\n\x1a\n" + b"\0" * 500), "holds more than weights"),
    "folder": (lambda p: p.mkdir(), "No weights file at"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_weights_of_other_kinds_are_refused_in_words(kind: str, tmp_path: Path) -> None:
    make, words = REFUSED[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(tmp_path / "w.pth")
    with pytest.raises(InputError) as error:
        FairEncoder("resnet18", weights=str(tmp_path / "w.pth"))
    assert words in str(error.value) and "w.pth" in str(error.value)
    assert not (tmp_path / "run").exists()  # nothing in the file was run


def test_a_broken_safetensors_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"abc")
    with pytest.raises(InputError, match="cannot be read as weights"):
        FairEncoder("resnet18", weights=str(tmp_path / "w.safetensors"))


def trained(precision: str = "float32") -> FairEncoder:
    torch.manual_seed(0)
    model = FairEncoder(
        "small", channels=1, disease_dim=8, disease_norm="whitening", precision=precision
    )
    for _ in range(5):
        model(torch.rand(32, 1, 48, 48))
    return model.eval()


@pytest.mark.parametrize("dim", [4, 64])
def test_folded_whitening_is_the_solution_of_the_triangular_system(dim: int) -> None:
    torch.manual_seed(0)
    white, mix = Whitening(dim), torch.randn(dim, dim)
    mix[:, 0] = mix[:, 1] + 1e-3 * mix[:, 0]  # nearly singular
    for _ in range(50):
        white(torch.randn(256, dim) @ mix + 3)
    z = torch.randn(5000, dim) @ mix + 3
    factor = white.factor(white.running_covariance.double())
    centred = z.double() - white.running_mean
    want = torch.linalg.solve_triangular(factor, centred.T, upper=False).T.float()
    got = white.eval()(z)
    assert (got - want).abs().max() < 1e-6
    assert (got != want).float().mean() < 1e-3


def test_folded_whitening_follows_its_statistics() -> None:
    torch.manual_seed(0)
    a, b = trained().disease_norm, Whitening(8).eval()
    z = torch.randn(20, 8)
    before = b(z)
    b.load_state_dict(a.state_dict())
    assert torch.equal(b(z), a(z)) and not torch.equal(b(z), before)
    b.running_covariance.mul_(4)  # in place, in evaluation
    torch.testing.assert_close(b(z), a(z) / 2)
    b.training = True  # as `estimate_statistics` does, without `train`
    b(torch.randn(64, 8))
    b.training = False
    fresh = Whitening(8)
    fresh.load_state_dict(b.state_dict())
    assert torch.equal(b(z), fresh.eval()(z))
    assert set(b.state_dict()) == {"running_mean", "running_covariance"}
    assert torch.equal(pickle.loads(pickle.dumps(b))(z), b(z))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("dynamo", [False, True])
def test_the_default_encoder_goes_through_onnx(
    dynamo: bool, precision: str, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = trained(precision)
    images = torch.rand(6, 1, 48, 48)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        if dynamo:
            shapes = ({0: torch.export.Dim("n")},)
            found = torch.onnx.export(
                model, (images,), dynamo=True, dynamic_shapes=shapes, verbose=False
            )
            assert found is not None
            found.save(str(tmp_path / "m.onnx"))
            graph: Any = str(tmp_path / "m.onnx")
        else:
            axes = {"images": {0: "n"}}
            torch.onnx.export(
                *(model, (images,), file),
                **{"dynamo": False, "input_names": ["images"], "dynamic_axes": axes},
            )
            graph = file.getvalue()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    other = torch.rand(3, 1, 48, 48)
    got = session.run(None, {session.get_inputs()[0].name: other.numpy()})
    model.precision = "float32"  # as an ONNX graph has it
    with torch.no_grad():
        for ours, theirs in zip(model(other), got, strict=True):
            torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=1e-5, rtol=1e-4)


def test_torch_exports_and_traces_it() -> None:
    model, images = trained(), torch.rand(6, 1, 48, 48)
    with torch.no_grad():
        want = model(images)
    program = torch.export.export(model, (images,))
    assert not any("cholesky" in str(node.target) for node in program.graph.nodes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(model, (images,))
    for other in (program.module(), traced):
        assert all(torch.equal(a, b) for a, b in zip(want, other(images), strict=True))


def test_a_weights_file_is_kept_by_name_and_content(tmp_path: Path) -> None:
    (tmp_path / "jane.doe-of-st-marys").mkdir()
    file = tmp_path / "jane.doe-of-st-marys" / "own.pth"
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), file)
    config = TrainConfig(backbone="resnet18", weights=str(file))
    first = config.described()["weights"]
    assert first.startswith("own.pth (SHA-256 ") and "jane.doe-of-st-marys" not in first
    file.rename(tmp_path / "own.pth")
    moved = TrainConfig(backbone="resnet18", weights=str(tmp_path / "own.pth"))
    assert moved.described()["weights"] == first
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "own.pth")
    assert moved.described()["weights"] != first
    with pytest.raises(InputError, match="names no folders: give the file's path"):
        TrainConfig(backbone="resnet18", weights=first).described()
