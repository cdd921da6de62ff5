"""What operators put around the service, from Debian's packages, on loopback."""
