"""Who is there, and what is everybody doing?

all_tasklets() lists the tasklets, print_stacks() shows their stacks; each
tasklet knows where it was made, what it waits for, and its frame.
"""

import sys

import stackless


def fetch(inbox):
    return inbox.receive()


def client(inbox):
    while True:
        print(fetch(inbox))


inbox = stackless.channel()
for name in ("red", "blue"):
    tasklet = stackless.tasklet(client)(inbox)
    tasklet.name = name
stackless.run()

for tasklet in stackless.all_tasklets():
    if tasklet.waiting_for is inbox:
        print(tasklet.name, "waits in", tasklet.frame.f_code.co_name,
              "called by", tasklet.frame.f_back.f_code.co_name)
print()
stackless.print_stacks(sys.stdout)

# Prints:
#     red waits in fetch called by client
#     blue waits in fetch called by client
#
#     tasklet 'main' at 0x...: current
#       File "...introspection.py", line 32, in <module>
#         stackless.print_stacks(sys.stdout)
#     tasklet 'red' at 0x...: blocked receiving on <...channel...> (created at ...introspection.py:23)
#       File "...introspection.py", line 18, in client
#         print(fetch(inbox))
#     ...
#       File "...introspection.py", line 13, in fetch
#         return inbox.receive()
#     ...
#     tasklet 'blue' at 0x...: blocked receiving on <...channel...> (created at ...introspection.py:23)
#       File "...introspection.py", line 18, in client
#         print(fetch(inbox))
#     ...
#       File "...introspection.py", line 13, in fetch
#         return inbox.receive()
#     ...
