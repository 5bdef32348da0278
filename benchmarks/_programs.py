"""What the benchmarks that are whole programs share.

A program is written three times in Python: by_channels(column, size) for all
that have tasks which may wait in any call, and channels; by_greenlet(size);
by_asyncio(column, size).  The fourth is in go/,
and GO is its name there.  Each returns its outcome.
"""

import functools

import _bench
import _peers


def case(function, args, expected):
    return lambda: _bench.milliseconds(
        functools.partial(function, *args), expected)


def go(name, size, expected):
    def run():
        cost, outcome = _peers.go(name, size)
        _bench.check(outcome, expected)
        return cost / 1e6

    return run


def row(module, size, expected, switching=False):
    """The program's row; 'switching': that is all or most of its work."""
    cases = {}
    for column in ("stackless", "gevent", "eventlet"):
        cases[column] = case(module.by_channels, (column, size), expected)
    for column in ("asyncio", "uvloop"):
        cases[column] = case(module.by_asyncio, (column, size), expected)
    cases["greenlet"] = case(module.by_greenlet, (size,), expected)
    cases["go"] = go(module.GO, size, expected)
    wanted = [_bench.first_of(*_peers.PYTHON)]
    if switching:
        wanted.append(_bench.faster(1, "go"))
    return _bench.Row(module.NAME, cases, wanted, unit="ms", alone=True)
