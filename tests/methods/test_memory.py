"""Earlier embeddings beside a batch's: the same dependence, with less noise in its gradient."""

import math

import pytest
import torch

from fairthesis.methods import METHODS, Batch, Setting, subgroup_probabilities
from fairthesis.methods._dependence import conditional_hsic, unbiased_hsic
from fairthesis.methods._memory import EmbeddingMemory, memory_rows
from fairthesis.models import FairEncoder


def test_value_and_gradient_are_those_of_all_rows():
    rng = torch.Generator().manual_seed(0)
    # Of zeros and ones: every distance between unlike rows is 1, and so is any median of them.
    z = torch.randint(0, 2, (60, 1), generator=rng, dtype=torch.float64)
    a = torch.randint(0, 2, (60,), generator=rng)
    every = z.clone().requires_grad_()
    whole = unbiased_hsic(every, a, 2)
    whole.backward()
    fresh, old = z[:20].clone().requires_grad_(), z[20:].clone().requires_grad_()
    value = unbiased_hsic(fresh, a[:20], 2, past=(old, a[20:]))
    value.backward()
    torch.testing.assert_close(value, whole)
    torch.testing.assert_close(fresh.grad, every.grad[:20] * 60 / 20)
    assert old.grad is None


def test_without_earlier_rows_nothing_changes():
    rng = torch.Generator().manual_seed(1)
    z, a = torch.randn(40, 3, generator=rng), torch.arange(40) % 2
    y = (torch.arange(40) // 20).float()
    none = torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), torch.zeros(0)
    assert unbiased_hsic(z, a, 2, past=none[:2]) == unbiased_hsic(z, a, 2)
    assert conditional_hsic(z, a, 2, y, past=none) == conditional_hsic(z, a, 2, y)
    unknown = z, torch.full((40,), -1), y  # rows of a memory that is not filled yet
    assert conditional_hsic(z, a, 2, y, past=unknown) == conditional_hsic(z, a, 2, y)


def test_a_class_of_earlier_rows_alone_has_no_gradient():
    z, a = torch.randn(12, 2, requires_grad=True), torch.arange(12) % 2
    past = torch.randn(30, 2), torch.arange(30) % 2, torch.ones(30)
    value = conditional_hsic(z, a, 2, torch.zeros(12), past=past)
    alone = conditional_hsic(z, a, 2, torch.zeros(12))
    value.backward()
    torch.testing.assert_close(value, alone / 2)  # the other class counts 0
    assert z.grad.abs().sum() > 0


def test_under_independence_the_gradient_has_less_variance():
    """Of nine times the rows about a ninth."""
    rng = torch.Generator().manual_seed(2)
    sizes = []
    for earlier in (0, 256):
        squares = []
        for _ in range(60):
            z = torch.randn(32, 2, generator=rng).requires_grad_()
            a = (torch.rand(32, generator=rng) < 0.25).long()
            old = torch.randn(earlier, 2, generator=rng)
            codes = (torch.rand(earlier, generator=rng) < 0.25).long()
            value = unbiased_hsic(z, a, 2, past=(old, codes), least=2)
            value.backward()
            squares.append(z.grad.square().sum())
        sizes.append(torch.stack(squares).mean())
    assert sizes[1] < sizes[0] / 5


def test_where_there_is_dependence_the_gradient_still_lowers_it():
    torch.manual_seed(3)
    a = torch.arange(48) % 2
    old = torch.randn(200, 2) + torch.arange(200)[:, None] % 2 * 1.5
    z = (torch.randn(48, 2) + a[:, None] * 1.5).requires_grad_()
    past = old, torch.arange(200) % 2
    before = unbiased_hsic(z, a, 2, past=past)
    before.backward()
    moved = (z - 0.5 * z.grad / z.grad.norm()).detach()
    assert unbiased_hsic(moved, a, 2, past=past) < before


