"""The direction of every training step, and the theorems behind the losses."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from support.batches import changed, make_batch, make_method, snapshot
from support.cohorts import planted_cohort

from fairthesis.errors import InputError
from fairthesis.methods import METHODS
from fairthesis.methods._critics import confusion_loss, critic_input
from fairthesis.methods._dependence import (
    conditional_hsic,
    cross_covariance,
    normalised_hsic,
    unbiased_hsic,
)
from fairthesis.methods._losses import masked_bce, masked_cross_entropy
from fairthesis.methods._setting import Setting, subgroup_probabilities
from fairthesis.methods.adversarial import Adversarial, AdversarialOptions, subgroup_weight
from fairthesis.models import FairEncoder
from fairthesis.training import make_table

CONTRACT = [
    {"targets": 1, "attributes": 1, "groups": 2},
    {"targets": 2, "attributes": 2, "groups": 3},
    {"targets": 1, "attributes": 1, "groups": 5, "missing": True},
]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", CONTRACT, ids=str)
def test_every_method_learns_and_predicts(name, shape):
    batch = make_batch(**shape)
    method = make_method(name, batch, shape["groups"])
    method.at(19.0, 1.0)
    first = method.update(batch)
    for _ in range(15):
        last = method.update(batch)
    assert all(math.isfinite(value) for value in last.values())
    assert last["disease_loss"] < first["disease_loss"]
    scores = method.predict(batch.images)
    assert scores.shape == batch.targets.shape
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_line_of_help_and_finite_defaults(name):
    assert METHODS[name].summary
    assert METHODS[name].__doc__ and "Reference" in METHODS[name].__doc__
    for option in dataclasses.fields(METHODS[name].Options):
        assert math.isfinite(option.default)


def test_erm_never_lets_the_attribute_shape_the_encoder():
    batch = make_batch()
    states = []
    for codes in (batch.attributes, 1 - batch.attributes):
        method = make_method("erm", batch)
        for _ in range(3):
            method.update(batch._replace(attributes=codes))
        states.append(method.model.shared_encoder.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_weight_zero_is_erm_bit_for_bit():
    batch = make_batch()
    plain, weightless = (
        make_method("erm", batch),
        make_method("adversarial", batch, adversary_weight=0.0),
    )
    for step in range(12):
        for method in (plain, weightless):
            method.at(float(step), 1.0)
            method.update(batch)
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, weightless.model.state_dict()[name]), name


def test_critic_step_lowers_the_critics_loss_and_leaves_the_encoder():
    batch = make_batch()
    method = make_method("adversarial", batch)
    method.train()
    z, _ = method.model(batch.images)
    weights = method.critic_weights(batch)
    before = snapshot(method.model)
    losses = [method.critic_step(z, batch, weights) for _ in range(60)]
    assert losses[-1] < losses[0] - 0.02
    assert not changed(before, method.model)


def test_encoder_step_raises_the_critics_loss_and_leaves_the_critics():
    batch = make_batch(n=256)
    method = make_method("adversarial", batch, hsic_weight=0.0, covariance_weight=0.0)
    method.train()
    weights = method.critic_weights(batch)
    for _ in range(30):  # critics that have something to lose
        z, _ = method.model(batch.images)
        method.critic_step(z, batch, weights)

    def loss():
        with torch.no_grad():
            z, _ = method.model(batch.images)
            inputs = critic_input(z, batch.targets)
            return (
                torch.stack(
                    [
                        masked_cross_entropy(c(inputs)[0], batch.attributes[:, 0], weights[:, 0])
                        for c in method.critics
                    ]
                )
                .mean()
                .item()
            )

    start, before = loss(), snapshot(method.critics)
    for _ in range(5):
        z, _ = method.model(batch.images)
        method.descend(method.confusion(z, batch, weights))
    assert loss() > start
    assert not changed(before, method.critics)


def test_whole_update_moves_encoder_and_critics():
    batch = make_batch()
    method = make_method("adversarial", batch)
    method.at(19.0, 1.0)
    before = snapshot(method)
    values = method.update(batch)
    moved = changed(before, method)
    assert {name.partition(".")[0] for name in moved} == {"model", "critics"}
    assert values["adversary_weight"] == method.options.adversary_weight
    assert 0 <= values["critic_auroc"] <= 1


def test_without_its_three_parts_the_weight_acts_on_nothing():
    batch = make_batch()
    off = {"confusion_weight": 0.0, "hsic_weight": 0.0, "covariance_weight": 0.0}
    parts = {}
    for weight in (0.3, 3.0):
        for name, options in (("off", off), ("on", {})):
            method = make_method("adversarial", batch, adversary_weight=weight, **options)
            method.at(19.0, 1.0)
            method.update(batch)
            parts[weight, name] = snapshot(method.model)
    assert all(torch.equal(v, parts[3.0, "off"][k]) for k, v in parts[0.3, "off"].items())
    assert not all(torch.equal(v, parts[3.0, "on"][k]) for k, v in parts[0.3, "on"].items())


def test_confusion_is_zero_at_the_prior_and_positive_elsewhere():
    prior = torch.tensor([[0.7, 0.2, 0.1]]).expand(50, -1)
    codes, weights = torch.zeros(50, 1, dtype=torch.long), torch.ones(50, 1)
    at_prior = confusion_loss([prior.log()], [prior], codes, weights)
    assert abs(float(at_prior)) < 1e-6
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert confusion_loss([logits], [prior], codes, weights) > 0.05
    # A critic that is confidently wrong is as far from the prior as one that is right.
    wrong = torch.tensor([[0.0, 0.0, 9.0]]).expand(50, -1)
    assert confusion_loss([wrong], [prior], codes, weights) > 1


def test_confusion_gradient_is_answer_minus_prior():
    prior = torch.tensor([[0.6, 0.4]])
    logits = torch.tensor([[2.0, -1.0]], requires_grad=True)
    ones = torch.ones(1, 1)
    confusion_loss([logits], [prior], torch.zeros(1, 1, dtype=torch.long), ones).backward()
    torch.testing.assert_close(logits.grad, logits.detach().softmax(1) - prior)


def test_weights_make_attribute_and_target_independent():
    batch = make_batch(n=2000, groups=3, seed=3)
    skewed = torch.where((torch.rand(2000) < 0.6)[:, None], batch.targets.long(), batch.attributes)
    batch = batch._replace(attributes=skewed)
    method = make_method("adversarial", batch, groups=3)
    weights = method.cells.rows(batch.targets, batch.attributes)[:, 0]
    share = torch.zeros(2, 3)
    share.index_put_((batch.targets[:, 0].long(), skewed[:, 0]), weights, accumulate=True)
    share /= share.sum(1, keepdim=True)
    torch.testing.assert_close(share, torch.full((2, 3), 1 / 3), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(method.priors(batch)[0], torch.full((2000, 3), 1 / 3))


@pytest.mark.parametrize("case", ["two targets", "missing labels", "two attributes"])
def test_the_prior_is_the_weighted_share_given_all_targets(case):
    """Then a critic that recovers nothing beyond y says the prior; confusing it asks no more."""
    g = torch.Generator().manual_seed(0)
    batch = make_batch(n=20_000, targets=2 if case == "two targets" else 1, seed=3)
    flip = torch.rand(20_000, generator=g) < 0.1
    a = torch.where(flip, 1 - batch.targets[:, 0], batch.targets[:, 0]).long()[:, None]
    y = batch.targets.clone()
    if case == "missing labels":  # most of them in one group
        y[torch.rand(len(a), generator=g) < torch.where(a[:, 0] == 1, 0.3, 0.05)] = math.nan
    if case == "two attributes":
        a = torch.cat([a, torch.randint(0, 2, a.shape, generator=g)], dim=1)
    batch = batch._replace(images=batch.images[:, :, :2, :2], targets=y, attributes=a)
    method = make_method("adversarial", batch)
    weights, priors = method.critic_weights(batch), method.priors(batch)
    pattern = torch.nan_to_num(y, nan=2.0) @ torch.tensor([3.0, 1.0][: y.shape[1]])
    seen = pattern.unique()
    assert len(seen) == {"two targets": 4, "missing labels": 3, "two attributes": 2}[case]
    for k in range(a.shape[1]):
        for code in seen:
            rows = pattern == code
            share = torch.bincount(a[rows, k], weights[rows, k], minlength=2)
            torch.testing.assert_close(
                priors[k][rows].mean(0), share / share.sum(), atol=0.01, rtol=0
            )
            if k == 0 and code < 2 and case == "two targets":  # the weights reach a half
                torch.testing.assert_close(
                    share / share.sum(), torch.full((2,), 0.5), atol=0.02, rtol=0
                )


def test_of_one_stated_target_the_shares_are_the_subgroups_to_the_digit():
    batch = make_batch(n=500, groups=3, missing=True)
    method = make_method("adversarial", batch, groups=3)
    stated = ~torch.isnan(batch.targets[:, 0])
    y = batch.targets[stated, 0].long()
    (given,), (subgroup,) = method.given, method.setting.subgroups
    assert torch.equal(given.rows(given.shares, batch.targets)[stated], subgroup[0][y])
    both = (batch.targets, batch.attributes)
    cells = method.cells.rows(*both)[stated, 0]
    torch.testing.assert_close(method.critic_weights(batch)[stated, 0], cells)


def test_a_rare_pattern_of_targets_leans_on_each_of_them():
    from fairthesis.methods._subgroups import SharesGiven

    y = torch.tensor([[0.0, 0.0]] * 400 + [[1.0, 1.0]] * 400 + [[1.0, 0.0]])
    a = torch.tensor([0] * 400 + [1] * 400 + [1])
    subgroups = torch.tensor([[[0.8, 0.2], [0.2, 0.8]], [[0.6, 0.4], [0.4, 0.6]]])
    given = SharesGiven.of(y, a, subgroups)
    rare = given.rows(given.shares, y[-1:])[0]
    torch.testing.assert_close(rare, torch.tensor([20 * 0.4, 20 * 0.6 + 1]) / 21)


def test_weight_of_an_empty_corner_is_bounded():
    weight = subgroup_weight(torch.tensor([[[0.999, 0.001], [0.5, 0.5]]]))
    assert weight.max() == 10
    assert weight[0, 1, 0] == 1


def test_masked_losses_equal_losses_over_known_rows():
    y = torch.tensor([[1.0], [math.nan], [0.0]])
    logits = torch.tensor([[0.3], [5.0], [-0.2]])
    known = torch.nn.functional.binary_cross_entropy_with_logits(logits[[0, 2]], y[[0, 2]])
    torch.testing.assert_close(masked_bce(logits, y), known)
    assert masked_bce(logits, torch.full((3, 1), math.nan)) == 0
    codes = torch.tensor([0, -1, 1])
    two = torch.randn(3, 2)
    expected = torch.nn.functional.cross_entropy(two[[0, 2]], codes[[0, 2]])
    torch.testing.assert_close(masked_cross_entropy(two, codes), expected)


def test_hsic_is_that_of_the_definition_and_small_under_independence():
    g = torch.Generator().manual_seed(0)
    z, a = torch.randn(40, 3, generator=g), torch.randint(0, 2, (40,), generator=g)
    squared = torch.cdist(z, z).square()
    k = torch.exp(-squared / squared[~torch.eye(40, dtype=torch.bool)].median())
    label = (a[:, None] == a[None, :]).float()
    h = torch.eye(40) - 1 / 40
    hsic = lambda p, q: torch.trace(p @ h @ q @ h)  # noqa: E731
    expected = hsic(k, label) / (hsic(k, k) * hsic(label, label)).sqrt()
    torch.testing.assert_close(normalised_hsic(z, a, 2), expected, rtol=1e-4, atol=1e-5)
    many, codes = torch.randn(600, 3, generator=g), torch.randint(0, 2, (600,), generator=g)
    assert normalised_hsic(many, codes, 2) < 0.05
    assert normalised_hsic(many + 3 * codes[:, None], codes, 2) > 0.5


def test_unbiased_hsic_is_the_definition_over_pairs_and_zero_on_average():
    g = torch.Generator().manual_seed(0)
    z, a = torch.randn(30, 2, generator=g), torch.randint(0, 3, (30,), generator=g)
    squared = torch.cdist(z, z).square()
    off = ~torch.eye(30, dtype=torch.bool)
    k = torch.exp(-squared / squared[off].median())
    total = 0.0
    for one, other in ((0, 1), (0, 2), (1, 2)):
        p, q = torch.where(a == one)[0].tolist(), torch.where(a == other)[0].tolist()
        inside = [np.mean([k[i, j] for i in s for j in s if i != j]) for s in (p, q)]
        total += sum(inside) - 2 * np.mean([k[i, j] for i in p for j in q])
    w = (1 / torch.bincount(a)[a].float()) / 3
    h = torch.eye(30) - torch.outer(torch.ones(30), w)
    root = torch.outer(w, w).sqrt()
    norm = [((h @ m @ h.T) * root).square().sum() for m in (k, (a[:, None] == a).float())]
    expected = total / 27 / (norm[0] * norm[1]).sqrt()
    value = unbiased_hsic(z, a, 3, least=2)
    torch.testing.assert_close(value, expected.float(), rtol=1e-4, atol=1e-6)

    values, plain = [], []
    for _ in range(200):
        z, a = torch.randn(60, 8, generator=g), (torch.rand(60, generator=g) < 0.3).long()
        values.append(float(unbiased_hsic(z, a, 2)))
        plain.append(float(normalised_hsic(z, a, 2, 1 / torch.bincount(a)[a].float())))
    assert abs(np.mean(values)) < 4 * np.std(values) / 200**0.5
    assert np.mean(plain) > 0.05  # what the plug-in value says of independence


def test_a_few_rows_of_a_rare_group_do_not_rule_hsic():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(63, 2, generator=g, requires_grad=True)
    a = torch.tensor([0] * 30 + [1] * 24 + [2] * 7 + [3] * 2)
    large = unbiased_hsic(z[:54], a[:54], 4)
    torch.testing.assert_close(unbiased_hsic(z, a, 4), large)
    assert unbiased_hsic(z, a, 4, least=2) != large
    unbiased_hsic(z, a, 4).backward()
    assert z.grad[:54].abs().sum() > 0 and z.grad[54:].abs().sum() == 0
    rare = torch.tensor([0] * 50 + [1] * 3)  # of two groups both are heard, if they have two rows
    assert unbiased_hsic(z[:53], rare, 2) != 0
    assert unbiased_hsic(z[:51], rare[:51], 2) == 0


def test_the_classifier_keeps_up_with_a_normalised_embedding():
    batch = make_batch()._replace(targets=(torch.arange(96) % 4 == 0).float()[:, None])
    for name in ("erm", "domain_independent"):
        method = make_method(name, batch, classifier_rate=10.0)
        heads = method.heads[0] if name == "domain_independent" else method.model.disease_classifier
        torch.testing.assert_close(heads.bias, torch.full_like(heads.bias, np.log(1 / 3)))
        rest = method.model.disease_head[0].weight
        before = [parameter.detach().clone() for parameter in (heads.weight, rest)]
        method.at(0.0, 1.0)
        method.update(batch)  # Adam's first step is the rate itself, whatever the gradient
        after = [heads.weight.detach(), rest.detach()]
        moved = [float((new - old).abs().max()) for new, old in zip(after, before, strict=True)]
        assert moved == pytest.approx([1e-2, 1e-3], rel=0.02)


def test_conditional_hsic_ignores_what_the_target_explains():
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, 2, (800,), generator=g)
    a = torch.where(torch.rand(800, generator=g) < 0.85, y, 1 - y)
    z = torch.randn(800, 2, generator=g) + 4 * y[:, None]
    assert normalised_hsic(z, a, 2) > 0.2
    assert conditional_hsic(z, a, 2, y.float()) < 0.05
    assert conditional_hsic(z, torch.full_like(a, -1), 2, y.float()) == 0


def test_cross_covariance_is_mean_squared_correlation():
    a, b = torch.randn(200, 3), torch.randn(200, 2)
    both = np.corrcoef(a.numpy().T, b.numpy().T)[:3, 3:]
    torch.testing.assert_close(
        cross_covariance(a, b), torch.tensor((both**2).mean(), dtype=torch.float32)
    )


def test_ramp_rises_from_zero_to_its_value():
    method = make_method("adversarial", make_batch(), adversary_weight=2.0)
    weights = []
    for epoch in np.linspace(0, 12, 49):
        method.at(float(epoch), 1.0)
        weights.append(method.weight())
    assert weights[0] == 0 and weights[12] == 0
    assert weights == sorted(weights)
    assert weights[-1] == 2.0


def test_one_critic_at_a_time_starts_again():
    batch = make_batch()
    method = make_method("adversarial", batch, reset_every=1)
    method.at(19.0, 1.0)
    resets = []
    for _ in range(3):
        method.step += 1
        before = snapshot(method.critics)
        method.reset_one()
        resets.append({name.partition(".")[0] for name in changed(before, method.critics)})
    assert resets == [{"1"}, {"2"}, {"0"}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adversary_weight": -1.0}, "adversary_weight to be 0 or larger, but got -1.0"),
        ({"adversary_weight": math.nan}, "adversary_weight"),
        ({"critic_steps": 0}, "critic_steps to be 1 or larger, but got 0"),
        ({"critic_rate": -1.0}, "critic_rate to be 1e-08 or larger, but got -1.0"),
        ({"critic_rate": math.inf}, "critic_rate to be 1e-08 or larger, but got inf"),
        ({"ramp_epochs": -2}, "ramp_epochs to be 0 or larger"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(InputError, match=words):
        AdversarialOptions(**options)


def test_too_few_epochs_for_the_ramp_are_refused():
    with pytest.raises(InputError, match="warmup_epochs \\+ ramp_epochs is 8"):
        make_method("adversarial", make_batch(), epochs=6)


def fresh_probe(z, a, y, parts):
    """AUROC of a fresh MLP for the attribute given the target: the mean over its classes."""
    probe = MLPClassifier((64,), max_iter=300, early_stopping=True, random_state=0)
    probe.fit(z[parts == "val"], a[parts == "val"])
    values = []
    for c in (0, 1):
        judge = (parts == "test") & (y == c)
        values.append(roc_auc_score(a[judge], probe.predict_proba(z[judge])[:, 1]))
    return float(np.mean(values))


def test_fresh_probe_recovers_a_planted_attribute_from_erm_and_not_from_ours():
    cohort = planted_cohort(8000, seed=1, spot=10.0)
    images = cohort.render(np.arange(len(cohort)), 16)
    table = make_table(cohort, images, np.ones(len(cohort), bool), ("disease",), ("site",))
    found = {}
    strong = {"adversary_weight": 1.0, "hsic_weight": 15.0}
    for name, options in (("erm", {}), ("adversarial", strong)):
        torch.manual_seed(0)
        rows = torch.from_numpy(table.rows["train"])
        subgroups = (subgroup_probabilities(table.targets[rows], table.attributes[rows][:, 0], 2),)
        model = FairEncoder(
            "small", channels=1, disease_dim=16, sensitive_dim=8, disease_norm="whitening"
        )
        kind = METHODS[name]
        known = (table.targets[rows], table.attributes[rows])
        method = kind(model, kind.Options(**options), Setting(2e-3, 1e-4, 14, 0, subgroups, *known))
        order = np.random.default_rng(0)
        for epoch in range(14):
            method.at(float(epoch), 1.0 if epoch < 11 else 0.2)
            shuffled = order.permutation(table.rows["train"])
            for start in range(0, len(shuffled) - 256, 256):
                method.update(table.batch(shuffled[start : start + 256]))
        with torch.no_grad():
            everything = table.batch(np.arange(len(cohort)))
            z = method.embed(everything.images)[0].numpy()
            scores = method.predict(everything.images)[:, 0].numpy()
        a, y = table.attributes[:, 0].numpy(), table.targets[:, 0].numpy()
        parts = cohort.frame["split"].to_numpy()
        test = parts == "test"
        found[name] = (fresh_probe(z, a, y, parts), roc_auc_score(y[test], scores[test]))
    assert found["erm"][0] > 0.65, found  # it is there to be recovered
    assert abs(found["adversarial"][0] - 0.5) < 0.05, found  # and is gone, to within the floor
    # With the default weights, chosen for 16,000 images and 30 epochs, the probe ended between 0.61
    # and 0.70 here, with the number of threads: 4,800 images and 14 epochs are few.
    # An observer who knows the spot's place and brightness, and not the corner, reaches
    # Phi(10 / 6.25 / sqrt 2) = 0.87; plain training goes beyond, by the corner.
    assert found["adversarial"][1] > 0.75, found


def test_options_are_typed():
    with pytest.raises(TypeError):
        AdversarialOptions(nonsense=1)
    assert issubclass(Adversarial.Options, METHODS["erm"].Options)
