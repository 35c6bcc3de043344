"""Failed checks inside the runs of topologies show their values too, whoever imports them first."""

import pytest

pytest.register_assert_rewrite("topologies.runs")
