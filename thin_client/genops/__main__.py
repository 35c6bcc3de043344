"""Run the command as `python -m genops`."""

import sys

from genops.cli import main

sys.exit(main())
