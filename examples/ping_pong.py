"""Ping and pong: two tasklets that hand a ball back and forth."""

import stackless


def player(name, inbox, partner, log):
    for ball in inbox:
        log.append(f"{name} {ball}")
        if ball == 0:
            return
        partner.send(ball - 1)


log = []
left, right = stackless.channel(), stackless.channel()
stackless.tasklet(player)("ping", left, right, log)
stackless.tasklet(player)("pong", right, left, log)

left.send(5)
stackless.run()
print(", ".join(log))

# Prints:
#     ping 5, pong 4, ping 3, pong 2, ping 1, pong 0
