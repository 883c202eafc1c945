"""The simulated exchange: Binance's protocol on loopback, fed by a tape or a synthetic market.

The core is sans-IO: `Gateway` takes requests and websocket messages and answers them, `Exchange` keeps
accounts, orders and markets; neither reads a clock, opens a socket or awaits. `server` is the thin aiohttp
shell around them. Nothing here imports daemon/orders or daemon/venues, so that the simulator cannot share
their mistakes.
"""
