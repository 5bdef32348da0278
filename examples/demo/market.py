"""A market: 100,000 traders who know nothing but their own limit.

Each trader is a tasklet.  A buyer knows what a good is worth to him, a seller
what it cost him; they quote at random, but never at a loss to themselves.  A
broker for each good, a tasklet too, brings those together whose prices meet;
then seller and buyer settle the deal between them: goods one way, money the
other, over the channels on which they wait.  Who found nobody today comes
back tomorrow.

That such traders find the price that economic theory computes from supply
and demand is a well-known result (Gode and Sunder, 1993).  All numbers are
whole cents, and all chance comes from one seed, so a market can be repeated
exactly.
"""

import hashlib
import heapq
import random
import time

import progress

import stackless

TITLE = "A market of 100,000 traders"
ABOUT = """\
Half of the traders want to sell, half to buy, and each knows only how far he
himself would go.  They quote at random.  Does a market come of it?  Theory
says at what price supply meets demand, and how many units are then sold.
"""
SEED = 1993
DAYS = 10
# Name, and the dearest price anybody might think of, in cents.
GOODS = (("bread", 600), ("salt", 150), ("wine", 2500), ("cloth", 9000),
         ("iron", 4000))
BUY, SELL = "buy", "sell"


class Trader:
    """What a trader owns and wants; 'limit' is his secret."""

    __slots__ = ("side", "limit", "money", "units", "inbox")

    def __init__(self, side, limit, money, units):
        self.side = side
        self.limit = limit
        self.money = money
        self.units = units
        self.inbox = stackless.channel()


def buyer(trader, desk, chance, advance):
    """A tasklet: try on each day to buy one unit."""
    for _ in range(DAYS):
        desk.send((chance.randint(1, trader.limit), trader))
        offer = trader.inbox.receive()
        if offer is not None:
            price, unit, seller = offer
            trader.money -= price
            trader.units.append(unit)
            seller.inbox.send(price)
            break
    advance(1)


def seller(trader, desk, chance, dearest, advance):
    """A tasklet: try on each day to sell one unit."""
    for _ in range(DAYS):
        desk.send((chance.randint(trader.limit, dearest), trader))
        deal = trader.inbox.receive()
        if deal is not None:
            price, customer = deal
            customer.inbox.send((price, trader.units.pop(), trader))
            trader.money += trader.inbox.receive()
            break
    advance(1)


def broker(desk, count, chance, tape):
    """A tasklet: match orders as they come; write each deal to the tape."""
    for day in range(DAYS):
        bids, asks = [], []  # heaps: the best price on top
        for serial in range(count):
            price, trader = desk.receive()
            if trader.side is BUY and asks and asks[0][0] <= price:
                price, _, partner = heapq.heappop(asks)
                settle(price, trader, partner, day, tape)
            elif trader.side is SELL and bids and -bids[0][0] >= price:
                price, _, partner = heapq.heappop(bids)
                settle(-price, partner, trader, day, tape)
            elif trader.side is BUY:
                heapq.heappush(bids, (-price, serial, trader))
            else:
                heapq.heappush(asks, (price, serial, trader))
        waiting = [trader for _, _, trader in bids + asks]
        chance.shuffle(waiting)
        count = len(waiting)
        for trader in waiting:
            trader.inbox.send(None)  # no deal today


def settle(price, buying, selling, day, tape):
    """Send the seller to the buyer; they do the rest."""
    tape.append((day, price, buying, selling))
    selling.inbox.send((price, buying))


