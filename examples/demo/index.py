"""An index of all identifiers in the standard library, by a pipeline.

    read ----> tokenize ----> collect ----> merge
    one tasklet a file,       one tasklet   the main
    each for both stages      a letter      tasklet

A reader sends its file's lines over a channel.  The tokenizer at the other
end is the tokenize module, which knows nothing of tasklets: it believes to
call a file's readline, and that is the channel's receive.  Each identifier is
sent to the collector of its first letter.  In the end all collectors sort
what they have, at the same time, by a key function that switches: tasklets
take turns in the middle of sorted(), which is C.
"""

import heapq
import keyword
import pathlib
import string
import sysconfig
import time
import tokenize

import progress

import stackless

TITLE = "An index of every identifier in the standard library"
ABOUT = """\
Which names do the authors of Python's own library use, how often and where?
Each file is read by one tasklet and taken apart by another, line by line;
one tasklet for each letter counts, and all of them sort at the same time.
"""
AT_ONCE = 64  # files that are worked on at the same time
LETTERS = "_" + string.ascii_lowercase + "?"  # "?": all others
BAD_FILE = (tokenize.TokenError, SyntaxError, UnicodeDecodeError)


class Semaphore:
    """So many may have a permit at a time; the others wait in a channel."""

    def __init__(self, permits):
        self.free = permits
        self.waiting = stackless.channel()

    def acquire(self):
        if self.free:
            self.free -= 1
        else:
            self.waiting.receive()

    def release(self):
        if self.waiting.balance < 0:
            self.waiting.send(None)
        else:
            self.free += 1


def library_files(small):
    """The .py files of the standard library, its tests included."""
    root = pathlib.Path(sysconfig.get_path("stdlib"))
    files = [path for path in root.rglob("*.py")
             if not {"site-packages", "dist-packages"} & set(path.parts)]
    files.sort()
    return root, files[::100] if small else files


def letter(name):
    first = name[0].lower()
    return first if first in LETTERS else "?"


# --- the stages ---

def read(path, lines):
    """Stage 1: send the lines of a file, and an empty one at the end."""
    with open(path, "rb") as file:
        content = file.read()
    lines.send_sequence(content.splitlines(keepends=True))
    while True:  # as readline does
        lines.send(b"")


def tokenize_file(number, path, collectors, permits, done):
    """Stage 2: send the identifiers of a file to their collectors."""
    permits.acquire()
    lines = stackless.channel()
    reader = stackless.tasklet(read)(path, lines)
    last_line, error = 0, None
    try:
        for token in tokenize.tokenize(lines.receive):
            last_line = token.end[0]
            if (token.type == tokenize.NAME
                    and not keyword.iskeyword(token.string)):
                collectors[letter(token.string)].send((token.string, number))
    except BAD_FILE as exception:
        error = exception
    reader.kill()
    permits.release()
    done.send((last_line, error))


def collect(names, parts):
    """Stage 3: count the identifiers that begin with one letter; sort them."""
    index = {}
    for name, number in names:
        add(index, name, number)

    def rank(name):
        stackless.schedule()  # all collectors sort at the same time
        return sort_key(index, name)

    parts.send((index, sorted(index, key=rank)))


def merge(parts):
    """Stage 4: make one index of the collectors' parts."""
    index, rankings = {}, []
    for _ in LETTERS:
        part, ranking = parts.receive()
        index.update(part)
        rankings.append(ranking)
    ranking = heapq.merge(*rankings, key=lambda name: sort_key(index, name))
    return index, list(ranking)


def add(index, name, number):
    """Count one use of a name in a file."""
    uses = index.get(name)
    if uses is None:
        uses = index[name] = {}
    uses[number] = uses.get(number, 0) + 1


def sort_key(index, name):
    """Most used first."""
    return -sum(index[name].values()), name


# --- two ways to run them ---

def by_tasklets(files):
    """Return (index, ranking, lines, bad files, most tasklets at once)."""
    parts, done = stackless.channel(), stackless.channel()
    collectors = {}
    for first in LETTERS:
        collectors[first] = stackless.channel()
        stackless.tasklet(collect)(collectors[first], parts)
    permits = Semaphore(AT_ONCE)
    for number, path in enumerate(files):
        stackless.tasklet(tokenize_file)(
            number, path, collectors, permits, done)

    lines, bad, most = 0, 0, 0
    with progress.bar("with tasklets   ", len(files)) as advance:
        for _ in files:
            count, error = done.receive()
            lines += count
            bad += error is not None
            most = max(most, stackless.get_stats()["tasklets"])
            advance(1)
    for names in collectors.values():
        names.send_exception(StopIteration)
    return *merge(parts), lines, bad, most


def by_a_loop(files):
    """The same without tasklets; return (index, ranking)."""
    index = {}
    with progress.bar("by a plain loop ", len(files)) as advance:
        for number, path in enumerate(files):
            try:
                with open(path, "rb") as file:
                    for token in tokenize.tokenize(file.readline):
                        if (token.type == tokenize.NAME
                                and not keyword.iskeyword(token.string)):
                            add(index, token.string, number)
            except BAD_FILE:
                pass
            advance(1)
    return index, sorted(index, key=lambda name: sort_key(index, name))


def main(small):
    """Build the index in both ways, print findings; return success."""
    root, files = library_files(small)
    size = sum(path.stat().st_size for path in files)
    print(f"{root}: {len(files):,} files, {size / 1e6:.1f} MB")

    before = stackless.get_stats()
    begun = time.perf_counter()
    index, ranking, lines, bad, most = by_tasklets(files)
    seconds = time.perf_counter() - begun
    after = stackless.get_stats()
    begun = time.perf_counter()
    plain_index, plain_ranking = by_a_loop(files)
    plain_seconds = time.perf_counter() - begun

    report(files, index, ranking)
    print(f"lines read           {lines:,} "
          f"({bad} files are broken on purpose, for tests)")
    print(f"tasklets at once     {most:,}")
    for kind, note in ("soft", "no C in between"), ("hard", "inside C code"):
        count = after[f"{kind}_switches"] - before[f"{kind}_switches"]
        print(f"{kind} switches        {count:,} ({note})")
    print(f"time                 {seconds:.1f} s with tasklets, "
          f"{plain_seconds:.1f} s by a plain loop")
    equal = index == plain_index and ranking == plain_ranking
    print("the two indexes      " + ("are equal" if equal else "DIFFER"))
    return equal


def report(files, index, ranking):
    """Print what is in the index."""
    def uses(name):
        return sum(index[name].values())

    total = sum(map(uses, index))
    print(f"\nidentifiers          {total:,}, {len(index):,} different ones")
    print("used most            "
          + ", ".join(f"{name} {uses(name):,}" for name in ranking[:6]))
    spread = sorted(index, key=lambda name: (-len(index[name]), name))[:6]
    print("in most files        "
          + ", ".join(f"{name} {len(index[name]):,}" for name in spread))
    longest = max(index, key=lambda name: (len(name), name))
    where = files[min(index[longest])].name
    shown = longest if len(longest) <= 60 else longest[:57] + "..."
    print(f"the longest          {shown} ({len(longest)} letters, {where})")
    once = sum(uses(name) == 1 for name in index)
    print(f"used only once       {once:,}")
