"""One connection to a broker: what it is told, and every way in which it can go wrong."""

from __future__ import annotations

import asyncio
import gc
import signal
import ssl
import warnings
from typing import NamedTuple

import pytest

from daemon.errors import NetError
from daemon.faces import mqtt_client
from daemon.faces.mqtt_access import Access
from daemon.faces.mqtt_client import TAKEN_OVER, BusClient, Parcel
from tests import mosquitto
from tests.daemon.faces.broker import tiny_broker
from tests.daemon.sockets import certificate

WILL = Parcel("tickd/one/status", b'{"online":false}', True)
#: paho leaves it to the collector to close a socket whose other side was not trusted
UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
UNTAKEN: list = []
ONE = Parcel("tickd/one/orders", b"{}", False)


def access(port, *, host="127.0.0.1", client_id="tickd-one", username="", password="", tls=None):
    return Access(host, port, client_id, username, password, tls)


@pytest.fixture
def quick(monkeypatch):
    """A client that does not wait long."""
    monkeypatch.setattr(mqtt_client, "OPEN_S", 0.2)


@pytest.fixture(autouse=True)
def untaken():
    """What the loop's handler was told of, which would end the daemon: nothing may be."""
    UNTAKEN.clear()
    gc.freeze()  # what was there before need not be looked through
    yield UNTAKEN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.unfreeze()
    assert UNTAKEN == []


def watch_loop():
    asyncio.get_running_loop().set_exception_handler(lambda _, context: UNTAKEN.append(context))


async def opened(port, **more):
    watch_loop()
    client = BusClient(access(port, **more), WILL)
    await client.open()
    return client


async def failing(client):
    """Return the error as text, and its status."""
    watch_loop()
    with pytest.raises(NetError) as raised:
        await client.open()
    return Failure(str(raised.value), raised.value.status)


class Failure(NamedTuple):
    text: str
    status: int

    def __str__(self):
        return self.text


def test_it_says_who_it_is_and_leaves_a_will(run):
    async def main():
        async with tiny_broker() as broker:
            client = await opened(broker.port, username="me", password="se-cret")
            await client.close()
            (body,) = broker.connects
            assert body[:8] == b"\x00\x04MQTT\x05" + bytes(
                [0b1110_1110]
            )  # user, password, retained will of QoS 1
            assert body[8:10] == (10).to_bytes(2, "big")  # keep alive
            for part in (b"tickd-one", WILL.topic.encode(), WILL.payload, b"me", b"se-cret"):
                assert len(part).to_bytes(2, "big") + part in body

    run(main())


def test_what_it_sends_is_acknowledged_and_an_end_says_goodbye(run):
    async def main():
        async with tiny_broker() as broker:
            client = await opened(broker.port)
            assert await client.send(ONE) == ""
            assert await client.send(WILL) == ""
            assert [(one.topic, one.payload, one.retain, one.qos) for one in broker.told] == [
                (ONE.topic, ONE.payload, False, 1),
                (WILL.topic, WILL.payload, True, 1),
            ]
            await client.close()
            async with asyncio.timeout(5):
                while not broker.others:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert broker.others == [14]  # DISCONNECT, and never a SUBSCRIBE

    run(main())


def test_a_message_larger_than_the_sockets_hold_arrives_whole(run):
    async def main():
        async with tiny_broker() as broker:
            client = await opened(broker.port)
            payload = bytes(range(256)) * 40_000
            assert await client.send(Parcel("tickd/one/positions", payload, True)) == ""
            assert broker.told[0].payload == payload
            assert await client.send(ONE) == ""
            await client.close()

    run(main())


def test_a_refused_publish_is_told(run):
    async def main():
        async with tiny_broker() as broker:
            client = await opened(broker.port)
            broker.codes = {ONE.topic: 135, WILL.topic: 16}  # 16: nobody listens, which is no refusal
            assert await client.send(ONE) == "Not authorized (reason code 135)"
            assert await client.send(WILL) == ""
            await client.close()

    run(main())


