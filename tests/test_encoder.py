import pytest
import torch
from torch import nn

from fairthesis._torchvision import torchvision
from fairthesis.encoder import BACKBONES, FairEncoder
from fairthesis.errors import InputError


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
