"""The asyncio shell: probes, decides, runs, answers. Joins adapters and runbooks."""
