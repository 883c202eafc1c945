import socket
import threading

import pytest

from daemon.bench.peer import connect, main
from daemon.errors import NetError


def served(answer):
    """A server that answers one connection so; returns its ws URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection, listener:
            connection.recv(1 << 12)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"ws://127.0.0.1:{listener.getsockname()[1]}/floor/stream"


def test_a_frame_behind_the_handshake_is_left_to_be_read():
    with connect(served(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02ok")) as one:
        assert one.recv(16) == b"\x81\x02ok"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1"])
def test_a_refusal_is_said(answer):
    with pytest.raises(NetError, match="refused the websocket"):
        connect(served(answer))


def test_a_port_where_nobody_listens_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NetError, match=r"cannot connect to ws://127\.0\.0\.1"):
        connect(f"ws://127.0.0.1:{port}/floor/stream")


def test_a_kind_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["fast", "http://127.0.0.1:1"])
    assert "invalid choice" in capsys.readouterr().err
