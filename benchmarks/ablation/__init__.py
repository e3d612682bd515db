"""What makes ELMER write: alignment, canvas, copying, exits and distillation beside BART, at equal steps."""
