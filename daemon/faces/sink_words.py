"""A line on each of who is told what happens, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.status import MqttStatus, WebhookStatus


def bus_words(mqtt: MqttStatus) -> str:
    """Return whether the broker is there, and what it was not told."""
    up = (
        f"connected to {mqtt.broker}" if mqtt.connected else mqtt.failure or f"not connected to {mqtt.broker}"
    )
    return up + _rest(mqtt.queued, mqtt.dropped, sum(mqtt.refused.values()))


def webhook_words(hook: WebhookStatus) -> str:
    """Return whether notifications are taken, and which were not."""
    up = hook.failure or f"{hook.told:,} told {hook.host}"
    return up + _rest(hook.queued, hook.dropped, hook.refused)


def _rest(queued: int, dropped: int, refused: int) -> str:
    return f", {queued:,} wait, {dropped:,} dropped" + (f", {refused:,} refused" if refused else "")