def test_a_large_batch_leaves_its_last_rows():
    memory = EmbeddingMemory(4, width=1, targets=1, attributes=1)
    batch = Batch(torch.zeros(6, 1, 1, 1), torch.ones(6, 1), torch.zeros(6, 1, dtype=torch.long))
    memory.keep(torch.arange(6.0)[:, None], batch)
    assert sorted(memory.embeddings[:, 0].tolist()) == [2.0, 3.0, 4.0, 5.0]
    assert EmbeddingMemory(0, 1, 1, 1).of(0, 0) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adversarial", {"hsic_memory": 48, "confusion_weight": 0.0}),
        ("hsic", {"memory": 48}),
    ],
)
def test_a_method_goes_on_from_its_state_with_its_memory(name, options):
    y, a = torch.arange(32.0)[:, None] % 2, torch.arange(32)[:, None] // 16
    setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    kind = METHODS[name]
    images = torch.rand(3, 32, 1, 16, 16, generator=torch.Generator().manual_seed(4))

    def begun():
        torch.manual_seed(0)
        method = kind(FairEncoder("small", channels=1), kind.Options(**options), setting)
        method.at(9, 1.0)
        return method

    first = begun()
    for part in images[:2]:
        first.update(Batch(part, y, a))
    state = {key: value.clone() for key, value in first.state_dict().items()}
    assert any(key.endswith("embeddings") and value.any() for key, value in state.items())
    second, forgetful = begun(), begun()
    for method in (second, forgetful):  # the optimisers' states are not what is asked here
        method.load_state_dict(state)
    memory = forgetful.memory if name == "adversarial" else forgetful.kept
    memory.codes.fill_(-1)
    found = [
        method.update(Batch(images[2], y, a))["hsic" if name == "adversarial" else "penalty"]
        for method in (first, second, forgetful)
    ]
    assert found[0] == found[1] != found[2]


def test_hsic_is_the_adversarial_encoder_without_critics():
    y, a = torch.arange(32.0)[:, None] % 2, torch.arange(32)[:, None] // 16
    setting = Setting(1e-3, 1e-4, 20, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    images = torch.rand(5, 32, 1, 16, 16, generator=torch.Generator().manual_seed(4))
    found = {}
    for name, options in {
        "hsic": {},
        "adversarial": {"confusion_weight": 0.0, "hsic_memory": 1024},
        "within the batch": {"confusion_weight": 0.0},
    }.items():
        torch.manual_seed(0)
        model = FairEncoder("small", channels=1, disease_dim=4, groups=[2])
        kind = METHODS["hsic" if name == "hsic" else "adversarial"]
        method = kind(model, kind.Options(**options), setting)
        method.at(15, 1.0)  # past warm-up and ramp
        for part in images:
            method.update(Batch(part, y, a))
        found[name] = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.equal(found["hsic"], found["adversarial"])
    assert not torch.equal(found["hsic"], found["within the batch"])


def test_what_nothing_is_known_of_takes_no_place_and_no_nan_is_kept():
    memory = EmbeddingMemory(3, width=1, targets=2, attributes=1)
    y = torch.tensor([[1.0, math.nan], [math.nan, math.nan], [0.0, 1.0], [1.0, 1.0]])
    a = torch.tensor([[0], [1], [-1], [1]])
    memory.keep(torch.arange(4.0)[:, None], Batch(torch.zeros(4, 1, 1, 1), y, a))
    assert memory.embeddings[:, 0].tolist() == [0.0, 3.0, 0.0] and int(memory.place) == 2
    assert all(value.isfinite().all() for value in memory.state_dict().values())
    targets = memory.of(0, 1)[2]
    assert targets.isnan().tolist() == [True, False, True] and targets[1] == 1


def _mean_under_independence(images, rows, draws=150):
    """Mean and standard error of the estimate, epoch after epoch of the same images."""
    rng = torch.Generator().manual_seed(5)
    values = []
    for _ in range(draws):
        z = torch.randn(images, 4, generator=rng)  # as a trained encoder gives them every time
        a = torch.randint(0, 2, (images,), generator=rng)
        epochs = [torch.randperm(images, generator=rng) for _ in range(rows // images + 2)]
        order = torch.cat(epochs)[: rows + 48]
        past, now = order[:rows], order[rows:]
        values.append(unbiased_hsic(z[now], a[now], 2, past=(z[past], a[past])))
    found = torch.stack(values)
    return float(found.mean()), float(found.std() / math.sqrt(draws))


def test_a_memory_holds_no_image_many_times_over():
    mean, error = _mean_under_independence(120, memory_rows(1024, 120))
    assert abs(mean) < 4 * error
    mean, error = _mean_under_independence(120, 1024)  # what it would be otherwise
    assert mean > 10 * error


@pytest.mark.parametrize(("name", "option"), [("hsic", "memory"), ("adversarial", "hsic_memory")])
def test_the_methods_memory_fits_the_training_part(name, option):
    y, a = torch.arange(80.0)[:, None] % 2, torch.arange(80)[:, None] // 40
    setting = Setting(1e-3, 0.0, 10, 0, (subgroup_probabilities(y, a[:, 0], 2),), y, a)
    kind = METHODS[name]
    for asked, rows in ((1024, 40), (16, 16)):
        method = kind(FairEncoder("small", channels=1), kind.Options(**{option: asked}), setting)
        kept = method.kept if name == "hsic" else method.memory
        assert len(kept.embeddings) == rows
