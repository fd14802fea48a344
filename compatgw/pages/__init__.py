"""Our own pages: documentation and status for whoever calls the gateway, and what all pages are made with."""
