# ruff: noqa: RUF001 -- readers are shown Greek letters and true minus signs
"""The report: every number at the rounding shown, nothing unescaped, nothing from elsewhere."""

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from figure_fits import five_fits, point_fit, record, sampled_fit

import hierjax as hj
from hierjax.experiment.report import render, write_report
from hierjax.experiment.report_page import hyperprior_lines
from hierjax.experiment.rounding import number
from hierjax.hyperpriors import MeanScale, ShapeRate

PIXEL = b"\x89PNG not looked at"
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Checks that tags nest, and keeps texts, attributes and table rows."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.texts, self.rows, self.tags = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip("\n")


@pytest.fixture(scope="module")
def rats():
    return hj.datasets.rat_tumors()


@pytest.fixture(scope="module")
def fits(rats):
    return five_fits(rats, hj.fit(rats))


@pytest.fixture(scope="module")
def run(rats, fits):
    return record(rats, fits, new=(("experiment 71",), (4,), (14,)))


@pytest.fixture(scope="module")
def page(run):
    return Page(render(run, {"raw_rates": PIXEL, "agreement": PIXEL}))


def cells(row):
    """A row without the blanks that align its numbers."""
    return [cell.strip("\u2007\u2008 ") for cell in row]


def test_hyperparameters_are_there_to_the_last_digit(page, run):
    rows = [cells(row) for row in page.rows]
    # Three digits of the median standard deviation: .11 and .34, .013, 1.1 and 5.
    places = {"logit_mean": 3, "log_concentration": 3, "mean": 4, "alpha": 3, "beta": 2}
    labels = {"moments": "Moments", "type2_mle": "Type-2 MLE", "quadrature": "Quadrature"}
    labels |= {"nuts": "NUTS", "gibbs": "Gibbs"}
    for row in run.hyper.rows():
        if row["parameter"] in places:
            decimals = places[row["parameter"]]
            shown = [number(row[k], decimals) for k in ("mean", "sd", "low", "median", "high")]
            shown += [number(row[k], 0) for k in ("ess_bulk", "ess_tail")]
            assert [labels[row["method"]], *shown, number(row["r_hat"], 3)] in rows


def test_new_units_and_units_are_there(page, run):
    rows = [cells(row) for row in page.rows]
    for row in run.predictions.rows():
        shown = [number(row[k], 3) for k in ("mean", "sd", "low", "median", "high")]
        assert any(found[1:] == [*shown, number(row["shrinkage"], 3)] for found in rows)
    for row in run.units.rows():
        if row["method"] == "quadrature":
            shown = [str(row[k]) for k in ("label", "successes", "trials")]
            keys = ("raw_rate", "mean", "sd", "low", "median", "high")
            shown += [number(row[k], 4) for k in keys]
            assert [*shown, number(row["shrinkage"], 3)] in rows


def test_agreement_and_predictive_comparison_are_there(page, run):
    rows = [cells(row) for row in page.rows]
    for row in run.agreement.rows():
        last = [number(row["z"], 2)]
        assert any(found[-1:] == last and len(found) == 5 for found in rows)
    assert ["No pooling", "−222.30", "2.90", "−66.18"] in rows
    assert ["Partial pooling", "−156.12", "5.50", "0.00"] in rows


def test_answers_come_first_and_in_words(page):
    text = " ".join(page.texts)
    for sentence in (
        "The units' rates have mean 0.142 (90% interval 0.121 to 0.166).",
        "4 of 14 (raw rate 0.286): estimated rate 0.210 (90% interval 0.101 to 0.346).",
        "weighs as much as 15 trials of its own (90% interval 9 to 28).",
        "Raw rates run from 0.000 to 0.375; estimates from 0.063 to 0.283.",
    ):
        assert text.index("Answers") < text.index(sentence) < text.rindex("What was asked")


def test_what_was_asked_is_there(page):
    text = " ".join(page.texts)
    for part in ("263 of 1,725", "10 to 52, median 20", "Binomial(", "chains 4", "hierjax 0.1.0"):
        assert part in text
    assert "−2.5" in page.texts
    assert "git" not in page.texts


def test_missing_means_are_explained_where_they_are_missing(page, run, rats):
    text = " ".join(page.texts)
    assert "neither mean nor standard deviation" in text
    milder = hj.Fit(
        rats, hj.Model(hyperprior=hj.PowerLaw(3.5)), hj.Gibbs(), "float64",
        run.fits["gibbs"].result,
    )  # fmt: skip
    assert "have no standard deviation" in render(record(rats, {"gibbs": milder}), {})
    with jax.enable_x64(True):
        proper = hj.MeanConcentration(dist.Uniform(0.0, 1.0), dist.LogNormal(2.0, 1.0))
    proper = hj.Fit(
        rats, hj.Model(hyperprior=proper), hj.Gibbs(), "float64", run.fits["gibbs"].result
    )
    text = render(record(rats, {"gibbs": proper}), {})
    assert "Why some means" not in text
    assert "LogNormal(2, 1)" in text


