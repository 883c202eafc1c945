"""One connection to an MQTT 5 broker, by aiomqtt: it publishes, and subscribes to nothing.

Some things are ours, because a bus must not hurt who trades: a refused publish is told (aiomqtt drops its
reason code), bytes are written at once and not by two more turns of the loop, a broker that closes ends an
attempt, and whatever fails leaves neither a socket nor an exception that nobody took: the loop's handler
would take that for a bug, and halt.
"""

from __future__ import annotations

import asyncio
import math
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiomqtt

from daemon.errors import NetError
from daemon.wire import SILENT, sentence

if TYPE_CHECKING:
    from daemon.faces.mqtt_access import Access

#: for the connection, for the encryption, and for the broker's word, each
OPEN_S: Final = 2.0
#: without a word for one and a half of it the broker takes us for dead
KEEPALIVE_S: Final = 10
_QOS: Final = 1  # acknowledged
#: reason codes that a person has to mend: client id, password, rights, ban, method
STUBBORN: Final = frozenset({133, 134, 135, 138, 140})
TAKEN_OVER: Final = 142
_UNSPECIFIED: Final = 128
#: of paho: no connection, a lost one, and its reason code for that
_BROKEN: Final = frozenset({4, 7, _UNSPECIFIED})


class Parcel(NamedTuple):
    """One publish. A retained one is kept by the broker for who comes later."""

    topic: str
    payload: bytes
    retain: bool


class BusClient(aiomqtt.Client):
    """A connection that is opened once. Its errors are NetErrors, `status` the broker's reason code."""

    def __init__(self, access: Access, will: Parcel) -> None:
        super().__init__(
            access.host,
            access.port,
            identifier=access.client_id,
            username=access.username or None,
            password=access.password or None,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=access.tls,
            will=aiomqtt.Will(will.topic, will.payload, qos=_QOS, retain=will.retain),
            keepalive=KEEPALIVE_S,
            timeout=OPEN_S,
            logger=SILENT,
            # without it a publish waits for the acknowledgement of the one before: 44 ms
            socket_options=[(IPPROTO_TCP, TCP_NODELAY, 1)],
        )
        self._client.connect_timeout = OPEN_S
        self._disconnected.add_done_callback(_take)
        self._where = f"the MQTT broker at {access.where}"
        self._refusal = ""

    async def open(self) -> None:
        """Connect. Cancelled it waits for the end of the attempt, whose thread nobody can stop."""
        attempt = asyncio.ensure_future(self.__aenter__())
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            await asyncio.wait({attempt})
            self.abort()
            if not attempt.cancelled():
                attempt.exception()
            raise
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            self.abort()
            raise self._error(error, "cannot be had") from None
        self._disconnected.add_done_callback(_take)  # aiomqtt may have made another
        if self._misc_task is not None:
            self._misc_task.add_done_callback(_take)

    async def send(self, parcel: Parcel) -> str:
        """Publish, and wait for the broker's word; return why it refused, empty: it has it."""
        self._refusal = ""
        try:
            await self.publish(parcel.topic, parcel.payload, _QOS, parcel.retain, timeout=math.inf)
        except aiomqtt.MqttError as error:
            raise self._error(error, "takes nothing") from None
        return self._refusal

    async def lost(self) -> NetError:
        """Return why the connection is over, once it is."""
        try:
            async for _ in self.messages:  # nothing is subscribed; what comes all the same is not looked at
                pass
        except aiomqtt.MqttError as error:
            return self._error(error.__cause__ or error, "ended the connection")
        raise AssertionError("aiomqtt's messages end by an error alone")

    async def close(self) -> None:
        """Say that we leave, so that there is no last will, and end."""
        try:
            await self.__aexit__(None, None, None)
        except Exception:  # noqa: S110 - it may be gone already, in any way
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Cut the connection, whatever its state; harmless twice."""
        self._client._sock_close()  # noqa: SLF001 - paho has no other way to end without a word
        if self._misc_task is not None:
            self._misc_task.add_done_callback(_take)

    # --- aiomqtt's hooks --------------------------------------------------------------------------------
    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        """Keep why the one publish that is under way was refused."""
        if reason_code.is_failure:
            self._refusal = f"{reason_code} (reason code {reason_code.value})"
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None
    ) -> None:
        """End an attempt at once whose connection the broker closed, not only when its time is over."""
        if self._connected.done():
            super()._on_disconnect(client, userdata, flags, reason_code, properties)
        else:
            self._connected.set_exception(
                aiomqtt.MqttError(
                    "it closed the connection without a word, as one does that wants TLS or a certificate"
                )
            )
            _take(self._connected)  # nobody waits for an attempt that is given up

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        """Write what paho has to write: now where we are on the loop, soon where a thread connects."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._loop.call_soon_threadsafe(self._write, sock)
        else:
            self._write(sock)

    def _write(self, sock: Any) -> None:
        """Write what can be written; be called again when more can be."""
        paho: Any = self._client
        if paho.socket() is not sock:
            return
        try:
            paho.loop_write()
        except Exception as error:
            if not self._disconnected.done():
                self._disconnected.set_exception(error)
            return
        if paho.socket() is sock and paho.want_write():
            self._loop.add_writer(sock.fileno(), self._write, sock)

    def _error(self, error: BaseException, what: str) -> NetError:
        """Return an error as one sentence that begins with the broker's address."""
        code = getattr(error, "rc", None)
        value = getattr(code, "value", None)
        if isinstance(error, aiomqtt.exceptions.MqttConnectError) and value is not None:
            return NetError(f"{self._where} refuses us: {code} (reason code {value})", value)
        if value in _BROKEN:
            return NetError(f"{self._where} is gone")
        if value is not None and value > _UNSPECIFIED:
            return NetError(f"{self._where} {what}: {code} (reason code {value})", value)
        text = sentence(error)
        if text == "Operation timed out":
            text = f"no answer within {OPEN_S:g} s"
        return NetError(f"{self._where} {what}: {text}")


def _take(future: asyncio.Future[Any]) -> None:
    """Take what a future ended with, so that nobody misses it."""
    if not future.cancelled():
        future.exception()
