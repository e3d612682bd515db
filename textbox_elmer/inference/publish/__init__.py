"""`push`: a trained model onto the Hugging Face hub."""
