"""Failed checks inside the runs show their values too."""

import pytest

pytest.register_assert_rewrite("topologies.runs")
