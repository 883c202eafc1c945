"""The bodies that a webhook is posted: JSON of our own form, or a sentence a line as chats take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from daemon.faces.mqtt_messages import AlertsMessage, FillsMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.faces.mqtt_messages import AlertEvent, EventsMessage, FillEvent

#: Discord takes 2,000 characters a message
_CHARS_MAX: Final = 1_900
_DONE: Final = {"buy": "bought", "sell": "sold"}
#: what Slack would read as marks of its own
_SLACK: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def in_json(message: EventsMessage) -> bytes:
    """Return the message as over MQTT (docs/mqtt.md), with its topic."""
    topic = "fills" if isinstance(message, FillsMessage) else "alerts"
    return msgspec.json.encode({"topic": topic, **msgspec.to_builtins(message)})


def for_slack(message: EventsMessage) -> bytes:
    """Return what Slack, Mattermost and Rocket.Chat take."""
    return msgspec.json.encode({"text": in_words(message).translate(_SLACK)})


def for_discord(message: EventsMessage) -> bytes:
    """Return what Discord takes; nobody is called by a name that stands in it."""
    return msgspec.json.encode({"content": in_words(message), "allowed_mentions": {"parse": []}})


def in_words(message: EventsMessage) -> str:
    """Return a sentence a line, cut where a chat would not take more."""
    lines = []
    if isinstance(message, FillsMessage):
        lines = [_fill(one) for one in message.events]
    elif isinstance(message, AlertsMessage):
        lines = [_alert(one) for one in message.events]
    text = "\n".join(f"tickd {message.name}: {line}" for line in lines)
    return text if len(text) <= _CHARS_MAX else f"{text[: _CHARS_MAX - 1]}…"


def _fill(one: FillEvent) -> str:
    whose = one.strategy or "an order of nobody here"
    role = "maker" if one.maker else "taker"
    fee = f"fee {one.fee} {one.fee_asset}"
    return f"{_DONE[one.side]} {one.qty} {one.symbol} at {one.price} ({whose}, {role}, {fee})"


def _alert(one: AlertEvent) -> str:
    if one.halted is None:
        return f"{one.kind}: {one.text}"
    return f"{'HALTED' if one.halted else 'resumed'} by {one.source}: {one.text}"


#: webhook.form -> the maker of its bodies
FORMS: Final[dict[str, Callable[[EventsMessage], bytes]]] = {
    "json": in_json,
    "slack": for_slack,
    "discord": for_discord,
}
