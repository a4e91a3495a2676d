"""The simulated world. Imports nothing from the rest of watchdogd."""
