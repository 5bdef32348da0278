"""The container of frozen data: a header to read, a payload to hand on.

All numbers are little-endian, nothing is padded:

    4 bytes   magic
    1         format version
    1         flags: 1 signed
    1         length of the key id, 0 if there is none
    4         length of the header
    8         length of the payload
    ...       key id, UTF-8; only in signed data
    ...       header, an object in JSON, UTF-8
    ...       payload, a pickle: never looked at here
    32        HMAC-SHA-256 of all bytes before it; only in signed data

Data may come from anybody: lengths are compared with what is there before
anything is taken out, and the signature before the header is parsed.  The
header has one-letter names for the fields known here; each file name and
each function of the stack is in it once:

    "f"   [characters as in the file name before, the rest of it, ...]
    "c"   [index of the file, qualname, ...]: the functions
    "g"   [digest or null, ...] of the functions; one string if all of them
          are hexadecimal and equally long: their bytes in Base64 (RFC 4648)
    "t"   [index of the function, line, ...]
"""

import binascii
import hmac
import importlib.util
import json
import math
import os
import struct
import sys
from collections.abc import Mapping

import stackless
from stackless._freezing.errors import (
    DamagedFrozenError,
    IncompatibleFrozenError,
    UnverifiedFrozenError,
)

MAGIC = b"\xd4SLF"
FORMAT = 1
SIGNED = 1

MAX_HEADER = 1 << 20  # bytes
MAX_LISTS = 100  # lists and objects in a header: no nesting is deeper
MAX_DIGITS = 40  # of a number in a header
MAX_VERSION = 64  # characters of a text about the interpreter
MAX_LINE = 1 << 31
MAX_KEY_ID = 255  # bytes
MIN_KEY = 16  # bytes

_FIXED = struct.Struct("<4sBBBIQ")
_DIGEST = "sha256"
_SIGNATURE = 32

_INTERPRETER = {
    "python": "p",
    "magic": "m",
    "byteorder": "b",
    "implementation": "i",
    "stackless": "s",
}
_TEXTS = {"name": "n", "reason": "w"}
_SHORT = _INTERPRETER | _TEXTS


class Envelope:
    """Frozen data, taken apart and checked, but not unpickled.

    header    dict; see pack().  It always has the fields of local_header(),
              "name" and "reason" (str or None) and "stack", a list of tuples
              (file, line, qualname, digest)
    payload   memoryview of bytes, read-only
    verified  bool: whether a key was given, and the signature is right.  If
              not, anybody may have made the data
    key_id    str, the name of the key that the data claim to be signed with;
              None if they name none
    size      int, of the whole data in bytes
    """

    __slots__ = ("header", "payload", "verified", "key_id", "size")

    def __init__(self, header, payload, verified, key_id, size):
        self.header = header
        self.payload = payload
        self.verified = verified
        self.key_id = key_id
        self.size = size

    def __repr__(self):
        how = "verified" if self.verified else "not verified"
        return f"<frozen {self.header['name']!r}, {self.size} bytes, {how}>"


def local_header():
    """The header's fields about this interpreter, as a new dict.

    python          str, such as "3.13.0"
    magic           int, the number that .pyc files begin with (the first two
                    bytes of importlib.util.MAGIC_NUMBER)
    byteorder       str, sys.byteorder
    implementation  str, sys.implementation.name
    stackless       str, stackless.__version__; told, never compared
    """
    return {
        "python": "%d.%d.%d" % sys.version_info[:3],
        "magic": int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little"),
        "byteorder": sys.byteorder,
        "implementation": sys.implementation.name,
        "stackless": stackless.__version__,
    }


def check_compatible(envelope):
    """Whether this interpreter may thaw it: returns None, or raises.

    Raises IncompatibleFrozenError if the Python version differs (3.13 from
    3.14; not 3.13.0 from 3.13.1), the magic number of its bytecode, the
    byte order or the implementation.
    """
    theirs, ours = envelope.header, local_header()
    for name in _INTERPRETER:
        there, here = theirs[name], ours[name]
        if name == "stackless":
            continue
        if name == "python":
            there, here = _minor(there), _minor(here)
        if there != here:
            raise IncompatibleFrozenError(
                f"frozen with {name} {there!r}, here it is {here!r} (by "
                f"Python {theirs['python']}, stackless {theirs['stackless']})"
            )


