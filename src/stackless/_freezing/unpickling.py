"""Pickles of suspended programs, read: which names in them may be what."""

import _compat_pickle
import copyreg
import io
import pickle

from stackless import _core
from stackless._freezing import (
    classes,
    codes,
    containers,
    decimals,
    iterators,
    others,
    pickling,
    restoring,
    softening,
)
from stackless._freezing.errors import MissingCodeError


_load = pickle.Unpickler.load


class Unpickler(_core._UnpicklerBase, pickle.Unpickler):
    """Unpickler(file, *, find_class=None)

    Reads what a Pickler has written.  find_class(module, name) is asked, if it
    is not None, for each global name; it returns the object or raises.
    """

    _ask = None  # as for an allow-list

    def __init__(self, file, *, find_class=None):
        pickle.Unpickler.__init__(self, file)
        if find_class is not None:
            self._ask = find_class

    def load(self):
        """load() -- what the pickle is of.

        If it raises, nothing of what has been made so far runs, no `finally`.
        """
        return restoring.load(_load, self)

    def _find(self, module, name):
        """What C leaves to us: it finds what is there and needs no asking."""
        ask = self._ask
        if module == pickling.__name__:
            own = _OWN.get(name)
            return own if own and ask is None else self._asked(own, name)
        home = _HOMES.get(module)
        if home is not None:
            own = getattr(home, name) if name in home.OWN else None
            return self._asked(own, name)
        if ask is not None:
            return ask(module, name)
        try:
            return pickle.Unpickler.find_class(self, module, name)
        except (AttributeError, ModuleNotFoundError) as error:
            raise MissingCodeError([f"{module}.{name}"]) from error

    def _asked(self, function, name):
        """One of our functions: what it looks for is asked for first."""
        if function is None:
            raise pickle.UnpicklingError(f"{name!r} is no name of ours")
        if name not in _ASKED or self._ask is None:
            return function

        def asked(*args):
            self._ask(*_ASKED[name](*args))
            return function(*args)

        return asked


# Of these all names in OWN may be referred to, too.
_HOMES = {
    home.__name__: home
    for home in (classes, containers, decimals, iterators, others)
}

# Functions that look for something, and as what an allow-list is asked for it.
_ASKED = {
    "_module": lambda name: (name, "__dict__"),
    "_globals": lambda name: (name, "__dict__"),
    "_code": lambda reference, _: reference[1:3],
    "_code_by_value": lambda _: (pickling.__name__, "_code_by_value"),
    "_by_name": lambda module, qualname: (module, qualname),
    "_type": lambda name: ("types", name),
}
_OWN = {
    name: getattr(pickling, name)
    for name in (
        *(name for name in _ASKED if hasattr(pickling, name)),
        "_NOTHING",
        "_anext",
        "_await",
        "_await_wrapper",
        "_call",
        "_cell",
        "_closed",
        "_finished_generator",
        "_function",
        "_generator",
        "_internal",
        "_method",
        "_new_exception",
        "_new_object",
        "_new_object_ex",
        "_same",
        "_set_await",
        "_set_cell",
        "_set_channel",
        "_set_deep_tasklet",
        "_set_exception",
        "_set_function",
        "_set_generator",
        "_set_tasklet",
        "_traceback",
    )
}


def _known_names():
    """What C finds by itself: in our modules only these names; where names have
    another meaning in protocols up to 2, none."""
    renamed = [*_compat_pickle.IMPORT_MAPPING]
    renamed += [module for module, _ in _compat_pickle.NAME_MAPPING]
    names = {
        module: {name: getattr(home, name) for name in home.OWN}
        for module, home in _HOMES.items()
    }
    return {**dict.fromkeys(renamed), pickling.__name__: _OWN, **names}


_core._set_hooks(
    codes.new_digest,
    softening.known_places,
    softening.check,
    restoring.restore,
    _known_names(),
    copyreg.__newobj__,
    restoring.loads,
)

Unpickler.__module__ = "stackless"


def loads(data, find_class=None):
    return Unpickler(io.BytesIO(data), find_class=find_class).load()
