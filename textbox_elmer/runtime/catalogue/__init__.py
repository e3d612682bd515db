"""What TextBox names: models, datasets, and the special tokens around their texts."""
