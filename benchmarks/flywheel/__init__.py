"""From a deployment's log to the next policy: what went wrong becomes the next demonstrations."""
