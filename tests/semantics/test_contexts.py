"""contextvars: which Context a tasklet runs in, and that it travels."""

import contextvars

import pytest
import stackless

from semantics_support import pause, paused, spawn, started, through_c

variable = contextvars.ContextVar("variable", default="default")


@pytest.fixture(autouse=True)
def fresh_context():
    """Each test in a context of its own, put back afterwards."""
    token = variable.set("main")
    yield
    variable.reset(token)


def test_tasklet_runs_in_the_context_of_its_creator(log):
    spawn(lambda: log.append(variable.get()))
    stackless.run()
    assert log == ["main"]


def test_setting_in_a_tasklet_shows_in_the_creator():
    spawn(variable.set, "tasklet")
    stackless.run()
    assert variable.get() == "tasklet"


def test_context_id_is_the_same_by_default():
    t = paused(print)
    assert t.context_id == stackless.current.context_id
    assert isinstance(t.context_id, int)


def test_set_context_returns_the_tasklet_and_isolates_it(log):
    context = contextvars.copy_context()

    def body():
        variable.set("isolated")
        stackless.schedule()
        log.append(variable.get())

    t = stackless.tasklet(body)
    assert t.set_context(context) is t
    assert t.context_id != stackless.current.context_id
    t()
    stackless.schedule()
    assert variable.get() == "main"
    stackless.run()
    assert log == ["isolated"]
    assert context[variable] == "isolated"
    assert variable.get() == "main"


def test_contexts_travel_with_every_switch(log):
    def body(name):
        variable.set(name)
        for _ in range(20):
            stackless.schedule()
            log.append(variable.get() == name)

    for name in "ABC":
        stackless.tasklet(body).set_context(contextvars.copy_context())(name)
    for _ in range(20):
        stackless.schedule()
        assert variable.get() == "main"
    stackless.run()
    assert log == [True] * 60


def test_get_is_not_answered_from_the_previous_tasklets_cache(log):
    """ContextVar caches its value by context version."""
    def body():
        for _ in range(3):
            log.append(variable.get())
            stackless.schedule()

    context = contextvars.Context()
    stackless.tasklet(body).set_context(context)()
    for _ in range(3):
        log.append(variable.get())
        stackless.schedule()
    assert log == ["main", "default"] * 3


def test_context_run_calls_in_the_tasklets_context():
    context = contextvars.Context()
    context.run(variable.set, "its own")
    t = stackless.tasklet(print).set_context(context)
    assert t.context_run(variable.get) == "its own"
    assert t.context_run(lambda *a, **k: (a, k), 1, k=2) == ((1,), {"k": 2})
    t.context_run(variable.set, "changed")
    assert context[variable] == "changed"
    assert variable.get() == "main"


def test_context_run_restores_after_an_error():
    context = contextvars.Context()
    t = stackless.tasklet(print).set_context(context)
    with pytest.raises(ZeroDivisionError):
        t.context_run(lambda: 1 / 0)
    assert variable.get() == "main"
    context.run(lambda: None)


def test_switch_inside_context_run(log):
    def body(name):
        contextvars.Context().run(inner, name)
        log.append(variable.get())

    def inner(name):
        variable.set(name)
        stackless.schedule()
        log.append(variable.get())

    spawn(body, "A")
    spawn(body, "B")
    stackless.schedule()
    assert variable.get() == "main"
    stackless.run()
    assert log == ["A", "main", "B", "main"]


def test_entered_context_cannot_be_entered_by_another(log):
    context = contextvars.Context()
    t = started(context.run, pause)
    with pytest.raises(RuntimeError):
        context.run(lambda: None)
    t.kill()
    context.run(lambda: None)


def test_set_context_while_inside_context_run():
    t = started(contextvars.Context().run, pause)
    with pytest.raises(RuntimeError):
        t.set_context(contextvars.Context())


def test_set_context_wants_a_context():
    with pytest.raises(TypeError):
        stackless.tasklet(print).set_context({})


def test_set_context_on_a_suspended_tasklet(log):
    t = started(lambda: (pause(), log.append(variable.get())))
    context = contextvars.Context()
    context.run(variable.set, "later")
    t.set_context(context)
    t.run()
    assert log == ["later"]


def test_context_travels_through_c(log):
    def inner():
        variable.set("hard")
        stackless.schedule()
        log.append(variable.get())

    stackless.tasklet(through_c).set_context(contextvars.Context())(inner)
    stackless.schedule()
    assert variable.get() == "main"
    stackless.run()
    assert log == ["hard"]


def test_context_of_a_finished_tasklet_is_released(log):
    class Noisy:
        def __del__(self):
            log.append("freed")

    def body():
        variable.set(Noisy())

    t = stackless.tasklet(body).set_context(contextvars.Context())()
    stackless.run()
    del t
    assert log == ["freed"]


def test_context_run_without_a_callable_makes_no_context():
    t = stackless.tasklet()
    with pytest.raises(TypeError):
        t.context_run()
    assert t.context_id == 0
