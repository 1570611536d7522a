"""FairEncoder: a shared encoder with a disease head and a sensitive head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.errors import InputError, unknown
from fairthesis.models._backbones import BACKBONES, NONE
from fairthesis.models._normalising import NORMS, Standardise, Whitening
from fairthesis.models._weights import load_weights

# Channel statistics of ImageNet, which torchvision's weights expect.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: How images are scaled before the encoder: by fixed statistics, or with each image's own mean in
#: each channel subtracted (see ``FairEncoder``).
INPUT_NORMS = ("fixed", "centred")
#: Arithmetic of the shared encoder; weights and heads are float32 in both cases.
PRECISIONS = ("float32", "bfloat16")


def _mlp(inputs: int, hidden_dim: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden_dim), nn.ReLU(inplace=True), nn.Linear(hidden_dim, outputs)
    )


class FairEncoder(nn.Module):
    """A shared encoder f with two heads: ``disease_emb, sensitive_emb = model(images)``.

    ``features = f(x)``, ``disease_emb = N(MLP_d(features))``, ``sensitive_emb =
    BN(MLP_s(features))``, where BN is batch normalisation without affine parameters and N is BN
    or `Whitening`: no method can then make an embedding look independent of an attribute by
    shrinking it, and with whitening not by shrinking one direction of it either. One linear layer
    on ``disease_emb`` gives a logit per target, one on ``sensitive_emb`` the logits of each
    attribute's groups.

    Args:
        backbone: a name in ``BACKBONES``: ``resnet50`` (the thesis's), ``resnet18``, or
            ``small`` (six convolutions, for a CPU); ``none`` for vectors in the place of images,
            as a foundation model gives them.
        channels: 1 for grey images, 3 for colour.
        width: numbers of a vector, with ``none`` alone.
        hidden_dim: width of the hidden layer of both heads.
        disease_dim, sensitive_dim: sizes of the two embeddings.
        targets: number of targets, 1 or more.
        groups: number of groups of each attribute, each 2 or more.
        disease_norm: ``batch``, or ``whitening`` for training with batches of more images than
            ``disease_dim`` (several times as many is better).
        input_norm: ``fixed`` (ImageNet's statistics, or those of grey images), or ``centred``:
            each image's own mean in each channel is subtracted instead. What is left shows
            where a picture is darker or redder than itself, and no longer how dark or red it is;
            a simple form of colour constancy (Barata et al., IEEE J-BHI 2015), for lesions.
        precision: ``float32``, or ``bfloat16`` for the shared encoder, with float32 weights and
            heads: faster on a processor or a GPU that has such arithmetic (on a CPU:
            ``benchmarks/methods/step_cost.md``). Exported to ONNX it is float32.
        weights: None, a name of torchvision's (``IMAGENET1K_V2``), or a local state-dict file.

    Images are floats of shape (n, channels, height, width), range 0 to 1; vectors of shape
    (n, width), any finite numbers.

    Raises:
        InputError: for an unknown backbone or weights, or a size below its minimum.

    Reference: the thesis *Towards Fair and Accurate Medical Image Embeddings* (2024); ResNet: He
    et al., CVPR 2016.

    >>> model = FairEncoder("small", channels=1)
    >>> disease_emb, sensitive_emb = model(torch.rand(4, 1, 48, 48))
    >>> disease_emb.shape, sensitive_emb.shape
    (torch.Size([4, 128]), torch.Size([4, 64]))
    >>> model.disease_logits(disease_emb).shape
    torch.Size([4, 1])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = "resnet50",
        *,
        channels: int = 3,
        width: int | None = None,
        hidden_dim: int = 256,
        disease_dim: int = 128,
        sensitive_dim: int = 64,
        targets: int = 1,
        groups: Sequence[int] = (2,),
        weights: str | None = None,
        disease_norm: str = "batch",
        input_norm: str = "fixed",
        precision: str = "float32",
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        if input_norm not in INPUT_NORMS:
            raise unknown("input_norm", input_norm, INPUT_NORMS)
        if disease_norm not in NORMS:
            raise unknown("disease_norm", disease_norm, NORMS)
        if backbone not in (*BACKBONES, NONE):
            raise unknown("backbone", backbone, (*BACKBONES, NONE))
        if (backbone == NONE) != (width is not None):
            expected = "a width: the numbers of a vector" if width is None else "no width"
            raise InputError(f"With backbone {backbone!r} expected {expected}, but got {width}.")
        sizes = {"hidden_dim": hidden_dim, "disease_dim": disease_dim, "targets": targets}
        sizes |= {"sensitive_dim": sensitive_dim} | ({} if width is None else {"width": width})
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f"Expected {name} to be an integer larger than 0, but got {value}")
        if channels not in (1, 3):
            raise InputError(f"Expected channels to be 1 (grey) or 3 (colour), but got {channels}")
        if any(number < 2 for number in groups):
            raise InputError(f"Expected every attribute to have 2 groups or more, got {groups}")
        self.shared_encoder: nn.Module
        if width is not None:
            self.shared_encoder = Standardise(width)
        else:
            self.shared_encoder, width = BACKBONES[backbone](channels)
        if backbone == NONE and weights is not None:
            raise InputError(f"With backbone 'none' there are no weights to load: {weights!r}.")
        if weights is not None:
            load_weights(self.shared_encoder, backbone, weights, channels)
        # Convolutions are faster this way round: 1.3 to 1.6 times a step on a CPU.
        self.shared_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.disease_head = _mlp(width, hidden_dim, disease_dim)
        self.sensitive_head = _mlp(width, hidden_dim, sensitive_dim)
        # With torch's default eps (1e-5) an embedding of small variance passes unscaled.
        self.disease_norm: nn.Module = (
            nn.BatchNorm1d(disease_dim, eps=1e-10, affine=False)
            if disease_norm == "batch"
            else Whitening(disease_dim)
        )
        self.sensitive_norm = nn.BatchNorm1d(sensitive_dim, eps=1e-10, affine=False)
        self.disease_classifier = nn.Linear(disease_dim, targets)
        self.sensitive_classifiers = nn.ModuleList(nn.Linear(sensitive_dim, n) for n in groups)
        self.input_norm = input_norm
        self.precision = precision
        mean, std = (_MEAN, _STD) if channels == 3 else ((0.5,), (0.25,))
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def features(self, images: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """What both heads are given: the shared encoder's output, shape (n, features)."""
        if isinstance(self.shared_encoder, Standardise):
            return self.shared_encoder(images)
        mean = images.mean((2, 3), keepdim=True) if self.input_norm == "centred" else self.mean
        scaled = (images - mean) / self.std
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        # An ONNX graph has float32 throughout: few runtimes have convolutions of bfloat16.
        if self.precision == "float32" or torch.onnx.is_in_onnx_export():
            return self.shared_encoder(scaled)
        with torch.autocast(images.device.type, torch.bfloat16):
            return self.shared_encoder(scaled).float()

    def forward(
        self, images: Float[Tensor, "n ..."]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n s"]]:
        """Disease embedding (n, disease_dim) and sensitive embedding (n, sensitive_dim)."""
        features = self.features(images)
        return self.embed_disease(features), self.embed_sensitive(features)

    def embed_disease(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n d"]:
        """Features to the disease embedding, shape (n, disease_dim)."""
        return self.disease_norm(self.disease_head(features))

    def embed_sensitive(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n s"]:
        """Features to the sensitive embedding, shape (n, sensitive_dim)."""
        return self.sensitive_norm(self.sensitive_head(features))

    def disease_logits(self, disease_emb: Float[Tensor, "n d"]) -> Float[Tensor, "n t"]:
        """One logit per target, shape (n, targets)."""
        return self.disease_classifier(disease_emb)

    def sensitive_logits(self, sensitive_emb: Float[Tensor, "n s"]) -> list[Float[Tensor, "n g"]]:
        """For each attribute its groups' logits, shape (n, groups)."""
        return [classifier(sensitive_emb) for classifier in self.sensitive_classifiers]
