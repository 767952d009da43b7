"""Intel TDX: TD report bodies, attributes and claims, over `dcap`."""
