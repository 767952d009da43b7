"""Shared by TDX and SGX: quotes, PCK chains, QE reports, TCB info, enclave identities and TCB levels (DCAP)."""
