"""The main job on one screen: a gateway, simulated guests, a released secret, refusals, real evidence."""
