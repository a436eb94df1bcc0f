"""The plate diagram."""

import numpy as np
import numpyro.distributions as dist
import pytest
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

import hierjax as hj
from hierjax.plots import plate
from hierjax.plots.diagram import distribution_text
from hierjax.plots.style import new_panels


def test_nodes_and_arrows_are_the_models():
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert plate(hj.Model(), 12_345, ax) is ax
    kinds = [type(patch) for patch in ax.patches]
    # alpha, beta, theta and y; n; alpha and beta to theta, theta to y, n to y.
    assert kinds.count(Circle) == 4
    assert kinds.count(Rectangle) == 1
    assert kinds.count(FancyArrowPatch) == 4
    texts = [text.get_text() for text in ax.texts]
    assert "j = 1, …, 12,345" in texts
    assert r"$p(\alpha, \beta) \propto (\alpha + \beta)^{-2.5}$" in texts


@pytest.mark.parametrize(
    ("hyperprior", "part"),
    [
        (hj.PowerLaw(3.0), "^{-3}"),
        (hj.MeanConcentration(dist.Beta(1.0, 3.0), dist.LogNormal(2.0, 1.0)), "LogNormal(2, 1)"),
        (hj.Shapes(dist.Exponential(0.5), dist.Gamma(2.0, 1.0)), "Exponential(0.5)"),
    ],
)
def test_every_hyperprior_is_written_and_can_be_drawn(hyperprior, part):
    ax = plate(hj.Model(hyperprior=hyperprior), 5)
    assert any(part in text.get_text() for text in ax.texts)
    ax.figure.savefig("/dev/null", format="png")


def test_distributions_without_plain_parameters_have_their_name():
    truncated = dist.TruncatedNormal(0.0, 1.0, low=0.0)
    assert distribution_text(truncated).startswith(type(truncated).__name__)
    assert distribution_text(dist.Categorical(np.array([0.5, 0.5]))) == "CategoricalProbs"
