"""What argument_program.py attacks with: values, targets, places to call from.

A target is a tasklet or channel in one of its states; a place is a kind of
code, such as a destructor, that calls.
"""

import contextlib
import contextvars
import gc
import io
import queue
import signal
import sys
import threading
import weakref

import stackless

try:
    from stackless import _coretest
except ImportError:  # a build for users
    _coretest = None

VALUE = object()


class Marker(Exception):
    """What hostile code raises."""


def idle(*args, **kwargs):
    """What tasklets are bound to: takes anything, does nothing."""


def pause(*args, **kwargs):
    stackless.schedule_remove(None)


def call(function):
    return function()


def through_c(function):
    return list(map(call, [function]))[0]


def started(function, *args):
    """A tasklet that has run until it was suspended, or ended."""
    tasklet = stackless.tasklet(function)(*args)
    tasklet.run()
    return tasklet


def make_traceback():
    try:
        raise Marker
    except Marker as error:
        return error.__traceback__


# --- another thread -----------------------------------------------------------


class OtherThread:
    """A thread that does what it is told, in a tasklet of its own."""

    def __init__(self):
        self.orders = queue.SimpleQueue()
        self.results = queue.SimpleQueue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        tasklet = stackless.tasklet(self.obey)()
        while tasklet.alive:
            # Main may be thrown at, and what it runs may fail.
            with contextlib.suppress(Exception, SystemExit):
                tasklet.insert()
                stackless.run()

    def obey(self):
        while True:
            # The order and its result go before the next is waited for.
            order = self.orders.get()
            if order is None:
                return
            self.results.put(order())
            del order

    def do(self, function):
        self.orders.put(function)
        return self.results.get()

    def end(self):
        self.orders.put(None)


def kill_all():
    """Kill the tasklets of the calling thread, but for main and current."""
    current = stackless.getcurrent()
    for _ in range(3):
        left = [
            tasklet
            for tasklet in stackless.all_tasklets()
            if tasklet.thread_id == current.thread_id
            and not tasklet.is_main
            and tasklet is not current
        ]
        for tasklet in left:
            with contextlib.suppress(Exception, SystemExit):
                tasklet.kill()
        if not left:
            break


other = None
other_used = False


def foreign(make):
    """What `make` gives, when the other thread calls it."""
    global other, other_used
    if other is None:
        other = OtherThread()
    other_used = True
    return other.do(make)


def begin():
    """A deadlock is one, although there is the other thread: only tests can have
    that, so without _coretest there is no other thread."""
    if _coretest is not None:
        _coretest.sleep_never(True)
        foreign(int)
        return
    for targets in TASKLETS, CHANNELS:
        for name in [name for name in targets if name.startswith("foreign")]:
            del targets[name]


def clean_other():
    global other_used
    if other_used:
        other.do(kill_all)
        other_used = False


def orphan():
    """A tasklet whose thread has ended."""
    made = []
    thread = threading.Thread(target=lambda: made.append(started(pause)))
    thread.start()
    thread.join()
    return made.pop()


# --- targets ------------------------------------------------------------------


class Forgetful(stackless.tasklet):
    def __init__(self, *args):
        """Does not call the one of the type."""


class ForgetfulChannel(stackless.channel):
    def __init__(self, *args):
        """Does not call the one of the type."""


def killed():
    tasklet = started(pause)
    tasklet.kill()
    return tasklet


def bombed():
    tasklet = started(pause)
    tasklet.throw(Marker, pending=True)
    return tasklet


def doomed():
    tasklet = started(pause)
    tasklet.tempval = stackless.bomb(1, 2, 3)
    return tasklet


TASKLETS = {
    "unbound": stackless.tasklet,
    "half made": lambda: stackless.tasklet.__new__(stackless.tasklet),
    "subclass without init": Forgetful,
    "bound": lambda: stackless.tasklet(idle),
    "ready": lambda: stackless.tasklet().bind(idle, ()),
    "runnable": lambda: stackless.tasklet(idle)(),
    "paused": lambda: started(pause),
    "paused in C": lambda: started(through_c, pause),
    "receiving": lambda: started(stackless.channel().receive),
    "sending": lambda: started(stackless.channel().send, VALUE),
    "with an exception on its way": bombed,
    "with a wrong bomb": doomed,
    "finished": lambda: started(idle),
    "killed": killed,
    "current": stackless.getcurrent,
    "main": stackless.getmain,
    "of an ended thread": orphan,
    "foreign, new": lambda: foreign(stackless.tasklet),
    "foreign, ready": lambda: foreign(TASKLETS["ready"]),
    "foreign, runnable": lambda: foreign(TASKLETS["runnable"]),
    "foreign, paused": lambda: foreign(TASKLETS["paused"]),
    "foreign, paused in C": lambda: foreign(TASKLETS["paused in C"]),
    "foreign, receiving": lambda: foreign(TASKLETS["receiving"]),
    "foreign, current": lambda: foreign(stackless.getcurrent),
    "foreign, main": lambda: foreign(stackless.getmain),
}


