"""Texts as files hold them: read as a stream in windows of rows, and written again with the answers beside them."""
