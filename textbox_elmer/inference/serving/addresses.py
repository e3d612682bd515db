"""Which addresses are this machine's own."""

import ipaddress

LOCAL = "localhost"


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own, which no other can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == LOCAL