def test_page_stands_alone(page):
    assert "script" not in page.tags
    for tag, name, value in page.attributes:
        if name in ("src", "href"):
            assert value.startswith(("data:", "#")), (tag, value)
    assert "http" not in " ".join(page.texts)
    anchors = {value for _, name, value in page.attributes if name == "id"}
    links = {value[1:] for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert links <= anchors


def test_figures_have_descriptions_and_only_those_drawn_are_shown(page):
    images = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    alts = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert len(images) == len(alts) == 2
    assert all(len(alt) > 30 for alt in alts)


def test_headings_are_in_order(page):
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_everything_given_is_escaped(rats):
    nasty = "<script>alert('x') & \"y\"</script>"
    counts = hj.Counts(rats.successes[:3], rats.trials[:3], [nasty, "b", "c"])
    fits = {"type2_mle": point_fit(counts)}
    run = record(counts, fits, new=((nasty,), (1,), (9,)))
    changes = {"name": nasty, "warnings": (nasty,), "failures": {"gibbs": nasty}}
    run = dataclasses.replace(run, config={"name": nasty}, **changes)
    text = render(run, {"new_units": PIXEL})
    assert "<script" not in text
    parsed = Page(text)
    assert sum(nasty in each for each in parsed.texts) >= 5


def test_warnings_come_before_answers(run):
    given = dataclasses.replace(
        run, warnings=("nuts: R-hat 1.2",), failures={"adam": "left the finite numbers"}
    )
    text = render(given, {})
    assert text.index("nuts: R-hat 1.2") < text.index("Answers</h2>")
    assert text.index("adam found nothing: left the finite numbers") < text.index("Answers</h2>")
    assert "No warnings" not in text
    mentioned = dataclasses.replace(given, warnings=("adam: failed; left the finite numbers",))
    assert "adam found nothing" not in render(mentioned, {})
    assert "No warnings" in render(run, {})


def test_file_is_whole_and_the_same_for_the_same_run(run, tmp_path):
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "raw_rates.png").write_bytes(PIXEL)
    path = write_report(tmp_path, run)
    assert path == tmp_path / "report.html"
    first = path.read_bytes()
    assert first.decode().count("<img") == 1
    write_report(tmp_path, run, {"raw_rates": figures / "raw_rates.png"})
    assert path.read_bytes() == first
    assert {each.name for each in tmp_path.iterdir()} == {"figures", "report.html"}


def test_commits_do_not_change_the_report(run):
    committed = dataclasses.replace(run, manifest={**run.manifest, "git": {"hierjax": "abc123"}})
    assert render(committed, {}) == render(run, {})


def test_times_are_shown_where_they_are_known(run):
    assert "manifest.json" in render(run, {})
    timed = dataclasses.replace(run, seconds={"nuts": 5.678})
    text = render(timed, {})
    assert ">5.68<" in text
    assert "manifest.json" not in text


def test_complete_pooling_is_said_in_words(rats):
    fit = point_fit(rats, (-1.7, np.inf))
    text = " ".join(Page(render(record(rats, {"type2_mle": fit}), {})).texts)
    assert "no more than chance would make them" in text
    assert "boundary" in text
    beside = record(rats, {"type2_mle": fit, "gibbs": sampled_fit(rats)})
    assert "takes it for certain that all units have one rate" in render(beside, {})
    assert "nan" not in text.split()


def test_point_estimates_without_errors_have_no_intervals(rats):
    moments = point_fit(rats, method=hj.Moments())
    text = " ".join(Page(render(record(rats, {"moments": moments}), {})).texts)
    assert "have mean 0.141." in text
    assert "Empirical Bayes" not in text
    assert "nan" not in text


def test_only_the_ends_of_many_units_are_listed():
    trials = np.tile(np.arange(1, 51), 100)
    counts = hj.Counts(trials // 3, trials)
    run = record(counts, {"nuts": sampled_fit(counts, hj.NUTS())})
    parsed = Page(render(run, {}))
    text = " ".join(parsed.texts)
    assert "4,880 units" in text
    listed = [row for row in parsed.rows if len(row) == 10]
    assert len(listed) == 121
    means = run.units["mean"]
    decimals = len(listed[1][4].split(".")[1])
    assert listed[1][4] == number(means.max(), decimals)
    assert listed[-1][4] == number(means.min(), decimals)


def test_units_without_trials_have_no_raw_rate():
    counts = hj.Counts([0, 3, 0], [20, 20, 0])
    parsed = Page(render(record(counts, {"type2_mle": point_fit(counts)}), {}))
    text = " ".join(parsed.texts)
    assert "which get the population's rate" in text
    assert ["3", "0", "0", "—"] in [row[:4] for row in parsed.rows]
    assert "nan" not in text


def test_a_run_that_found_nothing_says_so(run):
    empty = {
        name: hj.Table({column: values[:0] for column, values in table.items()})
        for name, table in (
            ("hyper", run.hyper),
            ("units", run.units),
            ("predictions", run.predictions),
        )
    }
    nothing = dataclasses.replace(
        run, fits={}, failures={"moments": "not positive"}, agreement=None, loo=None, **empty
    )
    text = " ".join(Page(render(nothing, {})).texts)
    assert "No method found anything" in text
    assert "not positive" in text


@pytest.mark.parametrize(
    ("prior", "lines"),
    [
        (ShapeRate(dist.Exponential(1.0), dist.Gamma(0.1, 1.0)), ["a ~ Exponential", "b ~ Gamma"]),
        (MeanScale(dist.Normal(0.0, 5.0), dist.HalfCauchy(5.0)), ["μ ~ Normal", "τ ~ HalfCauchy"]),
    ],
)
def test_hyperparameters_have_the_symbols_of_the_model(prior, lines):
    assert [line.partition("(")[0] for line in hyperprior_lines(prior)] == lines