def channel_with(function, closed=False):
    channel = stackless.channel()
    started(function, channel)
    if closed:
        channel.close()
    return channel


def closed_channel():
    channel = stackless.channel()
    channel.close()
    return channel


def receive(channel):
    channel.receive()


def send(channel):
    channel.send(VALUE)


def throw(channel):
    channel.send_throw(Marker)


CHANNELS = {
    "new": stackless.channel,
    "half made": lambda: stackless.channel.__new__(stackless.channel),
    "subclass without init": ForgetfulChannel,
    "closed": closed_channel,
    "with a receiver": lambda: channel_with(receive),
    "with a sender": lambda: channel_with(send),
    "with a thrower": lambda: channel_with(throw),
    "closing, with a receiver": lambda: channel_with(receive, True),
    "closing, with a sender": lambda: channel_with(send, True),
    "foreign, with a receiver": lambda: foreign(CHANNELS["with a receiver"]),
    "foreign, with a sender": lambda: foreign(CHANNELS["with a sender"]),
}


def entered():
    atomic = stackless.atomic()
    atomic.__enter__()
    return atomic


TARGETS = {
    "tasklet": TASKLETS,
    "channel": CHANNELS,
    "bomb": {
        "empty": stackless.bomb,
        "full": lambda: stackless.bomb(Marker, Marker(), make_traceback()),
        "half made": lambda: stackless.bomb.__new__(stackless.bomb),
    },
    "atomic": {"new": stackless.atomic, "entered": entered},
    "cstack": {"of main": lambda: stackless.getmain().cstate},
    "Pickler": {"new": lambda: stackless.Pickler(io.BytesIO())},
    "Unpickler": {"new": lambda: stackless.Unpickler(io.BytesIO())},
}

# --- values -------------------------------------------------------------------

# An argument that fits, by the annotation in the stubs; these are called.
GOOD = {
    "Any": lambda: VALUE,
    "object": lambda: None,
    "str": lambda: "name",
    "int": lambda: 0,
    "bool": lambda: False,
    "int | None": lambda: None,
    "float | None": lambda: None,
    "_SlowCallHandler | None": lambda: None,
    "bool | None": lambda: None,
    "tuple[Any, ...] | None": tuple,
    "tuple[tasklet, int]": lambda: (stackless.getcurrent(), 0),
    "tuple[Any, ...]": lambda: (b"\0\0", None),  # an unbound tasklet
    "dict[int, Any]": dict,
    "dict[str, Any] | None": dict,
    "Callable[..., object] | None": lambda: idle,
    "Callable[..., Any] | None": lambda: None,
    "Callable[_P, _R]": lambda: idle,
    "Callable[..., _T]": lambda: idle,
    "Iterable[object]": lambda: [VALUE],
    "Context": contextvars.copy_context,
    "_ExcType": lambda: Marker,
    "_ExcType | None": lambda: Marker,
    "_ExcType | BaseException": lambda: Marker,
    "TracebackType | None": make_traceback,
    "_ChannelCallback | None": lambda: idle,
    "_ScheduleCallback | None": lambda: idle,
    "_ErrorHandler | None": lambda: idle,
    "SupportsWrite[str] | None": lambda: Writer(),
    "SupportsWrite[bytes]": io.BytesIO,
    "_ReadableFileobj": io.BytesIO,
    "ReadableBuffer": lambda: stackless.freeze(None, key=b"k" * 16),
    "_Key | None": lambda: ("id", b"k" * 16),
    "_Key | Mapping[str, bytes] | None": lambda: b"k" * 16,
    "Literal['reference', 'value']": lambda: "value",
    "Callable[[str, str], Any] | None": lambda: find_class,
    "tuple[str, str, int] | None": lambda: ("f", "f.py", 1),
    "str | None": lambda: "name",
    "list[str]": lambda: ["module.f"],
}


