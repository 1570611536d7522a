"""Encoders of other libraries against the libraries themselves; and what is refused, in words."""

from __future__ import annotations

import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fairthesis.data import cohort_of_files, prepared_images
from fairthesis.errors import InputError
from fairthesis.models import FairEncoder, Preprocessing, check_weights, load_encoder
from fairthesis.models._torchvision import torchvision

# Of each way in which torchvision ends a network, one; and the last stage that it has.
ENDINGS = {
    "resnet18": (512, ["layer4"]),
    "densenet121": (1024, ["features.denseblock4", "features.norm5"]),
    "efficientnet_b0": (1280, ["features.8"]),
    "convnext_tiny": (768, ["features.7", "classifier"]),
    "mobilenet_v3_small": (1024, ["classifier"]),
    "shufflenet_v2_x0_5": (1024, ["conv5"]),
    "squeezenet1_1": (512, ["features.12"]),
    "googlenet": (1024, ["inception5b"]),
}


def library(name: str) -> Any:
    """A library of the extras, or a skip that says which is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pytest.importorskip(name)
        except ImportError as error:
            pytest.skip(f"{name} is installed without what it needs: {error}")


def saved(net: nn.Module, path: Path) -> str:
    torch.manual_seed(0)
    with torch.no_grad():
        for key, value in net.state_dict().items():  # running statistics of a used network
            if "running" in key:
                value.add_(0.1 * torch.rand_like(value))
    torch.save(net.state_dict(), path)
    return str(path)


def picture(folder: Path, edge: int = 300) -> torch.Tensor:
    """One image on disk, and as the cache gives it at ``edge``: floats from 0 to 1."""
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).resize((320, 320), Image.Resampling.BICUBIC).save(folder / "one.png")
    images, _ = prepared_images(cohort_of_files(folder / "one.png"), edge)
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize("name", ENDINGS)
def test_torchvision_networks_without_their_classifier(name: str, tmp_path: Path) -> None:
    from fairthesis.models import last_stage

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        whole = torchvision.models.get_model(name, weights=None).eval()
    encoder = load_encoder(f"torchvision:{name}", weights=saved(whole, tmp_path / "w.pth"), size=96)
    width, stage = ENDINGS[name]
    assert encoder.width == width
    assert list(last_stage(encoder.net.net)) == stage  # type: ignore[arg-type]
    images = torch.rand(2, 3, 96, 96)
    got: dict[str, torch.Tensor] = {}
    last = [m for m in whole.modules() if isinstance(m, nn.Linear)]
    if last:  # what goes into its classifier is what the encoder gives
        last[-1].register_forward_hook(lambda m, inputs, output: got.update(z=inputs[0]))
    else:
        whole.features.register_forward_hook(lambda m, i, out: got.update(z=out.mean((2, 3))))
    with torch.no_grad():
        whole(encoder.preprocessing(images))
        ours = encoder.net.eval()(encoder.preprocessing(images))
    torch.testing.assert_close(ours, got["z"], atol=1e-5, rtol=1e-4)
    assert re.fullmatch(r"w\.pth \(SHA-256 [0-9a-f]{16}\)", str(encoder.weights))


def test_torchvisions_card_is_what_torchvision_does(tmp_path: Path) -> None:
    from PIL import Image

    encoder = load_encoder("torchvision:densenet121", weights="random")
    card = torchvision.models.get_model_weights("densenet121").DEFAULT.transforms()
    assert (encoder.preprocessing.edge, encoder.preprocessing.size) == (256, 224)
    images = picture(tmp_path, encoder.preprocessing.edge)
    theirs = card(Image.open(tmp_path / "one.png"))
    difference = (encoder.preprocessing(images)[0] - theirs).abs()
    assert difference.max() < 0.15 and difference.mean() < 0.03  # bicubic for bilinear
    assert encoder.preprocessing.interpolation == "bilinear"  # which provenance says


def test_timm(tmp_path: Path) -> None:
    from PIL import Image

    timm = library("timm")
    whole = timm.create_model("resnet10t", pretrained=False).eval()
    encoder = load_encoder("timm:resnet10t", weights=saved(whole, tmp_path / "w.pth"))
    images = picture(tmp_path, encoder.preprocessing.edge)
    cfg = timm.data.resolve_data_config({}, model=whole)
    theirs = timm.data.create_transform(**cfg)(Image.open(tmp_path / "one.png"))
    torch.testing.assert_close(encoder.preprocessing(images)[0], theirs, atol=1e-5, rtol=0)
    with torch.no_grad():
        want = whole.forward_head(whole.forward_features(theirs[None]), pre_logits=True)
        ours = encoder.net.eval()(encoder.preprocessing(images))
    torch.testing.assert_close(ours, want, atol=1e-4, rtol=1e-4)
    with pytest.raises(InputError, match=r"Unknown encoder of timm 'resnet10': .*'resnet10t'"):
        load_encoder("timm:resnet10", weights="random")
    with pytest.raises(InputError, match="cannot take an image of 3 channels and 100 x 100"):
        load_encoder("timm:vit_tiny_patch16_224", weights="random", size=100)


def test_torchxrayvision(tmp_path: Path) -> None:
    xrv = library("torchxrayvision")
    whole = xrv.models.DenseNet(weights=None).eval()
    encoder = load_encoder("xrv:densenet121-res224-all", weights=saved(whole, tmp_path / "w.pth"))
    grey = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.float32)
    theirs = torch.from_numpy(xrv.datasets.normalize(grey, 255)[None, None])
    images = torch.from_numpy(grey[None, None] / 255)
    torch.testing.assert_close(encoder.preprocessing(images), theirs, atol=1e-3, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(
            encoder.net.eval()(theirs), whole.features2(theirs), atol=1e-4, rtol=1e-4
        )
    # A colour image becomes grey as Pillow makes it.
    from PIL import Image

    colour = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    want = np.asarray(Image.fromarray(colour).convert("L"), np.float32)
    ours = Preprocessing(8, (0.0,), (1 / 255,))(
        torch.from_numpy(colour).permute(2, 0, 1)[None].float() / 255
    )
    assert np.abs(ours[0, 0].numpy() - want).max() <= 1


@pytest.mark.parametrize("kind", ["dinov2", "vit", "resnet"])
def test_transformers(kind: str, tmp_path: Path) -> None:
    transformers = library("transformers")
    small = {
        "dinov2": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"image_size": 28, "patch_size": 14},
        "vit": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"image_size": 32, "patch_size": 16, "intermediate_size": 32},
        "resnet": {"depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8},
    }[kind]
    config = transformers.AutoConfig.for_model(kind, **small)
    folder = tmp_path / "of-jane" / "own-encoder"
    torch.manual_seed(0)
    whole = transformers.AutoModel.from_config(config).eval()
    whole.save_pretrained(folder)
    card = '{"image_mean": [0.4, 0.5, 0.6], "image_std": [0.1, 0.2, 0.3], "do_center_crop": true'
    card += ', "size": {"shortest_edge": 40}, "crop_size": {"height": 28, "width": 28}}'
    if kind == "dinov2":
        (folder / "preprocessor_config.json").write_text(card)
    encoder = load_encoder(f"hf:{folder}", weights="pretrained")
    if kind == "dinov2":
        assert encoder.preprocessing.mean == (0.4, 0.5, 0.6)
        assert (encoder.preprocessing.edge, encoder.preprocessing.size) == (40, 28)
    size = encoder.preprocessing.size
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        output = whole(images)
        ours = encoder.net.eval()(images)
    # A ViT's pooler is a layer of its own that most weights lack: the class token is taken.
    want = output.last_hidden_state[:, 0] if kind == "vit" else output.pooler_output.flatten(1)
    torch.testing.assert_close(ours, want, atol=1e-5, rtol=1e-4)
    # Its file alone, by name, gives the same; and it is built again without any.
    file = str(folder / "model.safetensors")
    torch.testing.assert_close(
        load_encoder(f"hf:{folder}", weights=file).net.eval()(images), ours, atol=1e-5, rtol=1e-4
    )
    described = encoder.described()
    assert "of-jane" not in str(described) and described["name"] == "hf:own-encoder"
    shutil.rmtree(folder)
    again = load_encoder("hf:own-encoder", built_from=described)
    again.net.load_state_dict(encoder.net.state_dict())
    assert torch.equal(again.net.eval()(images), ours)
    assert again.preprocessing == encoder.preprocessing


OURS = """
from torch import nn

