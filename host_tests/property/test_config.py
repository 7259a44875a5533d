"""Any octets as gateway.json end in a Config or a ConfigError; JSON as Python's own reads it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from branchline.app.config import load_config
from branchline.app.json_text import JsonError, parse_json
from branchline.wire.errors import ConfigError

# Without what takes two \u escapes, which is not read.
_texts = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15) + 1, 10**15 - 1) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner),
    max_leaves=8,
)
_keys = st.sampled_from(
    ["name", "address", "lans", "tunnels", "routing", "log", "profile", "device", "engine",
     "level", "protocol", "keys", "watchdog", "probe", "state", "damping", "per_hour", "wan",
     "probe_ms", "suppress", "max_s", "servers", "clients", "hubs", "accept", "management",
     "filter", "peers", "rules", "allow", "to", "from"]
)  # fmt: skip
_configs = st.builds(
    lambda config, role: {**config, **role},
    st.dictionaries(
        _keys, st.one_of(_values, st.lists(st.dictionaries(_keys, _values), max_size=2))
    ),
    st.sampled_from([{}, {"role": "hub"}, {"role": "hub", "name": "paris"}]),
)


def _load(data):
    try:
        config = load_config(lambda name: data)
        assert config.servers if config.role == "hub" else config.tunnels
    except ConfigError as error:
        assert error.where.startswith("gateway.json") and error.reason


@given(st.binary(max_size=200))
def test_any_octets(data):
    _load(data)


@given(_configs)
def test_any_objects(value):
    _load(json.dumps(value).encode())


@given(_values, st.sampled_from([None, 1]), st.booleans())
def test_json_comes_back(value, indent, ascii_only):
    try:
        assert parse_json(json.dumps(value, indent=indent, ensure_ascii=ascii_only)) == value
    except JsonError as error:
        assert error.args[0] == "nested too deeply"


@given(st.text('[]{}:,"\\ntrue01-. u', max_size=30))
def test_what_is_read_is_json(text):
    try:
        value = parse_json(text)
    except JsonError:
        return
    assert json.loads(text) == value
