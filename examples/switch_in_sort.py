"""Switching in the middle of C code: inside sorted(key=...).

The key function waits for an answer from another tasklet.  sorted() is
written in C and knows nothing of tasklets; its C stack is set aside while it
waits (a "hard" switch).  A coroutine cannot do this: 'await' in a key
function would need an asynchronous sorted().
"""

import stackless

POPULATION = {"Oslo": 717, "Rome": 2749, "Bern": 135, "Riga": 592}


def registry(questions):
    for city, answer in questions:
        stackless.schedule()  # as if it had to look it up somewhere
        answer.send(POPULATION[city])


def population(city):
    answer = stackless.channel()
    questions.send((city, answer))
    return answer.receive()


def sort(title, reverse, results):
    cities = sorted(POPULATION, key=population, reverse=reverse)
    results.send((title, cities))


questions, results = stackless.channel(), stackless.channel()
stackless.tasklet(registry)(questions)
stackless.tasklet(sort)("smallest first", False, results)
stackless.tasklet(sort)("largest first", True, results)

for _ in range(2):  # both sorts are under way at the same time
    title, cities = results.receive()
    print(title, *cities)

hard = stackless.get_stats()["hard_switches"]
print("hard switches were needed:", hard > 0)

# Prints:
#     smallest first Bern Riga Oslo Rome
#     largest first Rome Oslo Riga Bern
#     hard switches were needed: True