def find_class(module, name):
    return getattr(sys.modules[module], name)


class Writer:
    def write(self, text):
        pass


class Text(str):
    pass


def generate():
    yield VALUE


VALUES = {
    "None": lambda: None,
    "1": lambda: 1,
    "-1": lambda: -1,
    "2**31": lambda: 2**31,
    "2**70": lambda: 2**70,
    "-2**70": lambda: -(2**70),
    "True": lambda: True,
    "a float": lambda: 1.5,
    "a str": lambda: "x",
    "a str of a subclass": lambda: Text("x"),
    "bytes": lambda: b"x",
    "a list": list,
    "a tuple": tuple,
    "a long tuple": lambda: (1,) * 50,
    "a dict": dict,
    "a dict of ints": lambda: {1: 2},
    "an object": object,
    "a type": lambda: object,
    "a function": lambda: idle,
    "a C function": lambda: len,
    "a switching function": lambda: stackless.schedule,
    "a generator": generate,
    "an exception class": lambda: KeyError,
    "an exception": lambda: KeyError(1),
    "an abstract exception": lambda: BaseException,
    "StopIteration": lambda: StopIteration,
    "SystemExit": lambda: SystemExit,
    "TaskletExit": lambda: TaskletExit,
    "an exception that needs arguments": lambda: UnicodeDecodeError,
    "a traceback": make_traceback,
    "a frame": sys._getframe,
    "a context": contextvars.Context,
    "an entered context": lambda: ENTERED,
    "a bomb": lambda: stackless.bomb(KeyError),
    "main": stackless.getmain,
    "a finished tasklet": TASKLETS["finished"],
    "an unbound tasklet": stackless.tasklet,
    "a channel": stackless.channel,
    "NotImplemented": lambda: NotImplemented,
}
ENTERED = contextvars.Context()

# What exceptions may come out because they were put in.
SENT = (Marker, KeyError, StopIteration, SystemExit, UnicodeDecodeError)


def was_sent(error):
    text = str(error) if isinstance(error, TypeError) else ""
    wrong_bomb = text == "throw() third argument must be a traceback object"
    return isinstance(error, SENT) or type(error) is BaseException or wrong_bomb

# --- hostile values -----------------------------------------------------------

target = None  # of the call that is being made


def kill_target():
    if isinstance(target, stackless.tasklet) and not target.is_current:
        target.kill()


def change_target():
    if isinstance(target, stackless.tasklet):
        target.remove()
        target.bind(None)
    elif isinstance(target, stackless.channel):
        target.close()
        if target.queue is not None:
            target.queue.kill()


def run_target():
    if isinstance(target, stackless.tasklet):
        target.run()


def fail():
    raise Marker


def quietly(action):
    """What the action itself is refused is not the call's error."""

    def act():
        with contextlib.suppress(RuntimeError, TypeError):
            action()

    return act


ACTIONS = {
    "raises": fail,
    "switches": quietly(stackless.schedule),
    "kills the target": quietly(kill_target),
    "changes the target": quietly(change_target),
    "runs the target": quietly(run_target),
    "collects": gc.collect,
}

MAGIC = {
    "__eq__": True,
    "__hash__": 1,
    "__repr__": "hostile",
    "__str__": "hostile",
    "__bool__": True,
    "__index__": 1,
    "__int__": 1,
    "__len__": 1,
    "__iter__": iter(()),
    "__next__": 1,
    "__getitem__": 1,
    "__contains__": True,
    "__instancecheck__": True,
    "__subclasscheck__": True,
    "__fspath__": "hostile",
    "__call__": None,
    "__get__": None,
    "keys": ["a"],
    "write": None,
    "__del__": None,
}


def acting(action, result):
    """A method that acts, but not within an action, and gives a result."""
    global hostile_made
    hostile_made = True

    def method(*args, **kwargs):
        if not Busy.busy:
            with Busy():
                action()
        return result

    return method


hostile_made = False


def collect_hostile():
    """Types of hostile objects are cycles."""
    global hostile_made
    if hostile_made:
        gc.collect()
        hostile_made = False


class Busy:
    busy = False

    def __enter__(self):
        Busy.busy = True

    def __exit__(self, *exc_info):
        Busy.busy = False


def hostile_object(action):
    methods = {name: acting(action, result) for name, result in MAGIC.items()}
    return type("Hostile", (), methods)()


