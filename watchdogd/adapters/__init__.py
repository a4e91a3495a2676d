"""The only code that meets the world. Adapters do not know runbooks; the daemon joins them."""
