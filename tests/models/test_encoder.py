import pytest
import torch
from torch import nn

from fairthesis.errors import InputError
from fairthesis.models._encoder import BACKBONES, FairEncoder, Whitening
from fairthesis.models._torchvision import torchvision


def test_default_is_the_thesis_network():
    model = FairEncoder()
    assert sum(p.numel() for p in model.shared_encoder.parameters()) == sum(
        p.numel()
        for name, p in torchvision.models.resnet50().named_parameters()
        if not name.startswith("fc.")
    )
    for head in (model.disease_head, model.sensitive_head):
        assert head[0].out_features == 256


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_backbone_gives_two_embeddings(backbone, channels):
    model = FairEncoder(
        backbone, channels=channels, disease_dim=12, sensitive_dim=7, targets=3, groups=(2, 5)
    )
    disease_emb, sensitive_emb = model(torch.rand(4, channels, 64, 64))
    assert disease_emb.shape == (4, 12)
    assert sensitive_emb.shape == (4, 7)
    assert model.disease_logits(disease_emb).shape == (4, 3)
    assert [tuple(x.shape) for x in model.sensitive_logits(sensitive_emb)] == [(4, 2), (4, 5)]


def test_disease_embedding_cannot_hide_behind_scale():
    model = FairEncoder("small", channels=1).train()
    images = torch.rand(64, 1, 32, 32)
    before, _ = model(images)
    with torch.no_grad():
        model.disease_head[-1].weight.mul_(1e-2)
        model.disease_head[-1].bias.mul_(1e-2)
    after, _ = model(images)
    torch.testing.assert_close(after.std(0), before.std(0), rtol=0.2, atol=0.1)
    assert not list(model.disease_norm.parameters())


def test_no_direction_of_a_whitened_embedding_is_small():
    torch.manual_seed(0)
    hidden = torch.randn(4000, 2)
    hidden[:, 1] *= 1e-3  # hides in the difference of two columns that look alike
    z = torch.stack([hidden[:, 0], hidden[:, 0] + hidden[:, 1]], dim=1)
    columns, white = nn.BatchNorm1d(2, eps=1e-10, affine=False), Whitening(2)
    assert torch.linalg.eigvalsh(torch.cov(columns(z).T)).min() < 1e-5
    torch.testing.assert_close(torch.cov(white(z).T, correction=0), torch.eye(2), atol=0.05, rtol=0)


def test_whitening_uses_running_statistics_in_evaluation():
    torch.manual_seed(0)
    white, mix = Whitening(3), torch.randn(3, 3)
    for _ in range(200):
        white(torch.randn(256, 3) @ mix + 5)
    white.eval()
    z = torch.randn(20000, 3) @ mix + 5
    out = white(z)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=0.1, rtol=0)
    torch.testing.assert_close(torch.cov(out.T), torch.eye(3), atol=0.1, rtol=0)
    torch.testing.assert_close(white(z[:7]), out[:7])  # a row does not depend on its neighbours


def test_whitening_passes_the_right_gradient():
    torch.manual_seed(0)
    white = Whitening(3).double()
    z = torch.randn(9, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(white, z)


def test_fewer_images_than_directions_are_refused():
    with pytest.raises(InputError, match="batch of 8 images cannot whiten 16 directions"):
        FairEncoder("small", disease_dim=16, disease_norm="whitening")(torch.rand(8, 3, 32, 32))


def test_a_centred_encoder_sees_no_tint():
    torch.manual_seed(0)
    images = torch.rand(6, 3, 32, 32) * 0.5
    tinted = images + torch.rand(6, 3, 1, 1) * 0.5  # each image a colour of its own
    for norm, blind in (("centred", True), ("fixed", False)):
        model = FairEncoder("small", input_norm=norm).eval()
        same = torch.allclose(model.features(images), model.features(tinted), atol=1e-5)
        assert same == blind, norm
    moved = images.roll(1, dims=0)  # it still tells pictures apart
    assert not torch.allclose(model.features(images), model.features(moved), atol=1e-3)


def test_bfloat16_is_the_same_network_rounded():
    torch.manual_seed(0)
    exact = FairEncoder("small", channels=1)
    rounded = FairEncoder("small", channels=1, precision="bfloat16")
    rounded.load_state_dict(exact.state_dict())
    images = torch.rand(32, 1, 48, 48)
    ours, theirs = (model.features(images) for model in (rounded, exact))
    assert ours.dtype == torch.float32
    difference = (ours - theirs).abs().mean() / theirs.std()
    assert 0 < difference < 0.03  # 8 bits of mantissa, six layers
    ours.sum().backward()
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in rounded.parameters())


def test_weights_from_a_file_reach_the_backbone(tmp_path):
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, tmp_path / "w.pth")
    colour = FairEncoder("resnet18", weights=str(tmp_path / "w.pth"))
    torch.testing.assert_close(colour.shared_encoder.conv1.weight, state["conv1.weight"])
    grey = FairEncoder("resnet18", channels=1, weights=str(tmp_path / "w.pth"))
    # A grey picture given three times over excites the first layer as it did the original.
    x = torch.rand(2, 1, 32, 32)
    conv = nn.functional.conv2d
    torch.testing.assert_close(
        conv(x, grey.shared_encoder.conv1.weight),
        conv(x.expand(-1, 3, -1, -1), state["conv1.weight"]),
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"backbone": "resnet5"}, "Unknown backbone 'resnet5'"),
        ({"channels": 2}, "channels to be 1 (grey) or 3 (colour), but got 2"),
        ({"hidden_dim": 0}, "hidden_dim to be an integer larger than 0, but got 0"),
        ({"groups": (1,)}, "2 groups or more"),
        ({"backbone": "resnet18", "weights": "IMAGENET_V9"}, "Unknown weights of resnet18"),
        ({"backbone": "small", "weights": "IMAGENET1K_V1"}, "no pretrained weights"),
        ({"input_norm": "grey"}, "Unknown input_norm 'grey'"),
        ({"precision": "float8"}, "Unknown precision 'float8'"),
        ({"weights": "nowhere.pth"}, "No weights file at 'nowhere.pth'"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(InputError) as error:
        FairEncoder(**arguments)
    assert words in str(error.value)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(torchvision.models.resnet50().state_dict(), tmp_path / "w.pth")
    with pytest.raises((InputError, RuntimeError)):
        FairEncoder("resnet18", weights=str(tmp_path / "w.pth"))
