"""`python -m genops_enricher.reference docs` writes the pages anew."""

import sys

from genops_enricher.reference import main

main(sys.argv[1])
