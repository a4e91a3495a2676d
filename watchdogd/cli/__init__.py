"""The three command lines: watchdogd, watchdogctl, watchdogd-lab."""
