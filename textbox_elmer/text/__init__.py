"""What both hosts need of text: lines, sentences, vocabularies."""
