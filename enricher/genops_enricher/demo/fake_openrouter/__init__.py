"""A fake OpenRouter on loopback, for tests and the demo: same wire, own price list, a ledger.

POST /api/v1/chat/completions, /completions and /responses (plain and streamed), /embeddings
(plain); GET /api/v1/models, /key and /generation; GET /fake/ledger says what was billed. A request
chooses special behaviour with the `X-Fake-Scenario` header, see `scenario`.

In process: `with FakeOpenRouter() as fake`. As a process of its own:
`python -m genops_enricher.demo.fake_openrouter --port 8080`.
"""

from genops_enricher.demo.fake_openrouter.server import FakeOpenRouter

__all__ = ["FakeOpenRouter"]