def hold(traders_per_good, seed, advance):
    """Hold a market; return the traders and the tape of each good."""
    chance = random.Random(seed)
    traders, tapes, serial = [], [], 0
    for _, dearest in GOODS:
        desk, tape, group = stackless.channel(), [], []
        for number in range(traders_per_good):
            if number % 2:
                worth = chance.randint(dearest // 4, dearest)
                group.append(Trader(BUY, worth, worth, []))
            else:
                cost = chance.randint(1, 3 * dearest // 4)
                group.append(Trader(SELL, cost, 0, [serial]))
                serial += 1
        chance.shuffle(group)
        for trader in group:
            if trader.side is BUY:
                stackless.tasklet(buyer)(trader, desk, chance, advance)
            else:
                stackless.tasklet(seller)(
                    trader, desk, chance, dearest, advance)
        stackless.tasklet(broker)(desk, len(group), chance, tape)
        traders.append(group)
        tapes.append(tape)
    stackless.run()
    return traders, tapes


def theory(group):
    """(units, price, gain) where supply meets demand."""
    values = sorted((t.limit for t in group if t.side is BUY), reverse=True)
    costs = sorted(t.limit for t in group if t.side is SELL)
    pairs = [(v, c) for v, c in zip(values, costs) if v >= c]
    return len(pairs), sum(pairs[-1]) / 2, sum(v - c for v, c in pairs)


def digest(tapes):
    """A fingerprint of all deals."""
    text = repr([[(day, price, buying.limit, selling.limit)
                  for day, price, buying, selling in tape] for tape in tapes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check(traders, tapes, money_before):
    """Return what is wrong with the books: a list of sentences."""
    everybody = [trader for group in traders for trader in group]
    units = sorted(unit for trader in everybody for unit in trader.units)
    deals = [deal for tape in tapes for deal in tape]
    faults = []
    if sum(trader.money for trader in everybody) != money_before:
        faults.append("money was made or lost")
    if units != list(range(len(units))) or len(units) != len(everybody) // 2:
        faults.append("goods were made or lost")
    if any(trader.money < 0 for trader in everybody):
        faults.append("somebody is in debt")
    if any(not selling.limit <= price <= buying.limit
           for _, price, buying, selling in deals):
        faults.append("somebody traded at a loss")
    bought = sum(len(t.units) for t in everybody if t.side is BUY)
    if bought != len(deals):
        faults.append("a deal was not settled")
    return faults


def main(small):
    """Hold the market, print its final table; return success."""
    per_good = 200 if small else 20_000
    count = per_good * len(GOODS)
    print(f"{count:,} tasklets trade {len(GOODS)} goods on {DAYS} days; "
          f"seed {SEED}")
    before = stackless.get_stats()
    begun = time.perf_counter()
    with progress.bar("traders gone home", count) as advance:
        traders, tapes = hold(per_good, SEED, advance)
    seconds = time.perf_counter() - begun
    after = stackless.get_stats()

    print()
    table(traders, tapes)
    switches = sum(after[key] - before[key]
                   for key in ("soft_switches", "hard_switches"))
    print(f"\nswitches             {switches:,} in {seconds:.1f} s")
    return verdict(traders, tapes)


def table(traders, tapes):
    """Print a line for each good."""
    print("good      traders    units sold    theory   mean price    theory"
          "   gains")
    for (name, _), group, tape in zip(GOODS, traders, tapes):
        units, price, possible = theory(group)
        mean = sum(deal[1] for deal in tape) / len(tape)
        gain = sum(buying.limit - selling.limit
                   for _, _, buying, selling in tape)
        print(f"{name:8}{len(group):9,}{len(tape):14,}{units:10,}"
              f"{mean / 100:13.2f}{price / 100:10.2f}{gain / possible:8.1%}")
    print("\nGains: what buyers and sellers won by trading, as a part of the "
          "most that they\ncould have won if everything had been known to "
          "everybody.")


def verdict(traders, tapes):
    """Check the books, and that a market can be repeated; print both."""
    worth = sum(trader.limit for group in traders for trader in group
                if trader.side is BUY)
    faults = check(traders, tapes, worth)
    print("the books            "
          + ("; ".join(faults).upper() if faults else
             "balance: no money or goods made or lost, nobody in debt"))
    first, second = (digest(hold(100, SEED, lambda amount: None)[1])
                     for _ in range(2))
    same = first == second
    print("the same seed        "
          + ("gives the same market again" if same else "GIVES ANOTHER MARKET")
          + f" (fingerprint of this one: {digest(tapes)})")
    return same and not faults
