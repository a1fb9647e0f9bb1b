"""What every service shares: columns, messages, sockets, settings. Imports no service."""

VERSION = "0.1.0"
