"""FairEncoder: a shared encoder with a disease head and a sensitive head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.errors import InputError, unknown
from fairthesis.models._weights import load_weights

# Channel statistics of ImageNet, which torchvision's weights expect.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: How images are scaled before the encoder: by fixed statistics, or with each image's own mean in
#: each channel subtracted (see ``FairEncoder``).
INPUT_NORMS = ("fixed", "centred")
#: Arithmetic of the shared encoder; weights and heads are float32 in both cases.
PRECISIONS = ("float32", "bfloat16")


def _small(channels: int, width: int = 16) -> tuple[nn.Module, int]:
    """Six 3x3 convolutions in three stages; about 70,000 parameters, for images of 32 to 96 px."""
    layers: list[nn.Module] = []
    before = channels
    for stage, after in enumerate((width, 2 * width, 4 * width)):
        if stage:
            layers.append(nn.MaxPool2d(2))
        for stride in (2 if stage == 0 else 1, 1):
            layers += [
                nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
            before = after
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers), before


def _resnet(name: str) -> Callable[[int], tuple[nn.Module, int]]:
    def build(channels: int) -> tuple[nn.Module, int]:
        from fairthesis.models._torchvision import torchvision

        net = getattr(torchvision.models, name)(weights=None)
        width = net.fc.in_features
        net.fc = nn.Identity()
        if channels != 3:
            net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        return net, width

    return build


#: Name -> function that takes the number of channels and gives the network without its classifier,
#: and the number of its features: 2048 for ``resnet50``, 512 for ``resnet18`` (He et al., CVPR
#: 2016, as in torchvision), 64 for ``small`` (six convolutions, about 70,000 parameters).
BACKBONES: dict[str, Callable[[int], tuple[nn.Module, int]]] = {
    "resnet50": _resnet("resnet50"),
    "resnet18": _resnet("resnet18"),
    "small": _small,
}


def _mlp(inputs: int, hidden_dim: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden_dim), nn.ReLU(inplace=True), nn.Linear(hidden_dim, outputs)
    )


class Whitening(nn.Module):
    """Mean 0 and covariance I: batch normalisation of every direction, not only of every column.

    With L Lᵀ the Cholesky factor of the batch's covariance (plus 1e-8 of its mean variance) the
    output is (z - mean) L⁻ᵀ. Like batch normalisation it uses the batch in training and running
    means in evaluation, where it is one affine map. No direction of the output is small, so nothing
    can be hidden in one: after column-wise normalisation an embedding of 128 columns may still have
    principal directions with 1e-6 of the variance, which critics of ordinary scale do not see and a
    fresh probe does.

    Args:
        dim: number of columns.
        momentum: share of a batch in the running mean and covariance.

    Raises:
        InputError: for a batch, in training, of no more rows than columns.

    Reference: Huang et al., *Decorrelated Batch Normalization*, CVPR 2018.

    >>> z = torch.randn(400, 3) @ torch.tensor([[1.0, 0, 0], [1, 0.1, 0], [0, 1, 0.1]])
    >>> torch.allclose(torch.cov(Whitening(3)(z).T, correction=0), torch.eye(3), atol=1e-3)
    True
    """

    running_mean: Tensor
    running_covariance: Tensor
    folded: Tensor

    def __init__(self, dim: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("running_mean", torch.zeros(dim))
        self.register_buffer("running_covariance", torch.eye(dim))
        # L⁻ᵀ of the running covariance: evaluation is one affine map, which can be exported.
        self.register_buffer("folded", torch.eye(dim, dtype=torch.float64), persistent=False)
        self.folded_from: tuple[int, ...] = ()
        self.register_load_state_dict_post_hook(_fold_loaded)  # type: ignore[no-untyped-call]

    def fold(self) -> None:
        """Make the matrix of evaluation anew where the running covariance is another one."""
        covariance = self.running_covariance
        version = (id(covariance), covariance._version, id(self.folded))
        if version == self.folded_from:
            return
        with torch.no_grad():
            wide = covariance.double()
            eye = torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
            factor = self.factor(wide)
            self.folded = torch.linalg.solve_triangular(factor, eye, upper=False).T.contiguous()
        self.folded_from = (id(covariance), covariance._version, id(self.folded))

    def factor(self, covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
        """The Cholesky factor L of a covariance and a little of its mean variance."""
        small = 1e-8 * covariance.diagonal().mean().detach() + 1e-20
        return torch.linalg.cholesky(covariance + small * torch.eye(len(covariance)).to(covariance))

    def train(self, mode: bool = True) -> Whitening:
        super().train(mode)
        if not mode:
            _fold_loaded(self)  # before a tracer looks: the factoring is no part of an export
        return self

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        wide = z.double()  # the factor of a nearly singular covariance needs the digits
        if not self.training:
            if not (torch.compiler.is_compiling() or torch._C._get_tracing_state()):
                self.fold()
            return ((wide - self.running_mean) @ self.folded.to(wide.dtype)).to(z.dtype)
        if len(z) <= z.shape[1]:
            raise InputError(
                f"A batch of {len(z)} images cannot whiten {z.shape[1]} directions: expected "
                "more images than disease_dim. Raise batch_size or lower disease_dim."
            )
        mean = wide.mean(0)
        centred = wide - mean
        covariance = centred.T @ centred / len(z)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(z.dtype), self.momentum)
            self.running_covariance.lerp_(covariance.to(z.dtype), self.momentum)
        white = torch.linalg.solve_triangular(self.factor(covariance), centred.T, upper=False).T
        return white.to(z.dtype)


def _fold_loaded(module: Whitening, _: object = None) -> None:
    with suppress(RuntimeError):  # torch's, of what is no covariance: the next batch reports it
        module.fold()


#: What the disease embedding is normalised by: ``Whitening``, or batch normalisation without affine
#: parameters.
NORMS = ("whitening", "batch")


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
            ``small`` (six convolutions, for a CPU).
        channels: 1 for grey images, 3 for colour.
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

    Images are floats of shape (n, channels, height, width), range 0 to 1.

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
        if backbone not in BACKBONES:
            raise unknown("backbone", backbone, BACKBONES)
        sizes = {"hidden_dim": hidden_dim, "disease_dim": disease_dim, "targets": targets}
        for name, value in (sizes | {"sensitive_dim": sensitive_dim}).items():
            if value < 1:
                raise InputError(f"Expected {name} to be an integer larger than 0, but got {value}")
        if channels not in (1, 3):
            raise InputError(f"Expected channels to be 1 (grey) or 3 (colour), but got {channels}")
        if any(number < 2 for number in groups):
            raise InputError(f"Expected every attribute to have 2 groups or more, got {groups}")
        self.shared_encoder, width = BACKBONES[backbone](channels)
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

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """What both heads are given: the shared encoder's output, shape (n, features)."""
        mean = images.mean((2, 3), keepdim=True) if self.input_norm == "centred" else self.mean
        scaled = (images - mean) / self.std
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        # An ONNX graph has float32 throughout: few runtimes have convolutions of bfloat16.
        if self.precision == "float32" or torch.onnx.is_in_onnx_export():
            return self.shared_encoder(scaled)
        with torch.autocast(images.device.type, torch.bfloat16):
            return self.shared_encoder(scaled).float()

    def forward(
        self, images: Float[Tensor, "n c h w"]
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
