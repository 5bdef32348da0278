"""python -m stackless: run a program as the main tasklet.

    python -m stackless [OPTIONS] [-m MODULE | -c CODE | PROGRAM] [args ...]

The program is run as Python itself would run it, by a dispatcher, so that main
is a soft tasklet; --hard-main leaves it on the thread's own C stack.  When it
has come to its end, the tasklets that it left behind go on until none is
runnable.  Errors, sys.exit(), Ctrl-C and exit statuses are CPython's own
affair: they leave this file as they came, and only the frames found here are
cut off tracebacks.
"""

import sys

import stackless

class NotFound(Exception):
    """There is no such program."""


USAGE = "%(prog)s [--stats] [--hard-main] [-m MODULE | -c CODE | PROGRAM] [args ...]"


def main():
    """Run what the command line says."""
    options, parser = parse(sys.argv[1:])
    if options.stats:
        import atexit

        atexit.register(print_stats, get_pid())
    try:
        code, namespace = load(options, parser)
        if options.hard_main or "greenlet" in sys.modules:
            exec(code, namespace)
        else:
            sys.audit("exec", code)
            stackless._core._run_main(type(main)(code, namespace))
        while stackless.getruncount() > 1:
            stackless.run()
    except SystemExit:
        raise
    except BaseException:
        hide_frames()
        raise


def parse(argv):
    """Split our options from the program's, and parse ours."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m stackless",
        usage=USAGE,
        description="Run a program as the main tasklet, and then its other "
        "tasklets until none is runnable.",
        allow_abbrev=False,
    )
    parser.add_argument("--stats", action="store_true",
                        help="print the engine's counters to stderr at exit")
    parser.add_argument("--hard-main", action="store_true",
                        help="keep main on the thread's own C stack, for "
                        "programs whose main must not change it")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("-m", dest="module", metavar="MODULE",
                      help="run a module, as python -m does")
    what.add_argument("-c", dest="code", metavar="CODE",
                      help="run the code given, as python -c does")
    what.add_argument("program", nargs="?", metavar="PROGRAM",
                      help="run a file, directory or zip file")

    # Whatever follows PROGRAM, -m MODULE or -c CODE belongs to the program.
    end = 0
    while end < len(argv) and argv[end].startswith("-"):
        end += 1
        if argv[end - 1].startswith(("-m", "-c")):
            end += argv[end - 1] in ("-m", "-c")
            break
    else:
        end += 1
    options = parser.parse_args(argv[:end])
    options.args = argv[end:]
    if not (options.module or options.program or options.code is not None):
        parser.error("give a program to run: PROGRAM, -m MODULE or -c CODE")
    return options, parser


def load(options, parser):
    """Make the program's code, its namespace, sys.argv and sys.path."""
    module = type(sys)("__main__")
    module.__builtins__ = sys.modules["builtins"]
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    sys.modules["__main__"] = module
    if options.code is not None:
        sys.argv = ["-c", *options.args]
        set_path0("")
        code = compile(options.code, "<string>", "exec", dont_inherit=True)
    elif options.module is not None:
        sys.argv = ["-m", *options.args]
        code = load_module(module, options.module)
        sys.argv[0] = module.__file__
    else:
        sys.argv = [options.program, *options.args]
        code = load_program(module, options.program, parser)
    return code, module.__dict__


def load_module(module, name):
    """Find the code for -m; sys.path[0] has been made for it already."""
    import runpy

    try:
        _, spec, code = runpy._get_module_details(name, NotFound)
    except NotFound as error:
        fail(f"{sys.executable}: {error}", 1)
    set_spec(module, spec)
    return code


def load_program(module, path, parser):
    """Find the code of a file, or of __main__ in a directory or zip file."""
    import os
    import pkgutil

    directory = os.path.dirname(os.path.realpath(path))
    path = os.path.abspath(path)
    if pkgutil.get_importer(path) is not None:
        return load_archive(module, path)
    set_path0(directory)
    try:
        code = read_program(path)
    except OSError as error:
        fail(f"{parser.prog}: can't open file {path!r}: "
             f"[Errno {error.errno}] {error.strerror}", 2)
    from importlib.machinery import SourceFileLoader

    module.__file__ = path
    module.__cached__ = None
    module.__loader__ = SourceFileLoader("__main__", path)
    return code


def load_archive(module, path):
    """Find the code of a directory or zip file."""
    import runpy

    if sys.flags.safe_path:
        sys.path.insert(0, path)
    else:
        sys.path[0] = path
    try:
        _, spec, code = runpy._get_main_module_details(NotFound)
    except NotFound as error:
        fail(f"{sys.executable}: {error}", 1)
    set_spec(module, spec)
    return code


def read_program(path):
    """The code object of a .py or .pyc file."""
    import io
    import pkgutil

    with io.open_code(path) as file:  # once: it may be a pipe
        text = file.read()
    code = pkgutil.read_code(io.BytesIO(text))
    if code is None:
        code = compile(text, path, "exec", dont_inherit=True)
    return code


def set_spec(module, spec):
    """Give the main module what an imported one knows of itself."""
    module.__spec__ = spec
    module.__file__ = spec.origin
    module.__cached__ = spec.cached
    module.__loader__ = spec.loader
    module.__package__ = spec.parent


def set_path0(path):
    """Change sys.path[0] from what 'python -m' puts there."""
    if not sys.flags.safe_path:
        sys.path[0] = path


def hide_frames():
    """Cut our frames off the traceback that CPython is about to print."""
    hook = sys.excepthook

    def excepthook(type, value, traceback):
        traceback = program_part(traceback)
        value.__traceback__ = sys.last_traceback = traceback
        sys.excepthook = hook
        hook(type, value, traceback)

    sys.excepthook = excepthook


def program_part(traceback):
    """A traceback without what is above our last frame, runpy's and ours."""
    entry = traceback
    while entry and entry.tb_frame.f_code.co_filename != __file__:
        entry = entry.tb_next
    while entry and entry.tb_frame.f_code.co_filename == __file__:
        traceback = entry = entry.tb_next
    return traceback


def print_stats(pid):
    """Print the counters (but not once more in a forked child)."""
    if get_pid() != pid:
        return
    stats = stackless.get_stats()
    width = max(map(len, stats))
    print("stackless:", file=sys.stderr)
    for name, value in stats.items():
        label = name.replace("_", " ")
        print(f"  {label:{width}} {value:15,}", file=sys.stderr)


def get_pid():
    """os.getpid()."""
    import os

    return os.getpid()


def fail(message, status):
    """End as CPython does when there is nothing to run."""
    print(message, file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
