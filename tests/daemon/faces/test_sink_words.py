from daemon.faces.sink_words import bus_words, webhook_words
from daemon.status import MqttStatus, WebhookStatus


def test_a_broker_in_words():
    one = MqttStatus(broker="b:1", connected=True, queued=1_000, published=5, dropped=2, refused={"fills": 3})
    assert bus_words(one) == "connected to b:1, 1,000 wait, 2 dropped, 3 refused"
    one = MqttStatus(broker="b:1", connected=False, queued=0, published=0, dropped=0)
    assert bus_words(one) == "not connected to b:1, 0 wait, 0 dropped"
    one.failure = "it is gone"
    assert bus_words(one) == "it is gone, 0 wait, 0 dropped"


def test_a_webhook_in_words():
    one = WebhookStatus(host="h", queued=2, told=1_234, dropped=0)
    assert webhook_words(one) == "1,234 told h, 2 wait, 0 dropped"
    one.failure, one.refused = "h answered 404", 4
    assert webhook_words(one) == "h answered 404, 2 wait, 0 dropped, 4 refused"
