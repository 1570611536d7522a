"""Erasers keep their theorems, and are estimators of scikit-learn."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairthesis.embeddings import (
    ERASERS,
    Leace,
    MeanDifferences,
    Splince,
    WholeSpaceWarning,
    fit_leace,
)
from fairthesis.errors import InputError

# A list: of old versions it is a generator, which pytest no longer takes.
CHECKS = parametrize_with_checks([made() for made in ERASERS.values()])


@pytest.mark.filterwarnings("ignore::fairthesis.embeddings.WholeSpaceWarning")  # of one column
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_an_estimator_as_scikit_learn_wants_it(estimator, check):
    check(estimator)


def planted(k=2, n=900, d=8, seed=0):
    """Rows whose k groups and two target classes differ in means; target and group go together."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, k, n)
    y = np.where(rng.random(n) < 0.7, a % 2, rng.integers(0, 2, n))
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    x += 1.5 * rng.normal(size=(k, d))[a] + 2 * rng.normal(size=(2, d))[y]
    return x, a, y


def one_hot(a):
    return np.eye(a.max() + 1)[a]


def cross(x, a):
    return (x - x.mean(0)).T @ (one_hot(a) - one_hot(a).mean(0)) / len(x)


WAYS = {
    **{name: made() for name, made in ERASERS.items()},
    "leace, shrunk": Leace(shrinkage="auto"),
    "leace, half shrunk": Leace(shrinkage=0.5),
    "leace, five directions": Leace(directions=5),
    "splince, shrunk": Splince(shrinkage=0.3),
}


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("name", WAYS)
def test_on_the_fitting_rows_no_linear_probe_beats_the_constant(name, k):
    x, a, y = planted(k)
    before = LogisticRegression(C=1e4, max_iter=5000).fit(x, a).score(x, a)
    assert before > np.bincount(a).max() / len(a) + 0.15
    erased = clone(WAYS[name]).fit(x, a, target=y).transform(x)
    np.testing.assert_allclose(cross(erased, a), 0, atol=1e-9)
    probe = LogisticRegression(C=1e4, max_iter=5000, tol=1e-9).fit(erased, a)
    share = np.bincount(a) / len(a)
    loss = -np.log(probe.predict_proba(erased)[np.arange(len(a)), a]).mean()
    assert loss >= -(share * np.log(share)).sum() - 1e-7


