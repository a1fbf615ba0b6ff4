"""Whether Hugging Face's hub can be reached."""

import socket
from urllib.parse import urlsplit
from urllib.request import getproxies

PATIENCE = 3.0  # seconds


def is_reachable() -> bool:
    """Whether the hub can be reached: it is asked five times and more, for a minute, before it says that it cannot."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if "https" in getproxies():
        return True
    try:
        socket.create_connection((urlsplit(constants.ENDPOINT).hostname, 443), PATIENCE).close()
    except OSError:
        return False
    return True
