"""A pipeline: numbers go through two stages; closing ends it.

Each stage reads its input with a for loop.  A loop over a channel ends when
the channel is closed and nobody is left who waits to send.  Closing wakes
nobody up: it has to happen before the reader asks for another value, so the
writer sends, closes, and only then lets the reader go on.
"""

import stackless


def produce(count, output):
    output.preference = 1  # whoever sends goes on; the receiver comes later
    for number in range(count):
        output.send(number)
    output.close()


def square(source, output):
    output.preference = 1
    for number in source:
        output.send(number * number)
    output.close()


def consume(source):
    total = 0
    for number in source:
        print("got", number)
        total += number
    print("total", total)


numbers, squares = stackless.channel(), stackless.channel()
stackless.tasklet(produce)(5, numbers)
stackless.tasklet(square)(numbers, squares)
stackless.tasklet(consume)(squares)
stackless.run()

# Prints:
#     got 0
#     got 1
#     got 4
#     got 9
#     got 16
#     total 30
