"""Intel SGX: enclave report bodies, attributes and claims, over `dcap`."""
