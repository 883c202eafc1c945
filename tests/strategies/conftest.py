"""A stage for one strategy of ours."""

import pytest

from daemon.stage import Stage


@pytest.fixture
def stage():
    """Build a Stage of a strategy module."""
    return lambda module, **params: Stage(module.__name__.rpartition(".")[2], **params)
