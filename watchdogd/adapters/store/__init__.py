"""What has to survive a crash: SQLite behind one writer thread, and the lock of the state directory."""
