"""Is this machine set up to call OpenRouter and to export spans? Makes no paid call.

The exit code is 0 if so, else 1; `genops validate` does the same.
"""

from genops.providers.openrouter import print_validation_result, validate_setup

result = validate_setup()
print_validation_result(result)
print(result.is_valid, len(result.issues), sorted(result.summary))
raise SystemExit(0 if result.is_valid else 1)
