"""A progress bar: by rich or tqdm if installed, else a plain line.

    with progress.bar("reading", total=100) as advance:
        advance(1)

No threads are started for it: rich and tqdm would like to, and are told not
to.  Updates closer together than a tenth of a second are put off.
"""

import contextlib
import sys
import time

INTERVAL = 0.1


def by_rich(label, total):
    """Return (show(done), close()), drawn by rich."""
    from rich import progress

    drawn = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeElapsedColumn(),
        auto_refresh=False,
    )
    drawn.start()
    task = drawn.add_task(label, total=total)
    return (lambda done: drawn.update(task, completed=done, refresh=True),
            drawn.stop)


def by_tqdm(label, total):
    """Return (show(done), close()), drawn by tqdm."""
    import tqdm

    tqdm.tqdm.monitor_interval = 0
    drawn = tqdm.tqdm(desc=label, total=total)
    return lambda done: drawn.update(done - drawn.n), drawn.close


def by_print(label, total):
    """Return (show(done), close()) for a line that grows to the right."""
    print(f"{label}:", end="", flush=True)
    shown = 0

    def show(done):
        nonlocal shown
        tenth = 10 * done // total if total else 10
        while shown < tenth:
            shown += 1
            print(f" {shown * 10}%", end="", flush=True)

    return show, print


def draw(label, total):
    """The best of the three."""
    if sys.stdout.isatty():
        for method in (by_rich, by_tqdm):
            with contextlib.suppress(ImportError):
                return method(label, total)
    return by_print(label, total)


@contextlib.contextmanager
def bar(label, total):
    """Context manager; gives a function to call with the amount done."""
    show, close = draw(label, total)
    done = 0
    due = 0.0

    def advance(amount):
        nonlocal done, due
        done += amount
        if done >= total or time.monotonic() >= due:
            show(done)
            due = time.monotonic() + INTERVAL

    try:
        yield advance
    finally:
        close()
