"""The container of frozen data: what goes in comes out, or a typed error."""

import array
import hashlib
import hmac
import json
import pickle
import struct
import sys
import time
import tracemalloc
import types

import pytest
import stackless

from stackless._freezing import envelope
from stackless._freezing.envelope import (
    DamagedFrozenError,
    Envelope,
    IncompatibleFrozenError,
    UnverifiedFrozenError,
    check_compatible,
    local_header,
    pack,
    unpack,
)
from stackless._freezing.errors import ThawError

KEY = bytes(range(32))
OTHER = bytes(32)
NAMED = ("2026-11", KEY)
PAYLOAD = pickle.dumps(list(range(50)))
ERRORS = DamagedFrozenError, UnverifiedFrozenError, IncompatibleFrozenError
FIXED = 19  # bytes before the key id
SITE = "/srv/shop/venv/lib/python3.13/site-packages/shop/"
FILES = ["/srv/shop/run.py"] + [
    SITE + name
    for name in ("orders/worker.py", "orders/pricing.py", "db/session.py")
]
QUALNAMES = [
    "main", "Worker.run", "Worker.process_order", "PriceList.lookup",
    "Session.query", "Session._execute", "retry.<locals>.wrapper",
]


def frames(count):
    return [
        (
            FILES[index * len(FILES) // count],
            20 + 37 * index,
            QUALNAMES[index % len(QUALNAMES)] + "_" * (index // 7),
            hashlib.sha256(bytes([index])).hexdigest()[:16],
        )
        for index in range(count)
    ]


HEADER = {"name": "worker-17", "reason": "receive", "stack": frames(5)}


def craft(head, payload=b"", key=None):
    """Frozen data with any bytes as the header."""
    if not isinstance(head, bytes):
        head = json.dumps(head).encode()
    fixed = struct.pack(
        "<4sBBBIQ", b"\xd4SLF", 1, key is not None, 0, len(head), len(payload)
    )
    data = fixed + head + payload
    if key is not None:
        data += hmac.digest(key, data, "sha256")
    return data


def written(**changes):
    """The header as it is written, with some fields changed."""
    data = pack(HEADER, b"", None)
    return json.loads(data[FIXED:]) | changes


# --- there and back -----------------------------------------------------------


@pytest.mark.parametrize("key", [None, KEY, NAMED], ids=["no", "key", "named"])
def test_comes_back(key):
    data = pack(HEADER, PAYLOAD, key)
    assert type(data) is bytes
    found = unpack(data, key, len(data))
    assert isinstance(found, Envelope)
    assert found.header == local_header() | HEADER
    assert found.payload == PAYLOAD
    assert found.verified is (key is not None)
    assert found.key_id == ("2026-11" if key is NAMED else None)
    assert found.size == len(data)
    check_compatible(found)


def test_fields_that_are_not_given_are_empty():
    header = unpack(pack({}, b"", None), None, None).header
    empty = {"name": None, "reason": None, "stack": []}
    assert header == local_header() | empty


def test_stack_comes_back_as_tuples():
    stack = (list(frame) for frame in frames(20))
    found = unpack(pack({"stack": stack}, b"", None), None, None)
    assert found.header["stack"] == frames(20)
    assert all(type(frame) is tuple for frame in found.header["stack"])


@pytest.mark.parametrize("digests", [
    [None, "00ff"], ["", ""], ["", "00"], ["a", "b"], ["AB", "CD"],
    ["00ff", "00"], ["00 ff", "00 ff"], ["\xe9", "x"], ["00ff", "ff00"],
    ["0", "123"],
])
def test_any_digest_comes_back(digests):
    stack = [("a.py", 1, "f", digests[0]), ("a.py", None, "g", digests[1])]
    found = unpack(pack({"stack": stack}, b"", None), None, None)
    assert found.header["stack"] == stack


def test_file_names_come_back_whatever_they_have_in_common():
    names = ["/a/b.py", "/a/bc.py", "", "/a", "x\udcff", "\xe9\u20ac", "/a/b"]
    stack = [(name, 0, '[{"\\', "0a") for name in names]
    found = unpack(pack({"stack": stack}, b"", None), None, None)
    assert found.header["stack"] == stack


def test_fields_of_the_caller_come_back():
    own = {"made": 1.5, "tags": ["a", {"b": None}], "text": '\\"[[' * 100}
    header = unpack(pack(own, b"", KEY), KEY, None).header
    assert {name: header[name] for name in own} == own


@pytest.mark.parametrize("kind", [
    bytearray, memoryview, lambda data: memoryview(b"".join(
        bytes([byte, 0]) for byte in data))[::2],
    lambda data: array.array("B", data),
])
def test_data_may_be_anything_with_bytes(kind):
    data = pack(HEADER, PAYLOAD, KEY)
    assert unpack(kind(data), KEY, None).payload == PAYLOAD


def test_payload_may_be_anything_with_bytes():
    words = array.array("I", [1, 2, 3])
    data = pack({}, words, KEY)
    assert unpack(data, KEY, None).payload == words.tobytes()


def test_later_changes_of_the_data_do_not_reach_the_payload():
    data = bytearray(pack({}, PAYLOAD, KEY))
    found = unpack(data, KEY, None)
    data[:] = bytes(len(data))
    assert found.payload == PAYLOAD


def test_nothing_is_unpickled():
    class Boom:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    bomb = pickle.dumps(Boom())
    assert unpack(pack({}, bomb, KEY), KEY, None).payload == bomb


def test_repr_tells_name_size_and_trust():
    data = pack({"name": "ann"}, PAYLOAD, KEY)
    text = f"<frozen 'ann', {len(data)} bytes, "
    assert repr(unpack(data, KEY, None)) == text + "verified>"
    assert repr(unpack(data, None, None)) == text + "not verified>"


@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_header_is_small(count):
    about = {"name": "worker-17", "reason": "receive"}
    data = pack(about | {"stack": frames(count)}, b"", NAMED)
    names = sum(map(len, FILES[:count]))
    assert len(data) <= 200 + 40 * count + names


def test_deep_recursion_fits():
    stack = [("a.py", 7, "fact", "0" * 16)] * 20_000
    data = pack({"stack": stack}, b"", None)
    assert len(data) < 120_000
    assert unpack(data, None, None).header["stack"] == stack


# --- arguments ----------------------------------------------------------------


@pytest.mark.parametrize("key, error", [
    (bytes(15), ValueError),
    (("", KEY), ValueError),
    (("x" * 256, KEY), ValueError),
    (("x", bytes(15)), ValueError),
    ("a string of many letters", TypeError),
    (bytearray(32), TypeError),
    ((KEY, "x"), TypeError),
    (("x", KEY, KEY), TypeError),
    (["x", KEY], TypeError),
    (7, TypeError),
])
def test_wrong_keys(key, error):
    with pytest.raises(error):
        pack({}, b"", key)
    with pytest.raises(error):
        unpack(b"", key, None)


def test_mapping_is_for_unpacking_only():
    with pytest.raises(TypeError):
        pack({}, b"", {"x": KEY})


def test_wrong_key_in_a_mapping():
    data = pack({}, b"", NAMED)
    with pytest.raises(TypeError):
        unpack(data, {"2026-11": "text"}, None)
    with pytest.raises(ValueError):
        unpack(data, {"2026-11": b"short"}, None)


@pytest.mark.parametrize("data", ["text", None, 5, [1]])
def test_data_without_bytes(data):
    with pytest.raises(TypeError):
        unpack(data, None, None)
    with pytest.raises(TypeError):
        pack({}, data, None)


@pytest.mark.parametrize("header, error", [
    ([], TypeError),
    ({1: 2}, TypeError),
    ({"name": 5}, TypeError),
    ({"reason": b"x"}, TypeError),
    ({"python": None}, TypeError),
    ({"magic": "x"}, TypeError),
    ({"own": object()}, TypeError),
    ({"own": float("nan")}, ValueError),
    ({"own": 10 ** 50}, ValueError),
    ({"own": [[]] * 100}, ValueError),
    ({"own": "x" * (1 << 20)}, ValueError),
    ({"p": "3.13.0"}, ValueError),
    ({"stack": [(1, 1, "f", None)]}, TypeError),
    ({"stack": [("a.py", "1", "f", None)]}, TypeError),
    ({"stack": [("a.py", True, "f", None)]}, TypeError),
    ({"stack": [("a.py", -1, "f", None)]}, ValueError),
    ({"stack": [("a.py", 1, None, None)]}, TypeError),
    ({"stack": [("a.py", 1, "f", b"x")]}, TypeError),
    ({"stack": [("a.py", 1, "f")]}, ValueError),
])
def test_headers_that_could_not_be_read_are_not_written(header, error):
    with pytest.raises(error):
        pack(header, b"", None)


# --- signatures ---------------------------------------------------------------


def test_signature_is_hmac_sha256_of_all_before():
    data = pack(HEADER, PAYLOAD, NAMED)
    assert data[-32:] == hmac.digest(KEY, data[:-32], "sha256")


def test_signed_data_without_a_key_are_not_verified():
    found = unpack(pack(HEADER, PAYLOAD, NAMED), None, None)
    assert not found.verified and found.key_id == "2026-11"
    assert found.payload == PAYLOAD


@pytest.mark.parametrize("signer, key", [
    (None, KEY),
    (None, NAMED),
    (None, {}),
    (KEY, OTHER),
    (NAMED, OTHER),
    (NAMED, ("2026-11", OTHER)),
    (NAMED, ("2026-12", KEY)),
    (NAMED, {}),
    (NAMED, {"2026-12": KEY}),
    (NAMED, {None: KEY}),
    (KEY, NAMED),
    (KEY, {"2026-11": KEY}),
])
def test_data_not_signed_with_the_key(signer, key):
    with pytest.raises(UnverifiedFrozenError):
        unpack(pack(HEADER, PAYLOAD, signer), key, None)


@pytest.mark.parametrize("signer, key", [
    (NAMED, KEY),
    (NAMED, {"2026-10": OTHER, "2026-11": KEY}),
    (NAMED, types.MappingProxyType({"2026-11": KEY})),
    (KEY, {None: KEY, "2026-11": OTHER}),
    (("\u20ac" * 85, KEY), ("\u20ac" * 85, KEY)),
])
def test_data_signed_with_the_key(signer, key):
    assert unpack(pack(HEADER, PAYLOAD, signer), key, None).verified


def test_signature_is_compared_before_the_header_is_parsed():
    with pytest.raises(UnverifiedFrozenError):
        unpack(craft(b"no JSON", key=OTHER), KEY, None)
    with pytest.raises(DamagedFrozenError):
        unpack(craft(b"no JSON", key=KEY), KEY, None)


def test_messages_do_not_show_the_key():
    for key in (b"secret", ("x", b"secret")):
        with pytest.raises(ValueError) as caught:
            pack({}, b"", key)
        assert "secret" not in str(caught.value)


# --- other interpreters -------------------------------------------------------


@pytest.mark.parametrize("field, value", [
    ("python", "3.2.1"),
    ("python", ""),
    ("magic", 1),
    ("byteorder", "big" if sys.byteorder == "little" else "little"),
    ("implementation", "pypy"),
])
def test_incompatible(field, value):
    found = unpack(pack({field: value}, b"", KEY), KEY, None)
    with pytest.raises(IncompatibleFrozenError, match=field):
        check_compatible(found)


def test_patch_releases_and_versions_of_stackless_are_compatible():
    python = "%d.%d.99" % sys.version_info[:2]
    header = {"python": python, "stackless": "99.0"}
    check_compatible(unpack(pack(header, b"", KEY), KEY, None))


def test_other_format():
    data = bytearray(pack({}, b"", None))
    data[4] = 2
    with pytest.raises(IncompatibleFrozenError):
        unpack(data, None, None)


def test_local_header():
    header = local_header()
    assert header["magic"].to_bytes(2, "little") + b"\r\n" == (
        envelope.importlib.util.MAGIC_NUMBER)
    assert header["stackless"] == stackless.__version__
    assert header["implementation"] == "cpython"


# --- damage -------------------------------------------------------------------


def test_errors_are_unpickling_errors():
    assert issubclass(ThawError, pickle.UnpicklingError)
    assert all(error.__bases__ == (ThawError,) for error in ERRORS)


@pytest.mark.parametrize("key", [None, KEY, NAMED])
def test_cut_short_anywhere_or_too_long(key):
    data = pack(HEADER, PAYLOAD, key)
    for length in range(len(data)):
        with pytest.raises(DamagedFrozenError):
            unpack(data[:length], key, None)
    with pytest.raises(DamagedFrozenError):
        unpack(data + b"\0", key, None)


def test_larger_than_allowed():
    data = pack(HEADER, PAYLOAD, KEY)
    with pytest.raises(DamagedFrozenError):
        unpack(data, KEY, len(data) - 1)


@pytest.mark.parametrize("head", [
    b"",
    b"null",
    b"[]",
    b'{"p":',
    b"\xff",
    json.dumps({}).encode("utf-16"),
    b'{"aa":1,"aa":1}',
    b'{"aa":NaN}',
    b'{"aa":1e999}',
    written(p=None),
    written(p=3),
    written(p="3" * 65),
    written(m="3495"),
    written(m=True),
    written(m=1.0),
    written(b=[]),
    written(n=5),
    written(w={}),
    written(f=5),
    written(f={}),
    written(f=[0]),
    written(f=[0, 5]),
    written(f=["", "a.py"]),
    written(f=[1, "a.py"]),
    written(f=[-1, "a.py"]),
    written(f=[]),
    written(c=["x"]),
    written(c=[0, 1] * 5),
    written(c=[10 ** 9, "f"] * 5),
    written(c=[None, "f"] * 5),
    written(c=[]),
    written(g=None),
    written(g="===="),
    written(g="\xe9"),
    written(g="AAAAAAAA"),
    written(g=["00"]),
    written(g=[0] * 5),
    written(t="0,1"),
    written(t=[0]),
    written(t=[5, 1]),
    written(t=[-1, 1]),
    written(t=[0, 1 << 31]),
    written(t=[0, "1"]),
    written(t=[[], 1]),
    written(x=1),
    written(name=1),
    written(stack=[]),
])
def test_wrong_headers(head):
    for key in (None, KEY):
        with pytest.raises(DamagedFrozenError):
            unpack(craft(head, key=key), key, None)


def test_written_as_it_is_would_be_read():
    found = unpack(craft(written()), None, None)
    assert found.header == local_header() | HEADER


def test_wrong_flags_and_key_ids():
    data = bytearray(craft(written()))
    data[5] = 2
    with pytest.raises(DamagedFrozenError):
        unpack(data, None, None)
    data[5:7] = 0, 1
    with pytest.raises(DamagedFrozenError):
        unpack(data, None, None)
    data = pack({}, b"", ("x", KEY)).replace(b"x", b"\xff", 1)
    with pytest.raises(DamagedFrozenError):
        unpack(data, KEY, None)


BOMBS = {
    "lists": b"[" * 500_000 + b"]" * 500_000,
    "objects": b'{"aa":' * 60_000,
    "hidden": b'{"aa\\\\":' + b"[" * 1_000_000,
    "quotes": b'"' * 1_000_000,
    "quotes and lists": b"[" * 101 + b'"' * 900_000,
    "escaped quotes": b'"' + b'\\"' * 500_000,
    "backslashes": b"\\" * 1_000_000,
    "wide": b"[" + b"[]," * 340_000,
    "digits": b'{"aa":' + b"9" * 1_000_000 + b"}",
    "fraction": b'{"aa":0.' + b"9" * 1_000_000 + b"}",
    "numbers": b'{"aa":[' + b"999," * 60_000 + b"9]}",
    "file names": json.dumps(written(
        f=[0, "x" * 500_000] + [500_000, ""] * 40_000)).encode(),
    "calls": json.dumps(
        written(t=[0, 1] * 60_000), separators=(",", ":")).encode(),
    "too large": b" " * ((1 << 20) + 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name):
    """Neither deep recursion, nor much time, nor much memory."""
    limit = sys.get_int_max_str_digits()
    data = craft(BOMBS[name])
    sys.set_int_max_str_digits(0)
    start = time.process_time()
    tracemalloc.start()
    try:
        if name == "calls":  # long, but right
            unpack(data, None, None)
        else:
            with pytest.raises(DamagedFrozenError):
                unpack(data, None, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        sys.set_int_max_str_digits(limit)
    assert time.process_time() - start < 5
    assert peak < 10 * len(data) + (30 << 20)


def test_lengths_are_checked_before_anything_is_allocated():
    fixed = struct.pack(
        "<4sBBBIQ", b"\xd4SLF", 1, 1, 255, 1 << 20, (1 << 64) - 1)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFrozenError):
            unpack(fixed + bytes(100), KEY, None)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
