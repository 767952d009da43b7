"""The vendor lab: AMD's KDS and Intel's PCS on loopback, under simulated roots, faulty on demand."""

from gateway.lab.faults import FaultError
from gateway.lab.lab import Lab, Urls

__all__ = ["FaultError", "Lab", "Urls"]
