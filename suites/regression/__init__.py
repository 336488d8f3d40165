"""Every baseline that is recorded still holds, whichever suite recorded it."""
