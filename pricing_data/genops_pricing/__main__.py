"""Run the command as `python -m genops_pricing`."""

import sys

from .cli import main

sys.exit(main())
