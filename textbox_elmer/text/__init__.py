"""What both hosts need of text: lines, special tokens around texts, ids to text, sentences, vocabularies."""
