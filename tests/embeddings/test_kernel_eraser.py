"""What curved probes recover goes where its directions are few, and little else with it."""

import numpy as np
import pytest

from fairthesis.embeddings import KernelEraser, Leace, fit_probe, macro_auroc, probabilities
from fairthesis.errors import InputError


def planted(kind, n=4000, d=12, seed=0):
    """A group that two of d numbers decide, neither mean nor (for xor) variance of either."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(n, d))
    rule = {
        "xor": u[:, 0] * u[:, 1] > 0,
        "ring": u[:, 0] ** 2 + u[:, 1] ** 2 > 1.4,
        "bend": u[:, 0] + u[:, 1] ** 2 > 1,
        "none": rng.random(n) < 0.5,
    }[kind]
    a = np.where(rng.random(n) < 0.05, ~rule, rule).astype(int)
    y = (u[:, 4] + 0.5 * rng.normal(size=n) > 0).astype(int)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return u @ turn, a, y


def recovered(name, z, a):
    half = len(z) // 2
    probe = fit_probe(name, z[:half], a[:half])
    return float(macro_auroc(a[half:], probabilities(probe, z[half:], 2)))


@pytest.mark.parametrize("kind", ["xor", "ring", "bend"])
def test_curved_probes_recover_less_than_after_leace(kind):
    x, a, y = planted(kind)
    fit, new = slice(0, 2000), slice(2000, None)
    after = {
        made.__name__: made().fit(x[fit], a[fit]).transform(x)[new]
        for made in (Leace, KernelEraser)
    }
    for probe in ("mlp", "boosting"):
        plain, curved = (recovered(probe, z, a[new]) for z in after.values())
        assert plain > 0.58 and curved < 0.55, (probe, plain, curved)
    assert recovered("logistic", after["KernelEraser"], a[new]) < 0.55
    # The target lies elsewhere and stays.
    assert recovered("logistic", after["KernelEraser"], y[new]) > 0.9


def test_where_there_is_nothing_curved_it_takes_what_leace_takes():
    x, a, _ = planted("none")
    eraser = KernelEraser().fit(x, a)
    assert eraser.rank_ == 1
    np.testing.assert_allclose(eraser.projection_, Leace().fit(x, a).projection_, atol=1e-9)


def test_the_seed_decides_and_the_rank_has_a_limit():
    x, a, _ = planted("ring", n=1500)
    first, again = (KernelEraser(seed=3).fit(x, a).projection_ for _ in range(2))
    np.testing.assert_array_equal(first, again)
    eraser = KernelEraser(max_rank=2).fit(x, a)
    assert eraser.rank_ == 2 and eraser.heard_[-1] > 0.55
    assert KernelEraser(max_rows=400).fit(x, a).rank_ >= 1


def test_options_out_of_range_are_refused():
    x, a, _ = planted("none", n=100)
    for options, words in (
        ({"max_rank": 0}, "max_rank is 0"),
        ({"tolerance": 0.7}, r"tolerance is 0\.7"),
        ({"n_features": 0}, "n_features is 0"),
        ({"max_rows": 1}, "max_rows is 1"),
    ):
        with pytest.raises(InputError, match=words):
            KernelEraser(**options).fit(x, a)
