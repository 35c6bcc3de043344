"""`python -m genops_enricher` is `genops-enricher`."""

import sys

from genops_enricher.cli import main

sys.exit(main())
