"""FairEncoder: a shared encoder with a disease head and a sensitive head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fairthesis.errors import InputError, unknown
from fairthesis.models._backbones import BACKBONES, NONE
from fairthesis.models._freezing import TRAIN_BACKBONE, Frozen, freeze
from fairthesis.models._libraries import LIBRARIES, is_encoder_name
from fairthesis.models._load_encoder import Encoder, load_encoder
from fairthesis.models._normalising import NORMS, Standardise, Whitening
from fairthesis.models._pooling import Pooled, feature_width
from fairthesis.models._preprocessing import IMAGENET, with_channels
from fairthesis.models._sensitive_branch import check_sensitive_branch
from fairthesis.models._weights import RANDOM, load_weights

#: How images are scaled before the encoder: by fixed statistics, or with each image's own mean in
#: each channel subtracted (see ``FairEncoder``).
INPUT_NORMS = ("fixed", "centred")
#: Arithmetic of the shared encoder; weights and heads are float32 in both cases.
PRECISIONS = ("float32", "bfloat16", "float16")


def _mlp(inputs: int, hidden_dim: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden_dim), nn.ReLU(inplace=True), nn.Linear(hidden_dim, outputs)
    )


def _norm(name: str, dim: int) -> nn.Module:
    # With torch's default eps (1e-5) an embedding of small variance passes unscaled.
    batch = name == "batch"
    return nn.BatchNorm1d(dim, eps=1e-10, affine=False) if batch else Whitening(dim)


def check_backbone(backbone: object) -> None:
    """Refuse what is no backbone: a name that no table and no library has.

    The names within other libraries are not looked up; ``load_encoder`` does.

    Raises:
        InputError: for a name that is neither in ``BACKBONES`` nor of the form ``LIBRARY:NAME``.

    >>> check_backbone("timm:densenet121")
    >>> check_backbone("resnet19")
    Traceback (most recent call last):
    fairthesis.errors.InputError: Unknown backbone 'resnet19': ... Did you mean 'resnet18'? ...
    """
    if isinstance(backbone, nn.Module | Encoder):
        return
    known = (*BACKBONES, NONE)
    if not isinstance(backbone, str) or not (backbone in known or is_encoder_name(backbone)):
        libraries = ", ".join(f"{library}:NAME" for library in LIBRARIES)
        raise unknown("backbone", backbone, known, f"Or one of another library: {libraries}.")


def _of_anyone(
    backbone: str | nn.Module | Encoder, channels: int, weights: str | None, size: int | None
) -> tuple[nn.Module, int, Encoder | None]:
    """A backbone of another library, or a module, that gives vectors; their width; its card."""
    if isinstance(backbone, str):
        backbone = load_encoder(backbone, weights=weights, size=size)
    elif weights is not None:
        raise InputError(f"A backbone that is a module brings its weights: leave out {weights!r}.")
    if isinstance(backbone, Encoder):
        return backbone.net, backbone.width, backbone
    net = Pooled(backbone)
    return net, feature_width(net, channels, size or 224, "The backbone"), None


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
            as a foundation model gives them; a name of another library (``timm:densenet121``, see
            ``load_encoder``), or an ``Encoder``, with its own preprocessing; or any
            ``torch.nn.Module`` that makes vectors or maps of prepared images.
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
        precision: ``float32``, or ``bfloat16`` or ``float16`` for the shared encoder, with float32
            weights and heads: faster on a processor or a GPU that has such arithmetic (on a CPU:
            ``benchmarks/methods/step_cost.md``). ``float16`` is for GPUs without ``bfloat16``; its
            gradients are scaled (not those that the method ``projection`` projects), and a step
            whose gradients overflow is left out. Exported to ONNX it is float32.
        weights: None, a name of torchvision's (``IMAGENET1K_V2``), or a local state-dict file; for
            another library's backbone as for ``load_encoder``.
        size: the edge of the blank image by which the width of another library's backbone, or of
            a module's, is found; by default its own, or 224.
        train_backbone: which of the backbone's parameters learn: ``all``; ``last``, those of its
            last stage (``last_stage``); or ``none``, and then features that were computed before,
            shape (n, features), are taken in the place of images. What is frozen stays in
            evaluation mode: its batch normalisations keep their statistics.
        sensitive_branch: ``detached``: MLP_s reads the shared encoder's features; ``own``: those
            of a small encoder of the images that no other part reads, and ``sensitive_emb`` is
            normalised as ``disease_emb`` is. The rest of the model starts with the same weights.

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
    >>> own = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())  # any module: 5 maps, averaged
    >>> FairEncoder(own)(torch.rand(4, 3, 48, 48))[0].shape
    torch.Size([4, 128])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str | nn.Module | Encoder = "resnet50",
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
        size: int | None = None,
        train_backbone: str = "all",
        sensitive_branch: str = "detached",
    ) -> None:
        super().__init__()
        check_sensitive_branch(sensitive_branch, backbone != NONE and train_backbone != "none")
        if train_backbone not in TRAIN_BACKBONE:
            raise unknown("train_backbone", train_backbone, TRAIN_BACKBONE)
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        if input_norm not in INPUT_NORMS:
            raise unknown("input_norm", input_norm, INPUT_NORMS)
        if disease_norm not in NORMS:
            raise unknown("disease_norm", disease_norm, NORMS)
        check_backbone(backbone)
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
        if backbone == NONE and (weights is not None or train_backbone != "all"):
            raise InputError(
                "With backbone 'none' there is nothing to load or to freeze: leave out weights "
                f"({weights!r}) and train_backbone ({train_backbone!r})."
            )
        self.shared_encoder: nn.Module
        encoder: Encoder | None = None
        if width is not None:
            self.shared_encoder = Standardise(width)
        elif isinstance(backbone, str) and backbone in BACKBONES:
            self.shared_encoder, width = BACKBONES[backbone](channels)
            if weights not in (None, RANDOM):
                load_weights(self.shared_encoder, backbone, weights, channels)
        else:
            self.shared_encoder, width, encoder = _of_anyone(backbone, channels, weights, size)
        self.train_backbone = train_backbone
        if train_backbone == "none":
            self.shared_encoder = Frozen(self.shared_encoder, width)
        self._open = freeze(self.shared_encoder, train_backbone)
        # Convolutions are faster this way round: 1.3 to 1.6 times a step on a CPU.
        self.shared_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.disease_head = _mlp(width, hidden_dim, disease_dim)
        self.sensitive_head = _mlp(width, hidden_dim, sensitive_dim)
        self.sensitive_encoder: nn.Module | None = None
        if sensitive_branch == "own":
            colours = channels if encoder is None else encoder.preprocessing.channels
            with torch.random.fork_rng(devices=[]):  # the rest starts as without a branch
                self.sensitive_encoder, own = BACKBONES["small"](colours)
                self.sensitive_head = _mlp(own, hidden_dim, sensitive_dim)
            self.sensitive_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.sensitive_dim = sensitive_dim
        self.disease_norm = _norm(disease_norm, disease_dim)
        self.sensitive_norm = _norm(
            "batch" if self.sensitive_encoder is None else disease_norm, sensitive_dim
        )
        self.disease_classifier = nn.Linear(disease_dim, targets)
        self.sensitive_classifiers = nn.ModuleList(nn.Linear(sensitive_dim, n) for n in groups)
        self.input_norm = input_norm
        self.precision = precision
        self._compiled: nn.Module | None = None
        mean: tuple[float, ...] = IMAGENET[0] if channels == 3 else (0.5,)
        std: tuple[float, ...] = IMAGENET[1] if channels == 3 else (0.25,)
        self.encoder = encoder  # what the backbone is, where another library built it
        if encoder is not None:
            mean, std = encoder.preprocessing.mean, encoder.preprocessing.std
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> FairEncoder:
        super().train(mode)
        if mode and self.train_backbone != "all":
            self.shared_encoder.eval()
            for part in self._open.values():
                part.train()
        return self

    def open_parts(self) -> dict[str, nn.Module]:
        """The parts of the backbone that learn, by name; the whole has the name ``""``."""
        return dict(self._open)

    def features(self, images: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """What both heads are given: the shared encoder's output, shape (n, features)."""
        if isinstance(self.shared_encoder, Standardise) or (
            isinstance(self.shared_encoder, Frozen) and images.ndim == 2
        ):
            return self.shared_encoder(images)
        if isinstance(self.shared_encoder, Frozen):
            return self.shared_encoder(self.backbone_features(images))
        return self.backbone_features(images)

    def backbone_features(self, images: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        """The backbone's output for images, shape (n, features); not standardised if frozen."""
        return self._encoded(self._compiled or self._backbone, images)

    @property
    def _backbone(self) -> nn.Module:
        """The shared encoder without its standardisation, where it is frozen."""
        net = self.shared_encoder
        return net.net if isinstance(net, Frozen) else net

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Have ``torch.compile`` translate the backbone; it takes the arguments.

        Not ``nn.Module.compile``: that does nothing, and does not say so, for a network that is
        made of torch's own modules alone, as ``nn.Sequential`` is. Heads stay as they are.
        """
        # Past nn.Module, which would list the same weights a second time.
        object.__setattr__(self, "_compiled", torch.compile(self._backbone, *args, **kwargs))

    def _encoded(self, net: nn.Module, images: Float[Tensor, "n ..."]) -> Float[Tensor, "n f"]:
        if self.encoder is not None:
            images = with_channels(images, self.encoder.preprocessing.channels)
        mean = images.mean((2, 3), keepdim=True) if self.input_norm == "centred" else self.mean
        scaled = (images - mean) / self.std
        scaled = scaled.contiguous(memory_format=torch.channels_last)
        # An ONNX graph has float32 throughout: few runtimes have convolutions of bfloat16.
        if self.precision == "float32" or torch.onnx.is_in_onnx_export():
            return net(scaled)
        with torch.autocast(images.device.type, getattr(torch, self.precision)):
            return net(scaled).float()

    def forward(
        self, images: Float[Tensor, "n ..."]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n s"]]:
        """Disease embedding (n, disease_dim) and sensitive embedding (n, sensitive_dim)."""
        features = self.features(images)
        own = self.sensitive_features(images, features)
        return self.embed_disease(features), self.embed_sensitive(own)

    def sensitive_features(
        self, images: Float[Tensor, "n ..."], features: Float[Tensor, "n f"]
    ) -> Float[Tensor, "n g"]:
        """What the sensitive head reads: ``features``, or those of its own branch of the images."""
        if self.sensitive_encoder is None:
            return features
        return self._encoded(self.sensitive_encoder, images)

    def embed_disease(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n d"]:
        """Features to the disease embedding, shape (n, disease_dim)."""
        return self.disease_norm(self.disease_head(features))

    def embed_sensitive(self, features: Float[Tensor, "n g"]) -> Float[Tensor, "n s"]:
        """``sensitive_features`` to the sensitive embedding, shape (n, sensitive_dim)."""
        return self.sensitive_norm(self.sensitive_head(features))

    def disease_logits(self, disease_emb: Float[Tensor, "n d"]) -> Float[Tensor, "n t"]:
        """One logit per target, shape (n, targets)."""
        return self.disease_classifier(disease_emb)

    def sensitive_logits(self, sensitive_emb: Float[Tensor, "n s"]) -> list[Float[Tensor, "n g"]]:
        """For each attribute its groups' logits, shape (n, groups)."""
        return [classifier(sensitive_emb) for classifier in self.sensitive_classifiers]
