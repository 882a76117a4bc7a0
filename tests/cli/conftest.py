import pytest

from tests.cli.helpers import Command


@pytest.fixture
def minidgm(capsys):
    """The command, run in this process."""
    return Command(capsys)
