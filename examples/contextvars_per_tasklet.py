"""Context variables: which tasklets share them.

A new tasklet shares the context of its creator, so a variable set in one is
seen in the other.  set_context() gives a tasklet a context of its own, and
then what it sets is its own affair, as in an asyncio task.
"""

import contextvars

import stackless

user = contextvars.ContextVar("user", default="nobody")


def session(name):
    user.set(name)
    stackless.schedule()  # the others run, and set it too
    print(f"{name} sees {user.get()}")


user.set("main")
for name in ("ann", "bob"):
    tasklet = stackless.tasklet().bind(session, (name,))
    tasklet.set_context(contextvars.copy_context())
    tasklet.insert()
stackless.run()
print(f"main sees {user.get()}")

peek = stackless.tasklet(session)("eve")
stackless.run()
print(f"main sees {user.get()}, because eve shares its context")

# Prints:
#     ann sees ann
#     bob sees bob
#     main sees main
#     eve sees eve
#     main sees eve, because eve shares its context
