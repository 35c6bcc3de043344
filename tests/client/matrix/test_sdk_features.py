"""Each way to make a call that the OpenAI SDK offers leaves one complete span.

`sdk_matrix` runs this file with every supported version of the SDK.
"""

from __future__ import annotations

import asyncio
from operator import attrgetter

import openai
import pytest

from client.matrix.features import WAYS, Feature
from client.recorder import Recorder
from client.scripted_server import ScriptedServer


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("feature", WAYS)
def test_a_call_made_in_this_way_leaves_one_complete_span(
    feature: Feature, kind: str, server: ScriptedServer, spans: Recorder
) -> None:
    feature.script(server)

    async def use_async() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            await feature.use_async(attrgetter(feature.path)(client), feature.keywords)

    if kind == "async":
        asyncio.run(use_async())
    else:
        with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            feature.use(attrgetter(feature.path)(client), feature.keywords)

    attributes = spans.attributes
    assert "error.type" not in attributes
    assert attributes["genops.tokens.total"] == 1200
    assert attributes["gen_ai.response.id"] == "gen-1"
    assert attributes.get("genops.stream.completed") is (True if feature.chunks else None)