@pytest.mark.parametrize("name", WAYS)
def test_a_projection_changes_nothing_when_it_is_applied_again(name):
    x, a, y = planted()
    eraser = clone(WAYS[name]).fit(x, a, target=y)
    erased = eraser.transform(x)
    np.testing.assert_allclose(eraser.transform(erased), erased, atol=1e-8)
    assert np.linalg.matrix_rank(eraser.projection_, tol=1e-8) == eraser.rank_
    spread = ((erased - erased.mean(0)) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
    assert eraser.kept_variance_ == pytest.approx(spread)


def test_leace_moves_less_than_other_projections_that_hide_the_groups():
    x, a, y = planted()
    moved = {
        name: ((clone(way).fit(x, a, target=y).transform(x) - x) ** 2).sum()
        for name, way in WAYS.items()
    }
    assert moved["leace"] <= min(moved.values()) * (1 + 1e-12)
    assert moved["mean_differences"] > 1.01 * moved["leace"] < moved["splince"] / 1.01
    # Oblique projections of rank 1 with the same kernel: off the difference s along any t.
    s = x[a == 1].mean(0) - x[a == 0].mean(0)
    rng = np.random.default_rng(1)
    for _ in range(50):
        t = rng.normal(size=8)
        other = np.outer(s, t) / (t @ s)
        assert (((x - x.mean(0)) @ other.T) ** 2).sum() >= moved["leace"]


def test_leace_goes_along_with_every_change_of_coordinates():
    """Whitening makes the erasure of A x + b that of x, mapped; mean differences have no such."""
    x, a, _ = planted(3)
    rng = np.random.default_rng(5)
    turn, shift = rng.normal(size=(8, 8)), rng.normal(size=8)
    mapped = x @ turn.T + shift
    erased = Leace().fit(x, a).transform(x)
    np.testing.assert_allclose(
        Leace().fit(mapped, a).transform(mapped), erased @ turn.T + shift, atol=1e-7
    )
    plain = MeanDifferences().fit(x, a).transform(x)
    other = MeanDifferences().fit(mapped, a).transform(mapped)
    assert np.abs(other - (plain @ turn.T + shift)).max() > 0.1


@pytest.mark.parametrize("name", ["leace", "splince", "leace, shrunk"])
def test_pieces_give_what_all_rows_at_once_give(name):
    x, a, y = planted(3, n=1000)
    x += 1000  # a mean far from 0 costs digits where sums of squares are added up
    whole = clone(WAYS[name]).fit(x, a, target=y)
    pieces = clone(WAYS[name])
    order = np.argsort(a, kind="stable")  # a piece may hold one group alone
    for part in np.array_split(order, 13):
        pieces.partial_fit(x[part], a[part], target=y[part])
    assert pieces.moments_.n == 1000 and pieces.groups_ == whole.groups_
    np.testing.assert_allclose(pieces.transform(x), whole.transform(x), rtol=0, atol=1e-7)
    np.testing.assert_allclose(pieces.projection_, whole.projection_, atol=1e-9)
    # A piece that comes later counts: the map is not the old one.
    pieces.partial_fit(x[:50] + 3.0 * (a[:50] == 0)[:, None], a[:50], target=y[:50])
    assert np.abs(pieces.transform(x) - whole.transform(x)).max() > 1e-3


def test_fit_forgets_what_was_fitted_before():
    x, a, _ = planted()
    eraser = Leace().partial_fit(x + 9, a)
    np.testing.assert_array_equal(eraser.fit(x, a).transform(x), Leace().fit(x, a).transform(x))


def test_the_function_is_the_estimator_and_the_values_may_be_text():
    x, a, _ = planted(3)
    names = np.array(["old", "young", "middle"], object)[a]
    np.testing.assert_array_equal(fit_leace(x, a)(x), Leace().fit(x, a).transform(x))
    assert Leace().fit(x, names).groups_ == ["middle", "old", "young"]
    np.testing.assert_allclose(
        Leace().fit(x, names).transform(x), Leace().fit(x, a).transform(x), atol=1e-9
    )


@pytest.mark.parametrize("k", [2, 3])
def test_splince_keeps_the_covariance_with_the_target_and_leace_does_not(k):
    x, a, y = planted(k)
    kept = Splince().fit(x, a, target=y).transform(x)
    np.testing.assert_allclose(cross(kept, y), cross(x, y), atol=1e-9)
    np.testing.assert_allclose(cross(kept, a), 0, atol=1e-9)
    plain = Leace().fit(x, a).transform(x)
    assert np.abs(cross(plain, y) - cross(x, y)).max() > 0.1
    # A head without a penalty that is fitted anew sees the same in both (the paper, theorem 2).
    fits = [np.c_[z - z.mean(0), np.ones(len(z))] for z in (kept, plain)]
    told = [z @ np.linalg.lstsq(z, y - y.mean(), rcond=1e-9)[0] for z in fits]
    np.testing.assert_allclose(told[0], told[1], atol=1e-7)


def test_splince_is_the_papers_projection():
    """P = W⁺ V (U'V)⁻¹ U' W with U the complement of W Cov(X, Z), V the range to keep."""
    x, a, y = planted(3)
    eraser = Splince().fit(x, a, target=y)
    sigma = np.cov(x.T, bias=True)
    size, axes = np.linalg.eigh(sigma)
    w, back = axes / np.sqrt(size) @ axes.T, axes * np.sqrt(size) @ axes.T

    def null(columns):
        left, strength, _ = np.linalg.svd(columns, full_matrices=True)
        return left[:, np.count_nonzero(strength > 1e-9) :]

    of_z, of_y = w @ cross(x, a), w @ cross(x, y)
    u = null(of_z)
    v = np.c_[np.linalg.svd(of_y)[0][:, :1], null(np.c_[of_z, of_y])]
    paper = back @ v @ np.linalg.inv(u.T @ v) @ u.T @ w
    np.testing.assert_allclose(np.eye(8) - eraser.projection_, paper, atol=1e-8)


def test_splince_without_a_target_is_leace_and_refuses_one_direction_for_both():
    x, a, y = planted()
    np.testing.assert_allclose(
        Splince().fit(x, a).transform(x), Leace().fit(x, a).transform(x), atol=1e-9
    )
    with pytest.raises(InputError, match="lie in one direction"):
        Splince().fit(x, a, target=a)
    with pytest.raises(InputError, match="stated in all rows"):
        Splince().fit(x, a, target=np.where(y == 1, np.nan, y))


@pytest.mark.parametrize("made", [Leace, MeanDifferences])
def test_given_the_target_groups_have_one_mean_in_each_class_and_classes_keep_theirs(made):
    x, a, y = planted()
    erased = made(given_target=True).fit(x, a, target=y).transform(x)
    marginal = made().fit(x, a).transform(x)
    apart = []
    for c in (0, 1):
        means = [erased[(y == c) & (a == g)].mean(0) for g in (0, 1)]
        np.testing.assert_allclose(means[0], means[1], atol=1e-9)
        before = [marginal[(y == c) & (a == g)].mean(0) for g in (0, 1)]
        apart.append(np.abs(before[0] - before[1]).max())
    assert max(apart) > 0.05  # marginal erasure leaves differences within the classes
    # What the target alone explains of the group stays, so the groups' means differ over all.
    assert np.abs(cross(erased, a)).max() > 0.05
    with pytest.raises(InputError, match="no target is given"):
        made(given_target=True).fit(x, a)


def test_of_the_projections_that_hide_the_groups_given_the_target_leace_moves_least():
    x, a, y = planted()
    moved = [
        ((made(given_target=True).fit(x, a, target=y).transform(x) - x) ** 2).sum()
        for made in (Leace, MeanDifferences)
    ]
    assert moved[0] < 0.99 * moved[1]


def test_few_directions_leave_nothing_outside_them():
    x, a, _ = planted()
    eraser = Leace(directions=3).fit(x, a)
    erased = eraser.transform(x)
    assert np.linalg.matrix_rank(erased - erased.mean(0), tol=1e-6) == 2
    top = np.linalg.eigh(np.cov(x.T, bias=True))[1][:, -3:]
    np.testing.assert_allclose((erased - x.mean(0)) @ (np.eye(8) - top @ top.T), 0, atol=1e-9)


def test_where_nothing_is_left_it_is_said():
    x, _, _ = planted(d=4)
    a = np.random.default_rng(0).integers(0, 6, len(x))
    x = x + 3 * np.random.default_rng(1).normal(size=(6, 4))[a]
    for made in (Leace, MeanDifferences):
        with pytest.warns(WholeSpaceWarning, match=r"4 of 4 directions and leaves 0\.0%"):
            eraser = made().fit(x, a)
        assert eraser.kept_variance_ < 1e-9


def test_what_cannot_be_fitted_is_refused():
    x, a, _ = planted()
    hole = x.copy()
    hole[3, 2] = np.nan
    for name, made in ERASERS.items():
        with pytest.raises(InputError, match="in all 900 rows"):
            made().fit(x, np.zeros(900, int))
        with pytest.raises(InputError, match="NaN"):
            made().fit(hole, a)
        with pytest.raises(InputError, match="unknown in 1 of 900"):
            made().fit(x, np.where(np.arange(900) == 4, None, a.astype(object)))
        with pytest.raises(InputError, match="features"):
            made().fit(x, a).transform(x[:, :3])
        with pytest.raises(InputError, match="inconsistent"):
            made().fit(x, a[:5])
        assert name
    for options, words in (
        ({"shrinkage": "much"}, "Unknown shrinkage 'much'"),
        ({"shrinkage": 1.5}, r"shrinkage is 1\.5"),
        ({"directions": 0}, "directions is 0"),
        ({"directions": 9}, "from 1 to the width, 8"),
    ):
        with pytest.raises(InputError, match=words):
            Leace(**options).fit(x, a)


def test_shrinkage_is_that_of_scikit_learn():
    from sklearn.covariance import oas

    x, a, _ = planted(n=40)
    assert Leace(shrinkage="auto").fit(x, a).shrinkage_ == pytest.approx(oas(x)[1])
