"""The sections of who is told what happens: an MQTT broker, a webhook."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from daemon.config_checks import ClientId, Host, SecretName, Topic
from daemon.config_section import Section


class MqttConfig(Section, frozen=True):
    """A broker that is told what happens (docs/mqtt.md). Nothing comes from it: no command, no subscription.

    User name and password come from where keys come from, by the names given here.
    """

    host: Host = ""  # empty: nobody is told
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0  # 0: 8883 with tls, else 1883
    topic: Topic = "tickd"  # what stands before /NAME/ in every topic
    client_id: ClientId = ""  # empty: tickd-NAME
    username_env: str = "TICKD_MQTT_USERNAME"
    password_env: str = "TICKD_MQTT_PASSWORD"  # noqa: S105 - the variable's name
    clear_password: bool = False  # the password may travel to another machine without tls
    tls: bool = False
    ca_file: str = ""  # the certificates to trust in place of the system's, PEM
    certificate_file: str = ""  # our own, where the broker asks for one, PEM
    key_file: str = ""  # and its private key; not readable by others
    #: orders, fills and alerts that wait for a broker; beyond so many the oldest is dropped
    queue: Annotated[int, Meta(ge=16, le=1_000_000)] = 4096
    health_s: Annotated[float, Meta(ge=1, le=3600)] = 5.0  # between two words on how it is


class WebhookConfig(Section, frozen=True):
    """An address that is notified (docs/webhook.md). It is a secret, and comes from where keys come from."""

    url_env: SecretName = ""  # the name of the secret that holds the address; empty: nobody is notified
    token_env: SecretName = ""  # and of one that is shown as `Authorization: Bearer`; empty: none
    events: tuple[Literal["fills", "halts", "alerts"], ...] = ("fills", "halts", "alerts")
    form: Literal["json", "slack", "discord"] = "json"
    #: of these that wait; beyond so many the oldest is dropped
    queue: Annotated[int, Meta(ge=16, le=100_000)] = 1024
    timeout_s: Annotated[float, Meta(ge=1, le=60)] = 5.0  # for an answer