def _minor(version):
    return ".".join(version.split(".")[:2])


# --- packing ------------------------------------------------------------------


def pack(header, payload, key):
    """Put a header and a payload together; returns bytes.

    header    dict.  The fields known here are all optional:
              "name"    str or None
              "reason"  str or None: what the tasklet waits for
              "stack"   iterable of (file: str, line: int from 0 or None,
                        qualname: str, digest: str or None)
              and those of local_header(), which are added where they are
              not given.  Others have names of two letters or more and any
              value that JSON has, with at most 90 lists and dicts in all
    payload   bytes-like and contiguous
    key       None: not signed.  bytes, 16 at least: signed with it.  A pair
              (key_id: str, 1 to 255 bytes as UTF-8; key: bytes): signed, and
              the id is written down for whoever has several keys

    The signature is HMAC (RFC 2104) with SHA-256.  RFC 2104, section 3, wants
    keys that are random and as long as the digest: 32 bytes.

    Raises TypeError if an argument or field has another type, ValueError if
    the key is too short, a field has a value that unpack() would refuse, or
    the header is larger than 1 MiB.
    """
    key_id, secret = (None, None) if key is None else _named_key(key)
    if not isinstance(header, dict):
        raise TypeError(f"header must be a dict, not {header!r}")
    head = _encode(_compact(header))
    if len(head) > MAX_HEADER:
        raise ValueError(
            f"the header has {len(head)} bytes, {MAX_HEADER} at most"
        )
    _expand(_decode(head))  # what is written can be read
    payload = memoryview(payload)
    ident = b"" if key_id is None else key_id.encode()
    fixed = _FIXED.pack(
        MAGIC,
        FORMAT,
        0 if secret is None else SIGNED,
        len(ident),
        len(head),
        payload.nbytes,
    )
    parts = [fixed, ident, head, payload]
    if secret is not None:
        parts.append(_sign(secret, parts))
    return b"".join(parts)


def _compact(header):
    """The header as it is written."""
    short = {}
    for name, value in (local_header() | header).items():
        if name == "stack":
            short.update(_compact_stack(value))
        elif name in _SHORT:
            if value is not None:
                short[_SHORT[name]] = value
        elif isinstance(name, str):
            short[_own_name(name)] = value
        else:
            raise TypeError(f"names of fields are strings, not {name!r}")
    return short


def _compact_stack(stack):
    names, codes, calls = {}, {}, []
    for file, line, qualname, digest in stack:
        _check_text("a file name", file)
        index = names.setdefault(file, len(names))
        code = codes.setdefault((index, qualname, digest), len(codes))
        calls += code, line
    if not calls:
        return {}
    files, before = [], ""
    for file in names:
        shared = _common(before, file)
        files += shared, file[shared:]
        before = file
    flat = [part for code in codes for part in code[:2]]
    digests = _compact_digests([code[2] for code in codes])
    return {"f": files, "c": flat, "g": digests, "t": calls}


def _common(before, file):
    """How many characters two texts have in common at the beginning."""
    pairs = enumerate(zip(before, file))
    differ = (n for n, (a, b) in pairs if a != b)
    return next(differ, min(len(before), len(file)))


def _compact_digests(digests):
    try:
        raw = b"".join(map(bytes.fromhex, digests))
        text = binascii.b2a_base64(raw, newline=False).decode()
        if _expand_digests(text, len(digests)) == digests:
            return text
    except (TypeError, ValueError):
        pass
    return digests


def _own_name(name):
    """The name of a field that is not known here, if it may be one."""
    if len(name) < 2 or name in _SHORT or name == "stack":
        raise ValueError(f"no field may be called {name[:80]!r}")
    return name


def _encode(fields):
    how = {"separators": (",", ":"), "allow_nan": False}
    try:
        return json.dumps(fields, ensure_ascii=False, **how).encode()
    except UnicodeEncodeError:  # a file name that was not UTF-8
        return json.dumps(fields, **how).encode()


# --- unpacking ----------------------------------------------------------------


