"""Where settings come from, which one wins, and what a wrong one says."""

from pathlib import Path
from typing import Any

import pytest

from compatgw.config import ConfigError, load
from compatgw.sections import KeySettings, ModelSettings


def test_a_keyword_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    """Each place overrides the ones below it, member by member."""
    file = tmp_path / "compatgw.toml"
    file.write_text('name = "file"\nmax_body = 2048\nmax_in_flight = 3\n[timeouts]\nconnect = 1\ntotal = 2\n')
    environ = {"COMPATGW_NAME": "environment", "COMPATGW_MAX_BODY": "4096", "COMPATGW_TIMEOUTS__TOTAL": "7.5"}
    got = load(file, {"name": "keyword", "echo_model": None}, environ)

    assert (got.name, got.max_body, got.max_in_flight, got.echo_model) == ("keyword", 4096, 3, False)
    assert (got.timeouts.connect, got.timeouts.total, got.timeouts.between) == (1, 7.5, 60)


def test_variables_reach_any_depth() -> None:
    """The path of a setting joined by two underscores, in capitals."""
    got = load(None, {}, {"COMPATGW_PROVIDERS__OPENAI__BASE_URL": "http://x/v1", "COMPATGW_CORS_ORIGINS": '["*"]'})
    assert got.providers["openai"].base_url == "http://x/v1"
    assert got.cors_origins == ["*"]


def test_keys_are_given_as_words_tables_or_a_list_in_one_variable() -> None:
    """A single variable is enough for the simplest set-up."""
    got = load(None, {"keys": ["a", {"key": "b", "name": "team", "models": ["openai/*"]}]}, {})
    assert isinstance(got.keys[1], KeySettings)
    assert got.keys[1].models == ["openai/*"]
    assert [key.get_secret_value() for key in load(None, {}, {"COMPATGW_KEYS": "x, y"}).keys] == ["x", "y"]  # type: ignore[union-attr]


def test_a_model_is_a_word_or_a_table() -> None:
    """An alias is one line; limits need a table."""
    got = load({"models": {"fast": "groq/x", "mine": {"target": "local/y", "max_output": 5}}}, {}, {})
    assert got.models["fast"] == "groq/x"
    assert got.models["mine"] == ModelSettings(target="local/y", max_output=5)


@pytest.mark.parametrize(
    ("config", "overrides", "words"),
    [
        ({"nope": 1}, {}, ["'nope'", "COMPATGW_NOPE"]),
        ({"max_body": "big"}, {}, ["'max_body'", "valid integer"]),
        ({"max_body": 5}, {}, ["'max_body'", "1024"]),
        ({"providers": {"x": {"url": "y"}}}, {}, ["'providers.x.url'", "COMPATGW_PROVIDERS__X__URL"]),
        ({"unsupported": "maybe"}, {}, ["'unsupported'", "'hints'"]),
        ({}, {"timeouts": {"total": 0}}, ["'timeouts.total'", "greater than 0"]),
        ({}, {"keys": [{"name": "no key"}]}, ["'keys.0"]),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_takes(config: Any, overrides: Any, words: list[str]) -> None:
    """One line says which setting, and where it was looked for."""
    with pytest.raises(ConfigError) as caught:
        load(config, overrides, {})
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, or not TOML."""
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "missing.toml", {}, {})
    (tmp_path / "bad.toml").write_text("a = [")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(tmp_path / "bad.toml", {}, {})


def test_no_repr_and_no_error_shows_a_secret() -> None:
    """Settings are printed in bug reports."""
    environ = {"COMPATGW_PROVIDERS__OPENAI__API_KEY": "sk-hidden"}
    shown = repr(load(None, {"keys": ["sk-hidden", {"key": "sk-hidden"}]}, environ))
    assert "sk-hidden" not in shown
    with pytest.raises(ConfigError) as caught:
        load(None, {"keys": [{"key": "sk-hidden", "nope": 1}]}, environ)
    assert "sk-hidden" not in str(caught.value)


def test_variables_that_are_no_settings_are_left_alone() -> None:
    """The settings file's own name, and what test tools read."""
    environ = {"COMPATGW_CONFIG": "x", "COMPATGW_RECORDINGS": "y", "COMPATGW_TESTING_SEED": "1", "PATH": "z"}
    assert load(None, {}, environ) == load(None, {}, {})
