"""Pure: values in, values out. No asyncio, no clock, no logger, no environment, no URL."""
