"""Scenarios, played: the daemon in front of the lab's world, in virtual time or as processes. Joins daemon and lab."""
