"""What clients speak: client bytes to the hub and back. Pure; one file per family of endpoints."""