def unpack(data, key, max_size):
    """Take frozen data apart and check them; returns an Envelope.

    data      bytes-like; copied unless it is bytes, so that nobody changes
              it after the signature was compared
    key       None: a signature is not looked at.  bytes: signed with this
              key, whatever its id.  A pair (key_id, bytes), or a mapping of
              key ids to bytes: signed with the one of these keys that the
              data name; data without a key id ask a mapping for None
    max_size  int, bytes that data may have at most; None for no limit

    Never unpickles, and does not compare the interpreters: see
    check_compatible().  The signature is HMAC-SHA-256 (RFC 2104), compared by
    hmac.compare_digest() before the header is parsed.

    Raises DamagedFrozenError if the data are malformed, cut short, or over a
    limit, UnverifiedFrozenError if a key is given and the data are not signed
    with it, IncompatibleFrozenError if their format version is another.
    TypeError and ValueError are for the arguments, as in pack().
    """
    if not (key is None or isinstance(key, Mapping)):
        _named_key(key)
    size = memoryview(data).nbytes
    if max_size is not None and size > max_size:
        raise DamagedFrozenError(
            f"the frozen data have {size} bytes, {max_size} are allowed"
        )
    if not isinstance(data, bytes):
        data = bytes(memoryview(data))
    signed, ident, head, tail, end = _measure(data)
    view = memoryview(data)
    try:
        key_id = str(view[ident:head], "utf-8") if head > ident else None
    except UnicodeDecodeError:
        raise DamagedFrozenError("the key id is not UTF-8") from None
    if key is not None:
        _verify(view[:end], view[end:], signed, key_id, key)
    return Envelope(
        _header(bytes(view[head:tail])),
        view[tail:end],
        key is not None,
        key_id,
        size,
    )


def _measure(data):
    """If it is signed; where key id, header and payload begin and it ends."""
    size = len(data)
    if size < _FIXED.size or not data.startswith(MAGIC):
        raise DamagedFrozenError("these are no frozen data")
    fields = _FIXED.unpack_from(data)
    _, version, flags, id_size, header_size, payload_size = fields
    if version != FORMAT:
        raise IncompatibleFrozenError(
            f"frozen in format {version}, only {FORMAT} is known here"
        )
    signed = bool(flags & SIGNED)
    if flags & ~SIGNED or (id_size and not signed):
        raise DamagedFrozenError("the flags of the frozen data are wrong")
    if header_size > MAX_HEADER:
        raise DamagedFrozenError(
            f"the header has {header_size} bytes, {MAX_HEADER} at most"
        )
    head = _FIXED.size + id_size
    tail = head + header_size
    end = tail + payload_size
    wanted = end + (_SIGNATURE if signed else 0)
    if size != wanted:
        raise DamagedFrozenError(
            f"the frozen data have {size} bytes instead of {wanted}"
        )
    return signed, _FIXED.size, head, tail, end


def _header(raw):
    try:
        return _expand(_decode(raw))
    except (TypeError, ValueError) as error:
        raise DamagedFrozenError(f"the header is wrong: {error}") from None


def _decode(raw):
    """The JSON in it; ValueError if it is none, or such as not to be parsed."""
    if _brackets(raw) > MAX_LISTS and _lists(raw) > MAX_LISTS:
        raise ValueError(f"more than {MAX_LISTS} lists and objects")
    return _decoder.decode(raw.decode())


def _brackets(raw):
    return raw.count(b"[") + raw.count(b"{")


def _lists(raw):
    """How many lists and objects JSON has: brackets outside its strings."""
    raw = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    return sum(map(_brackets, raw.split(b'"')[::2]))


def _object(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is there twice")
    return fields


def _integer(digits):
    # However long sys.set_int_max_str_digits() allows them to be.
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)


def _float(digits):
    if len(digits) > MAX_DIGITS or not math.isfinite(number := float(digits)):
        raise ValueError("a number is too long or too large")
    return number


def _constant(name):
    raise ValueError(f"{name} is not a number")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)


