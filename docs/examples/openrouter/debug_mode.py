"""See each span on the terminal, and what the client does in its log."""

import logging

import genops

logging.basicConfig(level=logging.DEBUG)
logging.getLogger("genops").setLevel(logging.DEBUG)

genops.init(
    service_name="debug-session",
    exporter_type="console",
    debug=True,
)

from genops.providers.openrouter import instrument_openrouter

instrument_openrouter().chat_completions_create(
    model="openai/gpt-4o",
    messages=[{"role": "user", "content": "Hello"}],
)
