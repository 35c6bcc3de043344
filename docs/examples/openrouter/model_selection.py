"""Choose a model by what a task needs, and say so on the span."""

from genops.providers.openrouter import instrument_openrouter

client = instrument_openrouter()


def select_optimal_model(task_complexity: str, budget: float, latency_req: str):
    """The model for a task; `budget` is in USD."""
    if task_complexity == "simple" and budget < 0.001:
        return "meta-llama/llama-3.2-1b-instruct"
    elif task_complexity == "medium" and latency_req == "fast":
        return "anthropic/claude-3-haiku"
    elif task_complexity == "complex":
        return "anthropic/claude-3-5-sonnet"
    else:
        return "openai/gpt-4o"


task_complexity, budget = "complex", 0.01
model = select_optimal_model("complex", 0.01, "medium")
response = client.chat_completions_create(
    model=model,
    messages=[{"role": "user", "content": "Complex analysis task"}],
    team="analysis-team",
    complexity=task_complexity,
    budget_allocated=budget,
)
print(response.choices[0].message.content)
