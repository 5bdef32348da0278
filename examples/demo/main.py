"""Three programs that show what tasklets are good for.

    python -m stackless examples/demo/main.py [index] [market] [million]

    index     every identifier in the standard library, by a pipeline of
              thousands of tasklets, checked against a plain loop
    market    100,000 traders who bargain over channels
    million   a million tasklets at once, beside greenlet and asyncio

Without arguments all three; --small makes them small enough for a test.  The
exit status is 1 if a check fails.  A progress bar is drawn by rich or tqdm if
one of them is there (pip install stackless[demo]).
"""

import argparse
import sys
import time

import index
import market
import million

PROGRAMS = {"index": index, "market": market, "million": million}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true",
                        help="a hundredth of the size")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM",
                        help="index, market, million (default: all)")
    options = parser.parse_args()
    unknown = set(options.programs) - set(PROGRAMS)
    if unknown:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")

    begun = time.perf_counter()
    failed = []
    for name in options.programs or PROGRAMS:
        program = PROGRAMS[name]
        print(f"\n=== {program.TITLE} ===\n\n{program.ABOUT}", flush=True)
        if not program.main(options.small):
            failed.append(name)
    seconds = time.perf_counter() - begun
    if failed:
        print(f"\nFAILED: {', '.join(failed)} ({seconds:.0f} s)")
        return 1
    print(f"\nAll checks passed ({seconds:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
