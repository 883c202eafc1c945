from __future__ import annotations

import pytest

from daemon.faces.http_forms import Audit


@pytest.mark.parametrize(
    ("accepted", "often", "event"),
    [
        (True, False, "command"),
        (True, True, "command_repeated"),
        (False, False, "command_refused"),
        (False, True, "command_refused"),
    ],
)
def test_a_commands_line_is_named_by_what_became_of_it(accepted, often, event):
    one = Audit(verb="halt", reason="", via="socket", accepted=accepted, often=often)
    assert one.event == event
