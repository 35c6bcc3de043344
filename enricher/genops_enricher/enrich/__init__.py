"""From an LLM call and a catalog to the attributes that say what the call cost."""