def maps():
    return nn.Conv2d(3, 5, 3), {"size": 32, "mean": [0.1] * 3, "std": [0.5] * 3}

def plain():
    return nn.Sequential(nn.Conv2d(1, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def grey():
    return plain(), {"size": 32, "mean": [0.5], "std": [0.25]}

def nothing():
    return "a network"

def broken():
    raise RuntimeError("no file")

def strange():
    return nn.Conv2d(3, 5, 3), {"sizes": 32}

def tokens():
    return nn.Unflatten(2, (4, 8)), {"size": 32}
"""


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our_encoders.py").write_text(OURS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "our_encoders", raising=False)


def test_a_function_of_ones_own(ours: None) -> None:
    encoder = load_encoder("python:our_encoders:maps")
    images = torch.rand(2, 3, 32, 32)
    want = encoder.net.net((images - 0.1) / 0.5).mean((2, 3))  # type: ignore[operator]
    torch.testing.assert_close(encoder(images), want)
    assert encoder.width == 5 and encoder.weights is None
    assert load_encoder("python:our_encoders:grey").width == 7
    state = {k: v + 1 for k, v in encoder.net.state_dict().items()}
    torch.save(state, "own.pth")
    other = load_encoder("python:our_encoders:maps", weights="own.pth")
    assert all(torch.equal(other.net.state_dict()[k], v) for k, v in state.items())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("python:our_encoders:nothing", "gives str: expected a torch.nn.Module"),
        ("python:our_encoders:broken", "cannot be called without arguments (RuntimeError: no file"),
        ("python:our_encoders:strange", "Unknown preprocessing 'sizes'"),
        ("python:our_encoders:plain", "cannot take an image of 3 channels"),
        ("python:our_encoders:tokens", "gives (1, 3, 4, 8, 32) for a batch"),
        ("python:our_encoders:none_such", "cannot be imported"),
        ("python:no_such_module_here:x", "cannot be imported"),
        ("python:our_encoders", "Expected an encoder python:package.module:function"),
        ("tim:resnet18", "Unknown library of encoders 'tim': expected one of timm"),
        ("resnet18", "expected LIBRARY:NAME"),
        ("torchvision:resnet19", "Did you mean 'resnet18'?"),
    ],
)
def test_what_is_no_encoder_is_named(name: str, words: str, ours: None) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        load_encoder(name)


@pytest.mark.parametrize(("package", "extra"), [("timm", "timm"), ("transformers", "hf")])
def test_a_missing_library_names_its_extra(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=re.escape(f"pip install 'fairthesis[{extra}]'")):
        load_encoder(f"{extra}:anything")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    state["layer4.1.conv2.weight"] = torch.zeros(256, 512, 3, 3)
    torch.save(state, tmp_path / "w.pth")
    shapes = re.escape("layer4.1.conv2.weight of shape (256, 512, 3, 3) for (512, 512, 3, 3)")
    with pytest.raises(InputError, match=shapes):
        load_encoder("torchvision:resnet18", weights=str(tmp_path / "w.pth"))
    with pytest.raises(InputError, match="do not fit the backbone torchvision:resnet34"):
        load_encoder("torchvision:resnet34", weights=str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    ("name", "weights", "words"),
    [
        ("torchvision:resnet18", "IMAGENET_V9", "Unknown weights of torchvision:resnet18"),
        ("timm:resnet18", "a1_in1k", "expected a file"),
        ("torchvision:resnet18", "gone.pth", "No weights file at 'gone.pth'"),
    ],
)
def test_weights_that_cannot_be_meant(name: str, weights: str, words: str) -> None:
    for check in (check_weights, lambda n, w: load_encoder(n, weights=w)):
        with pytest.raises(InputError, match=words):
            check(name, weights)


def test_offline_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", gone)
    with pytest.raises(InputError, match=r"could not be had .* give the file's path as weights"):
        load_encoder("torchvision:resnet18", weights="pretrained")


def test_random_weights_are_those_of_the_seed() -> None:
    state = torch.random.get_rng_state()
    a, b, c = (
        load_encoder("torchvision:squeezenet1_1", weights="random", seed=seed).net.state_dict()
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)


def test_any_module_is_a_backbone() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.5)).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    model = FairEncoder(net, size=20)
    assert model.disease_head[0].in_features == 6
    assert net.training and all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert model(torch.rand(4, 3, 20, 20))[0].shape == (4, 128)
    with pytest.raises(InputError, match="brings its weights"):
        FairEncoder(net, weights="w.pth")
    with pytest.raises(InputError, match="cannot take an image of 1 channels and 224 x 224"):
        FairEncoder(net, channels=1)


def test_grey_images_go_through_an_encoder_of_colour() -> None:
    model = FairEncoder("torchvision:resnet18", channels=1, size=64).eval()
    grey = torch.rand(2, 1, 64, 64)
    assert torch.equal(model.features(grey), model.features(grey.expand(-1, 3, -1, -1)))
    scaled = model.encoder.preprocessing.at(64)(grey)  # type: ignore[union-attr]
    torch.testing.assert_close(model.features(grey), model.shared_encoder(scaled))
