"""What every method of ``METHODS`` promises, whatever it does."""

import copy
import dataclasses
import math

import pytest
import torch
from support.batches import changed, make_batch, make_method, many_sided_cohort, quick, snapshot
from support.runs import BASE, log, same_runs

from fairthesis.errors import InputError
from fairthesis.methods import METHODS, MethodOptions
from fairthesis.training import _train as module
from fairthesis.training import train

SHAPE = {"targets": 2, "attributes": 2, "groups": 3, "missing": True}
WITH_STRENGTH = [name for name, method in METHODS.items() if method.strength]


def config(name, **options):
    refuses = name == "orthogonal" and options.get("weight") != 0  # what FCRO cannot work with
    norm = "batch" if refuses else "whitening"
    settings = dataclasses.replace(BASE, disease_norm=norm)
    return dataclasses.replace(settings, method=name, method_options=quick(name, **options))


def run(settings, out):
    return train(settings, out, cohort=many_sided_cohort(), progress=False)


def same_state(a, b):
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


@pytest.mark.parametrize("name", METHODS)
def test_a_stopped_run_of_many_targets_groups_and_gaps_ends_as_if_it_had_not(
    name, tmp_path, monkeypatch
):
    whole = run(config(name), tmp_path / "whole")
    lines = log(whole)
    assert len(lines) == 3
    assert all(math.isfinite(value) for line in lines for value in line.values()), lines
    real = module._epoch

    def dies(settings, method, table, epoch, *more):
        if epoch == 2:
            raise KeyboardInterrupt
        return real(settings, method, table, epoch, *more)

    monkeypatch.setattr(module, "_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        run(config(name), tmp_path / "stopped")
    monkeypatch.setattr(module, "_epoch", real)
    same_runs(whole, run(config(name), tmp_path / "stopped"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(config("erm"), tmp_path_factory.mktemp("erm") / "r")


@pytest.mark.parametrize("name", WITH_STRENGTH)
def test_strength_zero_is_the_erm_run_bit_for_bit(name, plain, tmp_path):
    same_runs(plain, run(config(name, **{METHODS[name].strength: 0}), tmp_path / "r"))


def test_methods_whose_strength_can_be_zero():
    without = set(METHODS) - set(WITH_STRENGTH)
    assert without == {"erm", "groupdro", "domain_independent", "jtt", "last_layer"}


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"erm"}))
def test_every_method_is_not_erm(name):
    batch = make_batch(targets=2, attributes=2, groups=3)
    plain, other = (make_method(n, batch, 3, epochs=3, **quick(n)) for n in ("erm", name))
    for method in (plain, other):
        method.begin(1, lambda: torch.linspace(0, 1, 192).view(96, 2))
        method.at(2.5, 1.0)
        order = torch.from_numpy(method.order(2)[:64])
        method.update(batch._replace(**{f: getattr(batch, f)[order] for f in batch._fields}))
    assert changed(snapshot(plain.model), other.model)


OUT_OF_RANGE = [
    (name, option.name, value)
    for name, method in METHODS.items()
    if name != "adversarial"  # has its own in test_methods.py
    for option in dataclasses.fields(method.Options)
    for value in (-1, math.nan, math.inf)
    if value == -1 or option.type == "float"
]


@pytest.mark.parametrize(("name", "option", "value"), OUT_OF_RANGE)
def test_an_option_out_of_range_is_named_with_its_value(name, option, value):
    with pytest.raises(InputError, match=f"Expected {option} to be .*, but got {value}"):
        METHODS[name].Options(**{option: value})


def with_epochs(name):
    return {option.name for option in dataclasses.fields(METHODS[name].Options)} & {
        "warmup_epochs",
        "identify_epochs",
        "retrain_epochs",
    }


@pytest.mark.parametrize("name", [name for name in METHODS if with_epochs(name)])
def test_phases_that_do_not_fit_into_the_run_are_refused(name):
    (option,) = with_epochs(name)
    with pytest.raises(InputError, match=f"{option}.*the run has 4 epochs: expected more"):
        make_method(name, make_batch(), epochs=4, **{option: 4})


