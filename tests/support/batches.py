"""Batches, methods and a cohort for the tests of methods."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from fairthesis.methods import METHODS, Batch, Setting, subgroup_probabilities
from fairthesis.models import FairEncoder
from support.cohorts import planted_cohort

# Options that let a run of three epochs show all phases of a method.
QUICK = {
    "warmup_epochs": 0,
    "ramp_epochs": 0,
    "identify_epochs": 1,
    "retrain_epochs": 1,
    "reset_every": 2,
}


def quick(name, **options):
    """The method's options for a short run."""
    names = {option.name for option in dataclasses.fields(METHODS[name].Options)}
    return {k: v for k, v in QUICK.items() if k in names} | options


def make_batch(n=96, targets=1, attributes=1, groups=2, missing=False, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = (torch.rand(n, targets, generator=g) < 0.5).float()
    a = torch.randint(0, groups, (n, attributes), generator=g)
    x = torch.rand(n, 1, 24, 24, generator=g) * 0.3
    x[:, :, 8:14, 8:14] += 0.4 * y[:, :1, None, None]
    x[:, :, :4, :8] += 0.4 * (a[:, :1, None, None] > 0)
    if missing:
        y[::5, 0] = math.nan
        a[::7, 0] = -1
    return Batch(x, y, a)


def make_method(name, batch, groups=2, epochs=20, classifier_rate=1.0, model=None, **options):
    torch.manual_seed(0)
    attributes = batch.attributes.shape[1]
    encoder = FairEncoder(
        "small",
        channels=1,
        disease_dim=16,
        sensitive_dim=8,
        targets=batch.targets.shape[1],
        groups=[groups] * attributes,
        **(model or {}),
    )
    subgroups = tuple(subgroup_probabilities(batch.targets, a, groups) for a in batch.attributes.T)
    kind = METHODS[name]
    labels = (batch.targets, batch.attributes)
    setting = Setting(1e-3, 1e-4, epochs, 0, subgroups, *labels, classifier_rate=classifier_rate)
    return kind(encoder, kind.Options(**options), setting)


def snapshot(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def changed(before, module):
    return {n for n, value in module.named_parameters() if not torch.equal(value, before[n])}


def many_sided_cohort(n=300):
    """Two targets, an attribute of three groups and one of two; 15 % of everything is unknown."""
    cohort = planted_cohort(n, groups=3, missing=0.15)
    rng = np.random.default_rng(7)
    device = np.array(["A", "B"], object)[rng.integers(0, 2, n)]
    device[rng.random(n) < 0.15] = None
    other = cohort.frame["other"].where(rng.random(n) > 0.15)
    frame = cohort.frame.assign(device=device, other=other)
    return dataclasses.replace(cohort, frame=frame, attributes=("site", "device"))