def hostile_text(action):
    names = ("__eq__", "__hash__", "__str__", "__repr__", "__del__")
    methods = {name: acting(action, MAGIC[name]) for name in names}
    return type("HostileText", (str,), methods)("text")


def hostile_number(action):
    names = ("__eq__", "__hash__", "__index__", "__bool__", "__del__")
    methods = {name: acting(action, MAGIC[name]) for name in names}
    return type("HostileNumber", (int,), methods)(1)


def hostile_tuple(action):
    names = ("__iter__", "__len__", "__getitem__", "__del__")
    methods = {name: acting(action, MAGIC[name]) for name in names}
    return type("HostileTuple", (tuple,), methods)((1,))


def hostile_dict(action):
    names = ("__iter__", "__len__", "__getitem__", "keys", "__del__")
    methods = {name: acting(action, MAGIC[name]) for name in names}
    return type("HostileDict", (dict,), methods)(a=1)


def hostile_exception(action):
    """A class: to make an instance acts, and so does the instance."""
    return type(
        "HostileException",
        (Marker,),
        {
            "__init__": acting(action, None),
            "__str__": acting(action, "hostile"),
            "__del__": acting(action, None),
        },
    )


def no_exception(action):
    """A class of exceptions that gives something else when called."""
    kind = type(
        "Meta",
        (type,),
        {
            "__call__": acting(action, 1),
            "__instancecheck__": acting(action, False),
        },
    )
    return kind("NoException", (Marker,), {})


def dies_at_once(action):
    return [type("Dying", (), {"__del__": acting(action, None)})()]


HOSTILE = {
    "object": hostile_object,
    "text": hostile_text,
    "number": hostile_number,
    "tuple": hostile_tuple,
    "dict": hostile_dict,
    "exception": hostile_exception,
    "no exception": no_exception,
    "dying": dies_at_once,
}

# --- places -------------------------------------------------------------------


class Noisy:
    def __init__(self, function):
        self.function = function

    def __del__(self):
        self.function()


def in_tasklet(function):
    stackless.tasklet(function)()
    stackless.run()


def in_c(function):
    through_c(function)


def in_tasklet_in_c(function):
    in_tasklet(lambda: through_c(function))


def in_schedule_callback(function):
    stackless.tasklet(idle)()
    stackless.set_schedule_callback(lambda prev, next: function())
    stackless.schedule()


def in_channel_callback(function):
    channel = stackless.channel()
    started(channel.receive)
    stackless.set_channel_callback(lambda *args: function())
    channel.send(VALUE)


def in_error_handler(function):
    stackless.set_error_handler(lambda *args: function())
    stackless.tasklet(fail)()
    stackless.run()


def in_destructor(function):
    Noisy(function)


def in_collected_destructor(function):
    noisy = Noisy(function)
    noisy.myself = noisy
    del noisy
    gc.collect()


def in_weakref_callback(function):
    noisy = Noisy(idle)
    reference = weakref.ref(noisy, lambda reference: function())
    del noisy
    return reference


def in_trace_function(function):
    def trace(frame, event, argument):
        sys.settrace(None)
        function()

    sys.settrace(trace)
    idle()
    sys.settrace(None)


def in_profile_function(function):
    def profile(frame, event, argument):
        sys.setprofile(None)
        function()

    sys.setprofile(profile)
    idle()
    sys.setprofile(None)


def in_traced_tasklet(function):
    def trace(frame, event, argument):
        sys.settrace(None)
        function()

    tasklet = stackless.tasklet().bind(idle, ())
    tasklet.trace_function = trace
    tasklet.run()


def in_signal_handler(function):
    before = signal.signal(signal.SIGUSR1, lambda *args: function())
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def in_context(function):
    contextvars.copy_context().run(function)


PLACES = {
    "main": call,
    "tasklet": in_tasklet,
    "C": in_c,
    "tasklet in C": in_tasklet_in_c,
    "context": in_context,
    "schedule callback": in_schedule_callback,
    "channel callback": in_channel_callback,
    "error handler": in_error_handler,
    "destructor": in_destructor,
    "collected destructor": in_collected_destructor,
    "weakref callback": in_weakref_callback,
    "trace function": in_trace_function,
    "profile function": in_profile_function,
    "traced tasklet": in_traced_tasklet,
    "signal handler": in_signal_handler,
}
