"""USD-M futures of the simulated exchange: what its accounts, orders and user data streams have of their own.

One-way positions, cross or isolated by name (an isolated position's margin is not set apart), initial margin
checked as an order comes, realised profit and commissions booked with each execution, funding every eight
hours. A position is liquidated by a market order, at the last price and one rate of maintenance margin;
nobody is deleveraged.
"""
