"""The datasets that TextBox names: which there are, getting and checking them, and making one out of any table."""
