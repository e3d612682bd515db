"""`serve`: trained models behind OpenAI's completions, in batches, and a page to try them on."""
