"""Reconciliation: everything adds up exactly, nothing is negative, and the change is the least in units of error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from trendcast.forecasting.reconcile import reconcile

# total, two regions, two categories over four bottom series
SUMMING = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1], *np.eye(4).tolist()])
CSR = sparse.csr_matrix(SUMMING)


def slow(mean, error):
    """The projection by its textbook form S (S' W^-1 S)^-1 S' W^-1 y, dense, one day."""
    weight = np.diag(1 / (error * mean) ** 2)
    return SUMMING @ np.linalg.solve(SUMMING.T @ weight @ SUMMING, SUMMING.T @ weight @ mean)


def test_it_is_the_textbook_projection_where_nothing_is_clipped():
    rng = np.random.default_rng(1)
    mean = SUMMING @ rng.gamma(9, 10, 4) * rng.uniform(0.9, 1.1, 9)
    error = rng.uniform(0.05, 0.3, 9)
    assert reconcile(mean[:, None], CSR, 5, error)[:, 0] == pytest.approx(slow(mean, error), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=27, max_size=27), st.lists(st.floats(0.01, 3), min_size=9, max_size=9))
def test_everything_adds_up_and_nothing_is_negative(values, errors):
    means = np.array(values).reshape(9, 3)
    result = reconcile(means, CSR, 5, np.array(errors))
    assert (result >= 0).all()
    assert np.abs(result - SUMMING @ result[5:]).max() <= 1e-9 * max(result.max(), 1)
    # A series closed on a day stays closed.
    assert (result[5:][means[5:] == 0] == 0).all()


def test_what_adds_up_already_is_left_alone():
    means = SUMMING @ np.random.default_rng(0).gamma(2, 50, (4, 7))
    assert reconcile(means, CSR, 5, np.full(9, 0.2)) == pytest.approx(means, rel=1e-6)


def test_an_aggregate_that_is_not_trusted_moves_nothing():
    means = SUMMING @ np.full((4, 1), 10.0)
    means[0] = 100.0
    result = reconcile(means, CSR, 5, np.full(9, 0.2), trusted=np.array([[False], [True], [True], [True], [True]]))
    assert result[0, 0] == pytest.approx(40.0, rel=1e-6)
