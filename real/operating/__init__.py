"""The page from which a person operates a session of trials at an arm."""