@pytest.mark.parametrize("name", METHODS)
def test_rows_without_label_and_group_do_not_influence_the_step(name):
    """With batch statistics frozen, their images can be anything."""
    batch = make_batch(**SHAPE)
    hidden = torch.arange(len(batch.images)) % 4 == 1
    batch.targets[hidden], batch.attributes[hidden] = math.nan, -1
    other = batch.images.clone()
    other[hidden] = torch.rand_like(other[hidden])
    states = []
    # The covariance of the two embeddings asks for no label: there every image counts.
    options = {"covariance_weight": 0.0} if name == "adversarial" else {}
    for images in (batch.images, other):
        method = make_method(name, batch, 3, epochs=3, **quick(name, **options))
        method.train = lambda mode=True: torch.nn.Module.train(method, False)  # noqa: B023
        method.eval()
        for epoch in (0.5, 1.5, 2.5):
            method.at(epoch, 1.0)
            method.update(batch._replace(images=images))
        states.append(method.state_dict())
    for key, value in states[0].items():
        if value.dtype.is_floating_point:
            torch.testing.assert_close(value, states[1][key], rtol=1e-4, atol=1e-5, msg=key)


@pytest.mark.parametrize("name", METHODS)
def test_rows_with_a_label_do_influence_the_step(name):
    """The test above cannot pass by a method that looks at nothing."""
    batch = make_batch(**SHAPE)
    other = batch.images.clone()
    other[2::4] = torch.rand_like(other[2::4])
    states = []
    for images in (batch.images, other):
        method = make_method(name, batch, 3, epochs=3, **quick(name))
        method.train = lambda mode=True: torch.nn.Module.train(method, False)  # noqa: B023
        method.eval()
        method.at(2.5, 1.0)
        for _ in range(4):
            method.update(batch._replace(images=images))
        states.append(method.state_dict())
    key = "model.disease_classifier.weight"
    assert (states[0][key] - states[1][key]).abs().max() > 1e-4


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_in_which_nothing_is_known_moves_nothing_to_nan(name):
    batch = make_batch(**SHAPE)
    empty = batch._replace(
        targets=torch.full_like(batch.targets, math.nan),
        attributes=torch.full_like(batch.attributes, -1),
    )
    method = make_method(name, batch, 3, epochs=3, **quick(name))
    method.at(2.5, 1.0)
    assert all(math.isfinite(value) for value in method.update(empty).values())
    assert all(torch.isfinite(value).all() for value in method.state_dict().values())


@pytest.mark.parametrize("name", METHODS)
def test_training_state_is_all_that_a_method_needs(name):
    batch = make_batch(**SHAPE)
    options = quick(name)
    first = make_method(name, batch, 3, epochs=3, **options)
    for epoch in (0, 1):
        first.begin(epoch, lambda: torch.rand(batch.targets.shape))
        first.at(epoch + 0.5, 1.0)
        first.update(batch)
    second = make_method(name, batch, 3, epochs=3, **options)
    # Through a file: the optimisers would share their moments otherwise.
    second.load_training_state(copy.deepcopy(first.training_state()))
    rng = torch.get_rng_state()
    for method in (first, second):
        torch.set_rng_state(rng)
        method.at(1.7, 1.0)
        method.update(batch)
        method.begin(2, lambda: torch.rand(batch.targets.shape))
        method.at(2.5, 1.0)
        method.update(batch)
    same_state(first.state_dict(), second.state_dict())
    assert (first.order(2) == second.order(2)).all()


def test_options_are_dataclasses_of_numbers():
    for method in METHODS.values():
        assert issubclass(method.Options, MethodOptions)
        for option in dataclasses.fields(method.Options):
            assert option.type in ("int", "float")
        if method.strength:
            assert method.strength in {o.name for o in dataclasses.fields(method.Options)}