def _expand(fields):
    """The header as the user sees it, from what was written."""
    if not isinstance(fields, dict):
        raise TypeError("it is not an object")
    header = {}
    for name, short in _INTERPRETER.items():
        value = fields.pop(short, None)
        if type(value) is not (int if name == "magic" else str):
            raise TypeError(f"{name} is missing or has the wrong type")
        if name != "magic" and len(value) > MAX_VERSION:
            raise ValueError(f"{name} is too long")
        header[name] = value
    for name, short in _TEXTS.items():
        header[name] = fields.pop(short, None)
        _check_text(name, header[name], optional=True)
    header["stack"] = _expand_stack(*(fields.pop(x, []) for x in "fcgt"))
    for name in fields:
        _own_name(name)
    return header | fields


def _expand_stack(files, codes, digests, calls):
    files = _expand_files(files)
    codes = list(_pairs(codes))
    digests = _expand_digests(digests, len(codes))
    for index, qualname in codes:
        _check_number("the index of a file", index, len(files))
        _check_text("a qualname", qualname)
    stack = []
    for index, line in _pairs(calls):
        _check_number("the index of a function", index, len(codes))
        if line is not None:
            _check_number("a line", line, MAX_LINE)
        file, qualname = codes[index]
        stack.append((files[file], line, qualname, digests[index]))
    return stack


def _expand_files(parts):
    files, before, total = [], "", 0
    for shared, rest in _pairs(parts):
        _check_number("the length of a file name", shared, len(before) + 1)
        _check_text("a file name", rest)
        total += shared + len(rest)
        if total > MAX_HEADER:  # a long one and many that begin with it
            raise ValueError("the file names are too long")
        before = before[:shared] + rest
        files.append(before)
    return files


def _expand_digests(digests, count):
    if type(digests) is str:
        text = binascii.a2b_base64(digests, strict_mode=True).hex()
        if not count or len(text) % count:
            raise ValueError("the digests are incomplete")
        size = len(text) // count
        return [text[i * size:(i + 1) * size] for i in range(count)]
    if type(digests) is not list:
        raise TypeError("the digests are not a list")
    if len(digests) != count:
        raise ValueError("the digests are incomplete")
    for digest in digests:
        _check_text("a digest", digest, optional=True)
    return digests


def _pairs(flat):
    if type(flat) is not list:
        raise TypeError("a part of the stack is not a list")
    if len(flat) % 2:
        raise ValueError("a part of the stack is incomplete")
    return zip(flat[::2], flat[1::2])


def _check_text(what, value, optional=False):
    if type(value) is not str and not (optional and value is None):
        raise TypeError(f"{what} is not a string")


def _check_number(what, value, limit):
    if type(value) is not int:
        raise TypeError(f"{what} is not an integer")
    if not 0 <= value < limit:
        raise ValueError(f"{what} is out of range")


# --- signatures ---------------------------------------------------------------


def _named_key(key):
    """A key as (key id or None, bytes)."""
    if not isinstance(key, tuple):
        return None, _checked_key(key)
    if len(key) != 2 or not isinstance(key[0], str):
        raise TypeError("a key is bytes or a pair of key id and bytes")
    key_id, secret = key
    if not 0 < len(key_id.encode()) <= MAX_KEY_ID:
        raise ValueError(f"a key id has 1 to {MAX_KEY_ID} bytes as UTF-8")
    return key_id, _checked_key(secret)


def _checked_key(secret):
    # The messages do not show it.
    if not isinstance(secret, bytes):
        raise TypeError(f"a key is bytes, not {type(secret).__name__}")
    if len(secret) < MIN_KEY:
        raise ValueError(f"a key has {MIN_KEY} bytes or more")
    return secret


def _sign(secret, parts):
    signature = hmac.new(secret, digestmod=_DIGEST)
    for part in parts:
        signature.update(part)
    return signature.digest()


def _verify(signed_part, signature, signed, key_id, key):
    """Raises UnverifiedFrozenError unless it is signed with the key."""
    if not signed:
        raise UnverifiedFrozenError("the frozen data are not signed")
    if isinstance(key, bytes):
        secret = key
    else:
        keys = key if isinstance(key, Mapping) else dict([key])
        secret = keys.get(key_id)
        if secret is None:
            raise UnverifiedFrozenError(
                f"the frozen data are signed with the key {key_id!r}, which "
                "is not given"
            )
        _checked_key(secret)
    if not hmac.compare_digest(_sign(secret, [signed_part]), signature):
        raise UnverifiedFrozenError("the signature is wrong")
