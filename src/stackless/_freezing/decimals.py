"""Contexts of decimal: what `with decimal.localcontext()` sets.

decimal is C as a rule; _pydecimal is the same in Python, and takes its place
where C is missing, or stands beside it.
"""

import contextvars
import pickle
import sys
import types

from stackless import _core

_PYTHON = "_pydecimal"


def _modules():
    """Those that are imported."""
    found = []
    for name in ("decimal", _PYTHON):
        module = sys.modules.get(name)
        if hasattr(module, "getcontext") and module not in found:
            found.append(module)
    return found


def _variable_of(module):
    """In which it keeps its context; that of C no module shows."""
    context = contextvars.Context()
    context.run(module.getcontext)
    return next((v for v in context if v.name == "decimal_context"), None)


# --- made when a pickle is loaded --------------------------------------------

def _decimal_variable():
    import decimal

    return _variable_of(decimal)


def _local_decimals(local, outer):
    """What decimal.localcontext(local) returns where outer is the context.

    But that takes a copy; a program may have the one that it had.
    """
    import decimal

    manager = contextvars.Context().run(decimal.localcontext)
    _set_by(manager)  # or it is laid out in another way
    _core._set_iterator_state(manager, ((local,), (outer,)))
    return manager


def _local_decimals_type():
    import decimal

    return type(contextvars.Context().run(decimal.localcontext))


def _python_type(name):
    """One that says that it is of decimal."""
    import _pydecimal

    kind = getattr(_pydecimal, name)
    if not issubclass(type(kind), type):
        raise ValueError(f"no class: {name!r}")
    return kind


def set_in(tasklet, contexts):
    """Calculate with that context from now on; or with those, a tuple."""
    for context in contexts if type(contexts) is tuple else (contexts,):
        for module in _modules():
            if issubclass(type(context), module.Context):
                tasklet.context_run(module.setcontext, context)
                break
        else:
            raise ValueError("no context of decimal")


# --- written -----------------------------------------------------------------

def contexts_in(context):
    """Those of each module in a Context, which may be None."""
    if not context:
        return ()
    variables = {_variable_of(module) for module in _modules()}
    found = [context.get(variable) for variable in variables]
    return tuple(known for known in found if known is not None)


def is_variable(variable):
    """Whether it is that of C."""
    known = variable.name == "decimal_context" and "decimal" in sys.modules
    return known and variable is _decimal_variable()


def is_manager_type(kind):
    """Whether it is that of what C's localcontext() returns."""
    return (
        kind.__module__ == "decimal"
        and kind.__name__ == "ContextManager"
        and kind is _local_decimals_type()
    )


def _is_python_manager(kind):
    return kind.__name__ == "_ContextManager" and any(
        getattr(module, "_ContextManager", None) is kind
        for module in _modules()
    )


def is_manager(value):
    kind = type(value)
    return is_manager_type(kind) or _is_python_manager(kind)


def has_manager(slot):
    """Whether a frame has that there because of a `with`."""
    if type(slot) in (types.BuiltinMethodType, types.MethodType):
        slot = slot.__self__
    return is_manager(slot)


def reduce_type(kind):
    """One that is not found by its own name, or None."""
    if is_manager_type(kind):
        return _local_decimals_type, ()
    if kind.__module__ == "decimal":
        name = kind.__qualname__
        own = getattr(sys.modules.get(_PYTHON), name, None) is kind
        if own and getattr(sys.modules.get("decimal"), name, None) is not kind:
            return _python_type, (name,)
    return None


def _set_by(manager):
    """What decimal.localcontext() sets, and what it sets afterwards.

    Entered and left where it is of no consequence, it tells that.
    """
    import decimal

    context = contextvars.Context()
    local = context.run(manager.__enter__)
    context.run(manager.__exit__, None, None, None)
    outer = context.run(decimal.getcontext)
    if not _core._iterator_fits(manager, ((local,), (outer,))):
        raise pickle.PicklingError(
            "decimal.localcontext() cannot be written on CPython "
            f"{sys.version.split()[0]}"
        )
    return local, outer


def reduce_manager(manager, protocol):
    """(how it is made, the context that it sets)."""
    if _is_python_manager(type(manager)):
        return manager.__reduce_ex__(protocol), manager.new_context
    args = _set_by(manager)
    return (_local_decimals, args), args[0]


# What an Unpickler takes from here.
OWN = {
    "_decimal_variable",
    "_local_decimals",
    "_local_decimals_type",
    "_python_type",
}
