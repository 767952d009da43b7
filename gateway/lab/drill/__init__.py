"""Practise vendor outages, throttling, rollbacks, forgeries, revocations and TCB promotions."""