@pytest.mark.parametrize(("code", "text"), [(134, "Bad user name or password"), (136, "Server unavailable")])
def test_a_refused_connection_has_the_broker_s_reason(run, code, text):
    async def main():
        async with tiny_broker() as broker:
            broker.connack = code
            error = await failing(BusClient(access(broker.port, username="me", password="se-cret-1"), WILL))
            assert str(error) == (
                f"the MQTT broker at 127.0.0.1:{broker.port} refuses us: {text} (reason code {code})"
            )
            assert error.status == code

    run(main())


def test_nobody_there_is_told_at_once(run):
    async def main():
        async with tiny_broker() as broker:
            port = broker.port
        error = await failing(BusClient(access(port), WILL))
        assert str(error).startswith(f"the MQTT broker at 127.0.0.1:{port} cannot be had: ")
        assert "refused" in str(error)
        error = await failing(BusClient(access(port, host="x" * 64), WILL))
        assert "cannot be had" in str(error)

    run(main())


def test_a_broker_without_a_word_is_given_up_and_leaves_no_socket(run, quick):
    async def main():
        async with tiny_broker() as broker:
            broker.silent = True
            client = BusClient(access(broker.port), WILL)
            assert "no answer within 0.2 s" in str(await failing(client))
            assert client._client.socket() is None

    run(main())


def test_one_that_closes_at_once_is_not_waited_for(run):
    async def serve(reader, writer):
        await reader.read(1)
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(1.5):
            error = await failing(BusClient(access(port), WILL))
        assert "it closed the connection without a word" in str(error)
        server.close()

    run(main())


def test_an_attempt_that_is_cancelled_leaves_nothing(run, quick):
    async def main():
        async with tiny_broker() as broker:
            broker.silent = True
            client = BusClient(access(broker.port), WILL)
            task = asyncio.ensure_future(client.open())
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            assert client._client.socket() is None

    run(main())


def test_a_lost_connection_is_told_to_who_waits_for_it(run):
    async def main():
        async with tiny_broker() as broker:
            client = await opened(broker.port)
            lost = asyncio.ensure_future(client.lost())
            broker.cut()
            assert str(await lost) == f"the MQTT broker at 127.0.0.1:{broker.port} is gone"
            with pytest.raises(NetError, match="is gone"):
                await client.send(ONE)
            await client.close()
            client.abort()
            assert client._client.socket() is None

    run(main())


def test_a_connection_cut_in_the_turn_of_a_publish_harms_nobody(run):
    async def main():
        async with tiny_broker() as broker:
            for _ in range(20):
                client = await opened(broker.port)
                broker.cut()
                await asyncio.sleep(0)
                work = [asyncio.ensure_future(client.send(ONE)), asyncio.ensure_future(client.lost())]
                await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
                client.abort()

    run(main())


def test_another_of_the_same_name_is_told_of(run):
    async def main():
        async with tiny_broker() as broker:
            client = await opened(broker.port)
            broker.write(bytes([14 << 4, 2, TAKEN_OVER, 0]))
            error = await client.lost()
            assert error.status == TAKEN_OVER
            assert "Session taken over" in str(error)
            client.abort()

    run(main())


@pytest.mark.parametrize(
    "noise",
    [b"\xff" * 64, b"\x40\x04\x00\x01\x00\x00", b"\x40\x02\x00\x01", b"\x90\x00", b"\x30\xff\xff\xff\x7f"],
)
def test_noise_ends_at_most_the_connection(run, noise):
    async def main():
        async with tiny_broker() as broker:
            client = await opened(broker.port)
            lost = asyncio.ensure_future(client.lost())
            broker.write(noise)
            await asyncio.wait({lost}, timeout=0.05)
            broker.cut()
            assert isinstance(await lost, NetError)
            client.abort()

    run(main())


