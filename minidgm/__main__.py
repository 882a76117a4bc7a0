"""``python -m minidgm``: the ``minidgm`` command."""

import sys

from minidgm.cli import main

if __name__ == "__main__":
    sys.exit(main())
