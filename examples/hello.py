"""Two tasklets and a channel: the smallest program there is.

A channel is a meeting point.  Whoever comes first waits; when both are there
the object changes hands.
"""

import stackless


def greet(name, channel):
    channel.send(f"hello from {name}")


channel = stackless.channel()
stackless.tasklet(greet)("the first tasklet", channel)
stackless.tasklet(greet)("the second tasklet", channel)

print(channel.receive())
print(channel.receive())

# Prints:
#     hello from the first tasklet
#     hello from the second tasklet