def test_what_a_broker_says_of_its_own_accord_is_not_looked_at(run):
    async def main():
        async with tiny_broker() as broker:
            client = await opened(broker.port)
            lost = asyncio.ensure_future(client.lost())
            for _ in range(100):
                broker.write(b"\x30\x08\x00\x04halt\x00x")  # PUBLISH of QoS 0
            assert await client.send(ONE) == ""
            assert not lost.done()
            assert client._queue.qsize() < 100
            broker.cut()
            await lost
            client.abort()

    run(main())


@UNCLOSED
def test_over_tls_it_trusts_whom_it_is_told_to(run, tmp_path):
    server, ours = certificate(tmp_path)

    async def main():
        async with tiny_broker(tls=server) as broker:
            client = await opened(broker.port, host="localhost", tls=ours)
            assert await client.send(ONE) == ""
            await client.close()
            for host, tls in (("localhost", ssl.create_default_context()), ("127.0.0.1", ours)):
                error = await failing(BusClient(access(broker.port, host=host, tls=tls), WILL))
                assert "certificate verify failed" in str(error)

    run(main())


# --- a real one --------------------------------------------------------------------------------
@pytest.fixture
def new_broker(tmp_path):
    made = []

    def make(*lines, **more):
        made.append(mosquitto.Broker(tmp_path / f"broker-{len(made)}", *lines, **more))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def test_mosquitto_takes_it_and_refuses_what_its_rules_forbid(run, new_broker):
    broker = new_broker(password=True, deny=["tickd/one/orders"])
    pair = {"username": mosquitto.USER, "password": mosquitto.PASSWORD}

    async def main():
        client = await opened(broker.port, **pair)
        assert await client.send(WILL) == ""
        assert await client.send(ONE) == "Not authorized (reason code 135)"
        await client.close()
        error = await failing(
            BusClient(access(broker.port, username=mosquitto.USER, password="wrong-one"), WILL)
        )
        assert error.status in mqtt_client.STUBBORN
        assert "wrong-one" not in str(error)
        assert (await failing(BusClient(access(broker.port), WILL))).status in mqtt_client.STUBBORN

    run(main())
    assert "SUBSCRIBE" not in broker.log


@UNCLOSED
def test_mosquitto_with_certificates(run, new_broker, tmp_path):
    authority = mosquitto.Authority(tmp_path)
    (tmp_path / "other").mkdir()
    foreign = mosquitto.Authority(tmp_path / "other")
    broker = new_broker(authority=authority, certificates=True)

    def context(trusted, signer=None):
        tls = ssl.create_default_context(cafile=trusted.file)
        if signer is not None:
            file = signer.sign("client")
            tls.load_cert_chain(file, signer.key_of(file))
        return tls

    async def main():
        client = await opened(broker.port, tls=context(authority, authority))
        assert await client.send(ONE) == ""
        await client.close()
        for tls, why in (
            (context(foreign, authority), "certificate verify failed"),
            (context(authority), "without a word"),
            (context(authority, foreign), "without a word"),
            (None, "without a word"),
        ):
            assert why in str(await failing(BusClient(access(broker.port, tls=tls), WILL)))

    run(main())


def test_mosquitto_that_is_frozen_keeps_nobody(run, new_broker, quick):
    broker = new_broker()

    async def main():
        client = await opened(broker.port)
        broker.send(signal.SIGSTOP)
        try:
            sending = asyncio.ensure_future(client.send(ONE))
            done, _ = await asyncio.wait({sending}, timeout=0.1)
            assert sending not in done
            sending.cancel()
            client.abort()
            assert "no answer within 0.2 s" in str(await failing(BusClient(access(broker.port), WILL)))
        finally:
            broker.send(signal.SIGCONT)
        client = await opened(broker.port)
        assert await client.send(ONE) == ""
        await client.close()

    run(main())
