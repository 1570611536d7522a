"""The weights of target and groups: balance in every attribute, its bound, and who uses them."""

import pytest
import torch
from support.batches import make_batch, make_method

from fairthesis.methods._subgroups import MAX_WEIGHT, CellWeights


def drawn(n=6000):
    """A target, and two attributes that go with it and with one another."""
    g = torch.Generator().manual_seed(0)
    y = (torch.rand(n, generator=g) < 0.3).float()
    a = (torch.rand(n, generator=g) < 0.2 + 0.5 * y).long()
    b = (torch.rand(n, generator=g) < 0.15 + 0.4 * a + 0.2 * y).long() + (
        torch.rand(n, generator=g) < 0.3
    ).long()
    return y[:, None], torch.stack([a, b], dim=1)


def shares(y, codes, weights, groups):
    """The weighted share of each group in each class."""
    out = torch.zeros(2, groups)
    for c in (0, 1):
        rows = y[:, 0] == c
        out[c] = torch.bincount(codes[rows], weights[rows, 0], minlength=groups)
    return out / out.sum(1, keepdim=True)


def test_every_attribute_is_balanced_given_the_target():
    y, a = drawn()
    weights = CellWeights.of(y, a, [2, 3]).rows(y, a)
    assert weights.max() < MAX_WEIGHT  # else the bound would show
    for column, groups in zip(a.T, (2, 3), strict=True):
        found = shares(y, column, weights, groups)
        torch.testing.assert_close(found, torch.full((2, groups), 1 / groups))
    # Weights of each attribute by itself, averaged, balance neither.
    alone = [CellWeights.of(y, a[:, [k]], [g]).rows(y, a[:, [k]]) for k, g in ((0, 2), (1, 3))]
    found = shares(y, a[:, 0], torch.stack(alone).mean(0), 2)
    assert (found - 0.5).abs().max() > 0.03


def test_a_class_keeps_its_share_of_the_loss():
    y, a = drawn()
    a[(y[:, 0] == 1) & (a[:, 1] == 2), 1] = 1  # a group without a case
    weights = CellWeights.of(y, a, [2, 3]).rows(y, a)
    for c in (0, 1):
        rows = y[:, 0] == c
        assert weights[rows].sum().item() == pytest.approx(int(rows.sum()), rel=1e-4)


def test_what_the_bound_leaves():
    y = torch.zeros(1000, 1)
    a = torch.cat([torch.full((10,), 4), torch.arange(990) % 4])[:, None]
    cells = CellWeights.of(y, a, [5])
    weights = cells.rows(y, a)
    assert weights[0] == MAX_WEIGHT  # 20 would be balance
    share = weights[:10].sum() / weights.sum()
    assert share.item() == pytest.approx(0.11, abs=0.01)
    assert cells.least_share(1.0) == pytest.approx(5 * share.item(), rel=1e-5)
    assert cells.least_share(0.0) == pytest.approx(0.05)


def test_an_unknown_target_or_group_weighs_one():
    y, a = drawn(200)
    y[0], a[1, 0], a[2, 1] = float("nan"), -1, -1
    weights = CellWeights.of(y, a, [2, 3]).rows(y, a)
    assert weights[:3, 0].tolist() == [1.0, 1.0, 1.0] and (weights[3:] != 1).all()


def test_several_targets_have_weights_of_their_own():
    y, a = drawn()
    both = torch.cat([y, 1 - y], dim=1)
    weights = CellWeights.of(both, a, [2, 3]).rows(both, a)
    torch.testing.assert_close(weights[:, 0], weights[:, 1])


def test_a_penalty_with_weights_is_the_encoder_without_critics():
    batch = make_batch(n=128)
    ours = make_method("adversarial", batch, adversary_weight=0.3, hsic_weight=5.0,
                       confusion_weight=0.0)  # fmt: skip
    other = make_method("hsic", batch, weight=1.5, reweighting=0.75, memory=0)
    plain = make_method("hsic", batch, weight=1.5, reweighting=0, memory=0)
    assert len(ours.critics) == 0
    for step in range(12):
        losses = []
        for method in (ours, other, plain):
            method.at(float(step), 1.0)
            losses.append(float(method.update(batch)["disease_loss"]))
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0] != pytest.approx(losses[2], rel=1e-4)
