"""YAML of the core schema, safely loaded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierjax.errors import ConfigError
from hierjax.experiment.yaml_text import dump, parse, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-.5E3", -500.0),
        ("007", 7),
        ("no", "no"),
        ("4:14", "4:14"),
        ("2020-01-01", "2020-01-01"),
        ("0x10", "0x10"),
        ("true", True),
        ("~", None),
        (".inf", math.inf),
        ("1_000", "1_000"),
        ("<<", "<<"),
    ],
)
def test_scalars_are_those_of_the_core_schema(text, value):
    found, _ = parse(f"key: {text}", "x")
    assert found == {"key": value}
    assert type(found["key"]) is type(value)


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cn", "Co"]))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_what_is_dumped_reads_back_equal(value):
    assert parse(dump(value), "x")[0] == value


def test_lines_of_keys_are_known():
    _, lines = parse("a: 1\nb:\n  - {c: 2,\n     d: 3}\n", "x")
    assert lines[("a",)] == 1
    assert lines[("b", 0, "c")] == 3
    assert lines[("b", 0, "d")] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "x, line 1: expected valid YAML; expected ',' or ']'"),
        ("a: 1\n  b: 2", "x, line 2: expected valid YAML; mapping values are not allowed here"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "x, line 4: expected each key once, found 'c' again"),
        ("a: &n [1]\nb: *n", "x, line 2: expected no aliases, found '*n'"),
        ("a: &n [*n]", "x, line 1: expected no aliases, found '*n'"),
        ("a: !!python/object/apply:os.system [ls]", "found the tag 'tag:yaml.org,2002:python"),
        ("a: !!set {b, c}", "x, line 1: expected plain YAML, found the tag"),
        ("a: !!int many", "x: expected valid YAML; invalid literal for int()"),
        ("1: a", "x, line 1: expected a name as key, found 1"),
        ("? [a]\n: b", "x, line 1: expected a name as key, found a sequence"),
        ("a: b\n---\nc: d", "x, line 2: expected valid YAML"),
        ("a: \x00", "x: expected valid YAML; unacceptable character"),
        ("[" * 1000 + "]" * 1000, "x: expected YAML of a few levels, found very many"),
        ("a: " + "9" * 5000, "x: expected valid YAML; Exceeds the limit"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text, "x")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: expected a readable file, found: No such"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="expected a readable file, found: Is a directory"):
        read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: é".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin.yaml, line 2: expected UTF-8 .* byte 0xe9"):
        read(tmp_path / "latin.yaml")
