"""The simulated exchange: Binance's protocol on loopback, fed by a tape or a synthetic market.

The core is sans-IO: `Gateway` takes requests and websocket messages and answers them, `Exchange` keeps
accounts, orders and markets; neither reads a clock, opens a socket or awaits. `server` is the thin aiohttp
shell around them. Nothing here imports daemon/orders or daemon/venues, so that the simulator cannot share
their mistakes.
"""

from typing import Final

#: where a process that is the exchange takes its one account's key from
KEY_ENV: Final = "TICKD_SIMULATOR_KEY"
SECRET_ENV: Final = "TICKD_SIMULATOR_SECRET"  # noqa: S105 - the variable's name
#: in place of a secret: an Ed25519 public key, PEM
PUBLIC_KEY_ENV: Final = "TICKD_SIMULATOR_PUBLIC_KEY"
