"""Pages and figures made from sealed runs."""
